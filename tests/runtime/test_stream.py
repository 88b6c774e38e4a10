"""Streams on real workers: what is measured beside the simulation, and how one ends that cannot go on."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from decc_core.errors import InvalidInstance, WireError, WorkerFailed
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource
from decc_core.planner.analysis import Analysis
from decc_core.plans.plan import Execution
from decc_core.problem.constraints import Constraints
from decc_core.problem.wire import Wire
from decc_core.runtime.controller import stream_run
from decc_core.runtime.controller.live import local_workers
from decc_core.runtime.controller.outputs import References, Verdict
from decc_core.runtime.controller.report import RunSettings, Speed
from decc_core.runtime.controller.stream_report import UNFINISHED
from decc_core.runtime.controller.stream_run import StreamRun, StreamWatch, menu_plan, run_streams, simulate_at
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import TensorChunk, TensorHead
from decc_core.runtime.wire.pacing import LinkShape
from decc_core.runtime.worker.queues import CloudPiece, CloudView, ReadyQueue
from decc_core.runtime.worker.tensors import TensorStore
from decc_core.streams.arrivals import Process, arrivals
from decc_core.streams.load import usual_deadline_ns
from decc_core.streams.policies import Site, Weights
from tests.runtime.networks import LINK, fork, instance
from tests.runtime.test_coded_live import measured_wire

SETTINGS = RunSettings(LinkShape.of(LINK), dilation=1.0, silence_s=3.0)
MS = 1_000_000


@pytest.fixture(scope="module")
def site():
    return Site(Analysis(instance()))


def served(workers, site, policies, stream, settings=SETTINGS, **more):
    return list(run_streams(workers, site, policies, stream, usual_deadline_ns(site), settings, **more))


def test_a_stream_is_served_by_several_policies_and_every_output_is_that_of_the_unsplit_model(workers, site):
    stream = arrivals(Process.POISSON, 0.5 * site.capacity_hz, 70, seed=1)
    policies = {"decc": site.dispatcher(Weights(1, 1)), "cloud-only": site.baseline("cloud-only"), "jps": site.jps}
    for report in served(workers, site, policies, stream):
        assert report.failure is None
        assert report.finished == report.verified == len(report.measured) == 70
        assert report.outputs_equal
        assert (report.finish_ns > stream.times_ns).all()
        assert (report.dispatched_ns >= stream.times_ns).all()
        assert report.measured.percentile_ns(90) is not None
        assert report.measured.percentile_ns(99) is None
        first, last = report.window
        assert set(report.trace.result_ns) == set(range(first, last + 1))
        seen = {span.work.request for spans in report.trace.spans.values() for span in spans}
        assert seen == set(range(first, last + 1))
        assert len(report.requests()) == 70
        assert report.row()["p90_simulated_s"] > 0
        if report.policy != "decc":
            # A pattern does not look at the queues.
            assert report.same_cut == 1.0


def test_a_fixed_cut_takes_as_long_as_its_stages_where_requests_do_not_meet(workers, site):
    policy = site.baseline("cloud-only")
    stream = arrivals(Process.CONSTANT, 8.0, 12)
    (report,) = served(workers, site, {"cloud-only": policy}, stream)
    alone_ns = int(policy.menu.alone_ns[0])
    assert (report.simulated.latency_ns == alone_ns).all()
    # It cannot be faster; how much slower says how busy this machine is.
    assert (report.measured.latency_ns >= alone_ns - MS).all()
    work = policy.menu.chains[0].loads
    assert report.planned_ns == {Resource.EDGE: 12 * work.edge_ns, Resource.CLOUD: 12 * work.cloud_ns}
    assert report.busy_ns[Resource.CLOUD] > 0.95 * report.planned_ns[Resource.CLOUD]


def test_latency_counts_from_the_scheduled_arrival_when_requests_queue(workers, site):
    policy = site.baseline("cloud-only")
    rate = 2.0 * site.sustains_hz(policy)
    (report,) = served(workers, site, {"cloud-only": policy}, arrivals(Process.CONSTANT, rate, 40))
    latency = report.measured.latency_ns
    # Each waits half a period longer than the one before it.
    assert latency[-1] - latency[0] >= 39 * (1e9 / rate) * 0.9


def test_overload_ends_by_itself_with_the_reason_and_keeps_what_was_measured(workers, site, monkeypatch):
    monkeypatch.setattr(stream_run, "MOST_OPEN", 20)
    policy = site.baseline("cloud-only")
    stream = arrivals(Process.CONSTANT, 2 * site.sustains_hz(policy), 500)
    (report,) = served(workers, site, {"cloud-only": policy}, stream)
    assert report.overloaded
    assert "20 requests were in the system" in report.failure
    assert "Choose a lower rate" in report.failure
    assert 0 < report.finished < 500
    assert report.finished == report.verified
    assert (report.taken == UNFINISHED).sum() == 500 - report.finished
    # The workers are as good as before.
    (after,) = served(workers, site, {"cloud-only": policy}, arrivals(Process.CONSTANT, 20.0, 4))
    assert after.failure is None
    assert after.outputs_equal


def test_a_stream_that_is_stopped_keeps_what_was_finished(workers, site):
    stop = threading.Event()

    def told(policy):
        return lambda done, total, what: stop.set() if what == "running" and done else None

    stream = arrivals(Process.CONSTANT, 20.0, 2_000)
    policies = {"cloud-only": site.baseline("cloud-only"), "jps": site.jps}
    (report,) = served(workers, site, policies, stream, progress=told, stop=stop)
    assert "stopped" in report.failure
    assert 0 < report.finished < 2_000


def test_requests_that_the_edge_has_no_memory_for_are_refused_and_counted(workers, site):
    free = site.instance
    menu = site.dispatcher(Weights(1, 1)).menu
    tight = None
    for limit in range(10_000, 400_000, 2_000):
        here = Site(Analysis(replace(free, constraints=Constraints(edge_memory_bytes=limit))))
        try:
            policy = here.baseline("edge-only")
        except Exception:
            continue
        if here.memory(policy.menu).room >= here.memory(policy.menu).holds.max():
            tight = here, policy
            break
    assert tight is not None
    assert len(menu)
    here, policy = tight
    stream = arrivals(Process.CONSTANT, 10 * here.sustains_hz(policy), 20)
    (report,) = served(workers, here, {"edge-only": policy}, stream)
    assert report.failure is None
    assert report.row()["refused"] > 0
    assert report.finished + report.row()["refused"] == 20


@pytest.mark.parametrize("side", [pytest.param(Resource.EDGE, marks=pytest.mark.slow), Resource.CLOUD])
def test_a_worker_that_dies_in_the_middle_is_named_and_results_are_kept(site, side):
    with local_workers() as pair:
        pair.load(NetworkRef.of(fork()))

        def told(policy):
            def hear(done, total, what):
                if what == "running" and done >= 5:
                    pair.clients[side].process.process.kill()

            return hear

        stream = arrivals(Process.CONSTANT, 20.0, 1_000)
        (report,) = served(pair, site, {"jps": site.jps}, stream, progress=told)
    assert f"The {side.value} worker at" in report.failure
    assert "was killed by signal 9" in report.failure
    assert 5 <= report.finished < 1_000
    assert report.finished == report.verified


def test_a_native_stream_is_rehearsed_to_know_the_level(workers, site):
    settings = replace(SETTINGS, speed=Speed.NATIVE, dilation=None)
    (report,) = served(workers, site, {"jps": site.jps}, arrivals(Process.CONSTANT, 20.0, 8), settings)
    assert report.failure is None
    assert report.dilation == 1.0
    assert set(report.level) == {Resource.EDGE, Resource.CLOUD}
    assert min(report.level.values()) > 0
    assert 0 <= report.handling_ns < 1000 * MS


def test_a_simulation_knows_how_slow_the_sides_are_and_what_a_request_takes_beside_its_work(site):
    """Requests that meet no other, so that each takes what its cut takes alone."""
    policy, stream = site.baseline("edge-only"), arrivals(Process.CONSTANT, 0.1 * site.capacity_hz, 5)
    alone_ns = int(policy.menu.rows.loads[0].sum())
    for slower, handling_ns in ((1.0, 0), (2.0, 0), (2.0, 7 * MS)):
        level = {Resource.EDGE: slower, Resource.CLOUD: 3.0}
        found = simulate_at(level, handling_ns, site, policy, stream, usual_deadline_ns(site))
        assert (found.latency_ns == slower * alone_ns + handling_ns).all()


def test_what_a_request_takes_beside_its_work_is_told_by_those_that_took_the_cut_of_the_simulation(site):
    policy, stream = site.dispatcher(Weights(1, 1)), arrivals(Process.CONSTANT, 0.3 * site.capacity_hz, 9)
    expected = site.serve(policy, stream, usual_deadline_ns(site))
    taken, finish_ns = expected.taken.copy(), expected.finish_ns + 3 * MS
    taken[:6] = (taken[:6] + 1) % len(policy.menu)
    finish_ns[:6] += 1000 * MS
    run = SimpleNamespace(site=site, policy=policy, deadline_ns=usual_deadline_ns(site))
    rehearsal = SimpleNamespace(work_level={}, arrivals=stream, taken=taken, finish_ns=finish_ns)
    assert len(policy.menu) > 1
    assert stream_run._handling_ns(run, rehearsal) == 3 * MS
    # None tells anything, or results came before they could: nothing is added.
    rehearsal.taken = (expected.taken + 1) % len(policy.menu)
    assert stream_run._handling_ns(run, rehearsal) == 0
    rehearsal.taken, rehearsal.finish_ns = expected.taken, expected.finish_ns - 3 * MS
    assert stream_run._handling_ns(run, rehearsal) == 0


def test_arrivals_are_the_same_for_the_same_seed(site):
    first, again = (arrivals(Process.POISSON, 10.0, 50, seed=3) for _ in range(2))
    assert (first.times_ns == again.times_ns).all()
    assert (first.times_ns != arrivals(Process.POISSON, 10.0, 50, seed=4).times_ns).any()


def test_the_plan_of_a_menu_has_a_request_for_each_cut(site):
    menu = site.dispatcher(Weights(1, 1)).menu
    plan = menu_plan(site.analysis, menu)
    assert plan.cuts[: len(menu)] == menu.cuts
    assert len(plan.cuts) >= stream_run.INPUTS
    assert plan.execution is Execution.BRANCH_PIPELINED
    assert menu_plan(site.analysis, site.jps.menu).execution is Execution.FRAME_PIPELINED


def test_what_a_live_stream_cannot_do_is_refused(workers, site):
    shared = Site(site.analysis, sources=2)
    with pytest.raises(InvalidInstance, match="one source"):
        StreamRun(workers, shared, site.jps, 1, SETTINGS, "jps")
    with pytest.raises(InvalidInstance, match="no fallback"):
        StreamRun(workers, site, site.jps, 1, replace(SETTINGS, fallback_edge=True), "jps")


# Coded tensors.


@pytest.mark.parametrize("name", ["decc", "jps"])
def test_a_coded_stream_gives_what_its_formats_give_without_a_link_whichever_cut_a_request_takes(workers, name):
    one = instance(wire=Wire("int8"))
    # Images stay on the edge, so that what crosses was computed there.
    first = frozenset(range(one.graph.index["conv2d"] + 1))
    # With a cloud that is slower than the edge no single cut is good while others wait.
    slow_cloud = tuple(3 * time_ns for time_ns in one.cloud_ns)
    coded = Site(Analysis(replace(one, cloud_ns=slow_cloud, constraints=Constraints(on_edge=first))))
    policy = coded.dispatcher(Weights(backlog=1.0)) if name == "decc" else coded.jps
    stream = arrivals(Process.POISSON, 0.8 * coded.capacity_hz, 60, seed=1)
    (report,) = served(workers, coded, {name: policy}, stream)
    assert report.failure is None
    assert report.finished == len(report.taken) == 60
    assert len(set(report.simulation.taken.tolist())) > 1, "several cuts are planned"
    assert len(set(report.taken.tolist())) > 1, "and taken"
    assert set(report.from_formats) == set(report.distances) == set(report.samples.tolist())
    assert all(distance.equal for distance in report.from_formats.values())
    assert not all(distance.equal for distance in report.distances.values())
    assert report.verdict is Verdict.TOLERATED
    assert report.outputs_text.startswith("within tolerance, at most by")
    assert "went up as int8 where raw tensors have" in str(report)
    assert report.row()["uplink_sent_bytes"] == report.sent_bytes < report.raw_bytes / 3
    assert report.same_top1 == 60


def test_encoding_and_decoding_take_their_planned_time_of_the_cores_that_compute(workers):
    coded = Site(Analysis(instance(wire=measured_wire("int8", 0.02, 0.03))))
    graph = coded.instance.graph
    stem = np.arange(len(graph.layers)) <= graph.index["conv2d"]
    policy, raw = (one.fixed("stem", stem) for one in (coded, Site(Analysis(instance()))))
    (report,) = served(workers, coded, {"fixed": policy}, arrivals(Process.CONSTANT, 4.0, 12))
    alone_ns = int(policy.menu.alone_ns[0])
    sent_less_ns = 1e9 * graph.tensors[graph.tensors_of[graph.index["conv2d"]][0]].spec.size_bytes / 2 * 8 / 8e6
    assert alone_ns == pytest.approx(int(raw.menu.alone_ns[0]) + 50 * MS - sent_less_ns, abs=MS)
    assert (report.simulated.latency_ns == alone_ns).all()
    # What came out is smaller than was measured of other inputs.
    (saved,) = (4096 - sent / 12 for _, sent in report.sizes.values())
    assert (report.measured.latency_ns >= alone_ns - 1e9 * saved * 8 / 8e6 - MS).all()
    for side in (Resource.EDGE, Resource.CLOUD):
        coding = report.trace.coding[side]
        assert len(coding) == 12
        assert all(a.end_ns <= b.start_ns or b.end_ns <= a.start_ns for a in coding for b in report.trace.spans[side])
        took_ns = 20 * MS if side is Resource.EDGE else 30 * MS
        # A thread that is woken late makes up for it: its span is shorter then.
        assert np.median([span.end_ns - span.start_ns for span in coding]) == pytest.approx(took_ns, abs=2 * MS)


def test_a_lossless_format_keeps_every_bit_of_a_stream(workers):
    coded = Site(Analysis(instance(wire=measured_wire("zstd"))))
    (report,) = served(workers, coded, {"jps": coded.jps}, arrivals(Process.CONSTANT, 10.0, 8))
    assert report.outputs_equal
    assert report.verdict is Verdict.IDENTICAL
    assert report.from_formats == {}


def test_outputs_that_no_format_explains_are_different(workers):
    coded = Site(Analysis(instance(wire=Wire("int8"))))
    (report,) = served(workers, coded, {"jps": coded.jps}, arrivals(Process.CONSTANT, 10.0, 8))
    far = {sample: replace(distance, equal=False, explained=False) for sample, distance in report.distances.items()}
    spoilt = replace(report, distances=far, from_formats=far)
    assert spoilt.verdict is Verdict.DIFFERENT
    assert "8 of 8 differ" in spoilt.outputs_text


def test_a_stream_that_codes_nothing_on_its_way_is_bit_identical_whatever_its_menu_could_send(workers):
    coded = Site(Analysis(instance(wire=Wire("int8"))))
    (report,) = served(workers, coded, {"none": coded.baseline("edge-only")}, arrivals(Process.CONSTANT, 10.0, 4))
    assert report.verdict is Verdict.IDENTICAL
    assert report.sent_bytes == 0


# What the edge tells is checked.


@pytest.fixture
def watch(site):
    plan = menu_plan(site.analysis, site.jps.menu)
    graph = site.instance.graph
    outputs = {tensor: graph.tensors[tensor].spec for tensor in graph.returned}

    class Client:
        ahead_ns = 0

    references = References()
    watch = StreamWatch(
        8, "run", plan, SETTINGS, {side: Client() for side in (Resource.EDGE, Resource.CLOUD)}, outputs, references, 1.0
    )
    (tensor,) = outputs
    for which in range(len(plan.cuts)):
        references.keep(which, {tensor: output_of(which)})
    yield watch
    references.close()


def output_of(which):
    from decc_core.runtime.controller.outputs import Output

    return Output(TensorHead("float32", (1, 4), (0, 1)), np.full((1, 4), which, np.float32).tobytes())


def tell(watch, sample, which, value):
    (tensor,) = fork().graph.returned
    ticket = (sample * watch.inputs + which) * watch.inputs
    data = np.full((1, 4), value, np.float32).tobytes()
    watch._take(Resource.EDGE, TensorChunk(ticket, tensor, 0, data, TensorHead("float32", (1, 4), (0, 1)), 0), print)
    watch._take(Resource.EDGE, m.Done(ticket, 0), print)


def test_a_wrong_output_is_found_whichever_request_it_is_of(watch):
    tell(watch, 0, 0, 0)
    tell(watch, 1, 1, 5)
    assert watch.differences[0].equal
    assert not watch.differences[1].equal
    assert watch.differences[1].max_abs == 4.0
    watch._take(Resource.EDGE, m.Results([(0, 0, 1, 2, 3, 0), (1, 0, 1, 2, 3, 1)]), lambda *told: None)
    assert watch.done == 2


def test_results_of_another_input_of_no_request_or_told_twice_are_refused(watch):
    tell(watch, 0, 0, 0)

    def results(*row):
        watch._take(Resource.EDGE, m.Results([row]), lambda *told: None)

    with pytest.raises(WireError, match="for another input"):
        results(1, 0, 1, 2, 3, 0)
    with pytest.raises(WireError, match="for another input or cut"):
        results(0, 1, 1, 2, 3, 0)
    with pytest.raises(WireError, match="does not wait for"):
        results(8, 0, 1, 2, 3, 0)
    with pytest.raises(WireError, match="not there"):
        results(2, 99, 1, 2, 3, 0)
    results(0, 0, 1, 2, 3, 0)
    with pytest.raises(WireError, match="does not wait for"):
        results(0, 0, 1, 2, 3, 0)


def test_outputs_of_a_cut_that_no_request_may_take_are_refused(watch):
    watch.through_formats = References()
    with pytest.raises(WireError, match="which no request may take"):
        tell(watch, 0, 0, 0)
    watch.through_formats.close()


# The pieces of a worker.


def test_what_is_ready_first_is_taken_first_whoever_came_first():
    queue = ReadyQueue(TensorStore(()))
    queue.put(20, (1, 0), "second")
    queue.put(10, (2, 0), "first")
    queue.put(20, (1, 1), "third")
    queue.close()
    assert [queue.take().what for _ in range(3)] == ["first", "second", "third"]
    assert queue.take() is None


def test_a_failure_of_the_run_ends_all_waiting():
    store = TensorStore(())
    queue = ReadyQueue(store)
    store.fail(WorkerFailed("lost"))
    with pytest.raises(WorkerFailed, match="lost"):
        queue.take()


def test_the_edge_knows_of_the_cloud_what_it_sent_and_what_came_back():
    view = CloudView()
    view.sent(CloudPiece(0, 100, 50, 10))
    view.sent(CloudPiece(1, 110, 50, 10))
    assert view.seen(90) == ({}, 90)
    assert view.seen(120) == ({}, 100)
    # The first is done at 150, the second begins then.
    assert view.seen(160) == ({0: 1}, 150)
    # It came back late, so that it was done at 180 only.
    view.finished(0, 190)
    assert view.seen(200) == ({}, 180)
    assert view.seen(240) == ({1: 1}, 240)
