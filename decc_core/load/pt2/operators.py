"""The operators that a `.pt2` file may name: those that reach a worker, and those that export turns into them.

Exported files hold in-place work and operators that do nothing outside training. After `run_decompositions({})` only
the operators of `decc_core.models.torch.operators` are left, or the network is refused by the layer's name.
"""

from __future__ import annotations

from functools import lru_cache

import torch

from decc_core.models.torch.operators import find_operator, is_taken

_IN_TRAINING_ONLY = frozenset(
    f"aten.{name}{in_place}.default"
    for name in ("alpha_dropout", "dropout", "feature_alpha_dropout", "feature_dropout")
    for in_place in ("", "_")
)
_OTHER_WORDS = frozenset(
    f"aten.{name}"
    for name in (
        "_assert_tensor_metadata.default", "atleast_1d.default", "atleast_2d.default", "atleast_3d.default",
        "lift_fresh.default", "split.default", "unsafe_chunk.default",
    )
)  # fmt: skip
"""Checks, and what ordinary operators stand for; no schema is found for some of them."""


@lru_cache(maxsize=4096)
def is_exported(name: str) -> bool:
    """Whether a file may name the operator, in-place ones as well: those write to their first argument alone."""
    if is_taken(name) or name in _IN_TRAINING_ONLY or name in _OTHER_WORDS:
        return True
    operator, packet = find_operator(name), name.split(".")[1]
    if operator is None or not packet.endswith("_") or packet.endswith("__"):
        return False
    first, *others = operator._schema.arguments
    twin = getattr(torch.ops.aten, packet[:-1], None)
    pure = twin is not None and any(is_taken(f"aten.{packet[:-1]}.{overload}") for overload in twin.overloads())
    return pure and first.is_write and not any(argument.is_write for argument in others)
