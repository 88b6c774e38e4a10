"""The network inside a `.pt2` archive: every value checked, and written anew without anything that torch would run."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET

from decc_core.errors import UnreadableFile
from decc_core.load import pt2_schema as schema
from decc_core.load.archive import shown
from decc_core.load.limits import Limits, setting
from decc_core.load.pt2_operators import EXPORTED
from decc_core.load.pt2_schema import AGAIN, field

TARGETS = frozenset(f"torch.ops.{name}" for name in EXPORTED)
VERIFIERS = frozenset({"TRAINING", "ATEN"})
CONTAINERS = frozenset({"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,399}")
"""What torch calls a tensor: the names become Python source there."""
LEAF = '{"type":null,"context":null,"children_spec":[]}'
CONSTANTS = frozenset({"as_none", "as_int", "as_float", "as_bool", "as_string"})
NUMBERS = CONSTANTS | {"as_ints", "as_bools"}

Weights = dict[str, schema.TensorMeta]
"""Shapes of weights or constants by their names in the network."""


def cleaned(content: bytes, weights: Weights, constants: Weights, limits: Limits) -> bytes:
    """The network's JSON with checked values only: no metadata but module paths, no containers, no guards."""
    found = content.count(b'"target":')
    if found > limits.layers:
        raise _too_many(found, limits)
    program = schema.parsed(content, schema.Program, "The network's description")
    _check_versions(program)
    module = program.graph_module
    if len(module.graph.nodes) > limits.layers:
        raise _too_many(len(module.graph.nodes), limits)
    _check_static(program)
    graph = _Graph(module.graph, limits)
    inputs = graph.inputs(module.signature.input_specs, weights, constants)
    nodes = [graph.node(node) for node in module.graph.nodes]
    outputs = graph.outputs(module.signature.output_specs)
    n_inputs, n_outputs = _containers(module.module_call_graph)
    if n_inputs != graph.n_user_inputs or n_outputs != len(module.graph.outputs):
        raise UnreadableFile(f"The network's containers hold another number of tensors than its signature; {AGAIN}")
    return msgspec.json.encode(_program(program, graph, inputs, nodes, outputs))


def _too_many(found: int, limits: Limits) -> UnreadableFile:
    return UnreadableFile(
        f"The network has {found} layers; at most {limits.layers} are taken (set {setting('layers')} to change it)."
    )


def _check_versions(program: schema.Program) -> None:
    if program.schema_version.major != schema.MAJOR:
        raise UnreadableFile(
            f"The network's description has version {program.schema_version.major}, and this program reads version "
            f"{schema.MAJOR}; {AGAIN}"
        )
    if len(program.verifiers) != 1 or not VERIFIERS.issuperset(program.verifiers):
        raise UnreadableFile(f"The network is in a dialect that is not taken; {AGAIN}")
    if list(program.opset_version) != ["aten"] or not 0 <= program.opset_version["aten"] < 1000:
        raise UnreadableFile(f"The network wants operators that PyTorch itself does not have; {AGAIN}")


def _check_static(program: schema.Program) -> None:
    graph = program.graph_module.graph
    if program.range_constraints or graph.sym_int_values or graph.sym_bool_values or graph.sym_float_values:
        raise UnreadableFile(f"The network {schema.VARYING}")
    if graph.custom_obj_values:
        raise UnreadableFile("The network holds objects that are no tensors; export it with tensors and numbers only.")
    if graph.is_single_tensor_return:
        raise UnreadableFile(f"The network is a part of another one; {AGAIN}")


class _Graph:
    """Walks the graph in order; a tensor can be read once it is made, so cycles have no place."""

    def __init__(self, graph: schema.Graph, limits: Limits) -> None:
        self.graph, self.limits = graph, limits
        self.made: dict[str, schema.TensorMeta] = {}
        self.names: set[str] = set()
        self.bytes = 0
        self.n_user_inputs = 0
        self.user_inputs: list[str] = []

    def inputs(
        self, specs: list[schema.InputSpec], weights: Weights, constants: Weights
    ) -> list[tuple[schema.Argument, schema.InputSpec]]:
        """Tensors that are there before the first layer; plain values, which no layer reads, are left out."""
        if len(specs) != len(self.graph.inputs):
            raise UnreadableFile(f"The network's inputs are not those of its signature; {AGAIN}")
        kept = []
        for argument, spec in zip(self.graph.inputs, specs, strict=True):
            one, value = field(argument), field(spec)
            if not one[0] or value[0] in ("", "custom_obj", "token"):
                raise UnreadableFile("The network takes an input that is no tensor; export it with tensors only.")
            if one[0] in CONSTANTS and value[0] in ("constant_input", "user_input"):
                self.n_user_inputs += 1
                continue
            if one[0] != "as_tensor" or value[0] == "constant_input":
                raise UnreadableFile("The network takes an input that is no tensor; export it with tensors only.")
            name = one[1].name
            meta = self._define(name, counted=value[0] == "user_input")
            if value[0] == "user_input":
                if value[1].arg != argument:
                    raise UnreadableFile(f"The network's inputs are not those of its signature; {AGAIN}")
                self.n_user_inputs += 1
                self.user_inputs.append(name)
            else:
                self._check_weight(name, meta, value[1], weights, constants)
            kept.append((argument, spec))
        if not self.user_inputs:
            raise UnreadableFile("The network takes no input tensor; export it with example inputs that are tensors.")
        return kept

    def _check_weight(
        self, name: str, meta: schema.TensorMeta, spec: Any, weights: Weights, constants: Weights
    ) -> None:
        if isinstance(spec, schema.ParameterInput):
            known, key = weights, spec.parameter_name
        elif isinstance(spec, schema.BufferInput):
            known, key = (weights if spec.persistent else constants), spec.buffer_name
        else:
            known, key = constants, spec.tensor_constant_name
        if spec.arg.name != name:
            raise UnreadableFile(f"The network's inputs are not those of its signature; {AGAIN}")
        if key not in known:
            raise UnreadableFile(f"The weight {shown(key)} is missing in the file; {AGAIN}")
        stored = known[key]
        if (stored.dtype, schema.numbers(stored.sizes)) != (meta.dtype, schema.numbers(meta.sizes)):
            raise UnreadableFile(f"The weight {shown(key)} has another shape or type than the network reads; {AGAIN}")

    def _define(self, name: str, counted: bool = True) -> schema.TensorMeta:
        """A new tensor, with what the file says about it."""
        _check_name(name)
        if name in self.made or name in self.names:
            raise UnreadableFile(f"The tensor {shown(name)} is made twice; {AGAIN}")
        meta = self.graph.tensor_values.get(name)
        if meta is None:
            raise UnreadableFile(f"The file does not tell the shape of the tensor {shown(name)}; {AGAIN}")
        schema.check_meta(meta, f"The tensor {shown(name)}")
        size = max(schema.content_bytes(meta), schema.storage_bytes(meta))
        self.bytes += size if counted else 0
        if size > self.limits.tensor_bytes or self.bytes > self.limits.tensor_bytes:
            raise UnreadableFile(
                f"The tensors up to {shown(name)} have more than {self.limits.tensor_bytes} bytes together, which is "
                f"the limit (set {setting('tensor_bytes')} to change it)."
            )
        self.made[name] = meta
        self.names.add(name)
        return meta

    def node(self, node: schema.Node) -> schema.Node:
        """A layer with checked arguments, that reads only what earlier layers made."""
        layer = shown(node.name if node.name else node.target)
        if node.target not in TARGETS:
            raise UnreadableFile(_bad_target(layer, node.target))
        if node.is_hop_single_tensor_return:
            raise UnreadableFile(f"Layer {layer} holds other networks; export one without control flow.")
        arguments = [self._named(layer, one) for one in node.inputs]
        if len({one.name for one in arguments}) < len(arguments):
            raise UnreadableFile(f"Layer {layer} has an argument twice; {AGAIN}")
        outputs = [self._output(layer, one) for one in node.outputs]
        if node.name is not None:
            self._name(node.name, outputs)
        stack = _stack(node.metadata.nn_module_stack)
        return schema.Node(node.target, arguments, outputs, schema.Metadata(stack), None, node.name)

    def _name(self, name: str, outputs: list[schema.Argument]) -> None:
        """A layer has a name of its own, or that of the one tensor that it makes."""
        _check_name(name)
        if [one.as_tensor for one in outputs] == [schema.Named(name)]:
            return
        if name in self.names:
            raise UnreadableFile(f"Two layers have the name {shown(name)}; {AGAIN}")
        self.names.add(name)

    def _named(self, layer: str, one: schema.NamedArgument) -> schema.NamedArgument:
        if not NAME.fullmatch(one.name):
            raise UnreadableFile(f"Layer {layer} has an argument whose name no operator knows; {AGAIN}")
        if one.kind not in (None, 1, 2):
            raise UnreadableFile(f"Layer {layer} has an argument of an unknown kind; {AGAIN}")
        return schema.NamedArgument(one.name, self._argument(layer, one.arg), one.kind)

    def _argument(self, layer: str, argument: schema.Argument) -> schema.Argument:
        kind, value = field(argument)
        if not kind:
            raise UnreadableFile(f"Layer {layer} has an argument that is not exactly one value; {AGAIN}")
        if kind == "as_tensor":
            self._read(layer, [value])
        elif kind == "as_tensors":
            self._read(layer, value)
        elif kind in ("as_float", "as_floats"):
            _check_reals(layer, value if isinstance(value, list) else [value])
        elif kind in ("as_sym_int", "as_sym_ints"):
            _check_integers(layer, value if isinstance(value, list) else [value])
        elif kind in ("as_optional_tensor", "as_optional_tensors"):
            self._optional(layer, value if isinstance(value, list) else [value])
        elif kind == "as_device":
            schema.check_device(value, f"Layer {layer}")
            return schema.Argument(as_device=schema.CPU)
        elif kind in ("as_scalar_type", "as_memory_format", "as_layout"):
            _check_code(layer, kind, value)
        elif kind not in NUMBERS:
            raise UnreadableFile(_bad_argument(layer, kind))
        return argument

    def _read(self, layer: str, tensors: Iterable[schema.Named]) -> None:
        for tensor in tensors:
            if tensor.name not in self.made:
                raise UnreadableFile(
                    f"Layer {layer} reads the tensor {shown(tensor.name)}, which no layer before it makes; {AGAIN}"
                )

    def _optional(self, layer: str, tensors: list[schema.OptionalTensor]) -> None:
        for tensor in tensors:
            kind, value = field(tensor)
            if not kind:
                raise UnreadableFile(f"Layer {layer} has an argument that is not exactly one value; {AGAIN}")
            if kind == "as_tensor":
                self._read(layer, [value])

    def _output(self, layer: str, argument: schema.Argument) -> schema.Argument:
        kind, value = field(argument)
        if kind == "as_tensor":
            self._define(value.name)
        elif kind == "as_tensors":
            if not value:
                raise UnreadableFile(f"Layer {layer} makes an empty list of tensors; {AGAIN}")
            for tensor in value:
                self._define(tensor.name)
        elif kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
            raise UnreadableFile(f"Layer {layer} turns a tensor into a number, or {schema.VARYING}")
        elif kind != "as_none":
            raise UnreadableFile(f"Layer {layer} makes something that is no tensor; export it with tensors only.")
        return argument

    def outputs(self, specs: list[schema.OutputSpec]) -> list[schema.Argument]:
        """The tensors that the network gives; plain values among them are left out."""
        if len(specs) != len(self.graph.outputs):
            raise UnreadableFile(f"The network's outputs are not those of its signature; {AGAIN}")
        kept = []
        for argument, spec in zip(self.graph.outputs, specs, strict=True):
            one, value = field(argument), field(spec)
            if value[0] != "user_output":
                raise UnreadableFile(
                    "The network changes its own weights or inputs; call model.eval() and export again."
                )
            if value[1].arg != argument:
                raise UnreadableFile(f"The network's outputs are not those of its signature; {AGAIN}")
            if one[0] == "as_tensor":
                self._read("'output'", [one[1]])
                kept.append(argument)
            elif one[0] not in CONSTANTS:
                raise UnreadableFile("The network gives an output that is no tensor; export it with tensors only.")
        if not kept:
            raise UnreadableFile("The network gives no tensor; export one whose outputs are tensors.")
        return kept


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UnreadableFile(f"The layer name {shown(name)} is not one that torch.export gives; {AGAIN}")


def check_key(key: str) -> None:
    """Refuse weights whose name leads into Python's own attributes or out of quotes."""
    parts = key.split(".")
    if len(key) > 500 or len(parts) > 100 or not all(map(_plain_key, parts)):
        raise UnreadableFile(f"The weight name {shown(key)} is not one that a network has; rename its module.")


def _plain_key(part: str) -> bool:
    return bool(part) and part.isprintable() and not part.startswith("__") and not {'"', "\\"} & set(part)


def _bad_target(layer: str, target: str) -> str:
    if target.startswith("torch.ops.higher_order"):
        return f"Layer {layer} holds other networks ({shown(target)}); export one without control flow."
    if target.startswith(("_operator.", "math.", "torch.sym_")):
        return f"Layer {layer} computes with sizes ({shown(target)}); export again without dynamic_shapes."
    return f"Layer {layer} uses the operator {shown(target)}, which is not supported; replace it by a usual layer."


def _bad_argument(layer: str, kind: str) -> str:
    if kind.startswith("as_sym"):
        return f"Layer {layer} {schema.VARYING}"
    if kind == "as_graph":
        return f"Layer {layer} holds another network; export one without control flow."
    return f"Layer {layer} has an argument that is no tensor and no plain number ({kind}); replace the layer."


def _check_reals(layer: str, values: list[float | str]) -> None:
    if any(isinstance(value, str) and value not in schema.NON_FINITE for value in values):
        raise UnreadableFile(f"Layer {layer} has text where a number should be; {AGAIN}")


def _check_integers(layer: str, values: list[schema.SymIntArgument]) -> None:
    for value in values:
        if value.as_name is not UNSET or value.as_int is UNSET:
            raise UnreadableFile(f"Layer {layer} {schema.VARYING}")


def _check_code(layer: str, kind: str, value: int) -> None:
    """Numbers that stand for a dtype, a layout or an order in memory."""
    known = {
        "as_scalar_type": value in schema.DTYPES,
        "as_memory_format": value in schema.MEMORY_FORMATS,
        "as_layout": value == schema.STRIDED,
    }
    if not known[kind]:
        raise UnreadableFile(f"Layer {layer} names a number type or a layout that is not taken; {AGAIN}")


def _stack(text: str | msgspec.UnsetType) -> str:
    """The modules that made a layer, outermost first, as torch writes them; unreadable entries are left out."""
    kept = []
    for entry in (text[:20_000] if isinstance(text, str) else "").split(";"):
        key, comma, rest = entry.partition(",")
        path, comma_2, _ = rest.rpartition(",")
        if comma and comma_2 and key and (key + path).isprintable() and not set(key + path) & set(",()[]"):
            kept.append(f"{key},{path},torch.nn.Module")
    return ";".join(kept)


def _containers(calls: list[schema.ModuleCall]) -> tuple[int, int]:
    """How many values the inputs and outputs of the whole network hold, when their containers are ordinary ones."""
    if not calls or calls[0].fqn != "" or calls[0].signature is None:
        raise UnreadableFile(f"The file does not tell how the network is called; {AGAIN}")
    for call in calls:
        if call.signature is not None:
            counts = [_leaves(text) for text in (call.signature.in_spec, call.signature.out_spec)]
            if call.fqn == "":
                found = counts
    return found[0], found[1]


def _leaves(text: str) -> int:
    version, spec = schema.parsed(text, tuple[int, schema.Container], "The description of inputs and outputs")
    if version != 1:
        raise UnreadableFile(f"The description of inputs and outputs has an unknown version; {AGAIN}")
    waiting, leaves = [spec], 0
    while waiting:
        one = waiting.pop()
        if one.type is None and not one.children_spec:
            leaves += 1
        elif one.type not in CONTAINERS:
            raise UnreadableFile(
                f"The network takes or gives a container of the type {shown(str(one.type))}; wrap it so that it takes "
                "and gives tensors, tuples, lists and dictionaries only."
            )
        waiting += one.children_spec
    return leaves


def _program(
    program: schema.Program,
    graph: _Graph,
    inputs: list[tuple[schema.Argument, schema.InputSpec]],
    nodes: list[schema.Node],
    outputs: list[schema.Argument],
) -> schema.Program:
    """The network as torch takes it, called with a plain tuple of tensors and giving one."""
    metas = {name: schema.meta_on_cpu(meta) for name, meta in graph.made.items()}
    leaves_in, leaves_out = (_tuple_of([LEAF] * count) for count in (len(graph.user_inputs), len(outputs)))
    no_names = '{"type":"builtins.dict","context":"[]","children_spec":[]}'
    call = schema.CallSignature(
        [], [], f"[1,{_tuple_of([leaves_in, no_names])}]", f"[1,{leaves_out}]", graph.user_inputs
    )
    signature = schema.Signature(
        [spec for _, spec in inputs],
        [schema.OutputSpec(user_output=schema.UserOutput(argument)) for argument in outputs],
    )
    module = schema.GraphModule(
        schema.Graph([argument for argument, _ in inputs], outputs, nodes, metas, {}, {}),
        signature,
        [schema.ModuleCall("", call)],
    )
    opset = {"aten": program.opset_version["aten"]}
    version = schema.Version(program.schema_version.major, program.schema_version.minor)
    return schema.Program(module, opset, {}, version, list(program.verifiers))


def _tuple_of(children: list[str]) -> str:
    return f'{{"type":"builtins.tuple","context":"null","children_spec":[{",".join(children)}]}}'
