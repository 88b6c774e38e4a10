"""The public face for scripts and notebooks; `tests/test_examples.py` runs it from end to end."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch
from torch import nn
from torchvision import models

import decc_core.api as decc
from decc_core.errors import (
    DeccError,
    ExtractionFailed,
    InvalidInstance,
    NeedsArchitecture,
    NotPossible,
    RefusedFile,
    UnknownName,
    UnreadableFile,
    UnsupportedOperator,
)
from decc_core.network.work import Resource, Span, Work
from decc_core.pictures import LEFT, RIGHT, WIDTH, gantt, text_table
from decc_core.problem.link import Link
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from tests.builders import make_graph
from tests.runtime.onnx_networks import fork_proto

HOSTILE = "<script>alert('x')</script>"
TWO = make_graph({"x": [], "a": ["x"], "z": [], "b": ["z"], "y": ["a", "b"]}, name="two")
LINK = decc.Link(1000.0, 1000.0, rtt_s=0.0, overhead_s=0.0)
"""A tensor of the graph has one float: 32 ms."""


def profile_of(graph, seconds, device="board"):
    times = dict.fromkeys((layer.name for layer in graph.layers if not layer.is_input), seconds)
    made = Provenance(ProvenanceKind.SCALED, "made up for a test")
    return DeviceProfile(device, graph.name, graph.fingerprint, times, times, sum(times.values()), made)


EDGE, CLOUD = profile_of(TWO, 0.04), profile_of(TWO, 0.001, "server")


@pytest.fixture(scope="module")
def found():
    return decc.compare(TWO, EDGE, CLOUD, LINK, requests=2)


def test_importing_the_face_imports_neither_torch_nor_grpc():
    code = "import sys, decc_core.api; sys.exit(any(name in sys.modules for name in ('torch', 'grpc', 'streamlit')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    code = "import sys, decc_core; sys.exit(any(name.startswith('decc_core.') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_everything_that_the_face_names_is_there():
    assert all(hasattr(decc, name) for name in decc.__all__)
    assert list(decc.__all__) == sorted(decc.__all__)


def test_the_lines_in_the_docstring_do_what_they_say():
    tried = doctest.testmod(decc)
    assert tried.attempted >= 7
    assert tried.failed == 0


def test_a_link_in_megabits_and_milliseconds_is_the_link_in_si_units():
    assert Link.mbps(8, rtt_ms=20) == Link(8e6, 8e6, rtt_s=0.02)
    assert Link.mbps(8, 16, 5, 1) == Link(8e6, 16e6, rtt_s=0.005, overhead_s=0.001)


def test_findings_print_devices_table_bound_and_reason(found):
    said = str(found)
    assert said.startswith(
        "two: 2 requests, 0.001 Mbit/s up, round trip 0 s; edge board (120 ms), cloud server (3.00 ms)"
    )
    for outcome in found.outcomes:
        assert re.search(rf"^{outcome.strategy} +{outcome.execution.value}", said, re.MULTILINE)
    assert f"Best makespan: {found.best.strategy}." in said
    assert found.why in said
    assert "bound" in found.why or "proven" in found.why


def test_the_table_has_a_row_for_each_strategy_and_units_in_its_names(found):
    rows = found.table()
    assert [row["strategy"] for row in rows] == [outcome.strategy for outcome in found.outcomes]
    assert rows[0]["makespan_s"] == pytest.approx(0.24)
    assert rows[-1]["plan_s"] > 0


def test_what_sending_costs_the_devices_counts_where_it_is_given():
    work = {"edge_work": decc.TensorWork.ms(5, 0), "cloud_work": decc.TensorWork.ms(7, 0)}
    free, charged = (decc.compare(TWO, EDGE, CLOUD, LINK, **more).of("cloud-only") for more in ({}, work))
    # Two inputs, sent one after the other in 32 ms each, keep the link busy; before them the edge sends both, the cloud
    # receives both behind them, and sends one result, which the edge receives.
    assert charged.makespan_s == pytest.approx(free.makespan_s + 2 * 0.005 + 2 * 0.007 + 0.007 + 0.005)


def test_some_strategies_alone_are_compared_without_claims_about_the_others():
    found = decc.compare(TWO, EDGE, CLOUD, LINK, strategies=("edge-only", "jps"))
    assert found.why.startswith(f"Of the strategies asked for, {found.best.strategy} is the best")
    with pytest.raises(UnknownName, match=r"no outcome of 'decc' in this comparison; it has edge-only, jps\."):
        found["decc"]


def test_a_strategy_without_a_plan_is_listed_and_says_why():
    keep = decc.Constraints(in_cloud=frozenset({TWO.index["y"]}))
    found = decc.compare(TWO, EDGE, CLOUD, LINK, constraints=keep)
    assert "edge-only: not possible. " in str(found)
    with pytest.raises(NotPossible, match="no plan of 'edge-only'"):
        found["edge-only"]


@pytest.mark.parametrize(
    "wrong", [{"requests": 0}, {"objective": "joy"}, {"wire": "fp7"}, {"strategies": ("best",)}, {"edge": "other"}]
)
def test_every_wrong_argument_is_refused_in_one_sentence(wrong):
    if "edge" in wrong:
        wrong = {"edge": replace(EDGE, graph_fingerprint="0" * 64)}
    given = {"model": TWO, "edge": EDGE, "cloud": CLOUD, "link": LINK, **wrong}
    with pytest.raises(DeccError) as caught:
        decc.compare(**given)
    assert "\n" not in str(caught.value)


class Tags(HTMLParser):
    """All tags and all text of some HTML."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def test_a_notebook_shows_hostile_names_as_text():
    graph = make_graph({"x": [], HOSTILE: ["x"], "y": [HOSTILE]}, name=HOSTILE)
    edge, cloud = profile_of(graph, 0.5, HOSTILE), profile_of(graph, 0.001, HOSTILE)
    shown = Tags(decc.compare(graph, edge, cloud, LINK, requests=2)._repr_html_())
    assert "script" not in shown.tags
    assert shown.text.count(HOSTILE) >= 3
    assert {"table", "svg"} <= {*shown.tags}


def test_bars_of_the_chart_are_as_long_as_the_work():
    def work(resource, request, start, end):
        return Span(resource, Work(request, 0), start, end)

    spans = {
        Resource.EDGE: [work(Resource.EDGE, 0, 0, 40), work(Resource.EDGE, 0, 40, 60), work(Resource.EDGE, 1, 60, 80)],
        Resource.CLOUD: [work(Resource.CLOUD, 0, 60, 80), work(Resource.CLOUD, 0, 90, 100)],
    }
    bars = re.findall(r'<rect class="bar" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', gantt(spans, 100))
    per_ns = (WIDTH - LEFT - RIGHT) / 100
    found = [((float(x) - LEFT) / per_ns, float(width) / per_ns) for x, width in bars]
    # Layers of one request without a pause are one bar.
    assert found == [pytest.approx(bar, abs=0.01) for bar in ((0, 60), (60, 20), (60, 20), (90, 10))]


def test_columns_of_a_text_table_stand_under_each_other():
    assert text_table(("what", "ms"), [("a", "1"), ("longer", "200")]) == "what     ms\na         1\nlonger  200"


def test_what_is_saved_is_loaded_without_saying_what_it_is(found, tmp_path):
    for value in (TWO, EDGE, found.plan("jps")):
        decc.save(value, tmp_path / "new" / "file.json")
        assert decc.load(str(tmp_path / "new" / "file.json")) == value


def test_files_and_values_of_no_known_kind_are_refused(found, tmp_path):
    with pytest.raises(UnknownName, match="type Outcome has no file format; LayerGraph"):
        decc.save(found["decc"], tmp_path / "outcome.json")
    with pytest.raises(UnreadableFile, match="Cannot write"):
        decc.save(TWO, tmp_path)
    for text in ("{}", "nonsense", '{"kind": "decc-cake", "version": 1, "content": {}}'):
        (tmp_path / "file.json").write_text(text)
        with pytest.raises(UnreadableFile, match=r"^file\.json "):
            decc.load(tmp_path / "file.json")


def test_results_describe_themselves_in_one_short_line(found):
    assert repr(TWO) == "<graph of 'two': 5 layers, 2 inputs>"
    assert repr(EDGE) == "<profile of 'two' on board: 120 ms, 3 layers, scaled>"
    assert repr(found["edge-only"]) == (
        f"<edge-only, consecutive: makespan 240 ms, 8.33 requests/s, gap {found['edge-only'].gap:.2%}>"
    )
    assert repr(found["edge-only"].plan) == "<consecutive plan: 2 requests, 1 kind of cut>"


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2)))


def test_extraction_leaves_every_part_of_a_module_in_its_mode(module):
    module[2].eval()
    before = [part.training for part in module.modules()]
    model = decc.extract(module, torch.randn(1, 4))
    assert [part.training for part in module.modules()] == before == [True, True, True, False, False, False]
    (found,) = model.run(model.example_inputs)
    assert torch.equal(found, module.eval()(*model.example_inputs))


def test_a_graph_is_called_after_its_class_and_describes_itself(module):
    model = decc.extract(module, (torch.randn(1, 4),))
    assert model.graph.name == "Sequential"
    assert repr(model).startswith(f"<'Sequential': {len(model.graph)} layers, 1 input, 1 output, ")


def test_what_is_no_network_is_refused():
    with pytest.raises(ExtractionFailed, match=r"A function is no network; pass a torch\.nn\.Module"):
        decc.extract(lambda x: x, torch.randn(1))
    with pytest.raises(ExtractionFailed, match="example inputs that are tensors"):
        decc.extract(nn.Identity(), ())


def test_an_operator_that_no_worker_takes_can_be_measured_here(module, monkeypatch):
    model = decc.extract(module, torch.randn(1, 4))
    monkeypatch.setattr("decc_core.models.torch.data.is_taken", lambda name: False)
    with pytest.raises(UnsupportedOperator, match=r"is not supported\. Measure in this process instead"):
        decc.profile(model, repeats=1)
    assert decc.profile(model, repeats=1, in_worker=False).provenance.settings["threads"] == "1"


def test_a_run_refuses_another_network_or_plan_before_any_process_starts(found, module):
    model = decc.extract(module, torch.randn(1, 4))
    with pytest.raises(InvalidInstance, match="The model is of another network than the comparison"):
        decc.run(model, found)
    mine = decc.compare(model, profile_of(model.graph, 0.01), profile_of(model.graph, 0.001), LINK)
    with pytest.raises(InvalidInstance, match="The plan is of another network"):
        decc.run(model, mine, found.plan())
    with pytest.raises(UnknownName, match="There is no speed 'fast'; choose one of native, emulated"):
        decc.run(model, mine, speed="fast")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One network as a pt2 file, its ONNX sister with an open batch, and weights of a built-in network."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("files")
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    inputs = (torch.randn(1, 4),)
    torch.export.save(torch.export.export(module, inputs), folder / "net.pt2")
    (folder / "fork.onnx").write_bytes(fork_proto("batch").SerializeToString())
    weights = models.squeezenet1_1(weights=None).state_dict()
    torch.save(weights, folder / "weights.pt")
    return folder, module, inputs, weights


@pytest.fixture
def nothing_left(tmp_path, monkeypatch):
    """A folder for temporary files, which is empty in the end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert list(tmp_path.iterdir()) == []


def test_a_pt2_file_becomes_a_network_that_profile_compare_and_split_take(files, nothing_left, tmp_path_factory):
    folder, module, inputs, _ = files
    heard = []
    model = decc.load_model(str(folder / "net.pt2"), progress=lambda done, total, what: heard.append(what))
    assert torch.equal(model.run(inputs)[0], module(*inputs))
    assert repr(model) == "<'net': 4 layers, 1 input, 1 output, 0.00012 MB of parameters>"
    assert heard
    here = decc.profile(model, repeats=1, in_worker=False)
    found = decc.compare(model, here, here, LINK)
    manifest = decc.split(model, found.plan("edge-only"), tmp_path_factory.mktemp("pieces") / "net")
    assert [piece.file for piece in manifest.pieces] == ["edge.pt2"]


def test_an_onnx_file_becomes_a_network_that_a_live_run_takes_and_says_what_was_decided(files, nothing_left):
    with pytest.warns(UserWarning, match="Dimension 'batch' of input 'image' is open; set to 2"):
        model = decc.load_model(files[0] / "fork.onnx", batch=2)
    assert model.run(model.example_inputs)[0].shape == (2, 4)
    assert repr(model).startswith("<'fork': ")
    here = decc.profile(model, repeats=2)
    found = decc.compare(model, here.scaled(20, "20 times slower"), here, decc.Link.mbps(100, rtt_ms=1))
    report = decc.run(model, found, "cloud-only")
    assert report.failure is None
    assert report.outputs_equal
    assert report.verdict == "bit-identical"
    split = decc.Constraints(on_edge=frozenset(range(3)), in_cloud=frozenset({len(model.graph.layers) - 1}))
    coded = decc.compare(model, here, here, decc.Link.mbps(100), wire="int8", constraints=split)
    report = decc.run(model, coded)
    assert report.verdict == "within tolerance"
    assert report.sent_bytes < report.raw_bytes / 3


def test_weights_are_read_for_the_network_that_they_are_named_for(files, nothing_left):
    folder, _, _, weights = files
    model = decc.load_model(folder / "weights.pt", weights_for="squeezenet1_1")
    first = next(layer.name for layer in model.graph.layers if "conv" in layer.operator)
    assert torch.equal(model.calls[first].args[1], weights["features.0.weight"])
    with pytest.raises(NeedsArchitecture, match="holds weights without a network"):
        decc.load_model(folder / "weights.pt")


def test_a_file_that_is_no_network_is_refused_with_a_remedy_and_leaves_nothing(tmp_path_factory, nothing_left):
    folder = tmp_path_factory.mktemp("refused")
    torch.save(nn.Linear(2, 2), folder / "pickled.pt")
    with pytest.raises(RefusedFile, match="pickled PyTorch module, which is not taken") as caught:
        decc.load_model(folder / "pickled.pt")
    assert "torch.export.save" in caught.value.remedy
    with pytest.raises(UnreadableFile, match="No such file"):
        decc.load_model(folder / "none.pt2")
