"""Coded tensors: strategies, bound and exact solver against brute force, with times to encode and decode."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from decc_core.network.graph import LayerGraph
from decc_core.planner.analysis import Analysis
from decc_core.planner.strategies import BASELINES, solve, solve_exact
from decc_core.plans.judge import check_schedule
from decc_core.plans.schedule import schedule
from decc_core.problem.instance import CostInstance
from decc_core.problem.link import Link
from decc_core.problem.profile import Provenance, ProvenanceKind
from decc_core.problem.wire import TensorCoding, Wire, WireProfile, tensor_name
from decc_core.study.compare import compare
from tests.brute_force import all_cuts, best_makespan, sequential_cost
from tests.builders import random_graph, two_profiles

MADE = Provenance(ProvenanceKind.MEASURED, "made up for a test")
NS = 1e-9
LINK = Link(uplink_bps=8e9, downlink_bps=8e9, rtt_s=4 * NS, overhead_s=0.0)
"""A byte in a nanosecond."""


def coding(rng: random.Random, size: int, share: float, most: int) -> TensorCoding:
    times = (rng.randint(0, most) * NS, rng.randint(0, most) * NS)
    return TensorCoding(max(1, round(size * share)), size, *times, agreement=rng.choice((0.9, 1.0)))


def problem(seed: int, layers: int) -> tuple[LayerGraph, tuple, WireProfile]:
    """A random network, the profiles of two devices, and two formats with times, smaller and larger than raw ones."""
    rng = random.Random(seed)
    graph = random_graph(rng, rng.randint(3, layers), max_width=4)
    times = [{one.name: rng.randint(0, 120) * NS for one in graph.layers if not one.is_input} for _ in range(2)]
    codings = {
        name: {
            tensor_name(graph, i): coding(rng, tensor.spec.size_bytes, share, most)
            for i, tensor in enumerate(graph.tensors)
            if rng.random() < 0.9
        }
        for name, share, most in (("int8+zstd", 0.3, 20), ("int4+zstd", 0.1, 60))
    }
    return graph, two_profiles(graph, *times), WireProfile("g", graph.fingerprint, "here", MADE, 9, True, codings)


def coded(seed: int, requests: int, layers: int = 8) -> CostInstance:
    graph, devices, profile = problem(seed, layers)
    wire = Wire(("int8+zstd", "any")[seed % 2], profile=profile, min_agreement=(None, 0.95)[seed // 2 % 2])
    return CostInstance.build(graph, *devices, LINK, requests=requests, wire=wire)


@pytest.mark.parametrize("seed", range(24))
def test_min_cuts_find_the_cheapest_of_all_cuts_of_coded_tensors(seed):
    instance = coded(seed, requests=1)
    assert instance.charges_work or not instance.formats
    best = min(sequential_cost(instance, cut) for cut in all_cuts(instance))
    for strategy in ("dads-dsl", "qdmp"):
        assert schedule(instance, solve(instance, strategy).plan).makespan_ns == best


@pytest.mark.parametrize(("seed", "requests", "layers"), [*((seed, 1, 7) for seed in range(8)), (8, 2, 4), (9, 2, 4)])
def test_exact_and_brute_force_agree_on_coded_tensors_and_the_bound_holds(seed, requests, layers):
    instance = coded(100 + seed, requests, layers)
    best = best_makespan(instance)
    comparison = compare(instance)
    result = solve_exact(instance, comparison.of("decc").plan, limit_s=30)
    check_schedule(instance, result.plan, schedule(instance, result.plan))
    assert result.optimal
    assert result.lower_bound_ns == best
    assert Analysis(instance).bound_ns <= best <= comparison.of("decc").objective_ns
    assert comparison.of("decc").objective_ns <= min(comparison.of(name).objective_ns for name in BASELINES)


@pytest.mark.parametrize("seed", range(5))
def test_a_format_of_no_time_and_raw_bytes_gives_the_plans_of_raw_tensors_to_the_nanosecond(seed):
    graph, devices, profile = problem(seed, 12)
    same = {
        tensor_name(graph, i): TensorCoding(tensor.spec.size_bytes, tensor.spec.size_bytes, 0.0, 0.0)
        for i, tensor in enumerate(graph.tensors)
    }
    wire = Wire("zstd", profile=replace(profile, codings={"zstd": same}))
    raw, named = (CostInstance.build(graph, *devices, LINK, requests=3, wire=one) for one in (Wire(), wire))
    assert (raw.formats, set(named.formats)) == ((), {"zstd"})
    for before, after in zip(compare(raw).outcomes, compare(named).outcomes, strict=True):
        assert before == after
