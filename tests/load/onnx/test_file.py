"""ONNX files: what is read says what was decided about it; what is hostile gets one sentence, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from decc_core.errors import DeccError, RefusedFile, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.onnx import file as onnx_file
from decc_core.load.onnx.checks import OpenDimensions
from tests.load.hostile_onnx import (
    CASES,
    FLOAT,
    HTML,
    LATER,
    MARKER,
    a_million_nodes,
    add_weight,
    data_of,
    external,
    model,
    relu,
    small,
)
from tests.runtime.onnx_networks import fork_proto

LIMITS = Limits()
MOST_BYTES, MOST_S = 64 << 20, 10.0


@pytest.mark.parametrize("case", CASES)
def test_hostile_files_get_one_sentence(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made, sentence = CASES[case]
    with pytest.raises((RefusedFile, UnreadableFile), match=sentence) as raised:
        onnx_file.validate(data_of(made()), LIMITS)
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")
    assert not list(tmp_path.iterdir())
    assert not list(Path("/tmp").glob(f"{MARKER}*"))


@pytest.mark.parametrize("case", LATER)
def test_files_that_only_the_runtime_sees_through_get_one_sentence_too(case, tmp_path):
    made, sentence = LATER[case]
    file = tmp_path / "x.onnx"
    file.write_bytes(data_of(made()))
    with pytest.raises(DeccError, match=sentence):
        onnx_file.read(file, "x", LIMITS)


def test_external_data_is_not_read_even_where_it_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(bytes(16))
    with pytest.raises(RefusedFile):
        onnx_file.validate(data_of(external("weights.bin")), LIMITS)


def test_a_million_nodes_are_refused_quickly_and_in_little_memory():
    data = a_million_nodes()
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(UnreadableFile, match="20,000 layers"):
        onnx_file.validate(data, LIMITS)
    took, most = time.perf_counter() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took < MOST_S
    assert most < MOST_BYTES


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(layers=5), "more than 5 layers, .*DECC_MAX_LAYERS"),
        (Limits(parameter_bytes=1000), "DECC_MAX_PARAMETER_BYTES"),
        (Limits(tensor_bytes=1000), "DECC_MAX_TENSOR_BYTES"),
    ],
)
def test_every_limit_names_itself(limits, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        onnx_file.validate(fork_proto().SerializeToString(), limits)


def read(proto, tmp_path, **options):
    file = tmp_path / "network.onnx"
    file.write_bytes(data_of(proto))
    return onnx_file.read(file, "network", LIMITS, **options)


def test_an_open_batch_is_set_to_one_and_said(tmp_path):
    found, notes = read(fork_proto("N"), tmp_path)
    assert found.graph.layers[0].outputs[0].shape == (1, 3, 16, 16)
    assert notes == ("Dimension 'N' of input 'image' is open; set to 1.",)


def test_an_open_batch_is_set_to_what_is_asked_for(tmp_path):
    found, notes = read(fork_proto("N"), tmp_path, batch=3)
    assert found.graph.layers[-1].outputs[0].shape == (3, 4)
    assert notes == ("Dimension 'N' of input 'image' is open; set to 3.",)


def test_other_open_dimensions_are_set_by_name():
    proto = model([relu()], inputs=[helper.make_tensor_value_info("x", FLOAT, ["batch", "width"])])
    found, notes = onnx_file.validate(data_of(proto), LIMITS, OpenDimensions(named={"width": 7}))
    assert [dim.dim_value for dim in found.graph.input[0].type.tensor_type.shape.dim] == [1, 7]
    assert notes[1] == "Dimension 'width' of input 'x' is open; set to 7, as asked for."


def test_claims_about_shapes_are_not_believed(tmp_path):
    proto = model([relu()], outputs=[helper.make_tensor_value_info("y", FLOAT, [1 << 40, 3])])
    proto.graph.value_info.append(helper.make_tensor_value_info("y", FLOAT, [1 << 40]))
    found, _ = read(proto, tmp_path)
    assert found.graph.layers[-1].outputs[0].shape == (1, 4)


def test_names_are_data_whatever_they_look_like(tmp_path):
    found, _ = read(model([relu(HTML)]), tmp_path)
    assert found.graph.layers[-1].name == HTML


def test_nodes_without_names_and_with_equal_ones_get_their_own(tmp_path):
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "x"),
        helper.make_node("Sigmoid", ["a"], ["b"], "twice"),
        helper.make_node("Tanh", ["b"], ["c"], "twice"),
        helper.make_node("Exp", ["c"], ["y"]),
    ]
    found, _ = read(model(nodes), tmp_path)
    assert [layer.name for layer in found.graph.layers] == ["x", "x_2", "twice", "twice_2", "exp_3"]


def test_weights_that_are_not_numbers_are_taken_as_they_are(tmp_path):
    weight = small()
    weight.raw_data = np.full((1, 4), np.nan, np.float32).tobytes()
    found, _ = read(add_weight(weight), tmp_path)
    assert found.run(found.example_inputs)[0].isnan().all()


def test_weights_that_are_listed_as_inputs_are_weights(tmp_path):
    proto = add_weight(small())
    proto.graph.input.append(helper.make_tensor_value_info("w", FLOAT, [1, 4]))
    found, _ = read(proto, tmp_path)
    assert found.input_names == ("x",)


def test_layers_that_lead_nowhere_are_dropped(tmp_path):
    found, _ = read(model([relu(), helper.make_node("Exp", ["x"], ["unused"], "unused")]), tmp_path)
    assert found.layer_names == ("relu",)


def test_an_input_that_nothing_reads_is_kept_for_whoever_gives_inputs(tmp_path):
    inputs = [helper.make_tensor_value_info(name, FLOAT, [1, 4]) for name in ("unread", "x")]
    found, _ = read(model([relu()], inputs=inputs), tmp_path)
    assert found.input_names == (None, "x")
    assert len(found.example_inputs) == 2


def test_a_missing_file_is_refused_with_one_sentence(tmp_path):
    with pytest.raises(UnreadableFile, match=r"Cannot read gone\.onnx"):
        onnx_file.read(tmp_path / "gone.onnx", "gone", LIMITS)


def test_an_impossible_batch_is_refused():
    with pytest.raises(UnreadableFile, match="A size of 0 for the batch"):
        OpenDimensions(batch=0)


def test_looking_at_a_file_needs_neither_pytorch_nor_the_runtime():
    code = (
        "import sys\nfrom decc_core.load.onnx import file as onnx_file\nfrom decc_core.load.limits import Limits\n"
        "from tests.load.hostile_onnx import model, relu\n"
        "onnx_file.validate(model([relu()]).SerializeToString(), Limits())\n"
        "print([name for name in ('torch', 'onnxruntime') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_half_precision_is_read(tmp_path):
    half = TensorProto.FLOAT16
    inputs, outputs = ([helper.make_tensor_value_info(name, half, [1, 4])] for name in "xy")
    found, _ = read(model([helper.make_node("Exp", ["x"], ["y"], "exp")], inputs=inputs, outputs=outputs), tmp_path)
    assert found.graph.layers[-1].outputs[0].dtype == "float16"
    assert found.run(found.example_inputs)[0].dtype.is_floating_point


def test_the_exporters_module_paths_are_kept(tmp_path):
    found, _ = read(fork_proto(), tmp_path)
    assert {layer.name: layer.module_path for layer in found.graph.layers}["/left/left.0/Conv"] == "left.1"


def test_onnx_reads_what_is_validated():
    found, _ = onnx_file.validate(fork_proto().SerializeToString(), LIMITS)
    assert isinstance(found, onnx.ModelProto)
    assert found.graph.name == "network"
