"""Ifs and lists that are decided before a network runs: what is left computes what ONNX Runtime makes of the whole."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from decc_core.errors import DeccError, RefusedFile
from decc_core.load.limits import Limits
from decc_core.load.onnx import file as onnx_file
from tests.load.hostile_onnx import FLOAT, branch, control_flow, data_of, model

node = helper.make_node


def constant(name, value, dtype=np.int64):
    return numpy_helper.from_array(np.array(value, dtype), name)


def value(name, shape, dtype=FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def read(proto, tmp_path, **options):
    file = tmp_path / "network.onnx"
    file.write_bytes(data_of(proto))
    return onnx_file.read(file, "network", Limits(), **options)


def check(proto, tmp_path, *operators, **options):
    """The layers are these, and the outputs ONNX Runtime's own on the original file."""
    found, _ = read(proto, tmp_path, **options)
    layers = [layer.operator for layer in found.graph.layers if not layer.is_input]
    assert sorted(layers) == sorted(f"onnx.{one}" for one in operators)
    inputs = found.random_inputs(1)
    session = onnxruntime.InferenceSession(data_of(proto), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    expected = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)})
    for mine, theirs in zip(found.run(inputs), expected, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs, rtol=1e-6)


def decided(then="Relu", otherwise="Tanh", taken=True, made="y"):
    """An If on a constant; both branches call their tensor `b`."""
    branches = {"then_branch": branch(then, "b"), "else_branch": branch(otherwise, "b")}
    return model([node("If", ["c"], [made], "if", **branches)], [constant("c", taken, np.bool_)])


@pytest.mark.parametrize(("taken", "operator"), [(True, "Relu"), (False, "Tanh")])
def test_an_if_on_a_constant_is_the_branch_that_it_takes(tmp_path, taken, operator):
    check(decided(taken=taken), tmp_path, operator)


def test_the_branch_that_is_not_taken_may_hold_anything(tmp_path):
    found, _ = read(decided(otherwise="NonZero"), tmp_path)
    assert found.layer_names


def test_the_branch_that_is_taken_is_judged(tmp_path):
    with pytest.raises(RefusedFile, match=r"RandomNormalLike.*random"):
        read(decided(then="RandomNormalLike"), tmp_path)


def on_a_shape(size=4):
    """What TorchScript makes of `squeeze`: an If on one size of the input."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "one"], ["d"]),
        node("Equal", ["d", "wanted"], ["c"]),
        node("If", ["c"], ["y"], then_branch=branch("Relu", "t"), else_branch=branch("Tanh", "e")),
    ]
    weights = [constant("one", 1), constant("wanted", size)]
    return model(nodes, weights, [value("x", ["n", 4])], [value("y", None)])


@pytest.mark.parametrize(("size", "operator"), [(4, "Relu"), (5, "Tanh")])
def test_an_if_on_a_size_is_decided_once_sizes_are_fixed(tmp_path, size, operator):
    check(on_a_shape(size), tmp_path, operator)


def test_an_if_on_the_open_batch_is_decided_by_what_it_is_set_to(tmp_path):
    proto = on_a_shape(3)
    proto.graph.initializer[0].CopyFrom(constant("one", 0))
    check(proto, tmp_path, "Relu", batch=3)


def test_ifs_in_a_row_are_decided_one_after_the_other(tmp_path):
    """Whether the second is taken depends on a size that the first one makes."""
    rows, single = value("r", None), value("k", None)
    shrink = helper.make_graph([node("ReduceMax", ["x", "axes"], ["r"], keepdims=0)], "shrink", [], [rows])
    keep = helper.make_graph([node("Identity", ["x"], ["k"])], "keep", [], [single])
    nodes = [
        node("If", ["true"], ["a"], then_branch=shrink, else_branch=keep),
        node("Shape", ["a"], ["s"]),
        node("Size", ["s"], ["rank"]),
        node("Equal", ["rank", "one"], ["c"]),
        node("If", ["c"], ["y"], then_branch=branch("Relu", "t", "a"), else_branch=branch("Tanh", "e", "a")),
    ]
    weights = [constant("true", True, np.bool_), constant("one", 1), constant("axes", [1])]
    check(model(nodes, weights, outputs=[value("y", None)]), tmp_path, "ReduceMax", "Relu")


def test_an_if_within_a_branch_is_decided_too(tmp_path):
    inner = node("If", ["c"], ["i"], then_branch=branch("Relu", "b"), else_branch=branch("Tanh", "b"))
    outer = helper.make_graph([inner, node("Neg", ["i"], ["o"])], "outer", [], [value("o", None)])
    proto = model([node("If", ["c"], ["y"], then_branch=outer, else_branch=branch("Exp", "b"))],
                  [constant("c", True, np.bool_)])  # fmt: skip
    check(proto, tmp_path, "Relu", "Neg")


def test_names_of_branches_are_kept_apart(tmp_path):
    """Both Ifs call what they make inside `b`, and their weights `w`, of different values."""

    def adds(number, read):
        nodes = [node("Add", [read, "w"], ["a"]), node("Relu", ["a"], ["b"])]
        return helper.make_graph(nodes, "adds", [], [value("b", None)], [constant("w", number, np.float32)])

    nodes = [
        node("If", ["c"], ["m"], then_branch=adds(2.0, "x"), else_branch=branch("Exp", "e")),
        node("If", ["c"], ["y"], then_branch=adds(-1.0, "m"), else_branch=branch("Exp", "e")),
    ]
    check(model(nodes, [constant("c", True, np.bool_)]), tmp_path, "Add", "Relu", "Add", "Relu")


def test_a_branch_may_give_one_tensor_twice_or_a_weight(tmp_path):
    def gives(operator):
        outputs = [value(name, None) for name in ("b", "b", "w")]
        return helper.make_graph([node(operator, ["x"], ["b"])], "g", [], outputs, [constant("w", [2.0], np.float32)])

    made = node("If", ["c"], ["p", "q", "r"], then_branch=gives("Relu"), else_branch=gives("Tanh"))
    nodes = [made, node("Mul", ["p", "q"], ["pq"]), node("Add", ["pq", "r"], ["y"])]
    found, _ = read(model(nodes, [constant("c", True, np.bool_)]), tmp_path)
    given = found.random_inputs(1)[0]
    np.testing.assert_allclose(found.run([given])[0].numpy(), np.maximum(given.numpy(), 0) ** 2 + 2)


def test_an_if_on_values_is_refused(tmp_path):
    with pytest.raises(RefusedFile, match="decides while it runs"):
        read(control_flow(), tmp_path)


@pytest.mark.parametrize("operator", ["Loop", "Scan"])
def test_loops_are_refused_also_where_they_are_finite(tmp_path, operator):
    body = helper.make_graph([node("Identity", ["i"], ["o"])], "body", [value("i", None)], [value("o", None)])
    with pytest.raises(RefusedFile, match=f"'{operator}', which decides while it runs"):
        read(model([node(operator, ["", "", "x"], ["y"], "loop", body=body)]), tmp_path)


def split(k, axis=1, **options):
    nodes = [
        node("SplitToSequence", ["x", "k"] if k is not None else ["x"], ["s"], "split", axis=axis, **options),
        node("SequenceAt", ["s", "first"], ["a"]),
        node("SequenceAt", ["s", "last"], ["b"]),
        node("Sub", ["a", "b"], ["y"]),
    ]
    weights = [constant("first", 0), constant("last", -1), *([constant("k", k)] if k is not None else [])]
    return model(nodes, weights, outputs=[value("y", None)])


@pytest.mark.parametrize("k", [2, [2, 2], [1, 2, 1]])
def test_a_split_into_a_list_becomes_an_ordinary_one(tmp_path, k):
    check(split(k), tmp_path, "Split", "Sub")


def test_a_split_into_single_rows_drops_their_dimension(tmp_path):
    check(split(None, keepdims=0), tmp_path, "Split", "Squeeze", "Squeeze", "Sub")


@pytest.mark.parametrize("new_axis", [0, 1])
def test_a_list_that_is_built_and_joined_becomes_a_concat(tmp_path, new_axis):
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Neg", ["x"], ["b"]),
        node("SequenceConstruct", ["a", "x"], ["s"]),
        node("SequenceInsert", ["s", "b", "at"], ["longer"]),
        node("SequenceErase", ["longer", "last"], ["shorter"]),
        node("ConcatFromSequence", ["shorter"], ["y"], axis=0, new_axis=new_axis),
    ]
    proto = model(nodes, [constant("at", 1), constant("last", -1)], outputs=[value("y", None)])
    check(proto, tmp_path, "Relu", "Neg", *(["Unsqueeze"] * 2 * new_axis), "Concat")


def test_the_length_of_a_list_is_a_number(tmp_path):
    nodes = [
        node("SequenceEmpty", [], ["none"]),
        node("SequenceInsert", ["none", "x"], ["one"]),
        node("SequenceLength", ["one"], ["length"]),
        node("Cast", ["length"], ["number"], to=FLOAT),
        node("Add", ["x", "number"], ["y"]),
    ]
    check(model(nodes), tmp_path, "Add")


def test_a_list_whose_parts_depend_on_values_is_refused(tmp_path):
    proto = split(None)
    proto.graph.node[0].input.append("k")
    proto.graph.input.append(value("k", [], TensorProto.INT64))
    with pytest.raises(RefusedFile, match=r"SplitToSequence', which keeps tensors in lists"):
        read(proto, tmp_path)


@pytest.mark.parametrize("k", [0, -1, [5, -1]])
def test_impossible_parts_of_a_list_end_in_a_sentence(tmp_path, k):
    with pytest.raises(DeccError) as refused:
        read(split(k), tmp_path)
    assert str(refused.value).endswith(".")


def test_a_place_beyond_a_list_is_told(tmp_path):
    proto = split(2)
    proto.graph.initializer[0].CopyFrom(constant("first", 7))
    with pytest.raises(DeccError, match="part 7 of a list of 2 tensors"):
        read(proto, tmp_path)


def test_values_of_endless_ranges_are_not_written_down(tmp_path):
    """The sizes of a range in a network with an If: a million million numbers."""
    proto = decided(made="z")
    proto.graph.node.extend(
        [
            node("Range", ["low", "high", "step"], ["r"]),
            node("Cast", ["r"], ["f"], to=FLOAT),
            node("ReduceSum", ["f"], ["s"], keepdims=0),
            node("Add", ["z", "s"], ["y"]),
        ]
    )
    proto.graph.initializer.extend([constant("low", 0), constant("high", 1 << 40), constant("step", 1)])
    with pytest.raises(DeccError, match=r"DECC_MAX_TENSOR_BYTES|impossible shape"):
        onnx_file.validate(data_of(proto), Limits())
