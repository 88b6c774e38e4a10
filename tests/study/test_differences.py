"""What two plans differ in, and what each sends."""

from __future__ import annotations

import random

from decc_core.network.work import Resource, Work
from decc_core.plans.plan import Execution, staged_plan
from decc_core.problem.instance import crossing_tensors
from decc_core.study.differences import paired_requests, plan_diff, sent_tensors
from tests.brute_force import all_cuts
from tests.builders import random_graph, random_instance
from tests.study.networks import A, B, X, Y, diamond


def test_sent_tensors_are_listed_once_with_their_requests():
    instance = diamond(requests=3)
    cuts = [frozenset({X, A, B}), instance.all_cloud, frozenset({X, A, B})]
    sent = sent_tensors(instance, staged_plan(instance, Execution.CONSECUTIVE, cuts))
    up = [one for one in sent if one.link is Resource.UPLINK]
    assert [(one.tensor, one.readers, one.size_bytes, one.time_ns, one.requests) for one in up] == [
        (0, (A, B), 6, 6, (1,)), (1, (Y,), 4, 4, (0, 2)), (2, (Y,), 5, 5, (0, 2)),
    ]  # fmt: skip
    (back,) = [one for one in sent if one.link is Resource.DOWNLINK]
    assert (back.tensor, back.producer, back.readers, back.time_ns, back.requests) == (3, Y, (), 2, (0, 1, 2))


def test_a_result_that_is_made_on_the_edge_takes_no_link():
    instance = diamond(requests=2)
    sent = sent_tensors(instance, staged_plan(instance, Execution.CONSECUTIVE, [instance.all_edge, instance.all_cloud]))
    assert [(one.link, one.requests) for one in sent] == [(Resource.UPLINK, (1,)), (Resource.DOWNLINK, (1,))]


def test_two_plans_differ_in_the_requests_that_are_cut_elsewhere():
    instance = diamond(requests=3)
    late, early = frozenset({X, A, B}), instance.all_cloud
    first = staged_plan(instance, Execution.CONSECUTIVE, [early, late, late])
    second = staged_plan(instance, Execution.CONSECUTIVE, [late, early, early])
    found = plan_diff(instance, first, second)
    (difference,) = found.differences
    assert difference.pairs == ((2, 2),)
    assert (difference.to_edge, difference.to_cloud) == ((), (A, B))
    assert (difference.no_longer_sent, difference.newly_sent) == ((1, 2), (0,))
    assert found.first_loads == (10, 6 + 18, 2 + 3, 6)
    assert (Resource.EDGE, Work(2, A)) in found.first_work
    assert (Resource.CLOUD, Work(2, A)) in found.second_work
    assert plan_diff(instance, first, first).same_cuts


def test_every_request_is_compared_with_exactly_one_other_and_equal_cuts_find_each_other():
    for seed in range(40):
        rng = random.Random(seed)
        instance = random_instance(rng, random_graph(rng, 6), 5)
        cuts = all_cuts(instance)
        first, second = (
            staged_plan(instance, Execution.CONSECUTIVE, [rng.choice(cuts[:3]) for _ in range(5)]) for _ in "ab"
        )
        pairs = paired_requests(first, second)
        assert sorted(a for a, _ in pairs) == sorted(b for _, b in pairs) == list(range(5))
        different = sum(first.cuts[a] != second.cuts[b] for a, b in pairs)
        shared = sum(min(first.cuts.count(cut), second.cuts.count(cut)) for cut in set(first.cuts))
        assert different == 5 - shared
        for one in plan_diff(instance, first, second).differences:
            a, b = (plan.cuts[request] for plan, request in zip((first, second), one.pairs[0], strict=True))
            assert (a | set(one.to_edge)) - set(one.to_cloud) == b
            sent = set(crossing_tensors(instance.graph, a))
            assert (sent | set(one.newly_sent)) - set(one.no_longer_sent) == set(crossing_tensors(instance.graph, b))
