"""Decisions while a stream runs: those of the simulation, from what is in flight."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from decc_core.errors import InvalidInstance, NotPossible
from decc_core.planner.analysis import Analysis
from decc_core.streams.arrivals import Process, arrivals
from decc_core.streams.online import InFlight, Online
from decc_core.streams.policies import BLIND, FORESEEING, Policy, Site, Weights
from tests.builders import make_graph, make_instance
from tests.streams.slow_reference import Log, finish_times
from tests.streams.test_load import MS, remembering, site

DEADLINE = 60 * MS


def states(here: Site, policy: Policy, requests: int):
    """Of a simulated stream: what is in flight when each request arrives, since when resources are busy, its cut."""
    stream = arrivals(Process.POISSON, 0.8 * here.capacity_hz, requests, here.sources, seed=2)
    served = here.serve(policy, stream, DEADLINE)
    times, source, taken = stream.times_ns.tolist(), stream.source.tolist(), served.taken.tolist()
    jobs = [policy.menu.chains[place].jobs.tolist() for place in taken]
    log: Log = {}
    finish = finish_times(times, source, jobs, here.instance.half_rtt_ns, here.servers, log)
    assert finish == served.finish_ns.tolist()
    for now, number in zip(times, range(requests), strict=True):
        there = [other for other in range(number) if finish[other] > now]
        in_flight = []
        for other in there:
            rows = list(enumerate(jobs[other]))
            undone = [row for row, (edge, *_) in rows if edge > 0 and log["edge", other, row][1] > now]

            ends = {key: end for key, (_, end) in log.items() if key[1] == other}
            done = {
                kind: sum(job[column] >= 0 and ends.get((kind, other, row), now + 1) <= now for row, job in rows)
                for kind, column in (("uplink", 1), ("cloud", 1), ("downlink", 3))
            }
            made = min(undone, default=len(rows))
            in_flight.append(InFlight(other, source[other], taken[other], times[other], made, *done.values()))
        since = [
            max(
                (
                    began
                    for (kind, other, _), (began, end) in log.items()
                    if kind == resource and began <= now < end and (kind == "cloud" or source[other] == source[number])
                ),
                default=now,
            )
            for resource in ("edge", "uplink", "cloud", "downlink")
        ]
        yield now, in_flight, since, source[number], taken[number]


@pytest.mark.parametrize("weights", [Weights(1, 1, backlog=3.0), Weights(1, 0, backlog=10.0)])
def test_the_choice_is_that_of_the_simulation_where_tensors_are_sent_in_order_of_arrival(weights):
    # Every request begins on the edge, so that none passes another one: a in 10 ms, and y in 15, or a's tensor in 14.
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    edge, cloud = {"a": 10 * MS, "y": 15 * MS}, {"a": 2 * MS, "y": 2 * MS}
    here = Site(Analysis(make_instance(graph, edge, cloud, {"x": 30 * MS, "a": 14 * MS})))
    places = [place for place, load in enumerate(here.menu.rows.loads[:, 0].tolist()) if load]
    policy = Policy("decc", here.menu.take(places), weights=weights)
    online = Online(here, policy, DEADLINE)
    chosen, wanted = [], []
    for now, in_flight, since, source, taken in states(here, policy, 300):
        chosen.append(online.decide(now, in_flight, since, source))
        wanted.append(taken)
    assert chosen == wanted
    assert len(set(wanted)) > 1


def agreement(here: Site, policy: Policy) -> float:
    """The share of 300 requests for which the online choice is that of the simulation."""
    online = Online(here, policy, DEADLINE)
    return float(np.mean([online.decide(*state) == taken for *state, taken in states(here, policy, 300)]))


@pytest.mark.parametrize("weights", [Weights(1, 1), Weights(1, 1, backlog=1.0), FORESEEING[0]])
def test_the_choice_is_that_of_the_simulation_where_requests_pass_each_other(weights):
    here = site()
    gaps = arrivals(Process.POISSON, 0.8 * here.capacity_hz, 2000, seed=9).gaps_ns
    foresight = here.foresight(weights, gaps, DEADLINE) if weights.later else BLIND
    assert agreement(here, here.dispatcher(weights, foresight)) == 1.0


def test_the_choice_is_mostly_that_of_the_simulation_where_other_sources_share_the_cloud():
    # Since when the others' edges and links are busy is not known here.
    here = site(2)
    assert agreement(here, here.dispatcher(Weights(1, 1, backlog=1.0))) >= 0.85


def test_patterns_and_fixed_cuts_are_repeated_source_by_source():
    here = site(2)
    policy = Policy("two", here.menu, (0, 1, 1))
    online = Online(here, policy, DEADLINE)
    assert [online.decide(0, (), source=source) for source in (0, 0, 1, 0, 1, 0)] == [0, 1, 0, 1, 1, 0]
    with pytest.raises(InvalidInstance, match="source 2"):
        online.decide(0, (), source=2)


@pytest.mark.parametrize("name", ["cloud-only", "decc"])
def test_no_memory_left_is_a_sentence(name):
    here = remembering(16)
    policy = here.baseline(name) if name == "cloud-only" else here.dispatcher(Weights())
    online, waiting = Online(here, policy, DEADLINE), []
    for request in range(10):
        with suppress(NotPossible):
            waiting.append(InFlight(request, 0, online.decide(0, waiting), 0))
    assert 1 <= len(waiting) <= 4
    with pytest.raises(NotPossible, match="no memory left"):
        online.decide(0, waiting)
