"""Files: what is written is read back, and what is broken is refused in one sentence."""

from __future__ import annotations

import json
import random

import pytest

from decc_core import store
from decc_core.errors import DeccError, InvalidGraph, InvalidProfile, UnreadableFile
from decc_core.network.graph import LayerGraph
from decc_core.planner.strategies import solve
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.store import SavedPlan
from tests.builders import make_graph, random_graph, random_instance

GRAPH = make_graph({"x": [], "a": ["x"], "y": ["a"]})
PROFILE = DeviceProfile(
    "board", "g", GRAPH.fingerprint, {"a": 0.5, "y": 0.25}, {"a": 0.6, "y": 0.3}, 0.75,
    Provenance(ProvenanceKind.MEASURED, "made up", {"cores": "2"}),
)  # fmt: skip


def test_graphs_profiles_and_plans_come_back_equal(tmp_path):
    rng = random.Random(1)
    instance = random_instance(rng, random_graph(rng, 12), 2)
    plan = SavedPlan("random12", instance.graph.fingerprint, solve(instance, "decc").plan)
    for value in (GRAPH, PROFILE, plan):
        path = tmp_path / "deep" / "file.json"
        store.save(value, path)
        assert store.load(path, type(value)) == value


@pytest.mark.parametrize(
    ("broken", "error", "message"),
    [
        (lambda b: b[: len(b) // 2], UnreadableFile, "is not JSON"),
        (lambda b: b"", UnreadableFile, "is not JSON"),
        (lambda b: b"\xff\xfe\x00", UnreadableFile, "is not JSON"),
        (lambda b: b"[1, 2]", UnreadableFile, "not a valid"),
        (lambda b: b.replace(b"decc-profile", b"decc-graph"), UnreadableFile, "holds a 'decc-graph'"),
        (lambda b: b.replace(b'"version": 1', b'"version": 9'), UnreadableFile, "has version 9"),
        (lambda b: b.replace(b'"a": 0.5', b'"a": "fast"'), UnreadableFile, "not a valid"),
        (lambda b: b.replace(b'"a": 0.5', b'"a": NaN'), UnreadableFile, "is not"),
        (lambda b: b.replace(b'"a": 0.5', b'"a": 1e999'), UnreadableFile, "is not"),
        (lambda b: b.replace(b'"a": 0.5', b'"a": -1.0'), InvalidProfile, "Layer 'a' has a median time of -1.0"),
    ],
)
def test_broken_profiles_are_refused_in_one_sentence(broken, error, message):
    with pytest.raises(error, match=message) as caught:
        store.from_json(broken(store.to_json(PROFILE)), DeviceProfile, "profile.json")
    assert "\n" not in str(caught.value)


def test_a_broken_graph_says_what_is_wrong_with_it():
    data = store.to_json(GRAPH).replace(b'"layer": "a"', b'"layer": "zzz"')
    with pytest.raises(InvalidGraph, match="'zzz', which is missing"):
        store.from_json(data, LayerGraph, "graph.json")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DeccError, match="Cannot read"):
        store.load(tmp_path / "none.json", LayerGraph)


@pytest.mark.parametrize("broken", [b"[" * 100_000, b'{"kind":"decc-profile","version":1,"content":' + b"[" * 100_000])
def test_brackets_without_end_are_refused_and_do_not_exhaust_the_stack(broken, tmp_path):
    with pytest.raises(UnreadableFile):
        store.from_json(broken, DeviceProfile, "deep.json")
    (tmp_path / "deep.json").write_bytes(broken)
    with pytest.raises(UnreadableFile):
        store.load_any(tmp_path / "deep.json")


def test_a_sentence_stays_on_one_line_whatever_a_file_calls_things():
    data = store.to_json(GRAPH).replace(b'"layer": "a"', b'"layer": "\\u001b[2J\\n' + b"x" * 100_000 + b'"')
    with pytest.raises(InvalidGraph) as caught:
        store.from_json(data, LayerGraph, "graph.json")
    assert str(caught.value).isprintable()
    assert "?[2J x" in str(caught.value)
    assert len(str(caught.value)) <= 2000


def test_a_saved_plan_bears_its_strategys_name_where_files_have_always_had_it():
    rng = random.Random(2)
    instance = random_instance(rng, random_graph(rng, 6), 1)
    saved = SavedPlan("six", instance.graph.fingerprint, solve(instance, "jps").plan, "jps")
    content = json.loads(store.to_json(saved))["content"]
    assert list(content) == ["graph_name", "graph_fingerprint", "plan"]
    assert list(content["plan"]) == ["strategy", "execution", "cuts", "sequences"]
    assert content["plan"]["strategy"] == "jps"
    assert content["plan"]["sequences"]["edge"][0] == [0, 0]
    assert store.from_json(store.to_json(saved), SavedPlan, "plan.json") == saved
