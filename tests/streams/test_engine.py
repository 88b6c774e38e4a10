"""The simulation of streams against queueing theory, a slow reference written apart, and itself."""

from __future__ import annotations

import numpy as np
import pytest

from decc_core.streams import engine
from decc_core.streams.arrivals import Process, arrivals
from decc_core.streams.menu import Rows
from tests.streams.slow_reference import finish_times

NOTHING = -1
NO_TABLE = np.zeros((1, 1, 1, 1))


def rule_of(
    mean=1.0, others=1.0, soon=0.0, over=0.0, backlog=0.0, price=0.0, later=0.0, soon_ns=10**9, deadline_ns=10**9
):
    weights = np.array([mean, others, soon, over, backlog, price, later])
    return engine.Rule(weights, soon_ns, deadline_ns, 1.0, np.zeros(4), NO_TABLE, 1.0)


RULE = rule_of()


def rows_of(*cuts: list[tuple[int, int, int, int]]) -> Rows:
    first = np.cumsum([0, *map(len, cuts)])
    jobs = np.array([job for cut in cuts for job in cut], np.int64)
    loads = np.array([np.maximum(np.array(cut), 0).sum(axis=0) for cut in cuts], np.int64)
    return Rows(jobs, first.astype(np.int64), loads)


def memory_of(rows: Rows, holds: list[int] | None = None, room: int = int(engine.FOREVER)) -> engine.Memory:
    cut_of = np.repeat(np.arange(len(rows.loads)), np.diff(rows.first))
    sends = [np.flatnonzero((rows.jobs[:, 1] >= 0) & (cut_of == cut)) for cut in range(len(rows.loads))]
    last = np.zeros(len(cut_of), np.bool_)
    last[[places[-1] for places in sends if len(places)]] = True
    return engine.Memory(np.array(holds or [0] * len(rows.loads), np.int64), room, cut_of, last)


def run(times, source, chosen, rows, half_rtt=0, servers=1, rule=RULE, room=4096, most=1000, memory=None):
    times, source, chosen = (np.asarray(column, np.int64) for column in (times, source, chosen))
    n_sources = int(source.max()) + 1
    memory = memory or memory_of(rows)
    return engine.simulate(times, source, chosen, rows, half_rtt, n_sources, servers, rule, room, most, memory)


def random_cuts(rng, count: int, most_time: int) -> list[list[tuple[int, int, int, int]]]:
    """Times from 1 on, and some without edge work or without a way back, as chains have them."""
    cuts = []
    for _ in range(count):
        jobs = []
        for _ in range(rng.integers(1, 4)):
            edge = int(rng.integers(1, most_time)) * int(rng.random() < 0.7)
            down = int(rng.integers(1, most_time)) if rng.random() < 0.6 else NOTHING
            jobs.append((edge, int(rng.integers(1, most_time)), int(rng.integers(1, most_time)), down))
        if rng.random() < 0.5:
            jobs.append((int(rng.integers(1, most_time)), NOTHING, 0, NOTHING))
        cuts.append(jobs)
    cuts.append([(int(rng.integers(1, most_time)), NOTHING, 0, NOTHING)])
    return cuts


@pytest.mark.parametrize("seed", range(300))
def test_every_request_is_finished_when_a_simulation_of_single_events_says_so(seed):
    rng = np.random.default_rng(seed)
    n, n_sources, servers = int(rng.integers(1, 14)), int(rng.integers(1, 4)), int(rng.integers(1, 3))
    cuts = random_cuts(rng, 3, 1_000_003)
    times = np.sort(rng.integers(0, 3_000_017, n))
    source = np.concatenate([[n_sources - 1], rng.integers(0, n_sources, n)])[:n]
    chosen = rng.integers(0, len(cuts), n)
    half = int(rng.integers(0, 500_000))
    _, finish, came = run(times, source, chosen, rows_of(*cuts), half, servers)
    wanted = finish_times(times.tolist(), source.tolist(), [cuts[c] for c in chosen], half, servers)
    assert came == engine.ALL_SERVED
    assert finish.tolist() == wanted


@pytest.mark.parametrize("seed", range(60))
def test_what_a_dispatcher_foresees_comes_true_where_nobody_arrives_after(seed):
    rng = np.random.default_rng(seed)
    n, n_sources, servers = int(rng.integers(2, 12)), int(rng.integers(1, 3)), int(rng.integers(1, 3))
    cuts = random_cuts(rng, 3, 1_000_003)
    times, source = np.sort(rng.integers(0, 2_000_017, n)), rng.integers(0, n_sources, n)
    source[0] = n_sources - 1
    chosen = rng.integers(0, len(cuts), n)
    chosen[-1] = engine.DISPATCHED
    half = int(rng.integers(0, 500_000))
    # Its own latency and what it costs the others, each alone: the best of all cuts by trying them.
    deadline = int(rng.integers(1_000_000, 4_000_000))
    for others, over in ((0, 0), (1, 0), (1, 8)):
        rule = rule_of(others=others, over=over, soon_ns=deadline, deadline_ns=deadline)
        taken, _, _ = run(times, source, chosen, rows_of(*cuts), half, servers, rule)
        costs = []
        for cut in range(len(cuts)):
            tried = [*chosen[:-1].tolist(), cut]
            finish = finish_times(times.tolist(), source.tolist(), [cuts[c] for c in tried], half, servers)
            latency = np.array(finish) - times
            cost = latency + over * np.maximum(0, latency - deadline)
            costs.append(cost[-1] + others * cost[:-1].sum())
        assert taken[-1] == int(np.argmin(costs))


def test_waiting_for_one_bottleneck_is_what_queueing_theory_says():
    # M/D/1: W = rho m / (2 (1 - rho)), at the bottleneck alone; the other stages only take their time.
    service_ns, rho = 1_000_000, 0.7
    stream = arrivals(Process.POISSON, rho * 1e9 / service_ns, 1_000_000, seed=1)
    rows = rows_of([(service_ns, 400_000, 300_000, 200_000)])
    _, finish, came = run(stream.times_ns, stream.source, np.zeros(len(stream)), rows, 50_000)
    assert came == engine.ALL_SERVED
    alone = service_ns + 400_000 + 300_000 + 200_000 + 2 * 50_000
    waiting = (finish - stream.times_ns).mean() - alone
    assert waiting == pytest.approx(rho * service_ns / (2 * (1 - rho)), rel=0.01)


def test_a_request_without_edge_work_passes_one_that_waits_for_the_edge():
    rows = rows_of([(100, 10, 1, 1)], [(0, 10, 1, 1)])
    _, finish, _ = run([0, 5], [0, 0], [0, 1], rows)
    assert finish.tolist() == [112, 17]


def test_latency_counts_from_the_scheduled_arrival_however_late_a_request_gets_its_turn():
    _, finish, _ = run([0, 1, 2], [0, 0, 0], [0, 0, 0], rows_of([(100, NOTHING, 0, NOTHING)]))
    assert finish.tolist() == [100, 200, 300]


def test_a_queue_without_room_ends_the_run_and_tells_after_how_many_requests():
    times, n = np.arange(1000), 1000
    _, _, came = run(times, np.zeros(n), np.zeros(n), rows_of([(0, 50, 1, 1)]), room=64)
    assert 0 < came < n


def test_a_dispatcher_gives_up_where_more_waits_than_it_may_look_at():
    times, n = np.arange(1000), 1000
    _, _, came = run(times, np.zeros(n), np.full(n, engine.DISPATCHED), rows_of([(0, 50, 1, 1)]), most=20)
    assert 0 < came < n
