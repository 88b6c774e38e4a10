"""The network inside a `.pt2` archive: every value checked, and written anew without anything that torch would run."""

from __future__ import annotations

import msgspec

from decc_core.errors import UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.pt2 import schema
from decc_core.load.pt2.graph import Graph, Weights
from decc_core.load.pt2.schema import AGAIN
from decc_core.load.pt2.sizes import Sizes

VERIFIERS = frozenset({"TRAINING", "ATEN"})
LEAF = '{"type":null,"context":null,"children_spec":[]}'


def cleaned(content: bytes, weights: Weights, constants: Weights, limits: Limits, sizes: Sizes) -> bytes:
    """The network's JSON with checked values only: no metadata but module paths, no containers, no guards.

    `sizes` are those to put where the network leaves one open.
    """
    limits.require(layers=content.count(b'"target":'))
    program = schema.parsed(content, schema.Program, "The network's description")
    _check_versions(program)
    module = program.graph_module
    limits.require(layers=len(module.graph.nodes))
    _check_plain(program)
    graph = Graph(module.graph, limits, sizes)
    inputs = graph.inputs(module.signature.input_specs, weights, constants)
    nodes = graph.nodes()
    outputs = graph.outputs(module.signature.output_specs)
    n_inputs, n_outputs = _containers(module.module_call_graph)
    if n_inputs != graph.n_user_inputs or n_outputs != len(module.graph.outputs):
        raise UnreadableFile(f"The network's containers hold another number of tensors than its signature; {AGAIN}")
    return msgspec.json.encode(_program(program, graph, inputs, nodes, outputs))


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


def _check_plain(program: schema.Program) -> None:
    graph = program.graph_module.graph
    if graph.custom_obj_values:
        raise UnreadableFile("The network holds objects that are no tensors; export it with tensors and numbers only.")
    if graph.is_single_tensor_return:
        raise UnreadableFile(f"The network is a part of another one; {AGAIN}")


def _containers(calls: list[schema.ModuleCall]) -> tuple[int, int]:
    """How many values the inputs and outputs of the whole network hold, whatever classes they are packed in."""
    if not calls or calls[0].fqn != "" or calls[0].signature is None:
        raise UnreadableFile(f"The file does not tell how the network is called; {AGAIN}")
    counts = {
        call.fqn: (_leaves(call.signature.in_spec), _leaves(call.signature.out_spec))
        for call in calls
        if call.signature is not None
    }
    return counts[""]


def _leaves(text: str) -> int:
    version, spec = schema.parsed(text, tuple[int, schema.Container], "The description of inputs and outputs")
    if version != 1:
        raise UnreadableFile(f"The description of inputs and outputs has an unknown version; {AGAIN}")
    waiting, leaves = [spec], 0
    while waiting:
        container = waiting.pop()
        if container.type is None and not container.children_spec:
            leaves += 1
        waiting += container.children_spec
    return leaves


def _program(
    program: schema.Program,
    graph: Graph,
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
