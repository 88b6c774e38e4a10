"""A cut as a chain of jobs: its order against all permutations, its makespan against all sequences."""

from __future__ import annotations

import random
from itertools import permutations

import numpy as np
import pytest

from decc_core.kernels import one_cut
from decc_core.planner.analysis import Analysis
from decc_core.planner.chains import Chain
from decc_core.planner.many_requests import merged_plan
from decc_core.plans.check import check_plan
from decc_core.problem.instance import RESOURCES, CostInstance, Cut, crossing_tensors, loads, work_times_ns
from tests.brute_force import all_cuts, best_makespan_of
from tests.builders import make_graph, make_instance, random_graph, random_instance

MOST_TENSORS = 5


def chains_of(seed: int, layers: int = 9) -> tuple[CostInstance, Analysis, dict[Cut, Chain]]:
    """The chains of some cuts of a random instance, with no more crossing tensors than can be permuted."""
    rng = random.Random(seed)
    instance = random_instance(rng, random_graph(rng, rng.randint(2, layers), max_width=4), 1)
    cuts = [cut for cut in all_cuts(instance) if len(crossing_tensors(instance.graph, cut)) <= MOST_TENSORS]
    analysis = Analysis(instance)
    return instance, analysis, {cut: analysis.chains.of_cut(cut) for cut in rng.sample(cuts, min(6, len(cuts)))}


def test_two_branches_are_three_jobs_in_johnsons_order():
    # Edge: a 5, b 1. Sending: a 2, b 3. y takes 1 in the cloud. b first: 1 + 3 while a computes; a is sent from 6 to 8.
    graph = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
    instance = make_instance(graph, {"a": 5, "b": 1}, {"y": 1}, {"a": 2, "b": 3}, downlink=4, half_rtt_ns=10)
    analysis = Analysis(instance)
    chain = analysis.chains.of_cut(frozenset({0, 1, 2}))
    assert chain.order.tolist() == [2, 1]
    assert chain.makespan_ns == 8 + 10 + 1 + 4 + 10
    assert chain.loads == (6, 5, 1, 4)
    assert chain.exact
    assert [[items.tolist() for items in jobs] for jobs in analysis.chains.work_of_jobs(chain)] == [
        [[0, 2], [1], []], [[2], [1], []], [[], [3], []], [[], [3], []],
    ]  # fmt: skip
    assert chain.as_stages.tolist() == [[6, 5, 1, 4]]


def test_all_edge_is_one_job_that_sends_nothing():
    graph = make_graph({"x": [], "y": ["x"]})
    instance = make_instance(graph, {"y": 7}, {"y": 1}, {"x": 1}, downlink=3, half_rtt_ns=5)
    chain = Analysis(instance).chains.of_cut(instance.all_edge)
    assert (chain.makespan_ns, chain.loads, chain.uses_cloud, chain.exact) == (7, (7, 0, 0, 0), False, True)


@pytest.mark.parametrize("batch", range(4))
def test_no_order_of_the_tensors_ends_earlier_where_the_chain_says_so(batch):
    for seed in range(15 * batch, 15 * batch + 15):
        instance, analysis, chains = chains_of(seed)
        arrays = analysis.network.topology
        for chain in chains.values():
            ends = []
            for order in permutations(chain.order.tolist()):
                _, jobs = one_cut.jobs_of_order(chain.on_edge, np.array(order, np.int64), arrays, instance.times)
                ends.append(int(one_cut.chain_end(jobs, instance.half_rtt_ns)))
            assert chain.makespan_ns >= min(ends), seed
            assert chain.makespan_ns == min(ends) or not chain.exact, seed


@pytest.mark.parametrize("batch", range(4))
def test_no_sequence_of_the_work_ends_earlier_where_the_chain_says_so(batch):
    exact = 0
    for seed in range(15 * batch, 15 * batch + 15):
        instance, _, chains = chains_of(seed, layers=7)
        for cut, chain in chains.items():
            best = best_makespan_of(instance, (cut,))
            assert chain.makespan_ns >= best, seed
            assert chain.makespan_ns == best or not chain.exact, seed
            exact += chain.exact
    assert exact > 30


def test_a_chain_becomes_a_legal_plan_that_takes_no_longer():
    # With several outputs a job's results come back together; in the plan the first one need not wait.
    for seed in range(60):
        instance, analysis, chains = chains_of(seed)
        for cut, chain in chains.items():
            plan = merged_plan(analysis, [chain])
            assert plan.cuts == (cut,)
            makespan_ns = check_plan(instance, plan).makespan_ns
            assert makespan_ns <= chain.makespan_ns, seed
            assert makespan_ns == chain.makespan_ns or len(instance.graph.outputs) > 1, seed


def test_jobs_hold_all_work_once():
    for seed in range(60):
        instance, analysis, chains = chains_of(seed)
        for cut, chain in chains.items():
            assert chain.cut == cut
            assert chain.loads == loads(instance, cut), seed
            work = analysis.chains.work_of_jobs(chain)
            times_ns = work_times_ns(instance, cut)
            for resource, times, of_jobs, column in zip(RESOURCES, times_ns, work, chain.jobs.T, strict=True):
                assert [int(times[items].sum()) for items in of_jobs] == np.maximum(column, 0).tolist()
                assert len({item for items in of_jobs for item in items.tolist()}) == sum(map(len, of_jobs)), resource


def test_each_chain_is_made_once():
    _, analysis, chains = chains_of(1)
    assert all(analysis.chains.of_cut(cut) is chain for cut, chain in chains.items())
