"""A number that a `.pt2` network takes out of its weights: worked out from the layers that lead to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from decc_core.load.pt2 import schema
from decc_core.load.pt2.schema import field
from decc_core.load.pt2.sizes import Number
from decc_core.models.tensors import DTYPES
from decc_core.models.torch.checks import fake_outputs
from decc_core.models.torch.data import allowed_operator
from decc_core.models.torch.extract import Call

MOST_LAYERS = 100
"""Between a weight and the number; a stride or a scale needs a few."""


def number_in(
    tensor: str, makers: Mapping[str, schema.Node], weights: Mapping[str, Callable[[], torch.Tensor]]
) -> Number | None:
    """The one number in a tensor that depends on weights alone; None for any other.

    `makers` has the checked layer of each tensor, by name; `weights` gives those that the file holds.
    """
    needed, waiting = dict[str, schema.Node](), [tensor]
    while waiting:
        name = waiting.pop()
        if name in weights or name in needed:
            continue
        if name not in makers or len(needed) == MOST_LAYERS:
            return None
        needed[name] = makers[name]
        waiting += [read for argument in makers[name].inputs for read in _tensors(argument.arg)]
    values: dict[str, torch.Tensor] = {}
    # A layer is checked after those that it reads, so the order of the file will do; one may make several tensors.
    chosen = {id(node) for node in needed.values()}
    order = {id(node): node for node in makers.values() if id(node) in chosen}
    with torch.no_grad():
        for node in order.values():
            operator = allowed_operator(node.target, node.target.removeprefix("torch.ops."))
            given = {argument.name: _value(argument.arg, values, weights) for argument in node.inputs}
            with FakeTensorMode():
                fake_outputs(Call(operator, (), given), {})
            made = operator(**given)
            names = [name for output in node.outputs for name in _tensors(output)]
            values.update(zip(names, made if isinstance(made, (tuple, list)) else [made], strict=False))
        found = values[tensor] if tensor in values else weights[tensor]()
        return found.item() if found.numel() == 1 and not found.is_complex() else None


def _tensors(argument: schema.Argument) -> list[str]:
    kind, value = field(argument)
    listed = value if isinstance(value, list) else [value]
    if kind in ("as_tensor", "as_tensors"):
        return [one.name for one in listed]
    if kind in ("as_optional_tensor", "as_optional_tensors"):
        return [held.name for one in listed for held in [one.as_tensor] if isinstance(held, schema.Named)]
    return []


def _value(
    argument: schema.Argument,
    tensors: Mapping[str, torch.Tensor],
    weights: Mapping[str, Callable[[], torch.Tensor]],
) -> Any:
    kind, value = field(argument)
    match kind:
        case "as_none":
            return None
        case "as_tensor" | "as_tensors" | "as_optional_tensor" | "as_optional_tensors":
            listed = [tensors[name] if name in tensors else weights[name]() for name in _tensors(argument)]
            return listed if kind in ("as_tensors", "as_optional_tensors") else listed[0] if listed else None
        case "as_float" | "as_floats":
            numbers = [float(one) for one in (value if isinstance(value, list) else [value])]
            return numbers if kind == "as_floats" else numbers[0]
        case "as_scalar_type":
            return DTYPES[schema.DTYPES[value][0]]
        case "as_device":
            return torch.device("cpu")
        case "as_memory_format":
            return torch.contiguous_format
        case "as_layout":
            return torch.strided
    return value
