"""What exporters and tools really write, each of which was refused once; answers are ONNX Runtime's on the original."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, ValueInfoProto, helper

from decc_core.errors import DeccError, RefusedFile, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.onnx import file as onnx_file
from decc_core.models.onnx.model import OnnxModel
from tests.load.hostile_onnx import FLOAT, data_of, model, relu
from tests.load.onnx.test_fold import check, constant, node, read, value

INT = TensorProto.INT64
MICROSOFT = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]


def version(nodes, number, weights=(), inputs=None, outputs=None):
    return model(nodes, weights, inputs, outputs, opsets=[helper.make_opsetid("", number)])


def test_an_output_by_name_alone_gets_its_type_from_the_runtime(tmp_path):
    proto = model([node("Relu", ["x"], ["a"]), node("Tanh", ["a"], ["y"])])
    proto.graph.output.append(ValueInfoProto(name="a"))
    check(proto, tmp_path, "Relu", "Tanh")
    assert len(read(proto, tmp_path)[0].graph.outputs) == 2


def test_an_input_may_be_an_output(tmp_path):
    proto = model([relu()])
    proto.graph.output.append(value("x", [1, 4]))
    check(proto, tmp_path, "Relu")
    found, _ = read(proto, tmp_path)
    assert torch.equal(found.run(found.example_inputs)[1], found.example_inputs[0])


def training_mode(nodes):
    ratio = node("Constant", [], ["ratio"], value=constant("", 0.5, np.float32))
    return model([ratio, *nodes, node("Dropout", ["x", "ratio", "t"], ["a"]), node("Relu", ["a"], ["y"])])


def made_by(what, dtype=np.bool_):
    return node("Constant", [], ["t0"], value=constant("", what, dtype))


@pytest.mark.parametrize(
    "nodes",
    [
        [made_by(False), node("Identity", ["t0"], ["t"])],
        [made_by(0, np.int64), node("Cast", ["t0"], ["t"], to=TensorProto.BOOL)],
        [made_by(True), node("Not", ["t0"], ["t"])],
    ],
)
def test_a_dropout_that_constants_switch_off_is_taken(tmp_path, nodes):
    found, _ = read(training_mode(nodes), tmp_path)
    given = found.random_inputs(1)
    assert torch.equal(found.run(given)[0], given[0].relu())


def test_a_dropout_that_an_input_switches_is_refused(tmp_path):
    proto = training_mode([])
    proto.graph.input.append(value("t", [], TensorProto.BOOL))
    with pytest.raises(RefusedFile, match="a Dropout in training"):
        read(proto, tmp_path)


@pytest.mark.parametrize("operator", ["NonZero", "RandomNormalLike", "Loop", "Nonsense"])
def test_what_nothing_reads_is_dropped_before_it_is_judged(tmp_path, operator):
    check_dead = model([relu(), node(operator, ["x"], ["unread"]), node("Neg", ["unread"], ["unread too"])])
    assert read(check_dead, tmp_path)[0].layer_names == ("relu",)


def test_a_dimension_without_a_name_is_given_by_input_and_axis(tmp_path):
    proto = model([relu()], inputs=[value("x", [1, None])], outputs=[value("y", None)])
    found, notes = read(proto, tmp_path, dims={"x:1": 7})
    assert found.graph.layers[0].outputs[0].shape == (1, 7)
    assert notes == ("Dimension 1 of input 'x' is open; set to 7, as asked for.",)
    with pytest.raises(UnreadableFile, match=r"No input has an open dimension 'x:0'; open are 'x:1'"):
        read(proto, tmp_path, dims={"x:0": 7})


def test_a_dimension_with_a_name_may_be_given_by_input_and_axis_too(tmp_path):
    proto = model([relu()], inputs=[value("x", ["n", "width"])], outputs=[value("y", None)])
    found, _ = read(proto, tmp_path, dims={"x:0": 2, "width": 3})
    assert found.graph.layers[0].outputs[0].shape == (2, 3)


def test_a_past_of_no_steps_is_a_size(tmp_path):
    inputs = [value("past", ["batch", "past_length", 8]), value("e", ["batch", 1, 8])]
    proto = model([node("Concat", ["past", "e"], ["y"], axis=1)], inputs=inputs, outputs=[value("y", None)])
    check(proto, tmp_path, "Concat", dims={"past_length": 0})


OLD = {
    "6, batch normalisation": version(
        [node("BatchNormalization", ["x", *"sbmv"], ["y"], is_test=1)],
        6,
        [constant(name, [number] * 3, np.float32) for name, number in zip("sbmv", (1.5, 0.5, 0.1, 2.0), strict=True)],
        [value("x", [1, 3, 4, 4])],
        [value("y", [1, 3, 4, 4])],
    ),
    "6, a matrix product": version(
        [node("Gemm", ["x", "w", "c"], ["y"], broadcast=1, transB=1)],
        6,
        [constant("w", np.ones((5, 4)), np.float32), constant("c", np.arange(5), np.float32)],
        outputs=[value("y", [1, 5])],
    ),
    "6, a constant shape": version(
        [node("Reshape", ["x", "s"], ["a"]), node("Dropout", ["a"], ["y"], is_test=1)], 6, [constant("s", [2, 2])],
        outputs=[value("y", [2, 2])],
    ),
}  # fmt: skip
BY_HAND = {
    "6, batch normalisation": lambda x: (x - 0.1) / np.sqrt(2.0 + 1e-5) * 1.5 + 0.5,
    "6, a matrix product": lambda x: x @ np.ones((4, 5), np.float32) + np.arange(5),
    "6, a constant shape": lambda x: x.reshape(2, 2),
}


@pytest.mark.parametrize("case", OLD)
def test_operators_of_2017_are_converted(tmp_path, case):
    found, _ = read(OLD[case], tmp_path)
    given = found.random_inputs(1)
    np.testing.assert_allclose(found.run(given)[0].numpy(), BY_HAND[case](given[0].numpy()), rtol=1e-5, atol=1e-6)


def test_an_old_network_that_cannot_be_converted_is_refused_in_a_sentence(tmp_path):
    weights = [constant("w", [1, 2, 3], np.float32)]
    added = node("Add", ["x", "w"], ["y"], broadcast=1, axis=1)
    proto = version([added], 1, weights, [value("x", [2, 3, 4])], [value("y", [2, 3, 4])])
    with pytest.raises(RefusedFile, match="version 1 of the ONNX operators, and ONNX cannot convert it") as refused:
        read(proto, tmp_path)
    assert str(refused.value).endswith(".")


def test_operators_of_the_runtimes_own_domain_are_taken_from_files(tmp_path):
    quantised = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QLinearAdd", ["q", "s", "z", "q", "s", "z", "s", "z"], ["a"], domain="com.microsoft"),
        node("DequantizeLinear", ["a", "s", "z"], ["y"]),
    ]
    weights = [constant("s", 0.05, np.float32), constant("z", 128, np.uint8)]
    proto = model(quantised, weights, opsets=MICROSOFT)
    check(proto, tmp_path, "QuantizeLinear", "QLinearAdd", "DequantizeLinear")


@pytest.mark.parametrize("level", ["ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED"])
def test_a_network_that_the_runtime_has_optimised_and_saved_is_taken(tmp_path, level):
    nodes = [
        node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3]),
        node("Relu", ["c"], ["r"]),
        node("ReduceMean", ["r"], ["m"], keepdims=1),
        node("Mul", ["r", "m"], ["y"]),
    ]
    weights = [constant("w", np.linspace(-1, 1, 18).reshape(2, 1, 3, 3), np.float32)]
    proto = version(nodes, 17, weights, [value("x", [1, 1, 6, 6])], [value("y", [1, 2, 4, 4])])
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(tmp_path / "saved.onnx")
    session = onnxruntime.InferenceSession(data_of(proto), options, ["CPUExecutionProvider"])
    found, _ = onnx_file.read(tmp_path / "saved.onnx", "saved", Limits())
    given = found.random_inputs(1)
    np.testing.assert_allclose(found.run(given)[0].numpy(), session.run(None, {"x": given[0].numpy()})[0], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64])
def test_unsigned_numbers_are_inputs_and_outputs(tmp_path, dtype):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [node("Add", ["x", "x"], ["s"]), node("Cast", ["s"], ["y"], to=FLOAT)]
    proto = model(nodes, inputs=[value("x", [1, 4], kind)], outputs=[value("y", [1, 4]), value("s", [1, 4], kind)])
    found, _ = read(proto, tmp_path)
    large = int(np.iinfo(dtype).max // 2)
    given = torch.tensor(np.full((1, 4), large, dtype))
    mine, sums = found.run([given])
    assert sums.numpy().tolist() == [[2 * large] * 4]
    assert mine.numpy().tolist() == [[float(np.float32(2 * large))] * 4]


def test_activations_of_16_bits_are_taken(tmp_path):
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])]
    weights = [constant("s", 0.01, np.float32), constant("z", 0, np.uint16)]
    check(version(nodes, 21, weights), tmp_path, "QuantizeLinear", "DequantizeLinear")


@pytest.mark.parametrize(
    ("kind", "named"), [(TensorProto.FLOAT8E4M3FN, "float8e4m3fn"), (TensorProto.STRING, "string")]
)
def test_types_that_cannot_travel_are_named(tmp_path, kind, named):
    nodes = [node("Cast", ["x"], ["m"], "cast", to=kind), node("Cast", ["m"], ["y"], to=FLOAT)]
    with pytest.raises(DeccError, match=f"'m' is of the type {named}"):
        read(version(nodes, 20), tmp_path)


def divided(divisor="k"):
    nodes = [node("Div", ["n", divisor], ["q"], "div"), node("Gather", ["w", "q"], ["y"], "gather")]
    inputs = [value("n", [1], INT), value("k", [1], INT)]
    return model(nodes, [constant("w", np.arange(36).reshape(9, 4), np.float32)], inputs)


def test_an_example_is_1_where_0_fails(tmp_path):
    found, notes = read(divided(), tmp_path)
    assert [example.tolist() for example in found.example_inputs] == [[1], [1]]
    assert notes == ("Example values of 'n', 'k' are 1: the network does not run with 0.",)
    assert found.run(found.example_inputs)[0].tolist() == [[4, 5, 6, 7]]
    assert OnnxModel.of(found.content).example_inputs == found.example_inputs, "workers find the same"


def test_one_input_may_be_1_where_another_must_be_0(tmp_path):
    proto = divided()
    proto.graph.initializer[0].CopyFrom(constant("w", np.zeros((1, 4)), np.float32))
    found, _ = read(proto, tmp_path)
    assert [example.tolist() for example in found.example_inputs] == [[0], [1]]


def test_bytes_that_divide_are_never_0(tmp_path):
    inputs = [value(name, [64], TensorProto.UINT8) for name in "xk"]
    nodes = [node("Div", ["x", "k"], ["q"]), node("Cast", ["q"], ["y"], to=FLOAT)]
    found, _ = read(model(nodes, inputs=inputs, outputs=[value("y", [64])]), tmp_path)
    for seed in range(20):
        found.run(found.random_inputs(seed))


def test_where_no_example_runs_it_is_the_example_that_is_told_to_fail(tmp_path):
    nodes = [
        node("Sub", ["n", "n"], ["none"]),
        node("Div", ["n", "none"], ["q"], "div"),
        node("Cast", ["q"], ["y"], to=FLOAT),
    ]
    proto = model(nodes, inputs=[value("n", [1], INT)], outputs=[value("y", [1])])
    with pytest.raises(
        DeccError, match=r"fails on examples, which are made up: .*division by zero.*need not be broken"
    ):
        read(proto, tmp_path)


def test_an_output_that_depends_on_no_input_is_left_out_and_said(tmp_path):
    nodes = [relu(), node("Exp", ["k"], ["scale"])]
    outputs = [value("scale", []), value("y", [1, 4]), value("k", [])]
    found, notes = read(model(nodes, [constant("k", 2.0, np.float32)], outputs=outputs), tmp_path)
    assert notes == tuple(f"Output '{name}' depends on no input; it is left out." for name in ("scale", "k"))
    assert [output.layer for output in found.graph.outputs] == ["relu"]


def test_a_network_of_trees_is_refused_by_its_domain(tmp_path):
    trees = node("TreeEnsembleClassifier", ["x"], ["l", "y"], "trees", domain="ai.onnx.ml")
    with pytest.raises(RefusedFile, match=r"those of the domain 'ai\.onnx\.ml' are not taken"):
        read(model([trees], opsets=[helper.make_opsetid("ai.onnx.ml", 3)]), tmp_path)


def test_shapes_that_an_operator_made_of_others_reckons_are_known(tmp_path):
    """A loss of its own kind is many operators in ONNX Runtime, with shapes that follow from shapes."""
    inputs = [value("x", [3, 5, 2]), value("t", [3, 2], INT)]
    loss = node("SoftmaxCrossEntropyLoss", ["x", "t"], ["y"], reduction="mean")
    proto = model([loss], inputs=inputs, outputs=[value("y", None)])
    found, _ = read(proto, tmp_path)
    x, t = found.random_inputs(3)
    np.testing.assert_allclose(found.run([x, t])[0].item(), torch.nn.functional.cross_entropy(x, t).item(), rtol=1e-5)
