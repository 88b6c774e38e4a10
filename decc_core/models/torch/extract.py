"""From a PyTorch module to its layer graph, and back to numbers layer by layer."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

from decc_core.errors import ExtractionFailed
from decc_core.models.model import Model
from decc_core.models.tensors import dtype_name
from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.text import first_line

TensorKey = tuple[str, int]
"""A tensor while the graph runs: the layer's name and the output's index."""


@dataclass(frozen=True)
class Call:
    """How to run one layer: the operator, and its arguments with `TensorRef`s where tensors of other layers go."""

    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def filled(self, tensors: dict[TensorKey, torch.Tensor]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments with their tensors in place."""
        args = [_filled(value, tensors) for value in self.args]
        return args, {name: _filled(value, tensors) for name, value in self.kwargs.items()}

    def run(self, tensors: dict[TensorKey, torch.Tensor]) -> tuple[Any, ...]:
        """All outputs of the layer."""
        args, kwargs = self.filled(tensors)
        result = self.target(*args, **kwargs)
        return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def _filled(value: Any, tensors: dict[TensorKey, torch.Tensor]) -> Any:
    """An argument with its tensors in place; written out, as a general tree map costs more than small layers do."""
    if type(value) is TensorRef:
        return tensors[value.layer, value.output]
    if isinstance(value, (list, tuple)):
        return [_filled(item, tensors) for item in value]
    return value


@dataclass(frozen=True, repr=False)
class ExtractedModel(Model):
    """A layer graph and how PyTorch runs it; `calls` holds every layer but the inputs.

    `left_out` names outputs of the network that no input changes: they are constants, and not outputs of the graph.
    """

    calls: dict[str, Call]
    last_readers: dict[str, tuple[TensorKey, ...]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @property
    def device(self) -> torch.device:
        """Where the weights lie, and the layers run."""
        return self.example_inputs[0].device if self.example_inputs else torch.device("cpu")

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The model's outputs, computed layer by layer; every tensor is freed after its last use."""
        tensors = self.load_inputs(inputs)
        with torch.no_grad():
            for name in self.calls:
                self.run_layer(name, tensors)
        return tuple(tensors[ref.layer, ref.output] for ref in self.graph.outputs)

    def tensors(self, inputs: Sequence[torch.Tensor], wanted: set[int]) -> dict[int, torch.Tensor]:
        graph, kept = self.graph, dict[int, torch.Tensor]()
        tensors = self.load_inputs(inputs)
        for layer in graph.layers:
            if not layer.is_input:
                for output, value in enumerate(self.calls[layer.name].run(tensors)):
                    tensors[layer.name, output] = value
            for tensor in wanted.intersection(graph.tensors_of[graph.index[layer.name]]):
                kept[tensor] = tensors[layer.name, graph.tensors[tensor].output]
            if not layer.is_input:
                for key in self.last_readers[layer.name]:
                    tensors.pop(key, None)
        return kept

    def load_inputs(self, inputs: Sequence[torch.Tensor]) -> dict[TensorKey, torch.Tensor]:
        """The tensors that are there before the first layer runs."""
        return {(name, 0): tensor.to(self.device) for name, tensor in self.named_inputs(inputs).items()}

    def run_layer(self, name: str, tensors: dict[TensorKey, torch.Tensor]) -> None:
        """Run one layer, add its outputs to `tensors`, and drop what nobody reads any more."""
        for i, value in enumerate(self.calls[name].run(tensors)):
            tensors[name, i] = value
        for key in self.last_readers[name]:
            tensors.pop(key, None)


def extract(
    module: torch.nn.Module, example_inputs: torch.Tensor | Sequence[torch.Tensor], name: str | None = None
) -> ExtractedModel:
    """Export a module with `torch.export` and turn the functional graph into layers.

    The module is taken as in evaluation mode, and left in the mode in which it was. Weights are shared with it, not
    copied; operators that depend on no input are computed once, here, and outputs among them are left out, with a
    warning. Without a name the graph is called after the module's class. Raises `ExtractionFailed` with one sentence
    saying what in the model cannot be exported, and why.
    """
    name = name or type(module).__name__
    if not isinstance(module, torch.nn.Module):
        raise ExtractionFailed(f"A {name} is no network; pass a torch.nn.Module.")
    inputs = (example_inputs,) if isinstance(example_inputs, torch.Tensor) else tuple(example_inputs)
    if not inputs or not all(isinstance(value, torch.Tensor) for value in inputs):
        raise ExtractionFailed(f"'{name}' needs example inputs that are tensors; pass a tuple of at least one tensor.")
    try:
        with _evaluating(module), torch.no_grad():
            functional = functional_form(torch.export.export(module, inputs)).module()
    except Exception as error:
        raise ExtractionFailed(_reason(name, error)) from error
    model = build(functional, inputs, name)
    for output in model.left_out:
        warnings.warn(f"Output '{output}' of '{name}' depends on no input, and is left out.", stacklevel=2)
    return model


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; parts of a module can be in different modes."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def functional_form(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """An exported program without in-place operators, with which the edges of its graph are not all dependencies."""
    functional: torch.export.ExportedProgram = program.run_decompositions({})
    return functional


def build(functional: torch.nn.Module, example_inputs: tuple[torch.Tensor, ...], name: str) -> ExtractedModel:
    """The layers of a module made from the `functional_form` of a program."""
    assert isinstance(functional, fx.GraphModule)
    return _Builder(name, functional).build(example_inputs)


def _reason(name: str, error: Exception) -> str:
    """One plain sentence for the ways in which `torch.export` fails."""
    kind, text = type(error).__name__, str(error)
    if "DataDependent" in kind or "data-dependent" in text.lower() or "Could not guard" in text:
        return (
            f"'{name}' cannot be exported: its control flow or shapes depend on the values of the input, as in "
            "detection models that keep a varying number of boxes; export the part before that step."
        )
    return (
        f"'{name}' cannot be exported by torch.export ({kind}: {first_line(error)}); check that it runs on "
        "the example inputs and uses only tensor operations."
    )


class _Builder:
    """Sorts the nodes of an exported graph into inputs, constants and layers."""

    def __init__(self, name: str, module: fx.GraphModule) -> None:
        self.name, self.module = name, module
        self.nodes = list(module.graph.nodes)
        self.placeholders = [node for node in self.nodes if node.op == "placeholder"]
        self.constants: dict[fx.Node, Any] = {}
        self.parameters_of: dict[fx.Node, tuple[str, ...]] = {}
        self.parameter_bytes: dict[str, int] = {}
        self.computing: list[fx.Node] = []
        self.outputs: list[TensorRef] = []
        self.left_out: list[str] = []

    def build(self, example_inputs: tuple[torch.Tensor, ...]) -> ExtractedModel:
        with torch.no_grad():
            self._fold_constants()
        self._find_outputs()
        kept = self._needed()
        inputs = [node for node in self.placeholders if node.name in kept]
        layers = [Layer(node.name, INPUT, (), (_spec(node.meta["val"]),), module_path="") for node in inputs]
        flops = _count_flops(self.module, self.placeholders)
        layers += [self._layer(node, flops.get(node.name, 0)) for node in self.computing if node.name in kept]
        used = {parameter for layer in layers for parameter in layer.parameters}
        graph = LayerGraph(
            self.name,
            tuple(layers),
            tuple(self.outputs),
            {parameter: size for parameter, size in self.parameter_bytes.items() if parameter in used},
        )
        calls = {node.name: self._call(node) for node in self.computing if node.name in kept}
        names = tuple(node.name if node.name in kept else None for node in self.placeholders)
        return ExtractedModel(graph, names, example_inputs, calls, last_readers(graph), tuple(self.left_out))

    def _fold_constants(self) -> None:
        """Compute what depends on no input: weights, and masks, ranges and reshaped weights made from them."""
        for node in self.nodes:
            if node.op == "get_attr":
                value = operator.attrgetter(str(node.target))(self.module)
                self.constants[node] = value.detach() if isinstance(value, torch.Tensor) else value
                if isinstance(value, torch.Tensor):
                    self.parameters_of[node] = (str(node.target),)
                    self.parameter_bytes[str(node.target)] = value.numel() * value.element_size()
            elif node.op == "call_function":
                if "_guards_fn" in str(node.target) or "assert" in str(node.target):
                    # Run-time checks of input shapes, which export inserts, are no layers.
                    continue
                if all(source in self.constants for source in node.all_input_nodes):
                    self.constants[node] = _call(node, self.constants)
                    weights = [name for source in node.all_input_nodes for name in self.parameters_of.get(source, ())]
                    self.parameters_of[node] = tuple(dict.fromkeys(weights))
                elif node.target is not operator.getitem:
                    self.computing.append(node)

    def _find_outputs(self) -> None:
        output = next(node for node in self.nodes if node.op == "output")
        for value in pytree.tree_leaves(output.args[0]):
            if not isinstance(value, fx.Node):
                continue
            if value in self.constants:
                self.left_out.append(value.name)
            else:
                self.outputs.append(self._ref(value))
        if not self.outputs:
            raise ExtractionFailed(f"No output of '{self.name}' depends on an input; there is nothing to run.")

    def _ref(self, node: fx.Node) -> TensorRef:
        """The tensor of a node; a getitem belongs to its producer."""
        if node.op == "call_function" and node.target is operator.getitem:
            producer, index = node.args
            assert isinstance(producer, fx.Node)
            assert isinstance(index, int)
            return TensorRef(producer.name, index)
        return TensorRef(node.name, 0)

    def _inputs(self, node: fx.Node) -> tuple[TensorRef, ...]:
        return tuple(
            dict.fromkeys(self._ref(source) for source in node.all_input_nodes if source not in self.constants)
        )

    def _needed(self) -> set[str]:
        """Names of the layers that lead to an output."""
        needed = {ref.layer for ref in self.outputs}
        for node in reversed(self.computing):
            if node.name in needed:
                needed.update(ref.layer for ref in self._inputs(node))
        return needed

    def _layer(self, node: fx.Node, flops: int) -> Layer:
        values = node.meta["val"]
        outputs = tuple(_spec(v) for v in values) if isinstance(values, (tuple, list)) else (_spec(values),)
        weights = [name for source in node.all_input_nodes for name in self.parameters_of.get(source, ())]
        return Layer(
            name=node.name,
            operator=str(node.target).removeprefix("torch.ops."),
            inputs=self._inputs(node),
            outputs=outputs,
            module_path=_module_path(node),
            flops=flops,
            parameters=tuple(dict.fromkeys(weights)),
        )

    def _call(self, node: fx.Node) -> Call:
        def resolve(value: fx.Node) -> Any:
            return self.constants[value] if value in self.constants else self._ref(value)

        assert callable(node.target)
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), resolve)
        return Call(node.target, tuple(args), dict(kwargs))


def _call(node: fx.Node, values: dict[fx.Node, Any]) -> Any:
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda source: values[source])
    assert callable(node.target)
    return node.target(*args, **kwargs)


def _spec(value: Any) -> TensorSpec:
    if not isinstance(value, torch.Tensor):
        # Unused outputs of some operators are None; they hold no bytes.
        return TensorSpec((0,), "uint8")
    return TensorSpec(tuple(int(size) for size in value.shape), dtype_name(value))


def _module_path(node: fx.Node) -> str:
    """The dotted path of the innermost module that made the node."""
    stack = node.meta.get("nn_module_stack") or {}
    path = str(list(stack.values())[-1][0]) if stack else ""
    return path.replace("L__self__", "").replace("L['self']", "").strip(".")


def last_readers(graph: LayerGraph) -> dict[str, tuple[TensorKey, ...]]:
    """For each layer, the tensors that nobody reads after it: those it reads last, and its own unneeded outputs."""
    returned = {(ref.layer, ref.output) for ref in graph.outputs}
    last: dict[TensorKey, str] = {}
    for layer in graph.layers:
        for i in range(len(layer.outputs)):
            last[layer.name, i] = layer.name
        for ref in layer.inputs:
            last[ref.layer, ref.output] = layer.name
    keys_of: dict[str, list[TensorKey]] = {layer.name: [] for layer in graph.layers}
    for key, reader in last.items():
        if key not in returned:
            keys_of[reader].append(key)
    return {name: tuple(keys) for name, keys in keys_of.items()}


class _FlopInterpreter(fx.Interpreter):
    """Runs the graph on fake tensors and counts each node's FLOPs."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.flops: dict[str, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        with FlopCounterMode(display=False) as counter:
            result = super().run_node(n)
        self.flops[n.name] = counter.get_total_flops()
        return result


def _count_flops(module: fx.GraphModule, placeholders: Sequence[fx.Node]) -> dict[str, int]:
    """FLOPs of every node (2 for each multiply-add); only matrix products, convolutions and attention count."""
    interpreter = _FlopInterpreter(module)
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with fake, torch.no_grad():
        values = (node.meta["val"] for node in placeholders)
        inputs = [torch.empty_strided(v.shape, v.stride(), dtype=v.dtype) for v in values]
        interpreter.run(*inputs, enable_io_processing=False)
    return interpreter.flops
