"""Batches of requests: what a search does to them, against all assignments and orders of small ones."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import permutations, product

import pytest

from decc_core.planner.analysis import Analysis
from decc_core.planner.many_requests import (
    _LocalSearch,
    alike_batches,
    best_order,
    improved_batches,
    merged_plan,
    search_batches,
    start_batches,
)
from decc_core.planner.strategies import solve
from decc_core.plans.schedule import period_ns, schedule
from decc_core.problem.constraints import Constraints
from decc_core.problem.instance import CostInstance, Objective
from tests.brute_force import best_makespan
from tests.builders import make_graph, make_instance, random_graph, random_instance


def small_instance(seed: int, requests: int = 3) -> CostInstance:
    rng = random.Random(seed)
    return random_instance(rng, random_graph(rng, rng.randint(3, 5)), requests)


def chain_on_paper(requests: int) -> CostInstance:
    """x -> a -> b, all edge and cloud times 10; x takes 10 to send, a's result 4."""
    graph = make_graph({"x": [], "a": ["x"], "b": ["a"]})
    return make_instance(
        graph,
        edge={"a": 10, "b": 10},
        cloud={"a": 10, "b": 10},
        uplink={"x": 10, "a": 4},
        requests=requests,
    )


def test_equal_requests_end_a_bottleneck_after_each_other():
    batch = alike_batches(Analysis(chain_on_paper(requests=3)))[0]
    # Cut after a: 10 on the edge, 4 to send, 10 in the cloud; three of them end at 24, 34 and 44.
    assert len(set(batch)) == 1
    assert schedule(chain_on_paper(3), merged_plan(Analysis(chain_on_paper(3)), batch)).makespan_ns == 44


@pytest.mark.parametrize("seed", range(25))
def test_the_search_never_makes_a_batch_worse(seed):
    analysis = Analysis(small_instance(seed))
    search = _LocalSearch(analysis, staged=False)
    starts = [alike_batches(analysis)[0], *start_batches(analysis, [])]
    best = min(map(search.value, improved_batches(analysis, starts)))
    assert best <= min(map(search.value, starts))


@pytest.mark.parametrize("seed", range(25))
def test_a_batchs_value_is_what_its_plan_takes_unless_interleaving_shortens_it(seed):
    instance = small_instance(seed)
    analysis = Analysis(instance)
    for batch in search_batches(analysis, []):
        value, _ = _LocalSearch(analysis, staged=False).value(batch)
        timing = schedule(instance, merged_plan(analysis, batch))
        assert timing.makespan_ns <= value


@pytest.mark.parametrize("seed", range(12))
def test_two_requests_come_close_to_all_cuts_and_all_sequences(seed):
    instance = small_instance(seed, requests=2)
    analysis = Analysis(instance)
    found = min(schedule(instance, merged_plan(analysis, batch)).makespan_ns for batch in search_batches(analysis, []))
    best = best_makespan(instance)
    assert best <= found <= 1.1 * best


def test_the_order_found_for_a_few_requests_is_the_best_of_all_orders():
    tried = 0
    for seed in range(40):
        analysis = Analysis(small_instance(seed, requests=4))
        alone = analysis.one_request
        batch = tuple(alone.chain(place % len(alone.cuts)) for place in range(4))
        if len(set(batch)) < 2:
            continue
        tried += 1
        value = _LocalSearch(analysis, staged=False).value
        order = best_order(analysis, batch, [range(4)])
        assert sorted(order) == [0, 1, 2, 3]
        best = min(value(tuple(batch[i] for i in other)) for other in permutations(range(4)))
        assert value(tuple(batch[i] for i in order)) <= tuple(1.05 * part for part in best), seed
    assert tried > 10


def test_for_throughput_the_best_mix_of_two_cuts_is_found():
    """Four requests, each cut either before or after a: all 16 choices are tried beside the search."""
    instance = replace(chain_on_paper(requests=4), objective=Objective.THROUGHPUT)
    analysis = Analysis(instance)
    found = min(period_ns(instance, merged_plan(analysis, batch)) for batch in search_batches(analysis, []))
    alone = analysis.one_request
    chains = [alone.chain(place) for place in range(len(alone.cuts))]
    periods = (period_ns(instance, merged_plan(analysis, batch)) for batch in product(chains, repeat=4))
    assert found == min(periods)


def test_plans_of_others_are_starts_with_their_cuts_in_their_order():
    instance = small_instance(4)
    analysis = Analysis(instance)
    plan = solve(analysis, "jps").plan
    batch = start_batches(analysis, [plan])[0]
    assert Counter(chain.cut for chain in batch) == Counter(plan.cuts)
    assert [chain.cut for chain in batch] == [plan.cuts[request] for request in plan.request_order()]


def test_under_a_memory_limit_more_equal_batches_are_kept():
    plain = small_instance(7)
    limited = replace(plain, constraints=Constraints(edge_memory_bytes=10**6))
    assert len(alike_batches(Analysis(plain))) == 1
    assert len(alike_batches(Analysis(limited))) > 1
