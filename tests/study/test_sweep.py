"""Rows one by one, regret and crossovers, on networks whose numbers stand on paper."""

from __future__ import annotations

import random
from itertools import pairwise
from math import sqrt

import pytest

from decc_core.planner.strategies import BASELINES, STRATEGIES, solve
from decc_core.plans.plan import Execution, staged_plan
from decc_core.problem.instance import CostInstance
from decc_core.study.compare import compare
from decc_core.study.crossover import crossovers, refine
from decc_core.study.regret import Kept, keep
from decc_core.study.sweep import Cell, GridPoint, SweepRow, planning_order, sweep, sweep_rows
from tests.brute_force import layer_time
from tests.builders import make_graph, make_instance, random_graph, random_instance

CHAIN = make_graph({"x": [], "y": ["x"]})


def chain(uplink_bps: float, slowdown: float = 1.0) -> CostInstance:
    """One layer: 100 ns on the edge, 20 in the cloud; its input takes 800 ns at 1 bit/s, and the way back nothing."""
    return make_instance(
        CHAIN, edge={"y": round(100 * slowdown)}, cloud={"y": 20}, uplink={"x": round(800 / uplink_bps)}
    )


def point(uplink_bps: float, slowdown: float = 1.0) -> GridPoint:
    return GridPoint(uplink_bps, slowdown, chain(uplink_bps, slowdown))


def cell(uplink_bps: float, slowdown: float = 1.0) -> Cell:
    return Cell.of(SweepRow(uplink_bps, slowdown, compare(chain(uplink_bps, slowdown))))


def made_up(uplink_bps: float, **objective_ns: int) -> Cell:
    named = {name.replace("_", "-"): value for name, value in objective_ns.items()}
    return Cell(uplink_bps, 1.0, named, 1, {})


def test_rows_come_as_they_are_planned_and_are_those_of_the_whole_sweep():
    points = [point(rate, slowdown) for slowdown in (1.0, 3.0) for rate in (20.0, 5.0)]
    ordered = [points[i] for i in planning_order(points)]
    assert [(one.uplink_bps, one.edge_slowdown) for one in ordered] == [(5, 3), (5, 1), (20, 3), (20, 1)]
    rows = sweep_rows(iter(ordered), STRATEGIES)
    first = next(rows)
    assert (first.uplink_bps, first.edge_slowdown) == (5.0, 3.0)
    one_by_one = {(row.uplink_bps, row.edge_slowdown): Cell.of(row) for row in (first, *rows)}
    whole = sweep(points, STRATEGIES)
    assert [Cell.of(row) for row in whole] == [one_by_one[one.uplink_bps, one.edge_slowdown] for one in points]


def test_a_point_is_planned_only_when_its_row_is_asked_for():
    asked = []

    def points():
        for rate in (1.0, 2.0, 4.0):
            asked.append(rate)
            yield point(rate)

    rows = sweep_rows(points(), ("decc",))
    assert not asked
    next(rows)
    assert asked == [1.0]


def test_a_cell_names_the_simplest_of_equal_strategies():
    # At 10 bit/s sending takes 80 and the cloud 20: exactly the 100 of the edge.
    found = cell(10.0)
    assert found.objective_ns["edge-only"] == found.objective_ns["cloud-only"] == found.objective_ns["decc"] == 100
    assert found.winner == "edge-only"
    assert cell(20.0).winner == "cloud-only"
    assert cell(20.0).best_ns == 60


def test_a_cell_knows_gains_and_near_ties():
    found = made_up(1.0, edge_only=300, jps=201, decc=200)
    assert found.winner == "decc"
    assert found.best_baseline == "jps"
    assert found.gain() == pytest.approx(1.005)
    assert found.gain("edge-only") == 1.5
    assert found.gain("qdmp") is None
    assert found.simplest_within(0.006) == "jps"
    assert found.simplest_within(0.0) == "decc"
    assert made_up(1.0, decc=5).gain() is None


def test_a_cell_knows_which_plans_leave_the_network_to_one_device():
    assert cell(20.0).whole == frozenset(STRATEGIES)  # one layer cannot be cut
    long = make_instance(
        make_graph({"x": [], "a": ["x"], "b": ["a"]}),
        edge={"a": 1, "b": 90},
        cloud={"a": 1, "b": 1},
        uplink={"x": 50, "a": 2},
    )
    cut = Cell.of(SweepRow(20.0, 1.0, compare(long)))
    assert {"edge-only", "cloud-only"} <= cut.whole
    assert not {"decc", "neurosurgeon"} & cut.whole


def test_regret_is_what_the_kept_plan_takes_over_what_a_new_one_takes():
    # At 5 bit/s the edge is best; at 40 bit/s the cloud takes 20 + 20 and the plan that stays on the edge its 100.
    plan = solve(chain(5.0), "decc").plan
    kept = keep(chain(40.0), plan)
    assert kept == Kept(100)
    assert kept.regret(cell(40.0).objective_ns["decc"]) == 2.5
    assert keep(chain(5.0), plan).regret(cell(5.0).objective_ns["decc"]) == 1.0


def test_a_kept_plan_that_beats_a_new_one_costs_nothing():
    assert Kept(90).regret(100) == 1.0


def test_a_plan_that_breaks_a_rule_elsewhere_is_said_to_do_so():
    plan = staged_plan(chain(5.0), Execution.CONSECUTIVE, [chain(5.0).all_edge])
    two = make_instance(CHAIN, edge={"y": 1}, cloud={"y": 1}, uplink={"x": 1}, requests=2)
    kept = keep(two, plan)
    assert kept.objective_ns is None
    assert kept.regret(1) is None
    assert "2 requests" in kept.reason


@pytest.mark.parametrize("seed", range(12))
def test_a_kept_plan_takes_what_a_schedule_by_hand_says(seed):
    """An independent longest path, over a plan of one request that is done stage after stage."""
    rng = random.Random(seed)
    graph = random_graph(rng, 7)
    old, new = random_instance(rng, graph, 1), random_instance(rng, graph, 1)
    plan = solve(old, "dads-dsl").plan
    (cut,) = plan.cuts
    crossing = {
        i
        for i, tensor in enumerate(graph.tensors)
        if tensor.producer in cut and any(consumer not in cut for consumer in tensor.consumers)
    }
    back = {i for i, tensor in enumerate(graph.tensors) if tensor.is_output and tensor.producer not in cut}
    expected = (
        sum(layer_time(new, cut, layer) for layer in range(7))
        + sum(new.uplink_ns[i] for i in crossing)
        + sum(new.downlink_ns[i] for i in back)
        + (2 * new.half_rtt_ns if len(cut) < len(graph.layers) else 0)
    )
    assert keep(new, plan).objective_ns == expected


def test_a_crossover_is_found_to_within_one_per_cent_by_planning():
    # Sending takes 800 / rate: edge and cloud are equal where 800 / rate + 20 = 100, at 10 bit/s.
    asked = []

    def plan_at(rate: float) -> Cell:
        asked.append(rate)
        return cell(rate)

    coarse = [cell(rate) for rate in (1.0, 4.0, 64.0)]
    fine = [*coarse, *refine(coarse, plan_at)]
    (found,) = crossovers(fine)
    assert (found.before, found.after) == ("edge-only", "cloud-only")
    # Times are whole nanoseconds here, so that the tie reaches a little beyond 10 bit/s.
    assert found.uplink_bps == pytest.approx(10.0, rel=0.02)
    assert found.width <= 0.01
    assert len(asked) <= 10
    assert all(4.0 < rate < 64.0 for rate in asked)


def test_a_third_winner_between_two_others_is_followed_on_both_sides():
    def plan_at(rate: float) -> Cell:
        """edge-only up to 10, jps from there to 30, then cloud-only."""
        return made_up(rate, edge_only=1 if rate < 10 else 9, cloud_only=1 if rate > 30 else 8, jps=2)

    ends = [plan_at(1.0), plan_at(100.0)]
    found = crossovers([*ends, *refine(ends, plan_at)])
    assert [(one.before, one.after) for one in found] == [("edge-only", "jps"), ("jps", "cloud-only")]
    assert [one.uplink_bps for one in found] == pytest.approx([10, 30], rel=0.01)


def test_crossovers_are_those_of_a_scan_of_all_rates():
    rates = [1.008**i for i in range(500)]
    scanned = [
        sqrt(low.uplink_bps * high.uplink_bps)
        for low, high in pairwise(cell(rate) for rate in rates)
        if low.winner != high.winner
    ]
    coarse = [cell(rate) for rate in (1.0, 3.0, 9.0, 27.0, 54.0)]
    found = crossovers([*coarse, *refine(coarse, cell)])
    assert [one.uplink_bps for one in found] == pytest.approx(scanned, rel=0.01)


def test_winners_that_change_without_end_are_not_followed_for_ever():
    names = tuple(BASELINES)
    count = iter(range(10_000))

    def plan_at(rate: float) -> Cell:
        winner = names[next(count) % len(names)]
        return Cell(rate, 1.0, {name: 1 if name == winner else 2 for name in names}, 1, {})

    assert len(list(refine([plan_at(1.0), plan_at(1e6)], plan_at, limit=40))) == 40
