"""The cut pieces as a zip file."""

from __future__ import annotations

import io
import time
import zipfile
from dataclasses import replace

import pytest
import torch

from app.jobs.split import MAX_BYTES, SplitJob, size_bytes, split_zip
from app.state import EXAMPLES, OPENING
from decc_core import library, store
from decc_core.errors import SplitFailed
from decc_core.models import zoo
from decc_core.models.ref import NetworkRef
from decc_core.plans.pieces import SplitManifest
from decc_core.plans.plan import Execution, staged_plan
from decc_core.problem.scenario import Scenario
from decc_core.study.compare import Comparison, compare

DEADLINE_S = 90
SMALL = Scenario(model="squeezenet1_1", uplink_mbps=100.0, cloud_speedup=10.0)


def compared(scenario: Scenario, strategies: tuple[str, ...] = ("edge-only", "dads-dsl", "jps", "decc")) -> Comparison:
    edge, cloud = (library.load_profile(scenario.model, name) for name in (scenario.edge, scenario.cloud))
    return compare(scenario.instance(library.load_graph(scenario.model), edge, cloud), strategies)


def cut_in_the_middle(scenario: Scenario):
    instance = compared(scenario, ("edge-only",)).instance
    half = frozenset(range(len(instance.graph.layers) // 2))
    plan = staged_plan(instance, Execution.CONSECUTIVE, [half])
    return instance, store.SavedPlan(instance.graph.name, instance.graph.fingerprint, plan, "by hand")


def wait(job: SplitJob) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not job.over and time.monotonic() < deadline:
        time.sleep(0.1)
    assert job.over


def test_the_zip_holds_programs_that_give_what_the_whole_gives(tmp_path):
    instance, saved = cut_in_the_middle(SMALL)
    heard = []
    data = split_zip(
        instance.graph,
        saved,
        NetworkRef(instance.graph.name),
        lambda done, total, what: heard.append((done, total, what)),
    )
    assert heard[0][2] == "starting"
    assert heard[-1] == (3, 3, "done")
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        file.extractall(tmp_path)
    folder = tmp_path / "pieces"
    names = {path.name for path in folder.iterdir()}
    assert names == {"README.txt", "cloud.pt2", "edge.pt2", "plan.json", "split.json"}
    assert store.load(folder / "plan.json", store.SavedPlan) == saved
    manifest = store.load(folder / "split.json", SplitManifest)
    built = zoo.build(SMALL.model)
    (name,) = (tensor.name for tensor in manifest.inputs)
    with torch.no_grad():
        whole = built.module(*built.example_inputs)
        sent = torch.export.load(folder / "edge.pt2").module()(**{name: built.example_inputs[0]})
        found = torch.export.load(folder / "cloud.pt2").module()(**sent)
    assert torch.equal(found[manifest.outputs[0].name], whole)


def test_pieces_that_would_fill_the_memory_are_refused_with_the_way_out():
    instance, saved = cut_in_the_middle(Scenario(model="vgg16"))
    cuts = [frozenset(range(i + 2)) for i in range(3)]
    many = staged_plan(replace(instance, requests=3), Execution.CONSECUTIVE, cuts)
    assert size_bytes(instance.graph, saved.plan) < MAX_BYTES < size_bytes(instance.graph, many)
    with pytest.raises(SplitFailed, match="run `decc split`"):
        split_zip(instance.graph, replace(saved, plan=many), NetworkRef(instance.graph.name))


def test_a_network_that_the_zoo_does_not_know_is_told_in_a_sentence():
    instance, saved = cut_in_the_middle(SMALL)
    job = SplitJob(replace(instance.graph, name="nosuchnet"), saved, NetworkRef("nosuchnet"))
    job.start()
    wait(job)
    assert job.data is None
    assert "no network 'nosuchnet'" in job.failure


def test_a_build_that_is_stopped_ends_at_once_and_keeps_nothing():
    instance, saved = cut_in_the_middle(SMALL)
    job = SplitJob(instance.graph, saved, NetworkRef(instance.graph.name))
    job.start()
    while job._kill is None and not job.over:
        time.sleep(0.01)
    job.stop()
    wait(job)
    assert (job.data, job.failure) == (None, None)


def test_examples_have_small_enough_pieces():
    for example in (OPENING, *EXAMPLES):
        found = compared(example.scenario)
        assert size_bytes(found.instance.graph, found.best.plan) < MAX_BYTES
