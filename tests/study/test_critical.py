"""The critical path explains every nanosecond of the makespan; idle time is the rest of each resource's."""

from __future__ import annotations

import random
from itertools import pairwise

import networkx as nx
import pytest

from decc_core.network.work import Resource
from decc_core.plans.plan import Execution, Plan, staged_plan
from decc_core.plans.schedule import schedule
from decc_core.problem.instance import RESOURCES, CostInstance
from decc_core.study.compare import compare
from decc_core.study.critical import Cause, critical_path, idle_times
from tests.brute_force import layer_time
from tests.builders import diamond, random_graph, random_instance


def waits(instance: CostInstance, plan: Plan) -> nx.DiGraph:
    """All that a plan makes wait for each other, written out apart from the code under test; edges carry lengths.

    A piece of work is an edge from its start to its end, so that the longest path is the makespan.
    """
    graph, found = instance.graph, nx.DiGraph()
    lag = {r: 0 if r in (Resource.EDGE, Resource.CLOUD) else instance.half_rtt_ns for r in RESOURCES}
    stages: dict[tuple[int, Resource], list[tuple]] = {}

    def time(resource: Resource, request: int, item: int) -> int:
        if resource.computes:
            return layer_time(instance, plan.cuts[request], item)
        return (instance.uplink_ns if resource is Resource.UPLINK else instance.downlink_ns)[item]

    def wait(later: tuple, earlier: tuple) -> None:
        found.add_edge((*earlier, "end"), (*later, "start"), length=lag[earlier[0]])

    for resource in RESOURCES:
        pieces = [(resource, *work) for work in plan.sequences[resource]]
        for piece in pieces:
            found.add_edge("origin", (*piece, "start"), length=0)
            found.add_edge((*piece, "start"), (*piece, "end"), length=time(*piece))
            stages.setdefault((piece[1], resource), []).append(piece)
            back = lag[resource] if resource is Resource.DOWNLINK else 0
            found.add_edge((*piece, "end"), ("result", piece[1]), length=back)
            found.add_edge(("result", piece[1]), "over", length=0)
        for before, after in pairwise(pieces):
            found.add_edge((*before, "end"), (*after, "start"), length=0)
    for request, cut in enumerate(plan.cuts):
        for i, tensor in enumerate(graph.tensors):
            for reader in tensor.consumers:
                side = Resource.EDGE if reader in cut else Resource.CLOUD
                crosses = tensor.producer in cut and reader not in cut
                source = (Resource.UPLINK, request, i) if crosses else (side, request, tensor.producer)
                wait((side, request, reader), source)
                if crosses:
                    wait(source, (Resource.EDGE, request, tensor.producer))
            if tensor.is_output and tensor.producer not in cut:
                wait((Resource.DOWNLINK, request, i), (Resource.CLOUD, request, tensor.producer))
        if plan.execution is not Execution.BRANCH_PIPELINED:
            for k, resource in enumerate(RESOURCES):
                for other in RESOURCES[:k]:
                    for piece in stages.get((request, resource), []):
                        for before in stages.get((request, other), []):
                            wait(piece, before)
    if plan.execution is Execution.CONSECUTIVE:
        order = list(dict.fromkeys(work.request for work in plan.sequences[Resource.EDGE]))
        for before, after in pairwise(order):
            for resource in RESOURCES:
                for piece in stages.get((after, resource), []):
                    found.add_edge(("result", before), (*piece, "start"), length=0)
    return found


def check_path(instance: CostInstance, plan: Plan) -> None:
    timing = schedule(instance, plan)
    path = critical_path(instance, plan, timing)
    assert sum(path.load_ns) + path.propagation_ns == path.makespan_ns == timing.makespan_ns
    assert path.steps[0].span.start_ns == 0
    assert path.steps[0].cause is Cause.START
    for before, after in pairwise(path.steps):
        assert after.span.start_ns == before.span.end_ns + after.delay_ns
    assert path.steps[-1].span.end_ns + path.back_ns == timing.makespan_ns
    graph = waits(instance, plan)
    assert nx.dag_longest_path_length(graph, "length") == timing.makespan_ns
    for before, after in pairwise(path.steps):
        ends = [(one.span.resource, *one.span.work) for one in (before, after)]
        assert nx.has_path(graph, (*ends[0], "end"), (*ends[1], "start"))


def test_the_path_of_a_diamond_goes_over_the_longer_transfers():
    instance = diamond()
    plan = staged_plan(instance, Execution.BRANCH_PIPELINED, (frozenset({0, 1, 2}),))
    path = critical_path(instance, plan, schedule(instance, plan))
    names = [(step.span.resource.value, step.span.work.item, step.delay_ns) for step in path.steps]
    # a (2 ns), then its transfer (4), then b's (5), propagation (10), y (1), back (2), propagation (10).
    assert names[-5:] == [("edge", 1, 0), ("uplink", 1, 0), ("uplink", 2, 0), ("cloud", 3, 10), ("downlink", 3, 0)]
    assert path.load_ns == (2, 9, 1, 2)
    assert path.propagation_ns == 20
    assert path.makespan_ns == 34


def test_idle_time_is_told_apart_before_between_and_after():
    instance = diamond(requests=2)
    plan = staged_plan(instance, Execution.CONSECUTIVE, (frozenset({0, 1, 2}),) * 2)
    idle = idle_times(schedule(instance, plan))
    # One request takes 5 + 9 + 10 + 1 + 2 + 10 = 37 ns; the uplink sends from 5 to 14 and from 42 to 51.
    uplink = idle[Resource.UPLINK]
    assert (uplink.before_ns, uplink.between_ns, uplink.after_ns) == (5, 42 - 14, 74 - 51)
    assert uplink.gaps_ns == ((0, 5), (14, 42), (51, 74))
    assert idle[Resource.EDGE].before_ns == 0


def test_a_resource_without_work_is_idle_all_the_time():
    instance = diamond()
    plan = staged_plan(instance, Execution.CONSECUTIVE, (instance.all_edge,))
    idle = idle_times(schedule(instance, plan))
    assert (idle[Resource.CLOUD].before_ns, idle[Resource.CLOUD].after_ns) == (5, 0)
    assert idle[Resource.EDGE].total_ns == 0


@pytest.mark.parametrize("execution", list(Execution))
@pytest.mark.parametrize("batch", range(4))
def test_paths_of_random_plans_add_up_and_are_the_longest(execution, batch):
    for seed in range(25 * batch, 25 * batch + 25):
        rng = random.Random(seed)
        instance = random_instance(rng, random_graph(rng, rng.randint(1, 12)), rng.randint(1, 3))
        cut = frozenset(range(rng.randint(0, len(instance.graph.layers)))) | instance.all_cloud
        cuts = [rng.choice((cut, instance.all_edge, instance.all_cloud)) for _ in range(instance.requests)]
        order = rng.sample(range(instance.requests), instance.requests)
        check_path(instance, staged_plan(instance, execution, cuts, order))


def test_paths_of_every_strategy_add_up_and_are_the_longest():
    for seed in range(15):
        rng = random.Random(seed)
        instance = random_instance(rng, random_graph(rng, rng.randint(1, 14)), rng.randint(1, 4))
        for outcome in compare(instance).outcomes:
            check_path(instance, outcome.plan)
            for idle, busy in zip(idle_times(outcome.schedule).values(), outcome.busy_ns, strict=True):
                assert idle.total_ns + busy == outcome.schedule.makespan_ns
