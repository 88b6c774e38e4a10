"""Files that an earlier version of the program wrote open, and mean what they meant; files/README.md says more."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pytest

from app.shell.address import parameters, scenario_of
from app.state import OPENING
from decc_core import library, store
from decc_core.cli import main
from decc_core.models import portable
from decc_core.network.graph import LayerGraph
from decc_core.plans.check import check_plan
from decc_core.plans.pieces import SplitManifest
from decc_core.plans.plan import Execution
from decc_core.plans.schedule import schedule, throughput_rps
from decc_core.plans.trace import chrome_trace
from decc_core.problem.constraints import Constraints, first_layers, readers_of_inputs
from decc_core.problem.instance import CostInstance, Objective, uplink_bytes
from decc_core.problem.link import Link
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import DEFAULT_CLOUD, DEFAULT_EDGE
from decc_core.problem.wire import Wire
from decc_core.profiling.imports import import_profile
from decc_core.store import SavedPlan

FILES = Path(__file__).parent / "files"
EXPECTED = json.loads((FILES / "expected.json").read_text(encoding="utf-8"))
OWN = ("torch", "onnx")
"""Networks whose graph and profiles are files, too; plans in other folders are of a shipped network."""


def network_of(file: str) -> tuple[LayerGraph, DeviceProfile, DeviceProfile]:
    """The graph, the edge's and the cloud's profile that a plan was made with."""
    folder = file.partition("/")[0]
    if folder not in OWN:
        devices = (DEFAULT_EDGE, DEFAULT_CLOUD)
        return library.load_graph(folder), *(library.load_profile(folder, device) for device in devices)
    edge, cloud = (store.load(FILES / folder / f"{name}.json", DeviceProfile) for name in ("imported", "scaled"))
    return store.load(FILES / folder / "graph.json", LayerGraph), edge, cloud


def instance_of(file: str) -> CostInstance:
    """The instance that a plan was made for, from the options of its command."""
    graph, edge, cloud = network_of(file)
    options = EXPECTED["plans"][file]["options"]
    kept, memory_mb, sent_kb = (options.get(name) for name in ("keep_on_edge", "edge_memory_mb", "uplink_kb"))
    limits = Constraints(
        frozenset()
        if kept is None
        else readers_of_inputs(graph)
        if kept == "inputs"
        else first_layers(graph, int(kept)),
        edge_memory_bytes=None if memory_mb is None else round(memory_mb * 1e6),
        uplink_bytes=None if sent_kb is None else round(sent_kb * 1e3),
    )
    links = {
        name: options[name] for name in ("uplink_mbps", "downlink_mbps", "rtt_ms", "overhead_ms") if name in options
    }
    return CostInstance.build(
        graph,
        edge.scaled(options.get("edge_slowdown", 1.0), "the command's factor"),
        cloud,
        Link.mbps(**links),
        options["requests"],
        Wire(options.get("wire", "fp32")),
        Objective(options.get("objective", "makespan")),
        limits,
    )


@pytest.mark.parametrize("file", EXPECTED["graphs"])
def test_a_saved_graph_is_the_same_graph(file):
    graph = store.load(FILES / file, LayerGraph)
    assert {
        "name": graph.name,
        "fingerprint": graph.fingerprint,
        "layers": len(graph.layers),
        "tensors": len(graph.tensors),
        "inputs": [graph.layers[i].name for i in graph.inputs],
        "flops": sum(layer.flops for layer in graph.layers),
        "parameter_bytes": sum(graph.parameter_bytes.values()),
    } == EXPECTED["graphs"][file]


@pytest.mark.parametrize("file", EXPECTED["profiles"])
def test_a_saved_profile_has_the_same_times(file):
    profile = store.load(FILES / file, DeviceProfile)
    assert {
        "device": profile.device,
        "kind": profile.provenance.kind.value,
        "source": profile.provenance.source,
        "layers": len(profile.median_s),
        "whole_s": profile.whole_s,
        "total_s": profile.total_s,
        "calibration": profile.calibration,
    } == EXPECTED["profiles"][file]
    profile.require_graph(store.load(FILES / file.partition("/")[0] / "graph.json", LayerGraph))


@pytest.mark.parametrize("folder", OWN)
def test_a_template_that_was_filled_in_gives_the_same_profile(folder):
    graph = store.load(FILES / folder / "graph.json", LayerGraph)
    imported = import_profile(graph, FILES / folder / "times.csv", "board").profile
    assert imported == store.load(FILES / folder / "imported.json", DeviceProfile)


@pytest.mark.parametrize("file", EXPECTED["plans"])
def test_a_saved_plan_is_timed_as_it_was(file):
    instance, recorded = instance_of(file), EXPECTED["plans"][file]
    saved = store.load(FILES / file, SavedPlan)
    assert saved.graph_fingerprint == instance.graph.fingerprint
    check_plan(instance, saved.plan)
    assert saved.plan.execution is Execution(recorded["execution"])
    assert schedule(instance, saved.plan).makespan_ns == recorded["makespan_ns"]
    assert throughput_rps(instance, saved.plan) == pytest.approx(recorded["throughput_rps"], rel=1e-12)
    assert sum(uplink_bytes(instance, cut) for cut in saved.plan.cuts) == recorded["uplink_bytes"]
    if file.partition("/")[0] in OWN:
        names = [layer.name for layer in instance.graph.layers]
        assert [[names[layer] for layer in sorted(cut)] for cut in saved.plan.cuts] == recorded["cuts"]
    else:
        assert list(map(len, saved.plan.cuts)) == recorded["cuts"]


@pytest.mark.parametrize("file", EXPECTED["manifests"])
def test_a_saved_split_names_the_same_pieces(file):
    manifest = store.load(FILES / file, SplitManifest)
    assert {
        "graph_name": manifest.graph_name,
        "strategy": manifest.strategy,
        "files": [piece.file for piece in manifest.pieces],
        "sent_bytes": [cut.sent_bytes for cut in manifest.cuts],
        "requests": [list(cut.requests) for cut in manifest.cuts],
        "outputs": [list(tensor.shape) for tensor in manifest.outputs],
    } == EXPECTED["manifests"][file]


@pytest.mark.parametrize("folder", OWN)
def test_a_portable_network_gives_bit_for_bit_the_same(folder):
    # All numbers in these networks are small whole ones: sums are exact on every machine, in whatever order.
    recorded = EXPECTED["portable"][folder]
    place = FILES / folder
    model = portable.from_data((place / "layers.json").read_bytes(), (place / "tensors").read_bytes())
    assert model.graph.fingerprint == EXPECTED["graphs"][f"{folder}/graph.json"]["fingerprint"]
    assert [np.asarray(tensor).tolist() for tensor in model.example_inputs] == recorded["inputs"]
    outputs = [np.asarray(tensor) for tensor in model.run(model.example_inputs)]
    assert [
        {"dtype": str(array.dtype), "shape": list(array.shape), "bytes": array.tobytes().hex()} for array in outputs
    ] == recorded["outputs"]


@pytest.mark.parametrize(("folder", "file"), [("torch", "torch/plan-jps-4.json"), ("onnx", "onnx/plan-decc-3.json")])
def test_a_trace_shows_the_plan_as_it_did(folder, file):
    instance = instance_of(file)
    graph = instance.graph
    recorded = json.loads((FILES / folder / "trace.json").read_text(encoding="utf-8"))
    timing = schedule(instance, store.load(FILES / file, SavedPlan).plan)
    written = chrome_trace(instance, timing, None, recorded["otherData"])
    planned, measured = ([event for event in recorded["traceEvents"] if event["pid"] == pid] for pid in (1, 2))
    # Layers were shown by the names that files still give them.
    titles = {layer.name: title for layer, title in zip(graph.layers, graph.titles, strict=True)}
    titles |= {graph.tensor_name(tensor): graph.tensor_title(tensor) for tensor in range(len(graph.tensors))}
    planned = [event | {"name": titles.get(event["name"], event["name"])} for event in planned]
    assert json.loads(json.dumps(written)) == {**recorded, "traceEvents": planned}
    assert len(measured) == len(planned)


def test_a_measured_link_is_taken_by_the_command_line(capsys):
    assert main(["plan", "alexnet", "--strategy", "edge-only", "--network", str(FILES / "link.json"), "--json"]) == 0
    scenario = json.loads(capsys.readouterr().out)["instance"]
    assert {key: scenario[key] for key in EXPECTED["link"]} == EXPECTED["link"]


@pytest.mark.parametrize("recorded", EXPECTED["addresses"], ids=lambda recorded: recorded["address"])
def test_an_address_sets_the_same_controls(recorded):
    scenario, refused = scenario_of(dict(parse_qsl(recorded["address"].removeprefix("?"))))
    assert len(refused) == recorded["refused"]
    if recorded["address"] == "?":
        # Nobody was given what it showed; it shows what the page opens with.
        assert (scenario, parameters(scenario)) == (OPENING.scenario, {})
        return
    assert {key: scenario.choices()[key] for key in recorded["controls"]} == recorded["controls"]
    # What opened the page then is named now, as its address would be bare.
    assert parameters(scenario) == (recorded["parameters"] or {"model": scenario.model})


def test_every_file_here_is_opened_by_a_test():
    opened = {FILES / file for kind in ("graphs", "profiles", "plans", "manifests") for file in EXPECTED[kind]}
    opened |= {
        FILES / folder / name for folder in OWN for name in ("times.csv", "trace.json", "layers.json", "tensors")
    }
    opened |= {FILES / "expected.json", FILES / "link.json", FILES / "README.md"}
    assert opened == {path for path in FILES.rglob("*") if path.is_file()}
