"""Profiles of ONNX Runtime, made by hand and recorded."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from decc_core.errors import InvalidProfile
from decc_core.profiling.imports import read_profile
from tests.profiling.imports.made import PASSES, node, one_run


@pytest.mark.parametrize("fused", [True, False])
def test_nodes_are_found_by_name_and_fused_ones_stand_at_the_layer_that_computes(chain, fused):
    events = [*one_run(0, 900, fused), *one_run(1000, 40, fused), *one_run(2000, 60, fused)]
    found = read_profile(json.dumps(events).encode(), "ort.json", chain)
    conv_us, relu_us, reorder = (50, 0, "conv") if fused else (45, 5, "relu")
    wanted = {"conv": conv_us, "relu": relu_us, "view": 1, "fc": 45}
    wanted[reorder] += 4
    assert found.profile.median_s == pytest.approx({name: time_us * 1e-6 for name, time_us in wanted.items()})
    assert "ONNX Runtime profile of 2 runs" in found.profile.provenance.source
    assert found.profile.provenance.settings["provider"] == "CPUExecutionProvider"
    assert any("fused" in note for note in found.notes) == fused


def test_nodes_with_names_of_another_exporter_are_found_by_operator_and_order(chain):
    operators = ("Conv", "Relu", "Reshape", "Gemm")
    events = [node(f"/net/{k}/{name}", name, 10 * k, 5) for k, name in enumerate(operators)]
    found = read_profile(json.dumps(events).encode(), "ort.json", chain)
    assert found.profile.median_s == pytest.approx(dict.fromkeys(("conv", "relu", "view", "fc"), 5e-6))


@pytest.mark.parametrize("optimised", [True, False])
def test_a_profile_that_onnx_runtime_wrote_is_read_whole(tmp_path, optimised):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    import torch
    from torch import nn

    from decc_core.models.torch.extract import extract

    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 49, 5)).eval()
    image = torch.zeros(1, 3, 16, 16)
    graph = extract(module, (image,), "toy").graph
    torch.onnx.export(module, (image,), str(tmp_path / "toy.onnx"), dynamo=True, external_data=False, verbose=False)
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "ort")
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(tmp_path / "toy.onnx"), options)
    for _ in range(PASSES):
        session.run(None, {session.get_inputs()[0].name: image.numpy()})
    data = Path(session.end_profiling()).read_bytes()
    found = read_profile(data, "ort.json", graph)
    runs = [one for one in json.loads(data) if one["name"] == "model_run"]
    sums_us = [
        sum(
            one["dur"]
            for one in json.loads(data)
            if one["cat"] == "Node" and run["ts"] <= one["ts"] <= run["ts"] + run["dur"]
        )
        for run in runs
    ]
    assert not found.problems
    assert found.profile.whole_s == pytest.approx(statistics.median(sums_us[1:]) * 1e-6)
    assert found.profile.median_s["conv2d"] > 0
    assert found.profile.median_s["linear"] > 0


def test_infinities_in_a_profile_are_read_where_they_do_not_matter_and_refused_where_they_do(chain):
    events = [*one_run(0, 900, fused=True), *one_run(1000, 40, fused=True)]
    loading = {**node("session_initialization", "", 0, 1), "cat": "Session", "dur": "?"}
    data = json.dumps([loading, *events]).replace('"?"', "inf").encode()
    wanted = read_profile(json.dumps(events).encode(), "ort.json", chain)
    assert read_profile(data, "ort.json", chain) == wanted
    data = json.dumps([{**events[1], "dur": "?"}, *events]).replace('"?"', "NaN").encode()
    with pytest.raises(InvalidProfile, match=r"ort.json has an event 'relu_nchwc_kernel_time' that lasts nan"):
        read_profile(data, "ort.json", chain)
