"""Files: what is written is read back, and what is broken is refused in one sentence."""

from __future__ import annotations

import json
import random

import pytest

from decc_core import store
from decc_core.errors import DeccError, InvalidGraph, InvalidProfile, UnreadableFile
from decc_core.network.graph import LayerGraph
from decc_core.planner.strategies import solve
from decc_core.plans.plan import Execution, staged_plan
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


PLAN = staged_plan(random_instance(random.Random(1), GRAPH, 1), Execution.CONSECUTIVE, [frozenset({0, 1})])


def changed_plan(change) -> bytes:
    """A saved plan as JSON after a change to its content, or to the plan in it."""
    whole = json.loads(store.to_json(SavedPlan("g", GRAPH.fingerprint, PLAN)))
    change(whole["content"])
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["plan"].update(strategy="\x1b[31mred"),
        lambda c: c["plan"].update(strategy="a\nb"),
        lambda c: c["plan"].update(strategy="A" * (1 << 20)),
        lambda c: c.update(graph_name="\u202egpj"),
        lambda c: c.update(graph_fingerprint="0" * 9999),
        lambda c: c["plan"].update(cuts=[]),
        lambda c: c["plan"].update(cuts=c["plan"]["cuts"] * 1025),
        lambda c: c["plan"]["cuts"][0].append(-1),
        lambda c: c["plan"]["cuts"][0].append(2**63),
        lambda c: c["plan"]["cuts"][0].append(2**70),
        lambda c: c["plan"]["cuts"][0].append(0.5),
        lambda c: c["plan"]["sequences"]["edge"].append([0, 2**63]),
        lambda c: c["plan"]["sequences"]["cloud"].append([-(2**70), 0]),
        lambda c: c["plan"]["sequences"]["cloud"].append([0]),
        lambda c: c["plan"]["sequences"].pop("uplink"),
    ],
)
def test_a_plan_with_absurd_numbers_or_names_is_refused_in_a_short_line(change):
    with pytest.raises(DeccError) as caught:
        store.from_json(changed_plan(change), SavedPlan, "plan.json")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("read", [lambda path: store.load(path, LayerGraph), store.load_any])
def test_files_too_deep_or_too_large_are_refused(tmp_path, monkeypatch, read):
    path = tmp_path / "deep.json"
    path.write_text('{"kind": "decc-graph", "version": 1, "content": ' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(UnreadableFile, match="deep"):
        read(path)
    monkeypatch.setattr(store, "MAX_BYTES", 1000)
    with pytest.raises(UnreadableFile, match="the limit for such files"):
        read(path)
