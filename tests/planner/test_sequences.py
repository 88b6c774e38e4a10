"""The search over the sequences of one cut: as good as all sequences, bounded in work, and what it says is true."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from decc_core.planner.analysis import Analysis
from decc_core.planner.chains import Chain
from decc_core.planner.sequences import best_sequences
from decc_core.planner.strategies import solve
from decc_core.plans.judge import check_schedule
from decc_core.plans.schedule import schedule
from decc_core.problem.instance import CostInstance, Cut
from tests.brute_force import all_cuts, best_makespan_of
from tests.builders import make_graph, make_instance, random_graph, random_instance


def instances(first_seed: int, many: int, least: int, most: int) -> Iterator[CostInstance]:
    """Random instances of networks with several outputs."""
    seed = first_seed
    while many:
        rng = random.Random(seed)
        graph = random_graph(rng, rng.randint(least, most), max_width=4 if most < 10 else None)
        if len(graph.returned) > 1:
            yield random_instance(rng, graph, 1)
            many -= 1
        seed += 1


def chains(instance: CostInstance, *cuts: Cut) -> list[Chain]:
    """The cuts with their best orders of tensors."""
    return [Analysis(instance).chains.of_cut(cut) for cut in cuts]


@pytest.mark.parametrize("seed", [0, 1000, 2000, 3000])
def test_each_cut_gets_the_best_of_all_its_sequences(seed):
    for instance in instances(seed, 6, 4, 8):
        for cut in all_cuts(instance)[:-1]:
            (usual,) = chains(instance, cut)
            best = usual.makespan_ns
            for plan in best_sequences(instance, [usual]):
                timing = schedule(instance, plan)
                check_schedule(instance, plan, timing)
                best = timing.makespan_ns
                assert best < usual.makespan_ns
            assert best == best_makespan_of(instance, (cut,), usual.makespan_ns), sorted(cut)


def test_the_output_that_takes_long_to_come_back_is_computed_first():
    # Both take 1 in the cloud; small takes 1 to come back, large 9. In stored order small comes first.
    graph = make_graph({"x": [], "small": ["x"], "large": ["x"]})
    instance = make_instance(graph, {"small": 99, "large": 99}, {"small": 1, "large": 1}, {"x": 2})
    downlink = tuple(9 if graph.layers[tensor.producer].name == "large" else 1 for tensor in graph.tensors)
    instance = CostInstance(
        graph, instance.edge_ns, instance.cloud_ns, instance.uplink_ns, downlink, instance.wire_bytes
    )
    (usual,) = chains(instance, instance.all_cloud)
    (plan,) = best_sequences(instance, [usual])
    assert usual.makespan_ns == 2 + 2 + 10
    assert schedule(instance, plan).makespan_ns == 2 + 1 + 9 + 1


def test_with_a_makespan_to_beat_every_plan_beats_it_and_the_plans_before():
    for instance in instances(0, 10, 6, 12):
        usual = chains(instance, *all_cuts(instance)[:-1])
        value = min(chain.makespan_ns for chain in usual)
        alone = [schedule(instance, plan).makespan_ns for chain in usual for plan in best_sequences(instance, [chain])]
        shared = [schedule(instance, plan).makespan_ns for plan in best_sequences(instance, usual, value)]
        assert shared == sorted(set(shared), reverse=True)
        assert min([value, *shared]) == min([value, *alone])


def test_networks_with_several_outputs_are_planned_quickly():
    times = []
    for instance in instances(5000, 25, 20, 30):
        # Once before the clock runs, because loops may be compiled on the way.
        solve(instance, "decc")
        again = replace(instance, half_rtt_ns=instance.half_rtt_ns + 1)
        began = time.process_time()
        solve(again, "decc")
        times.append(time.process_time() - began)
    assert max(times) < 1


@pytest.mark.parametrize("wide", [500, 3000])
def test_many_layers_that_all_read_the_input_end_in_a_plan(wide):
    graph = make_graph({"x": []} | {f"n{i}": ["x"] for i in range(wide)})
    instance = random_instance(random.Random(3), graph, 1)
    began = time.process_time()
    best_sequences(instance, chains(instance, instance.all_cloud, frozenset(range(wide // 2))))
    assert time.process_time() - began < 5


def test_a_deep_network_with_two_outputs_ends_in_a_plan():
    graph = make_graph({"n0": []} | {f"n{i}": [f"n{i - 1}"] for i in range(1, 3000)} | {"side": ["n10"]})
    instance = random_instance(random.Random(3), graph, 1)
    for plan in best_sequences(instance, chains(instance, frozenset(range(5)), frozenset(range(2000)))):
        check_schedule(instance, plan, schedule(instance, plan))
