"""Networks that came as data: every step gives what the graph declares, and no operator reads beyond its tensors.

Steps run on fake tensors, which have shapes and no memory. Most operators check their tensors there as they do on real
ones; what some kernels take on trust stands in `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode

from decc_core.errors import UnreadableFile
from decc_core.models.tensors import DTYPES, dtype_name
from decc_core.models.torch.extract import Call, ExtractedModel, TensorKey
from decc_core.network.graph import Layer
from decc_core.text import first_line, shown

MODES = frozenset({0, 1, 2})
"""Ways to interpolate, to go on beyond the border, to scale a spectrum, and to sum up a loss."""


WINDOWS = frozenset({"kernel_size", "stride", "padding", "dilation", "output_padding", "step"})
MOST_WINDOW = 1 << 31
"""Kernels reckon places from sizes and steps of windows in 64 bits, and do not look whether they fit."""
OF_ONE_DTYPE = (
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bilinear", "block_diag", "bmm", "dot", "einsum", "huber_loss",
    "linear", "matmul", "mm", "mv", "smooth_l1_loss",
)  # fmt: skip


@dataclass(frozen=True)
class _Step:
    """The arguments of an operator by the names of its schema, with fake tensors."""

    given: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.given[name]

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.given[name].shape)

    def require(self, holds: bool, what: str) -> None:
        if not holds:
            raise ValueError(what)

    def require_length(self, names: Iterable[str], length: int) -> None:
        """Statistics and weights, where there are any, have one number for each channel."""
        for name in names:
            tensor = self.given.get(name)
            if tensor is not None and tuple(tensor.shape) != (length,):
                raise ValueError(f"{name} has the shape {tuple(tensor.shape)}, and {length} numbers are needed")


def _batch_norm(step: _Step) -> None:
    shape = step.shape("input")
    step.require(len(shape) >= 2, "batch norm takes two dimensions or more")
    step.require_length(("weight", "bias", "running_mean", "running_var"), shape[1])


def _group_norm(step: _Step) -> None:
    n, c, pixels, group = (step[name] for name in ("N", "C", "HxW", "group"))
    shape = step.shape("input")
    step.require(len(shape) >= 2 and shape[:2] == (n, c), f"group norm is told of {n} x {c} channels")
    step.require(prod(shape[2:]) == pixels, f"group norm is told of {pixels} places in a channel")
    step.require(group > 0 and c % group == 0, f"{c} channels do not make {group} groups")
    step.require_length(("weight", "bias"), c)


def _grid_sampler(step: _Step) -> None:
    image, grid = step.shape("input"), step.shape("grid")
    step.require(step["interpolation_mode"] in MODES, f"there is no interpolation {step['interpolation_mode']}")
    step.require(step["padding_mode"] in MODES, f"there is no padding {step['padding_mode']}")
    step.require(len(image) in (4, 5) and len(grid) == len(image), "image and grid have other dimensions")
    step.require(image[0] == grid[0], "image and grid are of other batches")
    step.require(grid[-1] == len(image) - 2, f"the grid has points of {grid[-1]} numbers")
    step.require(min(image[1:]) > 0, "the image is empty")
    step.require(step["input"].dtype == step["grid"].dtype, "image and grid have other dtypes")


def _attention(step: _Step) -> None:
    query, key, value = (step.shape(name) for name in ("query", "key", "value"))
    step.require(min(map(len, (query, key, value))) >= 2, "attention takes two dimensions or more")
    step.require(len(query) == len(key) == len(value), "queries, keys and values have other dimensions")
    step.require(query[-1] == key[-1], "queries and keys have other lengths")
    step.require(key[-2] == value[-2], f"{key[-2]} keys have {value[-2]} values")
    if step["enable_gqa"]:
        step.require(key[:-2] == value[:-2], "keys and values are of other batches or heads")
        heads, groups = query[-3] if len(query) > 2 else 1, key[-3] if len(key) > 2 else 1
        step.require(groups > 0 and heads % groups == 0, f"{heads} heads of queries do not share {groups} of keys")
        step.require(query[:-3] == key[:-3], "queries and keys are of other batches")
    else:
        # One head, or one batch, of keys and values may serve all queries.
        served = all(_broadcasts(shape[:-2], query[:-2]) for shape in (key, value))
        step.require(served, "queries, keys and values are of other batches or heads")
    mask = step["attn_mask"]
    if mask is not None:
        scores = (*query[:-1], key[-2])
        step.require(_broadcasts(tuple(mask.shape), scores), "the mask is larger than the scores")


def _broadcasts(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    matched = zip(reversed(shape), reversed(wanted), strict=False)
    return len(shape) <= len(wanted) and all(size in (1, full) for size, full in matched)


def _recurrent(gates: int) -> Callable[[_Step], None]:
    """LSTM, GRU and plain cells: sizes of all weights and states follow from the first weights."""

    def rule(step: _Step) -> None:
        biased, layers, two_ways = step["has_biases"], step["num_layers"], step["bidirectional"]
        states = step["hx"] if isinstance(step["hx"], (list, tuple)) else [step["hx"]]
        weights, ways = list(step["params"]), 2 if two_ways else 1
        step.require(len(states) == (2 if gates == 4 else 1), f"{len(states)} states are given")
        step.require(step["input"].dim() == 3 and all(state.dim() == 3 for state in states), "states take 3 dimensions")
        step.require(layers >= 1 and layers * ways <= len(weights), "there are more layers than weights")
        out, hidden = states[0].shape[2], states[-1].shape[2]
        projected = out != hidden
        each = 2 + (2 if biased else 0) + (1 if projected else 0)
        step.require(len(weights) == each * layers * ways, f"{len(weights)} weights are given")
        batch = step["input"].shape[0 if step["batch_first"] else 1]
        step.require(
            all(tuple(state.shape[:2]) == (layers * ways, batch) for state in states), "the states are of another size"
        )
        size = step["input"].shape[2]
        for layer in range(layers):
            wanted: list[tuple[int, ...]] = [(gates * hidden, size), (gates * hidden, out)]
            wanted += [(gates * hidden,)] * 2 if biased else []
            wanted += [(out, hidden)] if projected else []
            for way in range(ways):
                first = (layer * ways + way) * each
                shapes = [tuple(weight.shape) for weight in weights[first : first + each]]
                step.require(shapes == wanted, f"the weights of layer {layer} have the shapes {shapes}")
            size = out * ways

    return rule


def _pairs(step: _Step) -> None:
    step.require(step["self"].dim() == 2, "distances are those of rows")


def _spectrum(step: _Step) -> None:
    dims = step["dim"]
    step.require(step["normalization"] in MODES, f"there is no normalisation {step['normalization']}")
    step.require(len(dims) > 0 and len(set(dims)) == len(dims), "no dimension is named, or one twice")
    # The kernels count from the front alone, and do not look.
    step.require(min(dims) >= 0 and max(dims) < step["self"].dim(), f"there are no dimensions {list(dims)}")


def _half_spectrum(step: _Step) -> None:
    _spectrum(step)
    given, wanted = step.shape("self")[step["dim"][-1]], step["last_dim_size"]
    step.require(wanted >= 1 and wanted // 2 + 1 <= given, f"{given} numbers do not make {wanted}")


def _one_dtype(step: _Step) -> None:
    # Of empty matrices and of biases with more dimensions than usual not every kernel looks at the dtypes.
    parts = [
        part for value in step.given.values() for part in (value if isinstance(value, (list, tuple)) else (value,))
    ]
    dtypes = {part.dtype for part in parts if isinstance(part, torch.Tensor)}
    step.require(len(dtypes) <= 1, f"there are {', '.join(sorted(map(str, dtypes)))}, and one dtype is taken")


def _weight_norm(step: _Step) -> None:
    shape, dim = step.shape("v"), step["dim"]
    step.require(len(shape) > 0 and 0 not in shape, "the weight is empty")
    step.require(-1 <= dim < len(shape), f"the weight has no dimension {dim}")
    wanted = tuple(size if place == dim else 1 for place, size in enumerate(shape))
    given = step.shape("g")
    step.require(prod(given) == 1 if dim == -1 else given == wanted, f"norms of the shape {wanted} are needed")
    step.require(step["v"].dtype == step["g"].dtype and step["v"].dtype.is_floating_point, "weight and norms differ")


def _binary_loss(step: _Step) -> None:
    step.require(step.shape("self") == step.shape("target"), "what is compared has other shapes")


def _deformed(step: _Step) -> None:
    image, weight = step.shape("input"), step.shape("weight")
    step.require(len(image) == len(weight) == 4 and 0 not in image + weight, "four dimensions are needed, none empty")
    groups, offset_groups = step["groups"], step["offset_groups"]
    step.require(groups >= 1 and offset_groups >= 1, "there are no groups")
    step.require(image[1] == weight[1] * groups and weight[0] % groups == 0, "channels do not make the groups")
    step.require(image[1] % offset_groups == 0, f"{image[1]} channels do not make {offset_groups} groups of offsets")
    places = []
    for size, kernel, way in zip(image[2:], weight[2:], "hw", strict=True):
        stride, pad, dilation = (step[f"{name}_{way}"] for name in ("stride", "pad", "dilation"))
        step.require(stride >= 1 and pad >= 0 and dilation >= 1, "a stride, padding or dilation is impossible")
        step.require(max(stride, pad, dilation) < MOST_WINDOW, "a stride, padding or dilation is too large")
        places.append((size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1)
    step.require(min(places) >= 1, "the kernel is larger than the picture")
    numbers = offset_groups * weight[2] * weight[3]
    step.require(step.shape("offset") == (image[0], 2 * numbers, *places), "the offsets have another shape")
    if step["use_mask"]:
        step.require(step.shape("mask") == (image[0], numbers, *places), "the mask has another shape")
    step.require_length(("bias",), weight[0])
    _one_dtype(step)


def _shuffle(step: _Step) -> None:
    # The kernel gives an empty one back as it is, whatever shape was promised.
    step.require(0 not in step.shape("self"), "the picture is empty")


RULES: dict[str, Callable[[_Step], None]] = {
    **dict.fromkeys(
        (
            "aten._native_batch_norm_legit_no_training.default",
            "aten._native_batch_norm_legit.no_stats",
            "aten.native_batch_norm.default",
            "aten.batch_norm.default",
            "aten.instance_norm.default",
        ),
        _batch_norm,
    ),
    **{f"aten.{name}.default": _one_dtype for name in OF_ONE_DTYPE},
    "aten.binary_cross_entropy.default": _binary_loss,
    "aten._weight_norm.default": _weight_norm,
    "aten._weight_norm_interface.default": _weight_norm,
    "aten.native_group_norm.default": _group_norm,
    "aten.grid_sampler_2d.default": _grid_sampler,
    "aten.grid_sampler.default": _grid_sampler,
    "aten.grid_sampler_3d.default": _grid_sampler,
    "aten.scaled_dot_product_attention.default": _attention,
    "aten.lstm.input": _recurrent(4),
    "aten.gru.input": _recurrent(3),
    "aten.rnn_tanh.input": _recurrent(1),
    "aten.rnn_relu.input": _recurrent(1),
    "aten._pdist_forward.default": _pairs,
    "torchvision.deform_conv2d.default": _deformed,
    "aten.pixel_shuffle.default": _shuffle,
    "aten.pixel_unshuffle.default": _shuffle,
    "aten._fft_c2r.default": _half_spectrum,
    "aten._fft_r2c.default": _spectrum,
    "aten._fft_c2c.default": _spectrum,
}


def require_declared(model: ExtractedModel) -> None:
    """Refuse a network in which a step would give anything but what the graph says, or read beyond its tensors."""
    tensors: dict[TensorKey, torch.Tensor] = {}
    with torch.no_grad(), FakeTensorMode():
        for layer in model.graph.layers:
            if layer.is_input:
                spec = layer.outputs[0]
                tensors[layer.name, 0] = torch.empty(spec.shape, dtype=DTYPES[spec.dtype])
                continue
            for i, made in enumerate(_outputs(layer, model.calls[layer.name], tensors)):
                tensors[layer.name, i] = made
            for key in model.last_readers[layer.name]:
                tensors.pop(key, None)


def fake_outputs(call: Call, tensors: dict[TensorKey, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """What a call gives, without running it; raises what the operator or its rule raises. Needs a `FakeTensorMode`."""
    args, kwargs = Call(call.target, _faked(call.args), _faked(call.kwargs)).filled(tensors)
    given = {argument.name: argument.default_value for argument in call.target._schema.arguments}  # type: ignore[attr-defined]
    given.update(zip(given, args, strict=False))
    given.update(kwargs)
    for name in WINDOWS & given.keys():
        sizes = given[name] if isinstance(given[name], (list, tuple)) else [given[name]]
        if any(isinstance(size, int) and abs(size) >= MOST_WINDOW for size in sizes):
            raise ValueError(f"{name} is {list(sizes)}; less than {MOST_WINDOW} is possible")
    if isinstance(given.get("reduction"), int) and given["reduction"] not in MODES:
        raise ValueError(f"there is no reduction {given['reduction']}")
    rule = RULES.get(str(call.target))
    if rule is not None:
        rule(_Step(given))
    result = call.target(*args, **kwargs)
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def _outputs(layer: Layer, call: Call, tensors: dict[TensorKey, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    try:
        made = fake_outputs(call, tensors)
    except (DataDependentOutputException, DynamicOutputShapeException):
        raise UnreadableFile(
            f"What layer {shown(layer.name)} gives depends on the values that it reads, not on their shapes alone; "
            "such a layer cannot be planned."
        ) from None
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise UnreadableFile(f"Layer {shown(layer.name)} cannot run on the tensors that it reads ({reason}).") from None
    said = [(tuple(tensor.shape), dtype_name(tensor)) for tensor in made]
    told = [(spec.shape, spec.dtype) for spec in layer.outputs]
    if said != told:
        raise UnreadableFile(f"Layer {shown(layer.name)} gives {said}, and the graph says {told}.")
    return made


def _faked(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype)
    if isinstance(value, (list, tuple)):
        return [_faked(item) for item in value]
    if isinstance(value, dict):
        return {name: _faked(item) for name, item in value.items()}
    return value
