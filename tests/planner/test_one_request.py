"""One request alone, against all cuts and all sequences of small networks."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from decc_core.network.work import Resource
from decc_core.planner.analysis import Analysis
from decc_core.planner.many_requests import merged_plan
from decc_core.planner.mincut import as_cut
from decc_core.plans.schedule import schedule
from decc_core.problem.constraints import Constraints
from decc_core.problem.instance import CostInstance
from tests.brute_force import all_cuts, best_makespan_of, sequential_cost
from tests.builders import make_graph, make_instance, random_graph, random_instance


def small_instance(seed: int) -> CostInstance:
    rng = random.Random(seed)
    return random_instance(rng, random_graph(rng, rng.randint(3, 6)), requests=1)


def test_two_branches_overlap_as_one_works_out_on_paper():
    """x feeds a (edge 4) and b (edge 4); both feed z. Sending a's result (5) while b runs costs nothing extra."""
    graph = make_graph({"x": [], "a": ["x"], "b": ["x"], "z": ["a", "b"]})
    instance = make_instance(
        graph,
        edge={"a": 4, "b": 4, "z": 100},
        cloud={"a": 100, "b": 100, "z": 1},
        uplink={"x": 100, "a": 5, "b": 1},
    )
    best = Analysis(instance).one_request
    assert as_cut(best.cuts.mask(0)) == frozenset(map(graph.index.__getitem__, "xab"))
    # a until 4 and sent until 9, b until 8 and sent until 10, z until 11; without overlap it would be 8 + 6 + 1 = 15.
    assert best.makespan_ns[0] == best.bound_ns == 11


@pytest.mark.parametrize("seed", range(40))
def test_every_listed_makespan_is_reached_by_a_schedule_and_none_is_below_the_bound(seed):
    instance = small_instance(seed)
    analysis = Analysis(instance)
    alone = analysis.one_request
    assert np.all(np.diff(alone.makespan_ns) >= 0)
    for place in range(len(alone.cuts)):
        plan = merged_plan(analysis, (alone.chain(place),))
        assert schedule(instance, plan).makespan_ns <= alone.makespan_ns[place]
    least = min(best_makespan_of(instance, (cut,)) for cut in all_cuts(instance))
    assert alone.bound_ns <= least <= alone.makespan_ns[0]


def test_a_bound_that_is_reached_is_the_optimum_and_nearly_all_are():
    closed = 0
    for seed in range(60):
        instance = small_instance(seed)
        alone = Analysis(instance).one_request
        if alone.bound_ns == alone.makespan_ns[0]:
            closed += 1
            assert alone.bound_ns == min(best_makespan_of(instance, (cut,)) for cut in all_cuts(instance)), seed
    assert closed >= 50


def test_a_single_job_takes_its_sequential_time():
    for seed in range(60):
        instance = small_instance(seed)
        alone = Analysis(instance).one_request
        for place in np.flatnonzero(alone.one_job).tolist():
            assert alone.makespan_ns[place] == sequential_cost(instance, as_cut(alone.cuts.mask(place))), seed


def test_pinned_layers_are_where_they_were_pinned_in_every_cut():
    for seed in range(40):
        instance = small_instance(seed)
        free = [i for i in range(len(instance.graph.layers)) if i not in instance.graph.inputs]
        pinned = replace(instance, constraints=Constraints(frozenset(free[:1])))
        alone = Analysis(pinned).one_request
        assert all(alone.cuts.mask(place)[free[0]] for place in range(len(alone.cuts))), seed


def test_the_search_alone_does_not_depend_on_how_many_requests_there_are():
    for seed in range(20):
        one, many = small_instance(seed), replace(small_instance(seed), requests=5)
        a, b = Analysis(one).one_request, Analysis(many).one_request
        assert a.bound_ns == b.bound_ns
        assert a.makespan_ns[0] == b.makespan_ns[0]


def test_the_plan_of_the_best_cut_sends_what_crosses_and_nothing_else():
    instance = small_instance(3)
    analysis = Analysis(instance)
    plan = merged_plan(analysis, (analysis.one_request.chain(0),))
    cut = plan.cuts[0]
    crossing = {
        i
        for i, tensor in enumerate(instance.graph.tensors)
        if tensor.producer in cut and any(reader not in cut for reader in tensor.consumers)
    }
    assert {work.item for work in plan.sequences[Resource.UPLINK]} == crossing
