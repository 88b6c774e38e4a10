"""Profiles that were measured elsewhere: tables, profiles of ONNX Runtime, traces of PyTorch, and hostile files."""

from __future__ import annotations

import gzip
import json
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from decc_core import library, store
from decc_core.cli import main
from decc_core.errors import DeccError, InvalidProfile, UnmappedTimes, UnreadableFile
from decc_core.graph import LayerGraph
from decc_core.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.profile_import import read_profile, template_csv, template_json
from decc_core.profile_import.operator_tree import calls
from decc_core.profile_import.operators import operator_of_event, operator_of_layer
from decc_core.profile_import.sequences import aligned, aligned_first, common_length, period
from decc_core.profile_import.trace_events import NO_ARGS, Timed
from tests.builders import make_graph

NETWORKS = ("squeezenet1_1-float", "shufflenet_v2_x0_5-float", "mobilenet_v3_small-float")
PASSES = 3


def named_operators(graph: LayerGraph, operators: dict[str, str], flops: dict[str, int] | None = None) -> LayerGraph:
    flops = flops or {}
    layers = (
        replace(layer, operator=operators.get(layer.name, layer.operator), flops=flops.get(layer.name, 0))
        for layer in graph.layers
    )
    return replace(graph, layers=tuple(layers))


@pytest.fixture
def chain() -> LayerGraph:
    """x -> conv -> relu -> view -> fc."""
    graph = make_graph({"x": [], "conv": ["x"], "relu": ["conv"], "view": ["relu"], "fc": ["view"]})
    operators = {
        "conv": "aten.conv2d.default",
        "relu": "aten.relu.default",
        "view": "aten.view.default",
        "fc": "aten.linear.default",
    }
    return named_operators(graph, operators, {"conv": 300, "fc": 100})


def table(*rows: str, header: str = "layer,median_s") -> bytes:
    return "\n".join([header, *rows]).encode()


FULL = ("conv,0.4", "relu,0.1", "view,0", "fc,0.5")


# Tables


def test_a_table_of_layers_and_seconds_becomes_a_measured_profile(chain):
    found = read_profile(table(*FULL), "board.csv", chain)
    assert found.profile.median_s == {"conv": 0.4, "relu": 0.1, "view": 0.0, "fc": 0.5}
    assert found.profile.whole_s == pytest.approx(1.0)
    assert found.profile.p95_s == found.profile.median_s
    assert found.profile.device == "board"
    assert found.profile.provenance.kind is ProvenanceKind.MEASURED
    assert "board.csv" in found.profile.provenance.source
    assert found.profile.provenance.machine == {}
    assert found.notes == ("No layer has a 95th percentile: the median stands for it.",)
    found.profile.require_graph(chain)


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + table(*FULL),
        table("# hand-made", *FULL, "", "# the end"),
        table("conv;0,4", "relu;0,1", "view;0", "fc;0,5", header="layer;median_s"),
        table("conv\t0.4", "relu\t0,1", "view\t0", "fc\t5e-1", header="layer\tmedian_s"),
        table("conv,400", "relu,100", "view,0", "fc,500", header="layer,median_ms"),
        table("4e5,conv", "1e5,relu", "0,view", "5e5,fc", header="MEDIAN_US, Layer"),
        table(*FULL).replace(b"\n", b"\r\n"),
        table(*reversed(FULL), ",,"),
        gzip.compress(table(*FULL)),
    ],
    ids=["mark", "comments", "semicolon", "tab", "ms", "us", "crlf", "order", "gz"],
)
def test_tables_come_in_many_dialects(chain, data):
    assert read_profile(data, "t.csv", chain).profile.median_s == pytest.approx(
        {"conv": 0.4, "relu": 0.1, "view": 0.0, "fc": 0.5}
    )


def test_percentiles_are_taken_and_columns_of_no_use_are_named(chain):
    data = table("conv,0.4,0.6,9", "relu,0.1,,9", "view,0,0,9", "fc,0.5,0.5,9", header="layer,median_s,p95_s,price")
    found = read_profile(data, "t.csv", chain, device="mine")
    assert found.profile.p95_s == {"conv": 0.6, "relu": 0.1, "view": 0.0, "fc": 0.5}
    assert found.profile.device == "mine"
    assert "'price'" in found.notes[0]
    assert "1 layer has no 95th percentile" in found.notes[1]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("conv,0.4", "relu,0.1"), "2 layers of 'tiny' missing: 'view', 'fc'"),
        ((*FULL, "conv,0.1"), "line 6 gives layer 'conv' a second time"),
        ((*FULL, "nope,0.1"), "line 6 names 'nope', which is no layer"),
        (("conv,-1", *FULL[1:]), "line 2 layer 'conv': '-1' is negative"),
        (("conv,nan", *FULL[1:]), "'nan' is not a number"),
        (("conv,inf", *FULL[1:]), "'inf' is not a number"),
        (("conv,1e300", *FULL[1:]), "more than 1,000,000 s"),
        (("conv,", *FULL[1:]), "its time is not filled in"),
        (("conv,0.4,7", *FULL[1:]), "has 3 cells"),
        (
            tuple(f"no{i},1" for i in range(9)),
            "and 7 more lines; 4 layers of 'tiny' missing: 'conv', 'relu', 'view'",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused_with_line_and_layer(chain, rows, said):
    with pytest.raises(UnmappedTimes) as error:
        read_profile(table(*rows), "t.csv", replace(chain, name="tiny"))
    assert said in str(error.value)
    assert "t.csv" in str(error.value)
    assert error.value.problems


def test_a_table_with_all_times_0_is_refused(chain):
    with pytest.raises(InvalidProfile, match="are 0"):
        read_profile(table("conv,0", "relu,0", "view,0", "fc,0"), "t.csv", chain)


@pytest.mark.parametrize("header", ["layer,time", "name,median_s", "layer,median_s,median_ms", "layer,layer,median_s"])
def test_a_header_without_the_columns_or_with_one_twice_is_refused(chain, header):
    with pytest.raises(UnreadableFile, match=r"columns"):
        read_profile(table(*FULL, header=header), "t.csv", chain)


def test_a_filled_template_is_read_back_whatever_the_layers_are_called():
    names = ["<b>bold</b>", 'quo"te', "a,b", "a;b", "#comment", "new\nline", "=1+1", "plain"]
    parents = {name: [before] for name, before in zip(names, ["x", *names], strict=False)}
    graph = make_graph({"x": [], **parents})
    with pytest.raises(UnmappedTimes, match="not filled in"):
        read_profile(template_csv(graph), "t.csv", graph)
    filled = template_csv(graph).replace(b",,\n", b",0.25,\n")
    assert read_profile(filled, "t.csv", graph).profile.median_s == dict.fromkeys(names, 0.25)


def test_the_json_template_is_refused_empty_and_taken_filled(chain):
    with pytest.raises(InvalidProfile, match="are 0"):
        read_profile(template_json(chain), "t.json", chain)
    filled = json.loads(template_json(chain))
    filled["content"]["median_s"]["fc"] = 0.5
    found = read_profile(json.dumps(filled).encode(), "t.json", chain)
    assert found.profile.whole_s == 0.5
    assert found.profile.device == "my-device"


def test_a_profile_of_our_own_stays_as_it_is():
    graph = library.load_graph("alexnet")
    shipped = library.load_profile("alexnet", "cpu-1-thread")
    assert read_profile(store.to_json(shipped), "p.json", graph).profile == shipped
    assert read_profile(store.to_json(shipped), "p.json", graph, "other").profile == replace(shipped, device="other")


def test_what_a_profile_says_of_itself_is_cut_where_nobody_would_read_on(chain):
    filled = json.loads(template_json(chain))
    filled["content"]["median_s"]["fc"] = 0.5
    endless = "a word " * 1_000
    facts = {f"{endless}{i}": endless for i in range(200)} | {"cores": "2"}
    filled["content"] |= {"device": endless}
    filled["content"]["provenance"] |= {"source": endless, "machine": facts, "settings": facts}
    found = read_profile(json.dumps(filled).encode(), "p.json", chain).profile
    assert len(store.to_json(found)) < 50_000
    assert found.device.endswith("…")


# Traces of PyTorch


def event(name: str, start_us: float, time_us: float, category: str = "cpu_op", thread: int = 1, **args) -> dict:
    return {
        "ph": "X", "cat": category, "name": name, "ts": start_us, "dur": time_us, "pid": 1, "tid": thread, "args": args,
    }  # fmt: skip


def one_pass(start_us: float, conv_us: float = 40) -> list[dict]:
    return [
        event("aten::conv2d", start_us, conv_us),
        event("aten::convolution", start_us + 1, conv_us - 2),
        event("aten::relu_", start_us + 100, 10),
        event("aten::clamp_min_", start_us + 101, 8),
        event("aten::flatten", start_us + 150, 2),
        event("aten::view", start_us + 150, 1),
        event("aten::linear", start_us + 200, 48),
        event("aten::addmm", start_us + 201, 46),
    ]


def trace(*events: dict, **more) -> bytes:
    return json.dumps({"traceEvents": events, **more}).encode()


def test_operators_on_the_level_of_the_network_get_their_layers(chain):
    events = [*one_pass(0, 90), *one_pass(1000, 40), *one_pass(2000, 60), *one_pass(3000, 50)]
    found = read_profile(trace(*events, host_name="box"), "run.json", chain)
    assert found.profile.median_s == pytest.approx({"conv": 50e-6, "relu": 10e-6, "view": 2e-6, "fc": 48e-6})
    assert found.profile.p95_s["conv"] == pytest.approx(60e-6)
    assert found.profile.whole_s == pytest.approx(110e-6)
    assert "PyTorch profiler trace of 3 passes" in found.profile.provenance.source
    assert found.profile.provenance.machine == {"host": "box"}
    assert found.profile.provenance.settings["repeats"] == "3"
    assert "first of 4 passes was left out" in found.notes[0]
    assert not found.problems


def test_steps_of_the_profiler_part_the_passes_and_what_is_outside_is_left_out(chain):
    steps = [event(f"ProfilerStep#{k}", 1000 * k, 900, "user_annotation") for k in (3, 4)]
    events = [event("aten::relu", 10, 500), *steps, *one_pass(3000, 30), *one_pass(4000, 50)]
    found = read_profile(trace(*events), "run.json", chain)
    assert found.profile.median_s["conv"] == pytest.approx(40e-6)
    assert any("outside the profiler's steps" in note for note in found.notes)
    assert "trace of 2 passes" in found.profile.provenance.source


def test_a_network_of_equal_parts_is_not_taken_for_several_passes():
    graph = make_graph({"x": [], "a": ["x"], "b": ["a"], "c": ["b"], "d": ["c"]})
    graph = named_operators(
        graph, dict.fromkeys("ac", "aten.linear.default") | dict.fromkeys("bd", "aten.relu.default")
    )
    events = [event(("aten::linear", "aten::relu")[k % 2], 10 * k, 1 + k % 4) for k in range(12)]
    found = read_profile(trace(*events), "run.json", graph)
    assert found.profile.median_s == pytest.approx({"a": 1e-6, "b": 2e-6, "c": 3e-6, "d": 4e-6})


def test_an_operator_that_covers_several_layers_is_shared_out_by_flops():
    graph = make_graph({"x": [], "a": ["x"], "q": ["a"], "k": ["q"], "z": ["k"]})
    operators = {"a": "aten.relu.default", "q": "aten.foo.default", "k": "aten.bar.default", "z": "aten.gelu.default"}
    graph = named_operators(graph, operators, {"q": 30, "k": 10})
    events = [event("aten::relu", 0, 50), event("aten::both", 60, 40), event("aten::gelu", 200, 50)]
    found = read_profile(trace(*events), "run.json", graph)
    assert found.profile.median_s == pytest.approx({"a": 50e-6, "q": 30e-6, "k": 10e-6, "z": 50e-6})
    assert [layer for layer, _ in found.problems] == ["q", "k"]
    assert any("shared out by FLOPs" in note for note in found.notes)


def test_a_trace_of_another_network_is_refused_with_its_layers(chain):
    events = [event("aten::conv2d", 0, 40), event("aten::relu", 50, 40), event("aten::lstm", 100, 400)]
    with pytest.raises(UnmappedTimes, match="83% of its time could only be shared out") as error:
        read_profile(trace(*events), "run.json", chain)
    assert error.value.problems == (("fc", "time is a share of 'aten::lstm', by FLOPs"),)
    with pytest.raises(UnmappedTimes, match="98% of its time belongs to no layer"):
        read_profile(trace(*one_pass(0), event("aten::lstm", 500, 5000)), "run.json", chain)
    with pytest.raises(UnmappedTimes, match=r"1 of 3 computing layers have no operator in it \('fc'\)") as error:
        read_profile(trace(*one_pass(0)[:6]), "run.json", chain)
    assert error.value.problems == (("fc", "no operator found for aten.linear.default"),)


def test_recorded_shapes_must_be_those_of_the_network(chain):
    size = list(chain.layers[0].outputs[0].shape)
    same, other = one_pass(0), one_pass(0)
    same[0]["args"]["Input Dims"] = [size, [8, 3], []]
    other[0]["args"]["Input Dims"] = [[8, *size], [8, 3], []]
    assert read_profile(trace(*same), "run.json", chain).profile.total_s > 0
    with pytest.raises(UnmappedTimes, match="other shapes"):
        read_profile(trace(*other), "run.json", chain)


def launched(operator: dict, number: int, kernel_us: float) -> list[dict]:
    return [
        event("cudaLaunchKernel", operator["ts"] + 1, 1, "cuda_runtime", correlation=number),
        event("gemm", operator["ts"] + 5000, kernel_us, "kernel", 7, correlation=number),
    ]


def test_on_a_gpu_the_times_are_those_of_the_kernels_that_operators_started(chain):
    operators = one_pass(0)
    kernels = [*launched(operators[1], 1, 300), *launched(operators[3], 2, 20), *launched(operators[7], 3, 80)]
    gpu = {"deviceProperties": [{"name": "A <b>GPU</b>"}]}
    found = read_profile(trace(*operators, *kernels, **gpu), "run.json", chain)
    assert found.profile.median_s == pytest.approx({"conv": 300e-6, "relu": 20e-6, "view": 0.0, "fc": 80e-6})
    assert found.profile.provenance.machine == {"gpu": "A <b>GPU</b>"}
    assert "kernels of a GPU" in found.profile.provenance.source


def test_launches_without_times_of_kernels_are_refused(chain):
    operators = one_pass(0)
    with pytest.raises(InvalidProfile, match=r"ProfilerActivity\.CUDA"):
        read_profile(trace(*operators, launched(operators[0], 1, 3)[0]), "run.json", chain)
    orphan = event("gemm", 5000, 10, "kernel", 7, correlation=9)
    with pytest.raises(InvalidProfile, match="none that an operator started"):
        read_profile(trace(*operators, orphan), "run.json", chain)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Iterator[dict[str, tuple[LayerGraph, bytes]]]:
    """Networks as they are recorded in eager execution, and their graphs."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    from decc_core import zoo
    from decc_core.extract import extract

    found = {}
    for name in NETWORKS:
        built = zoo.build(name)
        path = tmp_path_factory.mktemp("trace") / f"{name}.json.gz"
        with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
            for _ in range(PASSES):
                built.module(*built.example_inputs)
        profiler.export_chrome_trace(str(path))
        found[name] = (extract(built.module, built.example_inputs, name).graph, path.read_bytes())
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_every_computing_layer_of_a_recorded_network_is_found_and_no_time_is_lost(recorded, name):
    graph, data = recorded[name]
    found = read_profile(data, f"{name}.json.gz", graph)
    assert not found.problems
    times = found.profile.median_s
    assert all(times[layer.name] > 0 for layer in graph.layers if not layer.is_input and "view" not in layer.operator)
    sums_us = outermost_sums(json.loads(gzip.decompress(data))["traceEvents"])
    assert found.profile.whole_s * 1e6 == pytest.approx(statistics.median(sums_us[1:]), rel=0.01)


def outermost_sums(events: list[dict]) -> list[float]:
    """Microseconds of the outermost operators of each pass, which are equally many in all."""
    operators = sorted((e for e in events if e.get("cat") == "cpu_op"), key=lambda e: (e["ts"], -e["dur"]))
    outermost: list[dict] = []
    for one in operators:
        if not outermost or one["ts"] >= outermost[-1]["ts"] + outermost[-1]["dur"] - 0.002:
            outermost.append(one)
    each = len(outermost) // PASSES
    assert len(outermost) == each * PASSES
    return [sum(one["dur"] for one in outermost[k * each : (k + 1) * each]) for k in range(PASSES)]


def test_the_trace_of_one_network_is_no_profile_of_another(recorded):
    for graph, _ in recorded.values():
        for _, data in recorded.values():
            if data is not recorded[graph.name][1]:
                with pytest.raises(UnmappedTimes):
                    read_profile(data, "other.json.gz", graph)


# Profiles of ONNX Runtime


def node(name: str, operator: str, start_us: float, time_us: float) -> dict:
    args = {"op_name": operator, "provider": "CPUExecutionProvider"}
    return event(f"{name}_kernel_time", start_us, time_us, "Node", **args)


def one_run(start_us: float, conv_us: float, fused: bool) -> list[dict]:
    first = (
        [node("relu_nchwc", "Conv", start_us + 1, conv_us)]
        if fused
        else [node("node_conv", "Conv", start_us + 1, conv_us - 5), node("relu", "Relu", start_us + 300, 5)]
    )
    rest = [
        node("ReorderOutput", "ReorderOutput", start_us + 400, 4),
        node("view", "Reshape", start_us + 410, 1),
        node("fc", "Gemm", start_us + 420, 45),
    ]
    return [event("model_run", start_us, 900, "Session"), *first, *rest]


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

    from decc_core.extract import extract

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


# Hostile files


def deep(depth: int) -> bytes:
    return b'{"traceEvents":' + b"[" * depth + b"]" * depth + b"}"


HOSTILE = {
    "empty": b"",
    "spaces": b"   \n ",
    "null bytes": b"\0" * 1000,
    "not UTF-8": b"layer,median_s\n\xff\xfe,1\n",
    "not UTF-8 in JSON": b'{"traceEvents":[{"name":"\xff\xfe"}]}',
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "a pickle": b"\x80\x04\x95\x10cposix\nsystem\n.",
    "half a gzip": gzip.compress(b"layer,median_s\n" * 99)[:30],
    "broken gzip": b"\x1f\x8b" + b"\x07" * 99,
    "half JSON": b'{"traceEvents": [{"name": "aten::conv2d"',
    "a number": b"42",
    "a list of numbers": b"[1, 2, 3]",
    "an empty list": b"[]",
    "an empty object": b"{}",
    "no events": b'{"traceEvents": []}',
    "events are a word": b'{"traceEvents": "none"}',
    "nested deep": deep(200_000),
    "nested deep in a list": b"[" * 200_000,
    "nested deep in arguments": b'[{"name":"a","args":' + b'{"a":' * 200_000,
    "nested deep in a profile": b'{"kind":"decc-profile","version":1,"content":' + b'{"a":' * 200_000,
    "a name is a list": trace({"ph": "X", "cat": "cpu_op", "name": [[]], "ts": 1, "dur": 1}),
    "a thread is an object": trace({"ph": "X", "cat": "cpu_op", "name": "a", "ts": 1, "dur": 1, "tid": {}}),
    "NaN": b'{"traceEvents":[{"ph":"X","cat":"cpu_op","name":"aten::relu","ts":NaN,"dur":NaN}]}',
    "huge numbers": b'{"traceEvents":[{"ph":"X","cat":"cpu_op","name":"aten::relu","ts":1e308,"dur":1e308}]}',
    "an integer of many digits": b'[{"ph":"X","cat":"cpu_op","name":"aten::relu","ts":1,"dur":' + b"9" * 5000 + b"}]",
    "negative time": trace(event("aten::relu", 0, -5)),
    "duplicate keys": b'{"traceEvents":[],"traceEvents":[{"ph":"X","ph":"M","cat":"cpu_op","cat":"Node"}]}',
    "steps that overlap": trace(*[event("ProfilerStep#1e9", 0, 9, "user_annotation")] * 9, *one_pass(1)),
    "only unknown operators": trace(event("aten::<script>alert(1)</script>", 0, 5)),
    "runs without nodes": json.dumps([event("model_run", 0, 9, "Session"), event("x", 1, 1, "Node")]).encode(),
    "arguments are a list": trace({**event("aten::conv2d", 0, 5), "args": [1, [2]]}),
    "dims are words": trace(event("aten::conv2d", 0, 5, **{"Input Dims": "x"})),
    "quotes without an end": b'layer,median_s\n"conv,1\n',
    "a very long cell": b"layer,median_s\n" + b"c" * 1_000_000 + b",1\n",
    "a very long header": b"layer," * 100_000,
    "many lines": b"layer,median_s\n" + b"x\n" * 500_000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_end_in_one_short_sentence(chain, data):
    with pytest.raises(DeccError) as error:
        read_profile(data, "<img src=x>.json", chain)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


def test_a_bomb_is_not_unpacked_beyond_the_limit(chain):
    bomb = gzip.compress(b"[" + b" " * 50_000_000, 9)
    assert len(bomb) < 100_000
    with pytest.raises(UnreadableFile, match="more than 1 MB, the limit"):
        read_profile(bomb, "bomb.json.gz", chain, limit_bytes=1_000_000)
    with pytest.raises(UnreadableFile, match="the limit for a trace"):
        read_profile(b"[" + b"{}," * 6_000_000 + b"{}]", "many.json", chain)


def test_a_hundred_thousand_events_take_a_moment(chain):
    events = [one for k in range(12_500) for one in one_pass(1000 * k)]
    data = trace(*events)
    began = time.process_time()
    found = read_profile(data, "long.json", chain)
    assert time.process_time() - began < 10
    assert found.profile.provenance.settings["repeats"] == "12499"


def test_many_passes_over_a_large_network_are_cut_short():
    graph = make_graph({"x": [], **{f"n{k}": ["x" if k == 0 else f"n{k - 1}"] for k in range(20_000)}})
    graph = named_operators(graph, {"n0": "aten.relu.default"})
    steps = [event(f"ProfilerStep#{k}", 10 * k, 9, "user_annotation") for k in range(5_000)]
    events = [event(name, 10 * k + at, 1) for k in range(5_000) for at, name in ((1, "aten::relu"), (3, "aten::huge"))]
    began = time.process_time()
    with pytest.raises(UnmappedTimes):
        read_profile(trace(*steps, *events), "large.json", graph)
    assert time.process_time() - began < 20


def test_operators_nested_without_end_are_no_recursion():
    events = [Timed("aten::a", "cpu_op", (1, 1), k, 1e6 - 2 * k, NO_ARGS) for k in range(100_000)]
    assert [call.name for call in calls(events, frozenset())] == ["aten::a"]


def test_mutated_files_end_in_a_profile_or_an_error(chain):
    chosen = random.Random(6)
    own = DeviceProfile(
        "d", chain.name, chain.fingerprint, dict.fromkeys(("conv", "relu", "view", "fc"), 0.1), {}, 0.4,
        Provenance(ProvenanceKind.MEASURED, "made up"),
    )  # fmt: skip
    ort = json.dumps([*one_run(0, 9, True), *one_run(1000, 9, False)]).encode()
    seeds = [table(*FULL), trace(*one_pass(0), *one_pass(1000)), ort, store.to_json(own), HOSTILE["duplicate keys"]]
    words = [b"null", b"-1", b"1e999", b"[]", b"{}", b'""', b"NaN", b"true", b"\xff", b'"', b",", b"aten::relu"]
    for _ in range(1500):
        data = bytearray(chosen.choice(seeds))
        for _ in range(chosen.randint(1, 4)):
            at = chosen.randrange(len(data))
            data[at : at + chosen.randint(0, 9)] = chosen.choice([*words, bytes([chosen.randrange(256)])])
        with suppress(DeccError):
            read_profile(bytes(data), "mutated", chain).profile.require_graph(chain)


def test_operators_have_one_name_whoever_names_them():
    assert {operator_of_layer(name) for name in ("aten.conv2d.default", "onnx.Conv", "onnx.FusedConv+Relu")} == {"conv"}
    assert operator_of_event("aten::_softmax") == operator_of_layer("aten.softmax.int") == "softmax"
    assert operator_of_event("mine::relu") == "mine::relu"


# The way back, and the command line


def test_sequences_are_aligned_as_by_dynamic_programming():
    chosen = random.Random(1)
    for _ in range(300):
        layers = [chosen.choice("abc") for _ in range(chosen.randint(0, 9))]
        words = [chosen.choice("abcd") for _ in range(chosen.randint(0, 9))]
        found = aligned(layers, words)
        pairs = [(k, i) for k, i in enumerate(found) if i >= 0]
        assert all(words[k] == layers[i] for k, i in pairs)
        assert [i for _, i in pairs] == sorted({i for _, i in pairs})
        assert len(pairs) == common_length(layers, words) == longest(layers, words)


def longest(one: list[str], other: list[str]) -> int:
    if not one or not other:
        return 0
    if one[0] == other[0]:
        return 1 + longest(one[1:], other[1:])
    return max(longest(one[1:], other), longest(one, other[1:]))


def test_minor_words_do_not_draw_the_others_away():
    assert aligned("vvvca", "cvvv") == [-1, 0, 1, 2]
    assert aligned_first("vvvca", "cvvv", frozenset("v")) == [3, -1, -1, -1]


def test_the_period_of_repeats():
    assert [period(word) for word in ("", "a", "aaa", "abab", "ababa", "abcabc")] == [0, 1, 1, 2, 5, 3]


def test_the_command_line_imports_tells_notes_and_compares_without_importing(tmp_path, capsys):
    template, out = tmp_path / "times.csv", tmp_path / "profile.json"
    assert main(["profile", "alexnet", "--template", str(template)]) == 0
    template.write_bytes(template.read_bytes().replace(b",,", b",0.01,"))
    graph = tmp_path / "graph.json"
    store.save(library.load_graph("alexnet"), graph)
    assert main(["profile", str(graph), "--import", str(template), "--device", "board", "-o", str(out)]) == 0
    text = capsys.readouterr().out
    assert "alexnet on board: 230 ms" in text
    assert "- No layer has a 95th percentile" in text
    assert store.load(out, DeviceProfile).median_s == library.load_profile("alexnet", str(template)).median_s
    assert main(["compare", "alexnet", "--edge", str(template), "--json"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["profile", "alexnet", "--import", "nothing.csv"], "Cannot read nothing.csv"),
        (["profile", "alexnet", "--template", "times.txt"], "not 'times.txt'"),
        (["compare", "alexnet", "--edge", "nothing.json.gz"], "Cannot read nothing.json.gz"),
    ],
)
def test_mistakes_with_files_end_in_one_line(capsys, arguments, message):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
