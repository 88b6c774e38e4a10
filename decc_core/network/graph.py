"""The layer DAG of a neural network: layers in topological order, and the tensors that flow between them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from decc_core import ranges
from decc_core.errors import InvalidGraph
from decc_core.network.titles import TO, shared_module, shortened, titles_of
from decc_core.text import counted

INPUT = "input"
"""The operator of a layer that stands for one model input."""

ITEM_BYTES = {
    "bool": 1, "uint8": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8, "uint16": 2, "uint32": 4, "uint64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16,
}  # fmt: skip
MAX_DIMENSIONS = 64
FLOAT_DTYPES = frozenset({"float16", "bfloat16", "float32", "float64"})


@dataclass(frozen=True)
class TensorSpec:
    """Shape and dtype of one tensor."""

    shape: tuple[int, ...]
    dtype: str

    def __post_init__(self) -> None:
        if self.dtype not in ITEM_BYTES:
            raise InvalidGraph(f"Unknown dtype '{self.dtype}'; choose one of {', '.join(ITEM_BYTES)}.")
        if any(size < 0 for size in self.shape):
            raise InvalidGraph(f"Shape {self.shape} has a negative size.")
        # Sizes first: of thousands of huge ones even the product takes long.
        if len(self.shape) > MAX_DIMENSIONS or max(self.shape, default=0) > ranges.MAX_INT:
            raise InvalidGraph(f"A tensor of {len(self.shape)} dimensions is larger than any that can be made.")
        if self.size_bytes > ranges.MAX_INT:
            raise InvalidGraph(f"A tensor of shape {self.shape} is larger than any that can be made.")

    @property
    def n_elements(self) -> int:
        return prod(self.shape)

    @property
    def size_bytes(self) -> int:
        return self.n_elements * ITEM_BYTES[self.dtype]


@dataclass(frozen=True)
class TensorRef:
    """One output tensor of a layer, by the layer's name and the output's index."""

    layer: str
    output: int = 0


@dataclass(frozen=True)
class Part:
    """A node of the network's file, or of a runtime's own version of it, whose work a layer does.

    `name` and `operator` are as profilers of the file tell them; `place` says when it runs in the file as it is, -1 for
    what is not in the file.
    """

    name: str
    operator: str
    place: int = -1


@dataclass(frozen=True)
class Layer:
    """A node of the DAG: one operator call, or a fused run of them.

    `inputs` are the tensors it reads (none for a model input). `parameters` names the weights it reads;
    their sizes stand in `LayerGraph.parameter_bytes`, so that shared weights are counted once. `parts` are the nodes
    that a runtime made this layer of, where its network is not the file's.
    """

    name: str
    operator: str
    inputs: tuple[TensorRef, ...]
    outputs: tuple[TensorSpec, ...]
    module_path: str = ""
    flops: int = 0
    parameters: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidGraph("A layer has an empty name.")
        if not self.outputs:
            raise InvalidGraph(f"Layer '{self.name}' has no output tensor.")
        if self.is_input and self.inputs:
            raise InvalidGraph(f"Input layer '{self.name}' must not read other layers.")
        if not self.is_input and not self.inputs:
            raise InvalidGraph(f"Layer '{self.name}' reads no tensor; fold it into a constant.")
        if self.flops < 0:
            raise InvalidGraph(f"Layer '{self.name}' has negative FLOPs.")
        if self.flops > ranges.MAX_INT:
            raise InvalidGraph(f"Layer '{self.name}' has more FLOPs than anything computes.")

    @property
    def is_input(self) -> bool:
        return self.operator == INPUT


@dataclass(frozen=True)
class Tensor:
    """A tensor that somebody needs: its producer, its consumers (layer indices) and whether the model returns it."""

    producer: int
    output: int
    spec: TensorSpec
    consumers: tuple[int, ...]
    is_output: bool


@dataclass(frozen=True)
class LayerGraph:
    """A checked layer DAG; `layers` stand in topological order and every one of them leads to an output.

    Algorithms address layers by index into `layers` and tensors by index into `tensors`.
    """

    name: str
    layers: tuple[Layer, ...]
    outputs: tuple[TensorRef, ...]
    parameter_bytes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_references()
        self._check_no_dead_layer()
        self._check_sizes()

    def _check_references(self) -> None:
        seen: dict[str, Layer] = {}
        for layer in self.layers:
            for ref in layer.inputs:
                self._check_reference(ref, seen, f"Layer '{layer.name}'")
            if layer.name in seen:
                raise InvalidGraph(f"Two layers are named '{layer.name}'; names must be unique.")
            for parameter in layer.parameters:
                if parameter not in self.parameter_bytes:
                    raise InvalidGraph(f"Layer '{layer.name}' reads parameter '{parameter}', whose size is not given.")
            seen[layer.name] = layer
        if not self.outputs:
            raise InvalidGraph(f"Graph '{self.name}' has no output.")
        for ref in self.outputs:
            self._check_reference(ref, seen, f"An output of graph '{self.name}'")

    @staticmethod
    def _check_reference(ref: TensorRef, seen: dict[str, Layer], reader: str) -> None:
        if ref.layer not in seen:
            raise InvalidGraph(
                f"{reader} reads '{ref.layer}', which is missing or comes later (layers must be in topological order)."
            )
        if not 0 <= ref.output < len(seen[ref.layer].outputs):
            raise InvalidGraph(
                f"{reader} reads output {ref.output} of '{ref.layer}', which has {len(seen[ref.layer].outputs)}."
            )

    def _check_sizes(self) -> None:
        """Whoever adds sizes up does so in 63 bits."""
        for name, size in self.parameter_bytes.items():
            if not 0 <= size <= ranges.MAX_INT:
                raise InvalidGraph(f"Parameter '{name}' has {ranges.shown(size)} bytes, which no weight has.")
        tensors = sum(spec.size_bytes for layer in self.layers for spec in layer.outputs)
        flops = sum(layer.flops for layer in self.layers)
        for what, total in (
            ("bytes of weights", sum(self.parameter_bytes.values())),
            ("bytes of tensors", tensors),
            ("FLOPs", flops),
        ):
            if total > ranges.MAX_INT:
                raise InvalidGraph(f"Graph '{self.name}' has more {what} than can be counted in 63 bits.")

    def _check_no_dead_layer(self) -> None:
        needed = {ref.layer for ref in self.outputs}
        for layer in reversed(self.layers):
            if layer.name not in needed:
                raise InvalidGraph(f"Layer '{layer.name}' leads to no output; remove it.")
            needed.update(ref.layer for ref in layer.inputs)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __eq__(self, other: object) -> bool:
        """Equal content; compared by digest, because graphs are keys of caches and often loaded more than once."""
        if not isinstance(other, LayerGraph):
            return NotImplemented
        return self is other or (self.fingerprint == other.fingerprint and self.details == other.details)

    @cached_property
    def details(self) -> str:
        """Digest of what the fingerprint leaves out: names of graph and modules, FLOPs, parameters and parts."""
        layers = [
            [
                layer.module_path,
                layer.flops,
                list(layer.parameters),
                [[part.name, part.operator, part.place] for part in layer.parts],
            ]
            for layer in self.layers
        ]
        return _digest([self.name, layers, sorted(self.parameter_bytes.items())])

    def __repr__(self) -> str:
        return f"<graph of '{self.name}': {len(self.layers)} layers, {counted(len(self.inputs), 'input')}>"

    def __len__(self) -> int:
        return len(self.layers)

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each layer, by name."""
        return {layer.name: i for i, layer in enumerate(self.layers)}

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        return tuple(i for i, layer in enumerate(self.layers) if layer.is_input)

    @cached_property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(dict.fromkeys(self.index[ref.layer] for ref in layer.inputs)) for layer in self.layers)

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        readers: list[list[int]] = [[] for _ in self.layers]
        for child, parents in enumerate(self.parents):
            for parent in parents:
                readers[parent].append(child)
        return tuple(tuple(children) for children in readers)

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors that are consumed or returned; outputs that nobody needs are left out."""
        consumers: dict[tuple[int, int], list[int]] = {}
        for i, layer in enumerate(self.layers):
            for ref in dict.fromkeys(layer.inputs):
                consumers.setdefault((self.index[ref.layer], ref.output), []).append(i)
        returned = {(self.index[ref.layer], ref.output) for ref in self.outputs}
        keys = sorted(consumers.keys() | returned)
        return tuple(
            Tensor(
                producer=layer,
                output=output,
                spec=self.layers[layer].outputs[output],
                consumers=tuple(consumers.get((layer, output), ())),
                is_output=(layer, output) in returned,
            )
            for layer, output in keys
        )

    @cached_property
    def tensor_index(self) -> dict[TensorRef, int]:
        """Position of each tensor in `tensors`, by its producer's name and output."""
        return {TensorRef(self.layers[t.producer].name, t.output): i for i, t in enumerate(self.tensors)}

    @cached_property
    def returned(self) -> tuple[int, ...]:
        """The indices of the tensors that the model returns."""
        return tuple(i for i, tensor in enumerate(self.tensors) if tensor.is_output)

    @cached_property
    def tensors_of(self) -> tuple[tuple[int, ...], ...]:
        """For each layer, the indices of the tensors it produces."""
        made: list[list[int]] = [[] for _ in self.layers]
        for i, tensor in enumerate(self.tensors):
            made[tensor.producer].append(i)
        return tuple(tuple(tensors) for tensors in made)

    @cached_property
    def fingerprint(self) -> str:
        """Identity of the graph: a hash over names, operators, shapes, dtypes and edges."""
        content = [
            [
                [
                    layer.name,
                    layer.operator,
                    [[ref.layer, ref.output] for ref in layer.inputs],
                    [[list(spec.shape), spec.dtype] for spec in layer.outputs],
                ]
                for layer in self.layers
            ],
            [[ref.layer, ref.output] for ref in self.outputs],
        ]
        return _digest(content)

    @cached_property
    def titles(self) -> tuple[str, ...]:
        """What each layer is called where people read it."""
        return titles_of(self.layers)

    @cached_property
    def short_titles(self) -> tuple[str, ...]:
        """The same where space is short."""
        return shortened(self.titles)

    def run_names(self, layers: Sequence[int]) -> tuple[str, ...]:
        """What some layers are called together: by the module that they share, else by the first and the last."""
        shared = shared_module([self.layers[layer].module_path for layer in layers]) if len(layers) > 1 else ""
        return (shared,) if shared else tuple(dict.fromkeys((self.titles[layers[0]], self.titles[layers[-1]])))

    def run_title(self, layers: Sequence[int]) -> str:
        """The same as one text."""
        return TO.join(self.run_names(layers))

    @cached_property
    def _by_title(self) -> dict[str, int]:
        return {title: i for i, title in enumerate(self.titles)} | self.index

    def layer_called(self, text: str) -> int | None:
        """The index of the layer with this name or title, if there is one."""
        return self._by_title.get(text)

    def tensor_name(self, tensor: int) -> str:
        """The producer's name, with the output's index where the producer has several."""
        described = self.tensors[tensor]
        producer = self.layers[described.producer]
        return f"{producer.name}:{described.output}" if len(producer.outputs) > 1 else producer.name

    def tensor_title(self, tensor: int, short: bool = False) -> str:
        """The producer's title, for people, with the output's index where several are needed; a `short` one where
        space is."""
        described = self.tensors[tensor]
        title = (self.short_titles if short else self.titles)[described.producer]
        return f"{title}:{described.output}" if len(self.tensors_of[described.producer]) > 1 else title


def _digest(content: object) -> str:
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
