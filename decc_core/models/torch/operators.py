"""The operators that a network may use to reach a worker as data: functions of tensors without any other effect.

Which those are, PyTorch says itself: an operator's schema names what it writes to and what it returns, and tags tell
whether it draws random numbers, or gives shapes that depend on values. Families of no use here are left out, and those
whose kernels take numbers on trust that lie in their tensors. `tests/fuzz/operators.py` calls all that are left.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import cast

import torch
from torch import Tag
from torch._ops import OpOverload

from decc_core.text import listed, shown

MOST_NAMED = 20
_IMPURE = frozenset(
    {
        Tag.nondeterministic_seeded,
        Tag.nondeterministic_bitwise,
        Tag.dynamic_output_shape,
        Tag.data_dependent_output,
        Tag.inplace_view,
        Tag.maybe_aliasing_or_mutating,
    }
)
_FOREIGN_ARGUMENTS = frozenset({"Generator", "Storage", "Stream", "Dimname", "Any"})
_LEFT_OUT = re.compile(
    "|".join(
        (
            # Gradients, and what only training needs.
            "backward|_jvp$|renorm$|^batch_norm_|_stats$|powsum",
            # Sparse, nested, quantised and packed tensors, and what stands for other devices' libraries.
            "sparse|coalesce|cs[rc]|bs[rc]|crow|ccol|(col|row)_indices|^indices|^values|smm$|sspaddmm|nested|to_padded",
            "quantiz|int_repr|q_per_channel|choose_qparams|fbgemm|cudnn|miopen|mkldnn|^mps_|overrideable",
            # Memory that nobody has written to, or that belongs to something else; files.
            "empty|as_strided|resize|^set$|slice_inverse|dense_tensors|from_file|pin_memory|^lift|to_dense|^cpu$",
            # Random numbers, and shapes by value, that bear no tag.
            "philox|fractional_max_pool|nonzero|^cov$|^corrcoef$|^istft$",
            # Kernels that believe the indices, lengths and pivots in their tensors, or shapes that others checked.
            "unsafe_index|segment_reduce|embedding_bag|ctc_loss|lu_unpack|lu_solve|ldl|householder|^orgqr|^ormqr|^geqrf",
            "slow_conv|^thnn_|conv_depthwise|linalg_eig$|linalg_eigvals$|multilabel_margin",
            "^range$|lcm|ldexp|soft_margin|triu_indices|hspmm|multi_margin|native_norm|histogram",
            # Time without a bound that a number in the file sets.
            "_polynomial_",
        )
    )
)
"""Parts of names."""
_OVERLOADS_LEFT_OUT = frozenset(
    f"aten.{name}"
    for name in (
        # It is told how much it will give, and believes it.
        "repeat_interleave.self_Tensor",
        # Shapes by value, without a tag that says so.
        "where.default", "narrow.Tensor", "tensor_split.tensor_indices_or_sections",
        # No processor has them.
        "addmm.dtype", "baddbmm.dtype", "bmm.dtype", "mm.dtype",
    )
)  # fmt: skip
"""Of names that have others, which are taken."""
_NAMED = """
_adaptive_avg_pool2d.default _adaptive_avg_pool3d.default _aminmax.default _aminmax.dim _cdist_forward.default
_conj.default _conj_physical.default
_euclidean_dist.default _fft_c2c.default _fft_c2r.default _fft_r2c.default _is_all_true.default
_is_any_true.default _linalg_det.default _linalg_eigh.default _linalg_slogdet.default _linalg_solve_ex.default
_linalg_svd.default _log_softmax.default _logcumsumexp.default _native_batch_norm_legit.no_stats
_native_batch_norm_legit_no_training.default _neg_view.default _pdist_forward.default _prelu_kernel.default
_safe_softmax.default _softmax.default _to_copy.default _trilinear.default _unsafe_view.default
_upsample_bicubic2d_aa.vec _upsample_bilinear2d_aa.vec _upsample_nearest_exact1d.default _upsample_nearest_exact1d.vec
_upsample_nearest_exact2d.default _upsample_nearest_exact2d.vec _upsample_nearest_exact3d.default
_upsample_nearest_exact3d.vec _weight_norm.default _weight_norm_interface.default
batch_norm.default gru.input index.Tensor lift_fresh_copy.default lstm.input one_hot.default rnn_relu.input
rnn_tanh.input scaled_dot_product_attention.default
"""
_OF_VISION = frozenset({"torchvision.deform_conv2d.default"})
"""Not `roi_align`: guarded calls ended in a memory error, as its kernel believes the numbers of the boxes."""
_BESIDES = _OF_VISION | {f"aten.{name}" for name in _NAMED.split()}
"""Kernels that others turn into, and operators whose tags are of a case that fake tensors refuse, or that evaluation
mode leaves out: masks as indices, dropout between recurrent layers, statistics that training would change."""


def every_operator() -> tuple[str, ...]:
    """The names of all operators that are taken, as in `aten.relu.default`."""
    schemas = (schema for schema in torch._C._jit_get_all_schemas() if schema.name.startswith("aten::"))
    names = (f"aten.{schema.name[6:]}.{schema.overload_name or 'default'}" for schema in schemas)
    return tuple(sorted([*(name for name in names if is_taken(name)), *_OF_VISION]))


@lru_cache(maxsize=4096)
def is_taken(name: str) -> bool:
    """Whether a network may use the operator of that name."""
    operator = find_operator(name)
    if operator is None or name in _BESIDES:
        return operator is not None
    schema, packet = operator._schema, name.split(".")[1]
    private = packet.startswith("_") and not packet.endswith("__")
    if (
        private
        or name in _OVERLOADS_LEFT_OUT
        or _LEFT_OUT.search(packet)
        or schema.is_mutable
        or _IMPURE.intersection(operator.tags)
    ):
        return False
    # What TorchScript adds to the operators is known to no dispatcher.
    qualified = f"{schema.name}.{schema.overload_name}".removesuffix(".")
    registered = torch._C._dispatch_has_kernel(qualified)
    foreign = any(kind in str(argument.type) for argument in schema.arguments for kind in _FOREIGN_ARGUMENTS)
    returns = {str(value.type) for value in schema.returns}
    return registered and not foreign and bool(returns) and returns <= {"Tensor", "List[Tensor]"}


def find_operator(name: str) -> OpOverload | None:
    """PyTorch's operator of that name, if there is one."""
    if name in _OF_VISION:
        # Whose operators are there once it is imported.
        importlib.import_module("torchvision")
    elif not re.fullmatch(r"aten\.\w{1,100}\.\w{1,100}", name, re.ASCII):
        return None
    library, packet, overload = name.split(".")
    operator = getattr(getattr(getattr(torch.ops, library), packet, None), overload, None)
    return cast(OpOverload, operator) if isinstance(operator, OpOverload) else None


def refusal(refused: Mapping[str, str]) -> str:
    """Why a network is not taken that uses these operators, each given with the first layer that uses it."""
    layer, several = shown(next(iter(refused.values()))), len(refused) > 1
    return (
        f"{'The network uses operators that are' if several else f'Layer {layer} uses an operator that is'} not "
        f"supported: {listed(list(refused), MOST_NAMED)}. Export it with torch.onnx.export, whose "
        f"operators are others, or replace {'such layers' if several else 'the layer'}."
    )
