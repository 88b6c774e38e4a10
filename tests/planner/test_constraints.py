"""Planning under pins and limits: everybody keeps them, and what is impossible is refused."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import permutations

import pytest

from decc_core.errors import ImpossibleConstraints, InfeasiblePlan
from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.network.work import Resource
from decc_core.planner.analysis import Analysis
from decc_core.planner.mincut import as_cut
from decc_core.planner.strategies import solve, solve_exact
from decc_core.plans.check import check_plan
from decc_core.plans.judge import check_schedule
from decc_core.plans.memory import edge_memory_bytes
from decc_core.plans.plan import Execution, staged_plan
from decc_core.plans.schedule import schedule
from decc_core.problem.constraints import Constraints
from decc_core.problem.instance import CostInstance, uplink_bytes
from decc_core.study.compare import compare
from tests.brute_force import all_cuts
from tests.builders import make_graph, make_instance, random_graph, random_instance

CHAIN = make_graph({"x": [], "a": ["x"], "b": ["a"], "y": ["b"]})


def chain(**constraints):
    """The edge takes 10 a layer, the cloud 1; a sends least."""
    instance = make_instance(
        CHAIN, {"a": 10, "b": 10, "y": 10}, {"a": 1, "b": 1, "y": 1}, {"x": 5, "a": 2, "b": 9, "y": 0}
    )
    return replace(instance, constraints=Constraints(**constraints))


def test_impossible_limits_are_refused_by_name():
    with pytest.raises(ImpossibleConstraints, match=r"uplink limit of 1 bytes .* sends at least 2 bytes"):
        compare(chain(in_cloud=frozenset({3}), uplink_bytes=1))
    with pytest.raises(ImpossibleConstraints, match="edge memory limit of 3 bytes is too low"):
        compare(chain(edge_memory_bytes=3))


def weighted_graph() -> LayerGraph:
    """x (10 B) -> a (20 B, weights w 100 B) -> b (30 B, weights w) -> y (1 B, weights v 7 B)."""

    def layer(name: str, parent: str, size: int, *parameters: str) -> Layer:
        refs = (TensorRef(parent),) if parent else ()
        spec = (TensorSpec((size,), "uint8"),)
        return Layer(name, "op" if parent else INPUT, refs, spec, parameters=parameters)

    layers = (layer("x", "", 10), layer("a", "x", 20, "w"), layer("b", "a", 30, "w"), layer("y", "b", 1, "v"))
    return LayerGraph("weighted", layers, (TensorRef("y"),), {"w": 100, "v": 7})


def test_decc_overlaps_less_where_memory_is_scarce():
    instance = make_instance(
        weighted_graph(), {"a": 1, "b": 99, "y": 99}, {"b": 1, "y": 1}, {"x": 99, "a": 50}, requests=3
    )
    free = solve(instance, "decc").plan
    needed = edge_memory_bytes(instance, free, schedule(instance, free))
    limited = replace(instance, constraints=Constraints(edge_memory_bytes=needed - 1))
    tight = solve(limited, "decc").plan
    assert edge_memory_bytes(limited, tight, schedule(limited, tight)) < needed
    assert schedule(limited, tight).makespan_ns >= schedule(instance, free).makespan_ns


@pytest.mark.parametrize("seed", range(60))
def test_everybody_keeps_random_constraints_and_decc_loses_to_nobody(seed):
    rng = random.Random(seed)
    graph = random_graph(rng, rng.randint(3, 12))
    plain = random_instance(rng, graph, rng.randint(1, 3))
    layers = [i for i in range(len(graph.layers)) if i not in graph.inputs]
    pinned = frozenset(rng.sample(layers, 1)) if rng.random() < 0.6 else frozenset()
    in_cloud = frozenset(rng.sample(layers, 1)) if rng.random() < 0.4 else frozenset()
    most_sent = max(uplink_bytes(plain, cut) for cut in all_cuts(plain)) if len(layers) < 9 else 60
    constraints = Constraints(
        on_edge=pinned,
        in_cloud=in_cloud,
        uplink_bytes=rng.randint(0, most_sent) if rng.random() < 0.6 else None,
        edge_memory_bytes=rng.randint(200, 2000) if rng.random() < 0.4 else None,
    )
    try:
        instance = replace(plain, constraints=constraints)
        found = compare(instance)
    except ImpossibleConstraints:
        return
    for outcome in found.outcomes:
        check_plan(instance, outcome.plan)
        check_schedule(instance, outcome.plan, outcome.schedule)
        assert found.lower_bound_ns <= outcome.objective_ns
        assert found.of("decc").objective_ns <= outcome.objective_ns
    if seed % 6 == 0:
        result = solve_exact(instance, found.of("decc").plan, limit_s=10)
        assert found.lower_bound_ns <= result.lower_bound_ns
        check_plan(instance, result.plan)


@pytest.mark.parametrize("seed", range(40))
def test_a_refused_uplink_limit_is_one_that_no_cut_keeps(seed):
    rng = random.Random(900 + seed)
    instance = random_instance(rng, random_graph(rng, rng.randint(3, 8), max_width=4), 1)
    last = frozenset({len(instance.graph.layers) - 1})
    pinned = replace(instance, constraints=Constraints(in_cloud=last))
    least = min(uplink_bytes(pinned, cut) for cut in all_cuts(pinned) if pinned.allows(cut))
    assert compare(replace(pinned, constraints=Constraints(in_cloud=last, uplink_bytes=least))).outcomes
    if least:
        with pytest.raises(ImpossibleConstraints, match=f"at least {least:,} bytes"):
            compare(replace(pinned, constraints=Constraints(in_cloud=last, uplink_bytes=least - 1)))


@pytest.mark.parametrize("seed", [*range(30), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(30, 60))])
def test_the_bound_under_a_memory_limit_holds_for_every_order_of_the_edge_layers(seed):
    rng = random.Random(3000 + seed)
    plain = random_instance(rng, random_graph(rng, rng.randint(3, 6)), 1)
    instance = replace(plain, constraints=Constraints(edge_memory_bytes=rng.randint(150, 700)))
    try:
        bound = Analysis(instance).bound_ns
    except ImpossibleConstraints:
        return
    for cut in all_cuts(plain):
        stored = staged_plan(instance, Execution.BRANCH_PIPELINED, (cut,))
        for edge in permutations(stored.sequences[Resource.EDGE]):
            try:
                timing = check_plan(instance, replace(stored, sequences={**stored.sequences, Resource.EDGE: edge}))
            except InfeasiblePlan:
                continue
            assert bound <= timing.makespan_ns


def diamonds(rng: random.Random, n: int) -> CostInstance:
    """Diamonds in a row, which meet in single layers, with random times and two requests."""
    edges = {"m0": []}
    for i in range(n):
        edges |= {f"a{i}": [f"m{i}"], f"b{i}": [f"m{i}"], f"m{i + 1}": [f"a{i}", f"b{i}"]}
    return random_instance(rng, make_graph(edges), 2)


def test_cuts_near_a_cut_obey_pins_wherever_the_pins_are():
    for seed in range(70):
        rng = random.Random(seed)
        one = diamonds(rng, 3)
        layers = range(1, len(one.graph.layers))
        pinned_edge = frozenset({rng.choice(layers)})
        pinned_cloud = frozenset({rng.choice(layers)}) if rng.random() < 0.5 else frozenset()
        try:
            one = replace(one, constraints=Constraints(pinned_edge, pinned_cloud))
        except ImpossibleConstraints:
            continue
        allowed = {cut for cut in all_cuts(one) if one.allows(cut)}
        for cut in allowed:
            analysis = Analysis(one)
            near = {as_cut(mask) for mask in analysis.segments.neighbours(analysis.network.mask(cut))}
            assert cut not in near
            assert allowed.issuperset(near)
        for outcome in compare(one).outcomes:
            check_plan(one, outcome.plan)
