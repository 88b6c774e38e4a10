"""Plans of every execution on real workers: outputs bit for bit those of the unsplit model, sequences kept.

No time is asserted beyond what a plan forbids: nothing starts before it can. How close the times are to the
prediction is measured by `benchmarks/live.py`.
"""

from __future__ import annotations

import errno
import json
import threading
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from PIL import Image

from decc_core.errors import DeccError, InvalidInstance, WorkerFailed
from decc_core.models.device import ONE_THREAD
from decc_core.models.ref import NetworkRef
from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.network.work import Resource, Work
from decc_core.planner.strategies import STRATEGIES, solve
from decc_core.plans.plan import Execution
from decc_core.problem.instance import CostInstance
from decc_core.problem.link import Link
from decc_core.problem.scenario import DEFAULT_CLOUD, DEFAULT_EDGE
from decc_core.problem.wire import Wire
from decc_core.profiling.settings import ProfileSettings
from decc_core.runtime.controller import plan_run
from decc_core.runtime.controller.client import WorkerClient
from decc_core.runtime.controller.images import image_inputs
from decc_core.runtime.controller.live import local_workers
from decc_core.runtime.controller.outputs import References, Verdict
from decc_core.runtime.controller.plan_run import require_room
from decc_core.runtime.controller.report import RunSettings, Speed
from decc_core.runtime.controller.watch import Watch
from decc_core.runtime.wire import processes
from decc_core.runtime.wire.pacing import UNSHAPED, LinkShape, Rate
from decc_core.runtime.wire.processes import cores_apart
from decc_core.runtime.worker.ticking import MAX_CATCH_UP_NS
from tests.runtime.networks import LINK, fork, instance, split_plan

SETTINGS = RunSettings(LinkShape.of(LINK), dilation=1.0)
MOMENT_NS = 2_000_000


def check_trace(plan, report):
    """Every resource did the plan's work in its sequence, one piece at a time; every request has its result."""
    for resource, works in plan.sequences.items():
        spans = report.trace.spans[resource]
        assert tuple(span.work for span in spans) == works
        assert all(before.end_ns <= after.start_ns for before, after in pairwise(spans))
    sent = report.trace.spans[Resource.UPLINK]
    for span in report.trace.spans[Resource.CLOUD]:
        assert span.start_ns >= min(s.end_ns for s in sent if s.work.request == span.work.request)
    assert sorted(report.trace.result_ns) == list(range(len(plan.cuts)))


@pytest.mark.parametrize(("link", "ends"), [(SETTINGS.link, [30, 55]), (UNSHAPED, [40, 55])])
def test_a_tensor_is_through_when_the_other_side_has_it_however_late_its_sender_wakes_up(link, ends):
    sides = {side: SimpleNamespace(ahead_ns=0) for side in (Resource.EDGE, Resource.CLOUD)}
    plan = split_plan(instance(requests=2))
    watch = Watch("run", plan, replace(SETTINGS, link=link), sides, {}, References(), 1.0)
    watch.rows[Resource.UPLINK] = [(0, 3, 10, 30), (1, 3, 31, 60)]
    watch.arrivals[Resource.UPLINK] = {(0, 3): 40, (1, 3): 55}
    assert [span.end_ns for span in watch.trace(1.0).spans[Resource.UPLINK]] == ends


def test_two_threads_of_one_core_count_as_one_core(tmp_path, monkeypatch):
    for processor, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        folder = tmp_path / f"cpu{processor}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{siblings}\n")
    monkeypatch.setattr(processes, "PROCESSORS", tmp_path)
    monkeypatch.setattr(processes.os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    assert cores_apart() == [0, 1]
    monkeypatch.setattr(processes.os, "sched_getaffinity", lambda process: {1, 2, 3, 4}, raising=False)
    assert cores_apart() == [1, 2, 4], "a processor of which nothing is known counts"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_runs_as_planned_and_returns_the_models_outputs(workers, strategy):
    one = instance(requests=3)
    plan = solve(one, strategy).plan
    report = workers.run(one, plan, SETTINGS)
    assert report.failure is None
    assert report.outputs_equal
    assert report.max_abs_diff == 0
    check_trace(plan, report)


@pytest.mark.parametrize("execution", Execution)
def test_every_execution_keeps_what_it_promises(workers, execution):
    one = instance(requests=3)
    plan = split_plan(one, execution)
    report = workers.run(one, plan, SETTINGS)
    assert report.outputs_equal
    check_trace(plan, report)
    spans = report.trace.spans
    for request in range(3):
        ends = {r: max(s.end_ns for s in spans[r] if s.work.request == request) for r in Resource}
        starts = {r: min(s.start_ns for s in spans[r] if s.work.request == request) for r in Resource}
        assert starts[Resource.CLOUD] >= ends[Resource.EDGE]
        if execution is Execution.CONSECUTIVE and request:
            # The thread that computes may see a result a moment before the one that tells of it.
            assert starts[Resource.EDGE] >= report.trace.result_ns[request - 1] - MOMENT_NS


def test_emulated_layers_take_at_least_their_time_and_the_link_at_least_its_delay(workers):
    one = instance(requests=2)
    plan = split_plan(one)
    report = workers.run(one, plan, SETTINGS)
    assert report.trace.makespan_ns >= 0.98 * report.predicted.makespan_ns
    spans = report.trace.spans
    computed = {span.work: span.end_ns for span in spans[Resource.EDGE]}
    first = {}
    for span in spans[Resource.CLOUD]:
        first.setdefault(span.work.request, span)
    for work in (span.work for span in spans[Resource.UPLINK]):
        # From the end of the layer that made the tensor, to which the link's times belong; a sender that wakes up late
        # begins late and makes up for it.
        ready_ns = computed[Work(work.request, one.graph.tensors[work.item].producer)] - MAX_CATCH_UP_NS
        assert first[work.request].start_ns >= ready_ns + one.uplink_ns[work.item] + one.half_rtt_ns


def test_emulated_runs_wait_for_what_sending_and_receiving_takes(workers):
    one = instance(requests=2)
    tensors = len(one.graph.tensors)
    one = replace(one, send_ns=(20_000_000,) * tensors, receive_ns=(30_000_000,) * tensors)
    plan = split_plan(one)
    report = workers.run(one, plan, SETTINGS)
    assert report.outputs_equal
    check_trace(plan, report)
    measured, predicted = report.trace.spans, report.predicted.spans
    # One tensor crosses: the stem sends it, and the first layer behind it receives it.
    for resource, charged_ns in ((Resource.EDGE, 20_000_000), (Resource.CLOUD, 30_000_000)):
        longest = [max(spans[resource], key=lambda span: span.duration_ns) for spans in (predicted, measured)]
        assert longest[0].work.item == longest[1].work.item
        assert min(span.duration_ns for span in longest) >= charged_ns
    assert report.trace.makespan_ns >= 0.98 * report.predicted.makespan_ns


def test_what_tensors_cost_the_processors_is_measured_on_both_workers(workers):
    work = workers.tensor_work({Resource.EDGE: 1, Resource.CLOUD: 1})
    for one in work.values():
        assert 0 < one.per_tensor_s < 0.1
        assert 0 < one.per_byte_s < 1e-6
        assert one.source == "measured with the run"
    # Two threads have a core each, and nothing is left where there are no more than two.
    assert {one.spare_core for one in work.values()} == {len(cores_apart()) > 2}


def test_how_workers_on_one_machine_slow_each_other_is_measured_apart(workers):
    assert workers.on_one_machine
    slower = workers.slowed_together(dict.fromkeys((Resource.EDGE, Resource.CLOUD), ONE_THREAD))
    assert set(slower) == {Resource.EDGE, Resource.CLOUD}
    assert all(0.1 < ratio < 10 for ratio in slower.values())


def test_native_runs_are_as_fast_as_the_machine(workers):
    one = instance(requests=2, factor=50)
    report = workers.run(one, split_plan(one), replace(SETTINGS, speed=Speed.NATIVE))
    assert report.outputs_equal
    assert report.dilation == 1
    assert report.trace.makespan_ns < report.predicted.makespan_ns


def test_a_native_run_is_rehearsed_and_predicted_at_the_level_of_the_rehearsals(workers):
    one, heard = instance(requests=2, factor=50), []
    settings = replace(SETTINGS, speed=Speed.NATIVE)
    report = workers.run(one, split_plan(one), settings, lambda done, total, what: heard.append((what, done)))
    assert heard.index(("rehearsing", 0)) < heard.index(("running", 0))
    assert ("running", 2) in heard
    assert ("rehearsing", 2) not in heard
    assert all(0 < level < 0.5 for level in report.level.values())
    assert report.at_level.makespan_ns < report.predicted.makespan_ns / 2
    assert abs(report.error_at_level) < abs(report.error)


def test_a_rehearsal_that_is_stopped_is_the_whole_run(workers):
    one, stop = instance(requests=4, factor=50), threading.Event()

    def stop_it(done, total, what):
        if what == "rehearsing":
            stop.set()

    report = workers.run(one, split_plan(one), replace(SETTINGS, speed=Speed.NATIVE), stop_it, stop)
    assert "stopped" in report.failure


def test_a_device_that_is_too_fast_to_emulate_dilates_the_run_and_says_so(workers):
    one = instance(requests=32, factor=0.001)
    report = workers.run(one, split_plan(one), replace(SETTINGS, dilation=None))
    assert report.dilation > 2
    assert report.outputs_equal


def test_half_precision_on_the_wire_changes_outputs_a_little_and_the_report_says_how_much(workers):
    one = instance(wire=Wire("fp16"))
    report = workers.run(one, split_plan(one), SETTINGS)
    assert report.failure is None
    assert not report.outputs_equal
    assert 0 < report.max_abs_diff < 0.01
    assert report.verdict is Verdict.TOLERATED
    assert 2 * report.sent_bytes == report.raw_bytes


def test_an_unshaped_link_ends_its_spans_at_the_arrival(workers):
    one = instance(requests=2)
    plan = split_plan(one)
    report = workers.run(one, plan, replace(SETTINGS, link=UNSHAPED))
    assert report.outputs_equal
    check_trace(plan, report)


def test_a_bandwidth_trace_slows_the_run_down_and_jitter_leaves_outputs_alone(workers):
    one = instance(requests=2)
    plan = split_plan(one)
    slow = LinkShape(Rate((8e6, 0.2e6), (0.0, 0.02)), Rate((8e6,)), 0.004, 1e-4, jitter_s=0.005, seed=3)
    report = workers.run(one, plan, replace(SETTINGS, link=slow))
    assert report.outputs_equal
    assert report.trace.makespan_ns > 1.2 * report.predicted.makespan_ns


def test_an_outage_holds_tensors_back_and_loses_none_and_does_not_end_the_run(workers, monkeypatch):
    monkeypatch.setattr(plan_run, "DEADLINE_EXTRA_S", 0.5)
    one = instance(requests=2)
    plan = split_plan(one)
    link = LinkShape(Rate((0.0, 8e6), (0.0, 2.5)), Rate((8e6,)), 0.004, 1e-4)
    report = workers.run(one, plan, replace(SETTINGS, link=link, dilation=1.0))
    assert report.outputs_equal
    assert report.trace.makespan_ns > 2.5e9


def test_images_of_a_folder_are_inputs_one_a_request(workers, tmp_path):
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 30, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    one = instance(requests=3)
    inputs = image_inputs(one.graph, tmp_path, 3, seed=0)
    report = workers.run(one, split_plan(one), replace(SETTINGS, inputs=inputs))
    assert report.outputs_equal
    found = [report.outputs[request][one.graph.returned[0]].data for request in range(3)]
    assert found[0] == found[2] != found[1]


@pytest.mark.parametrize("content", ["none", "text"])
def test_folders_without_readable_images_are_refused(tmp_path, content):
    if content == "text":
        (tmp_path / "broken.png").write_text("no image")
    one = instance()
    with pytest.raises(DeccError, match=r"holds no image|is no readable image"):
        image_inputs(one.graph, tmp_path, 1, 0)


def test_outputs_are_compared_as_they_come_and_let_go_where_nobody_asks_for_them(workers):
    one = instance(requests=3)
    report = workers.run(one, split_plan(one), replace(SETTINGS, keep_outputs=False))
    assert report.outputs_equal
    assert report.unfinished == ()
    assert sorted(report.differences) == [0, 1, 2]
    assert report.outputs == {}


def test_progress_counts_the_requests(workers):
    one, told = instance(requests=3), []
    workers.run(one, split_plan(one), SETTINGS, lambda *call: told.append(call))
    assert told[-1] == (3, 3, "running")


def test_a_stopped_run_keeps_what_is_finished_and_leaves_the_workers_ready(workers):
    one, stop = instance(requests=8), threading.Event()
    plan = split_plan(one, Execution.CONSECUTIVE)

    def stop_after_two(done, total, what):
        if done == 2:
            stop.set()

    report = workers.run(one, plan, SETTINGS, stop_after_two, stop)
    assert "was stopped" in report.failure
    assert 2 <= len(report.outputs) < 8
    assert all(found.equal for found in report.differences.values())
    assert workers.run(one, plan, SETTINGS).outputs_equal


@pytest.mark.parametrize("dilation", [None, 1.0])
def test_no_plan_is_begun_once_a_series_of_runs_is_stopped(workers, dilation):
    one, stop, told = instance(requests=2), threading.Event(), []
    stop.set()
    settings = replace(SETTINGS, dilation=dilation)
    plans = {"first": split_plan(one), "second": split_plan(one)}
    assert list(workers.run_each(one, plans, settings, lambda strategy: told.append, stop)) == []
    assert told == []


def test_workers_profile_the_loaded_model_on_their_device(workers):
    calls = []
    found = workers.profile(
        Resource.EDGE, ProfileSettings("edge", ONE_THREAD, 3), progress=lambda *call: calls.append(call)
    )
    found.require_graph(fork().graph)
    assert found.device == "edge"
    assert calls[-1][:2] == (6, 6)


def test_clocks_are_compared_where_two_hosts_may_have_their_own(workers):
    for client in workers.clients.values():
        stranger = WorkerClient(client.role, client.address, client.security)
        stranger.connect(boot="")
        # Both processes read the same clock here, so that the estimate must be next to nothing.
        assert abs(stranger.ahead_ns) < 5_000_000
        stranger.close()


def test_a_plan_of_another_graph_is_refused_before_anything_runs(workers):
    from decc_core import library
    from decc_core.problem.instance import CostInstance

    graph = library.load_graph("alexnet")
    edge, cloud = (library.load_profile("alexnet", name) for name in (DEFAULT_EDGE, DEFAULT_CLOUD))
    one = CostInstance.build(graph, edge, cloud, Link(8e6, 8e6))
    with pytest.raises(WorkerFailed, match="another version of 'alexnet'"):
        workers.run(one, solve(one, "edge-only").plan, SETTINGS)


def test_two_controllers_on_one_machine_do_not_disturb_each_other(workers):
    one = instance(requests=4)
    plan = split_plan(one)
    with local_workers() as others:
        others.load(NetworkRef.of(fork()))
        found = []
        threads = [
            threading.Thread(target=lambda pair=pair: found.append(pair.run(one, plan, SETTINGS)))
            for pair in (workers, others)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert [report.outputs_equal for report in found] == [True, True]


def usage(processes):
    """Memory, file descriptors and threads of the given processes together."""
    return [
        sum(p.memory_info().rss for p in processes) / 1e6,
        sum(p.num_fds() for p in processes),
        sum(p.num_threads() for p in processes),
    ]


def run_often(workers, times):
    one = instance(requests=2, factor=0.1)
    plan = split_plan(one)
    processes = [psutil.Process(), *(psutil.Process(c.process.process.pid) for c in workers.clients.values())]
    settings = replace(SETTINGS, speed=Speed.NATIVE)
    for _ in range(5):
        workers.run(one, plan, settings)
    before = usage(processes)
    for _ in range(times):
        assert workers.run(one, plan, settings).outputs_equal
    return before, usage(processes)


def test_ten_runs_leak_no_memory_no_file_descriptors_and_no_threads(workers):
    before, after = run_often(workers, 10)
    assert after[0] - before[0] < 30
    assert after[1] - before[1] <= 6
    assert after[2] - before[2] <= 12


@pytest.mark.slow
def test_two_hundred_runs_leak_no_memory_no_file_descriptors_and_no_threads(workers):
    before, after = run_often(workers, 200)
    assert after[0] - before[0] < 30
    assert after[1] - before[1] <= 6
    assert after[2] - before[2] <= 12


def test_results_are_the_same_whatever_the_process_that_loaded_the_model(workers, tmp_path):
    """The report of a run can be written down: nothing in it is tied to the workers."""
    report = workers.run(instance(), split_plan(instance()), SETTINGS)
    values = {request: list(found) for request, found in report.outputs.items()}
    assert json.loads(json.dumps(values)) == {"0": list(instance().graph.returned)}


def test_want_of_files_while_a_plan_is_checked_is_told_in_a_sentence(workers, monkeypatch):
    def check_plan(instance, plan):
        raise OSError(errno.EMFILE, "Too many open files", "kernels.nbi")

    monkeypatch.setattr(plan_run, "check_plan", check_plan)
    with pytest.raises(WorkerFailed, match=r"does not give this process what a live run needs \(.*Too many open files"):
        workers.run(instance(), split_plan(instance()), SETTINGS)


def test_a_run_that_would_hold_too_much_is_refused_before_anything_is_prepared():
    layers = (
        Layer("x", INPUT, (), (TensorSpec((1,), "float32"),)),
        Layer("large", "op", (TensorRef("x"),), (TensorSpec((80 << 20,), "uint8"),)),
    )
    graph = LayerGraph("large", layers, (TensorRef("large"),))
    times = (0, 1)
    few = CostInstance(graph, times, times, (1, 1), (1, 1), (1, 1), requests=12)
    require_room(few)
    with pytest.raises(InvalidInstance, match=r"64 requests of 'large' hold .* run 12 at most"):
        require_room(replace(few, requests=64))
