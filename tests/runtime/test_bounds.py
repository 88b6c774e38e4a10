"""Whatever a controller may choose has an upper end; asking for more is one sentence, and the worker stays well."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import pytest

from decc_core import store
from decc_core.errors import DeccError, InvalidInstance, InvalidProfile, WireError, WorkerFailed
from decc_core.models.device import MAX_THREADS, DeviceSettings
from decc_core.network.work import Resource
from decc_core.profiling.settings import MAX_REPEATS, ProfileSettings
from decc_core.runtime.controller.report import RunSettings
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.pacing import LinkShape
from decc_core.runtime.worker import driver
from tests.runtime.networks import LINK, fork, instance, split_plan

SETTINGS = RunSettings(LinkShape.of(LINK), dilation=1.0)
CORES = os.cpu_count() or 1
HANDLE = "0f" * 32


def test_threads_that_would_end_a_process_are_refused_when_they_are_named():
    with pytest.raises(InvalidProfile, match=f"100000 threads .*; choose 1 or more, up to {MAX_THREADS:,}"):
        DeviceSettings(threads=100_000)


@pytest.mark.skipif(4 * CORES >= MAX_THREADS, reason="this machine has cores for that")
def test_threads_are_bounded_by_the_cores_of_the_machine_that_runs_them(workers):
    many = DeviceSettings(threads=4 * CORES + 1)
    one = instance()
    with pytest.raises(WorkerFailed, match=f"too many for the {CORES} cores of this machine; choose 1 to {4 * CORES}"):
        workers.run(one, split_plan(one), replace(SETTINGS, device=many))
    with pytest.raises(WorkerFailed, match="too many for the"):
        workers.profile(Resource.EDGE, ProfileSettings("here", many, 1))
    assert workers.run(one, split_plan(one), SETTINGS).outputs_equal


class Careless(DeviceSettings):
    """Settings that nothing has checked, as somebody else's program may send them."""

    def __post_init__(self):
        pass


@pytest.mark.parametrize("threads", [0, -1, 100_000, 2**31, 2**40])
def test_a_worker_checks_again_what_it_is_sent(workers, threads):
    one = instance()
    edge = workers.clients[Resource.EDGE]
    order = m.PrepareRun("run", edge.network.handle, b"{}", Careless(threads=threads))
    with pytest.raises(DeccError, match="threads"):
        edge.prepare(order)
    assert workers.run(one, split_plan(one), SETTINGS).outputs_equal


@pytest.mark.parametrize(
    "wrong", [{"repeats": 10**12}, {"warmup": 10**9}, {"warmup": -1}, {"longest_s": math.nan}, {"device": "x" * 10**6}]
)
def test_measurements_are_bounded(wrong):
    with pytest.raises(InvalidProfile):
        ProfileSettings(**wrong)
    ProfileSettings(repeats=MAX_REPEATS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"deadline_s": math.inf}, {"deadline_s": math.nan}, {"deadline_s": -1.0}, {"deadline_s": 1e308},
        {"silence_s": 0.0}, {"seed": 1 << 70}, {"seed": -(1 << 70)}, {"dilation": math.inf}, {"dilation": 0.0},
    ],
)  # fmt: skip
def test_deadlines_dilation_and_seed_of_a_run_are_bounded(wrong):
    with pytest.raises(InvalidInstance, match="must lie between"):
        replace(SETTINGS, **wrong)


def pace(**changes):
    return m.Pace(**{"run": "run", "link": SETTINGS.link, "layers_ns": (1, 2), "deadline_s": 9.0, **changes})


def prepare(**changes):
    device = DeviceSettings(threads=1)
    return m.PrepareRun(**{"run": "run", "handle": HANDLE, "plan": b"", "device": device, **changes})


@pytest.mark.parametrize(
    "message",
    [
        *(pace(deadline_s=deadline_s) for deadline_s in (0.0, -1.0, 1e308, math.inf, math.nan)),
        pace(layers_ns=(-1,)), pace(layers_ns=(1 << 63,)), pace(crossing_ns=(-1,)), pace(run="x" * 1000), pace(run=""),
        prepare(cores=(-5,)), prepare(cores=(10**9,)), prepare(cores=(0,) * 2000),
        prepare(seed=-(1 << 63)), prepare(seed=(1 << 64) - 1), prepare(handle="f" * 63),
        prepare(peer=m.Peer("", ahead_ns=1 << 63)),
        m.RunRef("run", (-1,)), m.RunRef("run", (m.MAX_REQUESTS,)), m.RunRef("run", (0,) * 20_000),
        m.LoadModel("x" * 100_000), m.LoadModel(None, -5, 10), m.LoadModel(None, 1 << 60, 0),
        m.ProfileModel("guess", ProfileSettings("x")),
    ],
    ids=lambda message: repr(message)[:40],
)  # fmt: skip
def test_messages_beyond_all_bounds_are_refused(message):
    with pytest.raises(WireError, match="The controller sent a malformed message"):
        m.decode(m.encode(message), type(message), "controller")


@pytest.mark.parametrize(("limits", "name"), [(m, "MAX_REQUESTS"), (driver, "MAX_INPUT_BYTES")])
def test_a_plan_for_more_requests_than_a_worker_holds_is_refused(monkeypatch, limits, name):
    one = instance(requests=2)
    saved = store.to_json(store.SavedPlan("fork", one.graph.fingerprint, split_plan(one)))
    order = m.PrepareRun("run", HANDLE, saved, DeviceSettings(threads=1))
    assert driver.Driver(Resource.EDGE, order, fork()).inputs == {}
    monkeypatch.setattr(limits, name, 1)
    with pytest.raises(WireError, match=r"2 requests with .* more than a worker takes at once"):
        driver.Driver(Resource.EDGE, order, fork())


def test_times_for_other_layers_or_tensors_than_the_networks_are_refused():
    one = instance()
    saved = store.to_json(store.SavedPlan("fork", one.graph.fingerprint, split_plan(one)))
    order = m.PrepareRun("run", HANDLE, saved, DeviceSettings(threads=1))
    prepared, layers = driver.Driver(Resource.EDGE, order, fork()), len(one.graph.layers)
    with pytest.raises(WireError, match="2 layer times came for"):
        prepared.set_pace(pace())
    with pytest.raises(WireError, match="3 times came for"):
        prepared.set_pace(pace(layers_ns=(1,) * layers, crossing_ns=(1, 2, 3)))
