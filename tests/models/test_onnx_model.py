"""Pieces of an ONNX network give, bit for bit, what the whole gives; the whole what ONNX Runtime makes of the file."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from decc_core.errors import DeccError, InvalidProfile, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.onnx import file as onnx_file
from decc_core.load.onnx.parts import FILE_NODE
from decc_core.models import portable
from decc_core.models.device import DeviceSettings
from decc_core.models.onnx.graph import PARTS
from decc_core.models.onnx.model import ALIGNMENT, OnnxModel, aligned
from decc_core.models.onnx.timing import NodeClock
from decc_core.models.runtimes import runtime_of
from decc_core.profiling.profiler import profile
from decc_core.profiling.settings import ProfileSettings
from tests.runtime.networks import Fork
from tests.runtime.onnx_networks import FLOAT, fork_proto, onnx_fork, read


def of_the_file(data: bytes, inputs) -> list[np.ndarray]:
    """What ONNX Runtime makes of the original file by itself, at the level at which files are optimised."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)})


def check_pieces(model: OnnxModel, data: bytes, cuts: int = 3) -> None:
    """Whole, every node alone, and runs of nodes with tensors copied to odd places in between: all the same."""
    model = replace(model, threads=1)
    graph, inputs = model.graph, model.random_inputs(7)
    expected = of_the_file(data, inputs)
    whole = model.run(inputs)
    assert all(np.array_equal(mine.numpy(), theirs) for mine, theirs in zip(whole, expected, strict=True))
    everything = model.tensors(inputs, set(range(len(graph.tensors))))
    for tensor, value in zip(graph.outputs, whole, strict=True):
        assert torch.equal(everything[graph.tensor_index[tensor]], value)
    computing = [i for i, layer in enumerate(graph.layers) if not layer.is_input]
    runs = [[layer] for layer in computing] + [list(part) for part in np.array_split(computing, cuts)]
    for layers in runs:
        made = {tensor for layer in layers for tensor in graph.tensors_of[layer]}
        reads = [graph.tensor_index[ref] for layer in layers for ref in graph.layers[layer].inputs]
        reads = [tensor for tensor in dict.fromkeys(reads) if tensor not in made]
        gives = sorted(made)
        found = model.session(layers, reads, gives)([displaced(everything[tensor]) for tensor in reads])
        for tensor, value in zip(gives, found, strict=True):
            assert torch.equal(value, everything[tensor])


def displaced(tensor: torch.Tensor) -> torch.Tensor:
    """The same tensor at an address that is no multiple of 16, as tensors from a message may lie."""
    size = tensor.numel() * tensor.element_size()
    room = torch.empty(size + ALIGNMENT, dtype=torch.uint8)
    step = tensor.element_size()
    first = -room.data_ptr() % ALIGNMENT + step
    return room[first : first + size].view(tensor.dtype).reshape(tensor.shape).copy_(tensor)


def test_pieces_of_the_fork_are_the_whole():
    check_pieces(onnx_fork(), fork_proto().SerializeToString())


def test_sums_over_long_rows_are_the_same_wherever_a_tensor_lies():
    nodes = [
        helper.make_node("Relu", ["x"], ["positive"], "relu"),
        helper.make_node("ReduceMean", ["positive"], ["mean"], "mean", keepdims=1),
        helper.make_node("Softmax", ["positive"], ["softmax"], "softmax"),
        helper.make_node("Mul", ["softmax", "mean"], ["y"], "mul"),
    ]
    inputs, outputs = ([helper.make_tensor_value_info(name, FLOAT, [7, 1001])] for name in "xy")
    graph = helper.make_graph(nodes, "sums", inputs, outputs)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    check_pieces(read(proto, "sums"), proto.SerializeToString())


@pytest.mark.parametrize(
    "dtype",
    [
        *(TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.BOOL),
        *(TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64),
    ],
)
def test_pieces_exchange_tensors_of_every_kind(dtype):
    operator = {TensorProto.BOOL: "Not"}.get(dtype, "Abs")
    nodes = [helper.make_node(operator, ["x"], ["a"], "first"), helper.make_node(operator, ["a"], ["y"], "second")]
    inputs, outputs = ([helper.make_tensor_value_info(name, dtype, [3, 5])] for name in "xy")
    graph = helper.make_graph(nodes, "kinds", inputs, outputs)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    check_pieces(read(proto, "kinds"), proto.SerializeToString(), cuts=1)


@pytest.mark.parametrize("dtype", [TensorProto.BFLOAT16, TensorProto.COMPLEX64, TensorProto.STRING])
def test_kinds_that_cannot_travel_are_refused(dtype):
    inputs, outputs = ([helper.make_tensor_value_info(name, dtype, [3])] for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"], "same")], "kinds", inputs, outputs)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    with pytest.raises(DeccError, match="type that is taken"):
        read(proto, "kinds")


def test_a_layer_is_an_operator_or_a_fused_run_of_them():
    operators = {layer.name: layer.operator for layer in onnx_fork().graph.layers}
    assert operators["/left/left.0/Conv"] == "onnx.FusedConv+Relu"
    assert operators["/stem/Conv"] == "onnx.Conv"
    assert "/left/left.1/Relu" not in operators


def test_flops_are_two_for_each_multiply_and_add():
    flops = {layer.name: layer.flops for layer in onnx_fork().graph.layers}
    assert flops["/stem/Conv"] == 2 * (8 * 16 * 16) * (3 * 3 * 3)
    assert flops["/left/left.0/Conv"] == 2 * (8 * 16 * 16) * (8 * 3 * 3)
    assert flops["/head/Gemm"] == 2 * 4 * 16
    assert flops["/Concat"] == 0


def test_weights_are_counted_once_and_in_bytes():
    sizes = onnx_fork().graph.parameter_bytes
    assert sizes["stem.w"] == 8 * 3 * 3 * 3 * 4
    assert sum(sizes.values()) == 4 * (8 * 27 + 8 + 8 * 72 + 64 + 64 + 4)


def test_a_tensor_that_lies_well_is_not_copied():
    well = torch.arange(100, dtype=torch.float32)
    assert aligned(well).data_ptr() == well.data_ptr()
    ill = displaced(well)
    assert ill.data_ptr() % ALIGNMENT
    assert aligned(ill).data_ptr() % ALIGNMENT == 0
    assert torch.equal(aligned(ill), well)


def test_results_stay_what_they_are_while_others_are_computed():
    model = replace(onnx_fork(), threads=1)
    first = model.run(model.random_inputs(1))[0]
    kept = first.clone()
    for seed in range(5):
        model.run(model.random_inputs(seed))
    assert torch.equal(first, kept)


def test_a_network_survives_the_way_to_a_worker():
    model = onnx_fork()
    back = portable.from_data(*portable.to_data(model))
    assert isinstance(back, OnnxModel)
    assert back.graph == model.graph
    assert runtime_of(back).digest(back) == runtime_of(model).digest(model)
    assert torch.equal(back.run(model.example_inputs)[0], model.run(model.example_inputs)[0])


@pytest.mark.parametrize("data", [b"", b"\xff" * 64, b"\x08\x0a"])
def test_a_worker_refuses_broken_data(data):
    with pytest.raises(DeccError):
        portable.from_data(portable.to_data(onnx_fork())[0], data)


def test_a_worker_refuses_operators_that_are_not_on_the_list():
    content = onnx_fork().content.replace(b"Concat", b"NonCat")
    with pytest.raises(DeccError, match="NonCat"):
        OnnxModel.of(content)


@pytest.mark.parametrize("parts", ["nonsense", "[1]", '[["a","Relu"]]', '[["a","Relu","0"]]', "[" * 100_000])
def test_a_worker_refuses_broken_notes_on_the_parts_of_a_layer(parts):
    proto = onnx.load_model_from_string(onnx_fork().content)
    proto.graph.node[0].metadata_props.add(key=PARTS, value=parts)
    with pytest.raises(UnreadableFile):
        OnnxModel.of(proto.SerializeToString())


def test_a_file_cannot_say_itself_which_nodes_a_layer_stands_for():
    proto = fork_proto()
    proto.graph.node[0].metadata_props.add(key=PARTS, value='[["made up","Relu",0]]')
    proto.graph.node[0].metadata_props.add(key=FILE_NODE, value="nonsense")
    names = {part.name for layer in read(proto, "fork").graph.layers for part in layer.parts}
    assert names >= {node.name for node in proto.graph.node if node.name}
    assert "made up" not in names


def test_a_worker_reads_no_other_files():
    proto = fork_proto()
    weight = proto.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(UnreadableFile, match="another file"):
        OnnxModel.of(proto.SerializeToString())


def test_only_threads_can_be_chosen():
    assert runtime_of(onnx_fork()).place(onnx_fork(), DeviceSettings(threads=2)).threads == 2
    for settings in (DeviceSettings(memory_format="channels_last"), DeviceSettings(onednn=False)):
        with pytest.raises(InvalidProfile, match="only the number of threads"):
            runtime_of(onnx_fork()).place(onnx_fork(), settings)


def test_a_profile_times_every_node_and_adds_up_to_the_whole():
    found = profile(onnx_fork(), ProfileSettings(runs_on=DeviceSettings(threads=1), repeats=5))
    found.require_graph(onnx_fork().graph)
    assert found.total_s == pytest.approx(found.whole_s)
    assert found.provenance.source.count("ONNX Runtime 1.") == 1


def test_node_times_go_on_when_the_runtime_can_note_no_more(monkeypatch):
    monkeypatch.setattr("decc_core.models.onnx.timing.MAX_EVENTS", 30)
    model = replace(onnx_fork(), threads=1)
    with NodeClock(model) as clock:
        assert clock.most < 7
        for _ in range(7):
            clock.run(model.example_inputs)
    assert [len(row) for row in clock.rows] == [len(onnx_fork().layer_names)] * 7


def exported(module, inputs, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(module.eval(), inputs, dynamo=True, verbose=False)
    file = tmp_path / "network.onnx"
    program.save(file)
    return onnx_file.read(file, "network", Limits())[0], file.read_bytes()


@pytest.mark.slow
def test_an_exported_branched_network_is_the_whole_in_pieces(tmp_path):
    torch.manual_seed(0)
    image = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    model, data = exported(Fork(), (image,), tmp_path)
    check_pieces(model, data)
    assert {layer.module_path for layer in model.graph.layers} >= {"stem", "head"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_1", "googlenet", "vit_b_16"])
def test_networks_of_torchvision_are_the_whole_in_pieces(name, tmp_path):
    import torchvision

    torch.manual_seed(0)
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    module = getattr(torchvision.models, name)(**options)
    model, data = exported(module, (torch.randn(1, 3, 224, 224),), tmp_path)
    check_pieces(model, data)


def lying_shape(proto):
    proto.graph.initializer[0].dims[0] += 1


def unknown_type(proto):
    proto.graph.initializer[0].data_type = 99


def negative_shape(proto):
    proto.graph.initializer[0].dims[0] = -8


def weights_elsewhere_in_an_attribute(proto):
    tensor = proto.graph.node[0].attribute.add(name="value", type=4).t
    tensor.data_type, tensor.data_location = 1, TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def another_network_inside(proto):
    proto.graph.node[0].attribute.add(name="body", type=5).g.name = "inner"


def an_endless_input(proto):
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1 << 40


def a_negative_input(proto):
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1


def two_nodes_of_one_name(proto):
    proto.graph.node[1].name = proto.graph.node[0].name


def no_outputs_of_a_node(proto):
    del proto.graph.node[0].output[:]


@pytest.mark.parametrize(
    "change",
    [
        lying_shape, unknown_type, negative_shape, weights_elsewhere_in_an_attribute, another_network_inside,
        an_endless_input, a_negative_input, two_nodes_of_one_name, no_outputs_of_a_node,
    ],
)  # fmt: skip
def test_what_a_worker_is_sent_is_no_more_trusted_than_a_file(change):
    proto = onnx.load_model_from_string(onnx_fork().content)
    change(proto)
    with pytest.raises(DeccError) as refused:
        OnnxModel.of(proto.SerializeToString())
    assert str(refused.value).endswith(".")


def test_a_name_that_a_worker_is_sent_must_be_text():
    content = onnx_fork().content.replace(b"/head/Gemm", b"/head/\xff\xfe\xfd\xfc")
    with pytest.raises(UnreadableFile, match="not UTF-8"):
        OnnxModel.of(content)
