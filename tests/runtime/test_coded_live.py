"""Coded tensors on real workers: what the link adds is nothing, and the verdict says what formats lose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from msgspec import structs
from PIL import Image

from decc_core import store
from decc_core.errors import WorkerFailed
from decc_core.formats import IMAGES, NAMES, find
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource
from decc_core.plans.plan import Execution, staged_plan
from decc_core.plans.trace import coding_totals
from decc_core.problem.instance import crossing_tensors
from decc_core.problem.wire import TensorCoding, Wire, WireProfile, tensor_name
from decc_core.runtime.controller.images import image_inputs
from decc_core.runtime.controller.live import local_workers
from decc_core.runtime.controller.outputs import Verdict
from decc_core.runtime.controller.plan_run import PlanRun
from decc_core.runtime.controller.report import Speed
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.pacing import UNSHAPED
from decc_core.runtime.wire.torch_tensors import there_and_back
from decc_core.runtime.worker.ticking import MAX_CATCH_UP_NS
from tests.runtime.networks import Fork, fork, instance, profile, split_plan
from tests.runtime.test_live import SETTINGS, check_trace

SIDES = (Resource.EDGE, Resource.CLOUD)
MS = 1_000_000


def measured_wire(name: str, encode_s: float = 0.0, decode_s: float = 0.0, **more: object) -> Wire:
    """A wire for formats whose sizes depend on the values: half of the raw bytes each."""
    graph = fork().graph
    codings = {
        tensor_name(graph, i): TensorCoding(tensor.spec.size_bytes // 2, tensor.spec.size_bytes, encode_s, decode_s)
        for i, tensor in enumerate(graph.tensors)
        if find(name).takes(tensor.spec)
    }
    found = WireProfile(
        graph.name, graph.fingerprint, "test", profile(fork(), "edge").provenance, 8, True, {name: codings}
    )
    return Wire(name, profile=found, **more)


def by_hand(name: str, inputs: torch.Tensor, cut_at: str) -> torch.Tensor:
    """The network's scores when what crosses after a layer is coded, without any of the run's code."""
    model = fork()
    kept = model.tensors((inputs,), set(range(len(model.graph.tensors))))
    crossing = crossing_tensors(model.graph, frozenset(range(model.graph.index[cut_at] + 1)))
    stem = there_and_back(kept[crossing[0]], find(name))
    torch.manual_seed(0)
    net = Fork().eval()
    return net.head(torch.cat([net.left(stem), net.right(stem)], 1).mean((2, 3)))


@pytest.mark.parametrize("execution", Execution)
def test_a_lossy_run_is_within_tolerance_and_gives_what_its_formats_give_without_a_link(workers, execution):
    one = instance(requests=3, wire=Wire("int8"))
    plan = split_plan(one, execution)
    report = workers.run(one, plan, SETTINGS)
    assert report.failure is None
    check_trace(plan, report)
    assert report.verdict is Verdict.TOLERATED
    assert not report.outputs_equal
    assert all(distance.equal for distance in report.from_formats.values())
    assert set(report.formats.values()) == {"int8"}
    assert 3.5 < report.raw_bytes / report.sent_bytes < 4
    assert report.same_top1 == 3
    assert "within tolerance, max diff" in str(report)
    assert "went up as int8" in str(report)


def test_outputs_are_those_of_the_network_with_the_coded_tensor_put_in_by_hand(workers):
    one = instance(wire=Wire("int4"))
    report = workers.run(one, split_plan(one), SETTINGS)
    wanted = by_hand("int4", fork().random_inputs(SETTINGS.seed)[0], "conv2d")
    given = report.outputs[0][one.graph.returned[0]].array()
    assert np.allclose(given, wanted.detach().numpy(), atol=1e-6)
    assert report.max_abs_diff > 1e-4


def test_a_lossless_format_keeps_every_bit(workers):
    names = [name for name in NAMES if find(name).lossless and name != "raw"]
    if not names:
        pytest.skip("there is none")
    one = instance(requests=2, wire=measured_wire(names[0]))
    report = workers.run(one, split_plan(one), SETTINGS)
    assert report.formats
    assert report.verdict is Verdict.IDENTICAL
    assert report.from_formats == {}
    assert report.outputs_text == "bit-identical"


def test_a_plan_that_sends_nothing_is_bit_identical_whatever_the_wire(workers):
    one = instance(wire=Wire("int8"))
    report = workers.run(one, staged_plan(one, Execution.CONSECUTIVE, [one.all_edge]), SETTINGS)
    assert report.verdict is Verdict.IDENTICAL
    assert report.formats == {}


def test_encoding_and_decoding_are_spans_of_their_own_and_wait_for_their_planned_time(workers):
    one = instance(requests=2, wire=measured_wire("int8", 0.02, 0.03))
    plan = split_plan(one)
    report = workers.run(one, plan, SETTINGS)
    check_trace(plan, report)
    crossing = set(plan.sequences[Resource.UPLINK])
    for side in SIDES:
        spans = report.trace.coding[side]
        assert {span.work for span in spans} == crossing
        layers = report.trace.spans[side]
        assert all(a.end_ns <= b.start_ns or b.end_ns <= a.start_ns for a in spans for b in layers), "one at a time"
    sent = {span.work: span for span in report.trace.spans[Resource.UPLINK]}
    first = {}
    for span in report.trace.spans[Resource.CLOUD]:
        first.setdefault(span.work.request, span.start_ns)
    # Who wakes up late makes up for it: counted is from when the work before was due.
    edge_ns = sum(one.edge_ns[layer] for layer in plan.cuts[0])
    for count, span in enumerate(report.trace.coding[Resource.EDGE], 1):
        assert sent[span.work].start_ns >= count * (edge_ns + 20 * MS) - MAX_CATCH_UP_NS
    for span in report.trace.coding[Resource.CLOUD]:
        assert span.start_ns >= sent[span.work].end_ns
        assert first[span.work.request] >= sent[span.work].end_ns + 30 * MS - MAX_CATCH_UP_NS
        assert span.end_ns <= first[span.work.request]
    assert [total.predicted_ns for total in coding_totals(one, report.trace, report.predicted)] == [40 * MS, 60 * MS]


def test_where_the_plan_has_another_core_code_the_layers_do_not_wait_for_it(workers):
    one = replace(instance(requests=2, wire=Wire("int8")), encode_ns=(), decode_ns=())
    plan = split_plan(one)
    report = workers.run(one, plan, SETTINGS)
    check_trace(plan, report)
    assert report.verdict is Verdict.TOLERATED
    assert report.trace.beside == set(SIDES)
    assert all(len(report.trace.coding[side]) == 2 for side in SIDES)


def test_native_runs_and_real_links_carry_coded_tensors(workers):
    one = instance(requests=2, wire=Wire("int6"))
    report = workers.run(one, split_plan(one), replace(SETTINGS, speed=Speed.NATIVE, link=UNSHAPED, dilation=None))
    assert report.failure is None
    assert report.verdict is Verdict.TOLERATED


def test_images_travel_as_jpeg(workers, tmp_path):
    if not IMAGES:
        pytest.skip("there is no such format")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    wire = replace(measured_wire(IMAGES[0]), format="raw", input_format=IMAGES[0])
    one = instance(requests=2, wire=wire)
    inputs = image_inputs(one.graph, tmp_path, 2, seed=0)
    plan = staged_plan(one, Execution.BRANCH_PIPELINED, [one.all_cloud] * 2)
    report = workers.run(one, plan, replace(SETTINGS, inputs=inputs))
    assert report.failure is None
    assert set(report.formats.values()) == {IMAGES[0]}
    assert report.verdict is Verdict.TOLERATED
    assert all(distance.equal for distance in report.from_formats.values())


def test_requests_that_fall_back_to_the_edge_are_what_the_unsplit_model_returns():
    with local_workers() as pair:
        pair.load(NetworkRef.of(fork()))
        one = instance(requests=4, wire=Wire("int4"))
        plan = split_plan(one, Execution.CONSECUTIVE)

        def kill_after_one(done, total, what):
            if what == "running" and done == 1:
                pair.clients[Resource.CLOUD].process.stop(False)

        report = pair.run(one, plan, replace(SETTINGS, fallback_edge=True), kill_after_one)
        assert report.fallen_back
        assert all(report.differences[request].equal for request in report.fallen_back)
        assert report.verdict is Verdict.TOLERATED


def test_what_formats_do_not_explain_is_different(workers):
    one = instance(wire=Wire("int8"))
    report = workers.run(one, split_plan(one), SETTINGS)
    far = replace(report.from_formats[0], equal=False, explained=False, max_abs=9.0)
    spoilt = replace(
        report, from_formats={0: far}, differences={0: replace(report.differences[0], explained=False, max_abs=9.0)}
    )
    assert spoilt.verdict is Verdict.DIFFERENT
    assert spoilt.outputs_text.startswith("different, max diff 9.0e+00")


@pytest.mark.parametrize(
    ("formats", "sentence"),
    [({0: "int5"}, "no wire format 'int5'"), ({10_000: "int8"}, "A format came for tensor 10000")],
)
def test_a_worker_refuses_formats_that_it_does_not_know_and_tensors_that_are_not_there(workers, formats, sentence):
    one = instance()
    saved = store.to_json(store.SavedPlan(one.graph.name, one.graph.fingerprint, split_plan(one), "plan"))
    edge = workers.clients[Resource.EDGE]
    order = m.PrepareRun("run", edge.network.handle, saved, SETTINGS.device, formats)
    with pytest.raises(WorkerFailed, match=sentence):
        edge.prepare(order)
    edge.close_run("run")


def test_a_worker_of_an_older_version_is_refused_with_what_to_do(workers, monkeypatch):
    edge = workers.clients[Resource.EDGE]
    monkeypatch.setattr(m, "PROTOCOL", m.PROTOCOL + 1)
    with pytest.raises(WorkerFailed, match="install the same version of DECC on both hosts"):
        edge.connect("")
    old = m.encode(m.Description(Resource.EDGE, "0.1", {}, 2, "boot", 1))
    assert m.decode(old, m.Description, "edge worker").protocol == 1


def test_a_tensor_in_a_format_that_was_not_agreed_ends_the_run_in_one_sentence(workers, monkeypatch):
    ordered = PlanRun._order

    def order_of(self, client, saved):
        order = ordered(self, client, saved)
        coded = dict.fromkeys(order.formats, "int4")
        return structs.replace(order, formats=coded) if client.role is Resource.CLOUD else order

    one = instance(wire=Wire("int8"))
    with monkeypatch.context() as patch:
        patch.setattr(PlanRun, "_order", order_of)
        report = workers.run(one, split_plan(one), SETTINGS)
    assert "comes in the format 'int8', where int4 was agreed" in report.failure
    assert report.verdict is None
    assert workers.run(one, split_plan(one), SETTINGS).verdict is Verdict.TOLERATED
