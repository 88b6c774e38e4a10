"""Profiles that ONNX Runtime wrote of a file, whose layers are not the file's nodes: sums are made by hand."""

from __future__ import annotations

import json
import random
import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

import decc_core.api as decc
from decc_core.errors import InvalidProfile
from decc_core.profiling.imports import read_profile
from tests.profiling.imports.made import PASSES, node

LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL")
KERNEL = "_kernel_time"
SHAPE = [1, 3, 16, 16]


def write(path: Path, nodes: list, weights: dict, output: str, inputs: dict | None = None, version: int = 17) -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
            for name, size in (inputs or {"x": SHAPE}).items()
        ],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8), path)
    return path


def silu_net(path: Path, named: bool = True) -> Path:
    """Conv, SiLU, Conv, Relu, GELU in five steps, HardSwish, which ONNX Runtime takes apart, and a Reshape."""
    rng = np.random.default_rng(0)
    weights = {
        "w0": rng.standard_normal((8, 3, 3, 3)).astype(np.float32),
        "w1": rng.standard_normal((8, 8, 3, 3)).astype(np.float32),
        "root": np.array(2**0.5, np.float32),
        "one": np.array(1, np.float32),
        "half": np.array(0.5, np.float32),
    }
    steps = [
        ("Conv", ["x", "w0"], "c0"), ("Sigmoid", ["c0"], "s0"), ("Mul", ["c0", "s0"], "m0"),
        ("Conv", ["m0", "w1"], "c1"), ("Relu", ["c1"], "r1"),
        ("Div", ["r1", "root"], "g0"), ("Erf", ["g0"], "g1"), ("Add", ["g1", "one"], "g2"), ("Mul", ["r1", "g2"], "g3"),
        ("Mul", ["g3", "half"], "g4"), ("HardSwish", ["g4"], "h1"), ("Reshape", ["h1", "sizes"], "y"),
    ]  # fmt: skip
    nodes = [helper.make_node(kind, read, [made], name=f"/net/{made}" if named else "") for kind, read, made in steps]
    sizes = numpy_helper.from_array(np.array([1, -1], np.int64))
    nodes.insert(4, helper.make_node("Constant", [], ["sizes"], value=sizes, name="/net/sizes" if named else ""))
    return write(path, nodes, weights, "y")


def recorded(file: Path, level: str, inputs: dict | None = None) -> list[dict]:
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(file.parent / "ort")
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    feed = {name: np.ones(shape, np.float32) for name, shape in (inputs or {"x": SHAPE}).items()}
    for _ in range(PASSES):
        session.run(None, feed)
    return json.loads(Path(session.end_profiling()).read_bytes())


def runs_of(events: list[dict]) -> list[list[tuple[str, str, float]]]:
    """Name, operator and seconds of the nodes of each run but the first."""
    starts = [event["ts"] for event in events if event["name"] == "model_run"]
    runs: list[list[tuple[str, str, float]]] = [[] for _ in starts]
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith(KERNEL):
            run = sum(start <= event["ts"] for start in starts) - 1
            runs[run].append((event["name"].removesuffix(KERNEL), event["args"]["op_name"], event["dur"] * 1e-6))
    return runs[1:]


def median_s(events: list[dict], *names: str) -> float:
    return statistics.median(sum(time_s for name, _, time_s in run if name in names) for run in runs_of(events))


def whole_s(events: list[dict]) -> float:
    return statistics.median(sum(time_s for *_, time_s in run) for run in runs_of(events))


def nameless(events: list[dict]) -> bytes:
    return json.dumps([event | ({"name": KERNEL} if event["cat"] == "Node" else {}) for event in events]).encode()


def read(events: list[dict], graph: decc.LayerGraph):
    return read_profile(json.dumps(events).encode(), "ort.json", graph)


@pytest.fixture(scope="module")
def silu(tmp_path_factory):
    file = silu_net(tmp_path_factory.mktemp("silu") / "silu.onnx")
    return file, decc.load_model(file).graph


def test_nodes_that_are_fused_here_count_to_the_layer_that_fused_them(silu):
    file, graph = silu
    events = recorded(file, "ORT_DISABLE_ALL")
    found = read(events, graph)
    times = found.profile.median_s
    kinds = {layer.operator: layer.name for layer in graph.layers}
    scale = found.profile.calibration
    assert not found.problems
    assert times[kinds["onnx.QuickGelu"]] == pytest.approx(scale * median_s(events, "/net/s0", "/net/m0"))
    assert times[kinds["onnx.FusedConv+Relu"]] == pytest.approx(scale * median_s(events, "/net/c1", "/net/r1"))
    gelu = [f"/net/g{k}" for k in range(5)]
    assert times[kinds["onnx.Gelu"]] == pytest.approx(scale * median_s(events, *gelu))
    assert found.profile.whole_s == pytest.approx(whole_s(events))
    assert any("9 nodes of the file run apart there that are 3 layers here" in note for note in found.notes)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("named", [True, False])
def test_the_whole_of_a_run_is_given_to_layers_however_little_or_much_is_fused(tmp_path, level, named):
    file = silu_net(tmp_path / "silu.onnx", named)
    found = read(events := recorded(file, level), decc.load_model(file).graph)
    assert found.profile.whole_s == pytest.approx(whole_s(events))
    assert not any("no layer" in note for note in found.notes)


def test_a_slow_moment_does_not_change_which_layer_a_node_belongs_to(silu):
    file, graph = silu
    events = recorded(file, "ORT_DISABLE_ALL")
    slow = [event | {"dur": 1} for event in events]
    last = max(k for k, event in enumerate(events) if event["name"].startswith("HardSigmoid"))
    slow[last]["dur"] = 1000
    assert {name for name, time_s in read(slow, graph).profile.median_s.items() if time_s} == {
        name for name, time_s in read(events, graph).profile.median_s.items() if time_s
    }


@pytest.mark.parametrize("level", ["ORT_ENABLE_EXTENDED", "ORT_DISABLE_ALL"])
def test_nodes_without_names_are_found_where_the_whole_order_agrees(tmp_path, level):
    file = branches(tmp_path / "branches.onnx", random.Random(3))
    graph = decc.load_model(file).graph
    events = recorded(file, level, {"x": [4]})
    named, unnamed = read(events, graph).profile, read_profile(nameless(events), "ort.json", graph).profile
    assert unnamed.median_s == pytest.approx(named.median_s)
    without_marks = [event for event in events if event["name"] != "model_run"]
    assert read_profile(nameless(without_marks), "ort.json", graph).profile.median_s == pytest.approx(named.median_s)


def test_nodes_without_names_in_another_order_are_refused(silu):
    file, graph = silu
    events = recorded(file, "ORT_ENABLE_EXTENDED")
    for event in events:
        if event["name"] == "/net/c1_kernel_time":
            event["args"]["op_name"] = "MaxPool"
    with pytest.raises(InvalidProfile, match="does not name its nodes, and they are not those of 'silu'"):
        read_profile(nameless(events), "ort.json", graph)


def branches(path: Path, rng: random.Random) -> Path:
    """Nodes without names that read any two of the last six tensors."""
    tensors, nodes = ["x"], []
    for k in range(30):
        kind = rng.choice(["Relu", "Sigmoid", "Add", "Mul"])
        read = [rng.choice(tensors[-6:]) for _ in range(1 if kind in ("Relu", "Sigmoid") else 2)]
        nodes.append(helper.make_node(kind, read, [f"t{k}"]))
        tensors.append(f"t{k}")
    used = {name for node in nodes for name in node.input}
    nodes.append(helper.make_node("Sum", [name for name in tensors if name not in used], ["y"]))
    return write(path, nodes, {}, "y", {"x": [4]})


@pytest.mark.parametrize("seed", range(5))
def test_names_and_order_of_a_files_nodes_are_those_of_onnx_runtime(tmp_path, seed):
    file = branches(tmp_path / "branches.onnx", random.Random(seed))
    parts = [part for layer in decc.load_model(file).graph.layers for part in layer.parts if part.place >= 0]
    ran = runs_of(recorded(file, "ORT_DISABLE_ALL", {"x": [4]}))[0]
    places = {part.name: part.place for part in parts}
    assert [(name, kind) for name, kind, _ in ran if name in places] == [
        (part.name, part.operator) for part in sorted(parts, key=lambda part: part.place)
    ]
    assert all(name in places for name, *_ in ran)


def test_names_that_stand_in_a_file_twice_are_told_apart_by_their_order(tmp_path):
    """Old versions of ONNX Runtime ran such files; today's does not load them."""
    kinds = {"Sigmoid": 5, "Tanh": 7, "Softplus": 11}
    tensors = ("x", "a", "b", "y")
    nodes = [helper.make_node(kind, [tensors[k]], [tensors[k + 1]], name="same") for k, kind in enumerate(kinds)]
    graph = decc.load_model(write(tmp_path / "same.onnx", nodes, {}, "y")).graph
    run = [node("same", kind, 100 * k, time_us) for k, (kind, time_us) in enumerate(kinds.items())]
    times = read(run, graph).profile.median_s
    assert times == pytest.approx(
        {layer.name: 1e-6 * kinds[layer.operator.removeprefix("onnx.")] for layer in graph.layers[1:]}
    )


def test_what_runs_inside_another_node_counts_once(silu):
    file, graph = silu
    events = recorded(file, "ORT_DISABLE_ALL")
    conv = next(event for event in reversed(events) if event["name"] == "/net/c0_kernel_time")
    events.append(conv | {"name": "inner_kernel_time", "ts": conv["ts"], "dur": conv["dur"]})
    outer = [run for run in runs_of(events) if not any(name == "inner" for name, *_ in run)]
    # The run with another node in it is not like the others, and left out.
    assert read(events, graph).profile.whole_s == pytest.approx(
        statistics.median(sum(t for *_, t in run) for run in outer)
    )


class Readings(CalibrationDataReader):
    def __init__(self) -> None:
        self.left = [{"x": np.random.default_rng(k).standard_normal(SHAPE).astype(np.float32)} for k in range(2)]

    def get_next(self) -> dict | None:
        return self.left.pop() if self.left else None


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.filterwarnings("ignore")
def test_a_quantised_networks_own_profile_is_read_whole(tmp_path, level):
    plain, file = silu_net(tmp_path / "silu.onnx"), tmp_path / "quantised.onnx"
    quantize_static(str(plain), str(file), Readings(), quant_format=QuantFormat.QDQ, per_channel=True)
    graph = decc.load_model(file).graph
    events = recorded(file, level)
    found = read(events, graph)
    assert found.profile.whole_s == pytest.approx(whole_s(events))
    folded = Counter(part.operator for layer in graph.layers for part in layer.parts)
    assert folded["DequantizeLinear"] > sum(layer.operator == "onnx.DequantizeLinear" for layer in graph.layers)


def test_a_layer_normalisation_that_is_taken_apart_counts_to_the_layer(tmp_path):
    steps = [
        ("ReduceMean", ["x"], "m"), ("Sub", ["x", "m"], "d"), ("Pow", ["d", "two"], "p"), ("ReduceMean", ["p"], "v"),
        ("Add", ["v", "eps"], "e"), ("Sqrt", ["e"], "r"), ("Div", ["d", "r"], "n"), ("Mul", ["n", "w"], "s"),
        ("Add", ["s", "b"], "l"), ("MatMul", ["l", "k"], "y"),
    ]  # fmt: skip
    nodes = [
        helper.make_node(kind, read, [made], name=f"n{made}", **({"axes": [-1]} if kind == "ReduceMean" else {}))
        for kind, read, made in steps
    ]
    one = np.ones(16, np.float32)
    weights = {"two": np.array(2, np.float32), "eps": np.array(1e-5, np.float32), "w": one, "b": one}
    file = write(tmp_path / "norm.onnx", nodes, weights | {"k": np.ones((16, 16), np.float32)}, "y")
    graph = decc.load_model(file).graph
    assert [layer.operator for layer in graph.layers] == ["input", "onnx.LayerNormalization", "onnx.MatMul"]
    events = recorded(file, "ORT_DISABLE_ALL")
    found = read(events, graph).profile
    assert found.median_s["ny"] / found.calibration == pytest.approx(median_s(events, "ny"))
    assert found.whole_s == pytest.approx(whole_s(events))
