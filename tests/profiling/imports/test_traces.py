"""Traces of PyTorch's profiler, made by hand and recorded."""

from __future__ import annotations

import gzip
import json
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from decc_core.errors import InvalidProfile, UnmappedTimes, UnreadableFile
from decc_core.models import zoo
from decc_core.network.graph import LayerGraph
from decc_core.profiling.imports import read_profile, template_json
from tests.builders import make_graph
from tests.profiling.imports.made import PASSES, event, launched, named_operators, one_pass, trace

NETWORKS = ("squeezenet1_1-float", "shufflenet_v2_x0_5-float", "mobilenet_v3_small-float")


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

    from decc_core.models import zoo
    from decc_core.models.torch.extract import extract

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


RECORDED = Path(__file__).parent / "recorded"
"""From an NVIDIA H100, PyTorch 2.11: networks of torchvision, batch 1, `export_chrome_trace`."""


def real_recording(name: str) -> bytes:
    return gzip.decompress((RECORDED / f"{name}.json.gz").read_bytes())


@pytest.mark.parametrize(
    ("name", "network"),
    [("resnet18-shapes", "resnet18-float"), ("shufflenet_v2_x1_0-shapes", "shufflenet_v2_x1_0-float")],
)
def test_a_recording_of_a_real_gpu_gives_every_kernel_to_a_layer(name, network):
    graph = zoo.extracted(network).graph
    found = read_profile(real_recording(name), f"{name}.json", graph)
    assert not found.problems
    kernels = [e for e in json.loads(real_recording(name))["traceEvents"] if e.get("cat") in ("kernel", "gpu_memset")]
    # Independent of the reader: three passes were recorded, and every kernel in them belongs to the network.
    assert found.profile.whole_s * 3 == pytest.approx(sum(e["dur"] for e in kernels) / 1e6, rel=0.02)
    assert "3 passes (kernels of a GPU)" in found.profile.provenance.source
    assert found.profile.provenance.machine["gpu"] == "NVIDIA H100 80GB HBM3"
    convolutions = sum(t for layer, t in found.profile.median_s.items() if layer.startswith("conv"))
    assert convolutions > 0.4 * found.profile.whole_s
    assert any("waited for the host to start kernels" in note for note in found.notes)


def test_a_recording_without_steps_says_the_same_as_one_with_steps():
    graph = zoo.extracted("resnet18-float").graph
    stepped, plain = (
        read_profile(real_recording(name), "run.json", graph).profile
        for name in ("resnet18-shapes", "resnet18-unstepped")
    )
    assert plain.whole_s == pytest.approx(stepped.whole_s, rel=0.02)
    for layer in graph.layers:
        if layer.flops > 1e7:
            assert plain.median_s[layer.name] == pytest.approx(stepped.median_s[layer.name], rel=0.1)


def test_a_real_recording_of_the_host_alone_is_refused_with_how_to_record_the_gpu():
    graph = zoo.extracted("resnet18-float").graph
    with pytest.raises(InvalidProfile, match=r"ProfilerActivity\.CUDA"):
        read_profile(real_recording("resnet18-cpuonly"), "run.json", graph)


NOT_FINITE = ("inf", "-inf", "nan", "-nan", "NaN", "nan(ind)", "Infinity", "-Infinity")


@pytest.mark.parametrize("word", NOT_FINITE)
def test_numbers_that_json_does_not_have_are_read_where_they_do_not_matter(chain, word):
    copied = event("Memcpy, inf, HtoD \\" + '": inf, ', 5, 0, "user_annotation", bandwidth="?")
    plain = trace(*one_pass(0), *one_pass(1000))
    data = trace(copied, {**copied, "dur": "?"}, *one_pass(0), *one_pass(1000)).replace(b'"?"}', word.encode() + b"}")
    data = data.replace(b'"dur": "?"', b'"dur": ' + word.encode())
    assert read_profile(data, "run.json", chain).profile == read_profile(plain, "run.json", chain).profile


@pytest.mark.parametrize("word", NOT_FINITE)
@pytest.mark.parametrize("field", ["ts", "dur"])
def test_an_event_that_counts_and_has_no_finite_time_is_refused_by_name(chain, word, field):
    data = trace(*one_pass(0), {**event("aten::tanh", 900, 1), field: "?"}).replace(b'"?"', word.encode())
    with pytest.raises(InvalidProfile, match=r"run.json has an event 'aten::tanh' that lasts"):
        read_profile(data, "run.json", chain)


def test_words_outside_of_numbers_are_no_numbers(chain):
    for text in (b'[{"ph": info}]', b'[{"ph": inf', b"[nano]", b'["inf]', b'{"traceEvents": [inf"]}'):
        with pytest.raises(UnreadableFile):
            read_profile(text, "run.json", chain)


def test_a_profile_of_our_own_with_nan_is_refused(chain):
    data = template_json(chain).replace(b"0.0", b"NaN", 1)
    with pytest.raises(UnreadableFile, match=r"t.json is not JSON"):
        read_profile(data, "t.json", chain)
