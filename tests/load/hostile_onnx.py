"""ONNX files that nobody should trust, each made by a few lines; `CASES` says what must be answered to each.

Those that name a file to be read or loaded name MARKER, which the tests look for afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
HTML = "<img src=x onerror=alert(1)>**bold** [link](javascript:alert(1))"
MARKER = "decc-onnx-marker"
OPSET = 20


def model(nodes, weights=(), inputs=None, outputs=None, opsets=None, functions=()):
    inputs = inputs or [helper.make_tensor_value_info("x", FLOAT, [1, 4])]
    outputs = outputs or [helper.make_tensor_value_info("y", FLOAT, [1, 4])]
    graph = helper.make_graph(list(nodes), "g", inputs, outputs, list(weights))
    opsets = opsets or [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=list(functions))


def relu(name="relu"):
    return helper.make_node("Relu", ["x"], ["y"], name)


def add_weight(weight):
    return model([helper.make_node("Add", ["x", weight.name], ["y"], "add")], [weight])


def small():
    return numpy_helper.from_array(np.ones((1, 4), np.float32), "w")


def external(location):
    weight = TensorProto(name="w", data_type=FLOAT, dims=[1, 4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    return add_weight(weight)


def external_in_attribute():
    value = TensorProto(data_type=FLOAT, dims=[1, 4], data_location=TensorProto.EXTERNAL)
    value.external_data.add(key="location", value=f"/tmp/{MARKER}")
    constant = helper.make_node("Constant", [], ["c"], "constant", value=value)
    return model([constant, helper.make_node("Add", ["x", "c"], ["y"], "add")])


def external_without_entries():
    return add_weight(TensorProto(name="w", data_type=FLOAT, dims=[1, 4], data_location=TensorProto.EXTERNAL))


def lying(dims, raw=b"\0" * 16, dtype=FLOAT):
    return add_weight(TensorProto(name="w", data_type=dtype, dims=dims, raw_data=raw))


def typed_short():
    return add_weight(TensorProto(name="w", data_type=FLOAT, dims=[1, 4], float_data=[1.0]))


def typed_of_another_kind():
    return add_weight(TensorProto(name="w", data_type=FLOAT, dims=[1, 4], int64_data=[1, 2, 3, 4]))


def empty_claim():
    return add_weight(TensorProto(name="w", data_type=FLOAT, dims=[1 << 30, 1 << 30]))


def huge_input():
    return model([relu()], inputs=[helper.make_tensor_value_info("x", FLOAT, [1, 1 << 62])])


def large_input():
    return model([relu()], inputs=[helper.make_tensor_value_info("x", FLOAT, [1, 1 << 30, 64])])


def huge_constant():
    shape = numpy_helper.from_array(np.array([1 << 20, 1 << 20], np.int64), "shape")
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["c"], "fill"),
        helper.make_node("ReduceSum", ["c"], ["s"], "sum", keepdims=0),
        helper.make_node("Add", ["x", "s"], ["y"], "add"),
    ]
    return model(nodes, [shape])


def huge_tile():
    repeats = numpy_helper.from_array(np.array([1 << 16, 1 << 30], np.int64), "repeats")
    nodes = [helper.make_node("Tile", ["x", "repeats"], ["t"], "tile"), helper.make_node("Relu", ["t"], ["y"], "relu")]
    return model(nodes, [repeats], outputs=[helper.make_tensor_value_info("y", FLOAT, None)])


def huge_range():
    """A million million numbers, from three of them."""
    ends = [
        numpy_helper.from_array(np.array(value, np.int64), name)
        for name, value in (("first", 0), ("last", 1 << 40), ("step", 1))
    ]
    nodes = [
        helper.make_node("Range", ["first", "last", "step"], ["r"], "range"),
        helper.make_node("Cast", ["r"], ["f"], "cast", to=FLOAT),
        helper.make_node("ReduceSum", ["f"], ["s"], "sum", keepdims=0),
        helper.make_node("Add", ["x", "s"], ["y"], "add"),
    ]
    return model(nodes, ends)


def cycle():
    nodes = [helper.make_node("Add", ["x", "b"], ["a"], "first"), helper.make_node("Relu", ["a"], ["b"], "second")]
    return model([*nodes, helper.make_node("Relu", ["b"], ["y"], "third")])


def unsorted():
    return model([helper.make_node("Relu", ["a"], ["y"], "second"), helper.make_node("Relu", ["x"], ["a"], "first")])


def from_nowhere():
    return model([helper.make_node("Add", ["x", "ghost"], ["y"], "add")])


def disconnected():
    constant = helper.make_node("Constant", [], ["y"], "constant", value=small())
    return model([helper.make_node("Relu", ["x"], ["z"], "unused"), constant])


def made_twice():
    return model([relu("first"), relu("second")])


def no_output():
    found = model([relu()])
    del found.graph.output[:]
    return found


def no_input():
    constant = helper.make_node("Constant", [], ["c"], "constant", value=small())
    found = model([constant, helper.make_node("Relu", ["c"], ["y"], "relu")])
    del found.graph.input[:]
    return found


def custom_domain():
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("evil", 1)]
    return model([helper.make_node("Run", ["x"], ["y"], "run", domain="evil", path=f"/tmp/{MARKER}")], opsets=opsets)


def blocked_layout():
    """What ONNX Runtime writes at its highest level, for one kind of processor."""
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft.nchwc", 1)]
    return model([helper.make_node("Conv", ["x", "x"], ["y"], "c", domain="com.microsoft.nchwc")], opsets=opsets)


def trees():
    node = helper.make_node("TreeEnsemble", ["x"], ["y"], "trees", domain="ai.onnx.ml")
    return model([node], opsets=[helper.make_opsetid("ai.onnx.ml", 5)])


def custom_library():
    """The properties with which some runtimes are told to load a library of operators."""
    found = model([helper.make_node("PyOp", ["x"], ["y"], "op", domain="ai.onnx.contrib")])
    helper.set_model_props(found, {"custom_op_library": f"/tmp/{MARKER}.so"})
    return found


def local_function():
    opsets = [helper.make_opsetid("", OPSET)]
    body = helper.make_function("local", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], opsets)
    call = helper.make_node("F", ["x"], ["y"], "call", domain="local")
    return model([call], opsets=[*opsets, helper.make_opsetid("local", 1)], functions=[body])


def recursive_function():
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("local", 1)]
    again = helper.make_node("F", ["a"], ["b"], domain="local")
    body = helper.make_function("local", "F", ["a"], ["b"], [again], opsets)
    return model([helper.make_node("F", ["x"], ["y"], domain="local")], opsets=opsets, functions=[body])


def branch(operator, made, read="x"):
    given = helper.make_tensor_value_info(made, FLOAT, None)
    return helper.make_graph([helper.make_node(operator, [read], [made])], made, [], [given])


def control_flow():
    """An If that takes another branch for other inputs."""
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], "sum", keepdims=0),
        helper.make_node("Cast", ["sum"], ["condition"], "cast", to=TensorProto.BOOL),
        helper.make_node(
            "If", ["condition"], ["y"], "if", then_branch=branch("Relu", "b"), else_branch=branch("Tanh", "c")
        ),
    ]
    return model(nodes)


def endless_branches():
    """An If in an If, five thousand deep."""
    inner = part(5, part(6, part(1, b"")))
    for _ in range(5000):
        inner = part(5, part(6, part(1, inner)))
    return part(7, part(1, inner))


def branch_that_hides_a_name():
    found = control_flow()
    found.graph.node[2].attribute[0].g.node[0].output[0] = "sum"
    found.graph.node[2].attribute[0].g.output[0].name = "sum"
    return found


def branch_that_reads_what_nothing_makes():
    found = control_flow()
    found.graph.node[2].attribute[0].g.node[0].input[0] = "ghost"
    return found


def network_in_an_operator_that_takes_none():
    found = model([relu()])
    found.graph.node[0].attribute.append(helper.make_attribute("body", branch("Relu", "b")))
    return found


def loop_without_body():
    return model([helper.make_node("Loop", ["", "", "x"], ["y"], "loop")])


def random():
    return model([helper.make_node("RandomNormalLike", ["x"], ["y"], "dice")])


def training_dropout():
    true = numpy_helper.from_array(np.array(True), "true")
    ratio = numpy_helper.from_array(np.array(0.5, np.float32), "ratio")
    return model([helper.make_node("Dropout", ["x", "ratio", "true"], ["y"], "dropout")], [true, ratio])


def values_decide():
    return model([helper.make_node("NonZero", ["x"], ["y"], "nonzero")],
                 outputs=[helper.make_tensor_value_info("y", TensorProto.INT64, None)])  # fmt: skip


def text_tensor():
    return model([relu()], [TensorProto(name="w", data_type=TensorProto.STRING, dims=[1], string_data=[b"x"])])


def sequence_input():
    return model([relu()], inputs=[helper.make_tensor_sequence_value_info("x", FLOAT, [1, 4])])


def typed_input(dtype):
    return model([relu()], inputs=[helper.make_tensor_value_info("x", dtype, [1, 4])])


def sparse_weight():
    found = model([relu()])
    sparse = found.graph.sparse_initializer.add()
    sparse.dims.extend([1 << 40])
    return found


def open_dimension():
    return model([relu()], inputs=[helper.make_tensor_value_info("x", FLOAT, ["batch", "width"])])


def unnamed_dimension():
    return model([relu()], inputs=[helper.make_tensor_value_info("x", FLOAT, [1, None])])


def no_opset():
    found = model([relu()])
    del found.opset_import[:]
    return found


def future_opset():
    return model([relu()], opsets=[helper.make_opsetid("", 10_000)])


def long_name():
    return model([relu("n" * 100_000)])


def shapes_that_do_not_fit():
    weight = numpy_helper.from_array(np.ones((5, 5), np.float32), "w")
    return model([helper.make_node("MatMul", ["x", "w"], ["y"], "matmul")], [weight])


def missing_attribute():
    return model([helper.make_node("Concat", ["x", "x"], ["y"], "concat")])


def many_dimensions():
    return lying([1] * 17, b"\0" * 4)


def varint(value):
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def part(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def a_million_nodes():
    """Two bytes each; as objects they would take hundreds of megabytes."""
    return part(7, part(1, b"") * 1_000_000)


def a_million_attributes():
    return part(7, part(1, part(5, b"") * 3_000_000))


def not_utf8():
    return model([relu("MARK")]).SerializeToString().replace(b"MARK", b"\xff\xfe\xfd\xfc")


def operator_not_utf8():
    return model([relu()]).SerializeToString().replace(b"Relu", b"\xff\xfe\xfd\xfc")


def two_graphs():
    data = model([relu()]).SerializeToString()
    return data + part(7, b"")


Made = Callable[[], "onnx.ModelProto | bytes"]

CASES: dict[str, tuple[Made, str]] = {
    "empty": (lambda: b"", "empty"),
    "text": (lambda: b"hello, I am a network, honestly", "not an ONNX file|cut off"),
    "zeros": (lambda: bytes(4096), "not an ONNX file"),
    "ones": (lambda: b"\xff" * 4096, "not an ONNX file"),
    "truncated": (lambda: model([relu()]).SerializeToString()[:-9], "cut off"),
    "another protobuf": (lambda: small().SerializeToString(), "."),
    "no graph": (lambda: part(2, b"somebody"), "holds no network"),
    "external data": (lambda: external("weights.bin"), "keeps weights in 'weights.bin', which is not there"),
    "external data by path traversal": (lambda: external(f"../../../../tmp/{MARKER}"), "only files of its own folder"),
    "external data by absolute path": (lambda: external(f"/tmp/{MARKER}"), "only files of its own folder"),
    "external data in the folder above": (lambda: external(".."), "only files of its own folder"),
    "external data in an attribute": (external_in_attribute, "only files of its own folder"),
    "external data without entries": (external_without_entries, "it is not said in which"),
    "dims of 2^62": (lambda: lying([1 << 62]), "impossible shape"),
    "dims whose product overflows": (lambda: lying([1 << 31 - 1, 1 << 31 - 1, 4]), "bytes, and holds 16"),
    "negative dims": (lambda: lying([-1, 4]), "impossible shape"),
    "more dims than data": (lambda: lying([1, 5]), "20 bytes, and holds 16"),
    "fewer dims than data": (lambda: lying([1, 3]), "12 bytes, and holds 16"),
    "dims without data": (empty_claim, "numbers of another kind or count"),
    "too few numbers": (typed_short, "numbers of another kind or count"),
    "numbers of another kind": (typed_of_another_kind, "numbers of another kind or count"),
    "unknown element type": (lambda: lying([1, 4], dtype=99), "of the type unknown, number 99"),
    "a float of 8 bits": (lambda: lying([1, 4], b"\0" * 4, TensorProto.FLOAT8E4M3FN), "of the type float8e4m3fn"),
    "17 dimensions": (many_dimensions, "17 dimensions"),
    "an input of 2^62": (huge_input, "impossible shape"),
    "an input of 256 GiB": (large_input, "DECC_MAX_TENSOR_BYTES"),
    "a constant of 4 TiB": (huge_constant, "DECC_MAX_TENSOR_BYTES|impossible shape"),
    "a tile of 2^46": (huge_tile, "DECC_MAX_TENSOR_BYTES|impossible shape"),
    "a range of 8 TiB": (huge_range, "DECC_MAX_TENSOR_BYTES|impossible shape"),
    "a cycle": (cycle, "cycle"),
    "unsorted": (unsorted, "not in order"),
    "reads what nothing makes": (from_nowhere, "'ghost', which nothing makes"),
    "made twice": (made_twice, "'y', which is there already"),
    "no output": (no_output, "no output"),
    "no input": (no_input, "no input"),
    "custom domain": (custom_domain, "evil.Run', and those of the domain 'evil' are not taken"),
    "a runtime's own layout": (blocked_layout, "those of the domain 'com.microsoft.nchwc' are not taken"),
    "custom library": (custom_library, "those of the domain 'ai.onnx.contrib' are not taken"),
    "local function": (local_function, "functions of its own"),
    "recursive function": (recursive_function, "functions of its own"),
    "control flow": (control_flow, "'if' uses the operator 'If', which decides while it runs"),
    "branches without end": (endless_branches, "parts within parts deeper"),
    "a branch that hides a name": (branch_that_hides_a_name, "'sum', which is there already"),
    "a branch that reads what nothing makes": (branch_that_reads_what_nothing_makes, "'ghost', which nothing makes"),
    "a network in an operator that takes none": (network_in_an_operator_that_takes_none, "only an If does"),
    "a loop without a body": (loop_without_body, "decides while it runs"),
    "random": (random, "random"),
    "dropout in training": (training_dropout, "a Dropout in training"),
    "values decide the shape": (values_decide, "depends on values"),
    "text tensor": (text_tensor, "holds text"),
    "text input": (lambda: typed_input(TensorProto.STRING), "of the type string \\(text\\)"),
    "an input of floats of 8 bits": (lambda: typed_input(TensorProto.FLOAT8E5M2), "of the type float8e5m2"),
    "an input of 4 bits": (lambda: typed_input(TensorProto.INT4), "of the type int4"),
    "sequence input": (sequence_input, "sequence"),
    "complex input": (lambda: typed_input(TensorProto.COMPLEX64), "no tensor of a type that is taken"),
    "trees of another domain": (trees, "ai.onnx.ml.TreeEnsemble', and those of the domain 'ai.onnx.ml'"),
    "sparse weight": (sparse_weight, "sparse"),
    "open dimension": (open_dimension, "'width'.*is open.*--dimension width=SIZE"),
    "an open dimension without a name": (unnamed_dimension, "'x'.*is open.*--dimension x:1=SIZE"),
    "no opset": (no_opset, "which version"),
    "opset of the future": (future_opset, "version 10000"),
    "long name": (long_name, "100,000 bytes"),
    "not UTF-8": (not_utf8, "not UTF-8"),
    "an operator that is not UTF-8": (operator_not_utf8, "not UTF-8"),
    "missing attribute": (missing_attribute, "checker|do not fit"),
    "two graphs": (two_graphs, "two graphs"),
    "10^6 nodes": (a_million_nodes, "more than 20,000 layers.*DECC_MAX_LAYERS"),
    "3 x 10^6 attributes": (a_million_attributes, "more parts than 20,000 layers need.*DECC_MAX_LAYERS"),
}
"""Files that are refused before ONNX Runtime sees them."""

LATER: dict[str, tuple[Made, str]] = {
    "an output that depends on no input": (disconnected, "depends on no input"),
    "shapes that do not fit": (shapes_that_do_not_fit, "cannot run"),
}
"""Files that are refused only when ONNX Runtime looks at them."""


def data_of(made: onnx.ModelProto | bytes) -> bytes:
    return made if isinstance(made, bytes) else made.SerializeToString()
