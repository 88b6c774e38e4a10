"""Moves of layers and hand-made cuts, against all legal cuts and against brute force."""

from __future__ import annotations

import random
from dataclasses import replace

from decc_core.network.work import Resource
from decc_core.planner.analysis import Analysis
from decc_core.planner.replan import replan
from decc_core.plans.check import check_plan
from decc_core.problem.constraints import Constraints
from decc_core.problem.instance import loads
from decc_core.study.compare import compare
from decc_core.study.moves import costs_of_moves, edited, edited_requests, minimal_moves
from tests.brute_force import all_cuts, best_makespan_of
from tests.builders import random_graph, random_instance
from tests.study.networks import A, B, X, Y, diamond, value


def test_only_layers_whose_neighbours_allow_it_move_alone():
    instance = diamond()
    names = [(layer, to) for layer, to, _ in minimal_moves(instance, frozenset({X, A}))]
    assert names == [(A, Resource.CLOUD), (B, Resource.EDGE)]
    assert [layer for layer, _, _ in minimal_moves(instance, instance.all_edge)] == [Y]


def test_a_move_of_a_branch_costs_what_one_works_out_on_paper():
    instance = diamond()
    plan = replan(Analysis(instance), [frozenset({X, A, B})])
    # a until 2, sent until 6; b until 5, sent from 6 to 11; y until 12, back at 14.
    assert value(instance, plan) == 14
    to_cloud_a, to_cloud_b, to_edge_y = costs_of_moves(instance, plan, [0])
    # x and b cross: x is sent until 6, b (ready at 3) until 11, as before.
    assert (to_cloud_a.layer, to_cloud_a.change_ns) == (A, 0)
    # x is sent until 6, a until 10, and y runs until 11; back at 13.
    assert (to_cloud_b.layer, to_cloud_b.change_ns) == (B, -1)
    # Everything on the edge: 2 + 3 + 9.
    assert (to_edge_y.layer, to_edge_y.change_ns) == (Y, 0)
    assert to_edge_y.change_of_loads == (9, -9, -1, -2)
    assert to_edge_y.change_of_bytes == -9


def test_moves_on_random_graphs_are_exactly_the_legal_cuts_that_differ_in_one_layer():
    for seed in range(60):
        rng = random.Random(seed)
        instance = random_instance(rng, random_graph(rng, rng.randint(1, 9)), 1)
        cuts = all_cuts(instance)
        cut = rng.choice(cuts)
        moved = [
            cut | {layer} if to is Resource.EDGE else cut - {layer} for layer, to, _ in minimal_moves(instance, cut)
        ]
        assert sorted(map(sorted, moved)) == sorted(sorted(one) for one in cuts if len(one ^ cut) == 1)


def test_the_cost_of_a_move_of_one_request_is_that_of_the_best_plan_with_the_new_cut():
    for seed in range(25):
        rng = random.Random(seed)
        instance = random_instance(rng, random_graph(rng, rng.randint(2, 7)), 1)
        plan = replan(Analysis(instance), [rng.choice(all_cuts(instance))])
        for move in costs_of_moves(instance, plan, [0]):
            cut = plan.cuts[0] ^ {move.layer}
            assert value(instance, plan) + move.change_ns == best_makespan_of(instance, (cut,))
            change = tuple(a - b for a, b in zip(loads(instance, cut), loads(instance, plan.cuts[0]), strict=True))
            assert move.change_of_loads == change


def test_every_move_of_every_strategys_plan_is_a_legal_plan():
    for seed in range(12):
        rng = random.Random(seed)
        instance = random_instance(rng, random_graph(rng, rng.randint(2, 10)), rng.randint(1, 3))
        for outcome in compare(instance).outcomes:
            for move in costs_of_moves(instance, outcome.plan, [0]):
                cuts = [outcome.plan.cuts[0] ^ {move.layer}, *outcome.plan.cuts[1:]]
                moved = replan(Analysis(instance), cuts, outcome.plan, outcome.execution)
                check_plan(instance, moved)
                assert move.change_ns == value(instance, moved) - outcome.objective_ns


def test_moving_one_layer_of_an_optimal_plan_never_helps():
    for seed in range(20):
        rng = random.Random(seed)
        instance = random_instance(rng, random_graph(rng, rng.randint(2, 7)), 1)
        decc = compare(instance).of("decc")
        if decc.gap == 0:
            assert all(move.change_ns >= 0 for move in costs_of_moves(instance, decc.plan, [0]))


def test_a_forbidden_move_is_told_with_the_constraint():
    instance = replace(diamond(), constraints=Constraints(on_edge=frozenset({A})))
    plan = replan(Analysis(instance), [frozenset({X, A, B})])
    refused = {move.layer: move.refused for move in costs_of_moves(instance, plan, [0])}
    assert "'a' must stay on the edge" in refused[A]
    assert refused[B] is None


def test_a_layer_takes_with_it_what_it_needs_and_the_reason_names_both_layers():
    instance = diamond()
    edit = edited(instance, instance.all_cloud, [Y], Resource.EDGE)
    assert (edit.cut, edit.along) == (instance.all_edge, (A, B))
    assert edit.reason == "a (cloud) feeds y (edge)."
    back = edited(instance, edit.cut, [B], Resource.CLOUD)
    assert (back.cut, back.along) == (frozenset({X, A}), (Y,))
    assert back.reason == "b (cloud) feeds y (edge)."


def test_moving_a_layer_along_is_the_smallest_legal_way():
    for seed in range(60):
        rng = random.Random(seed)
        instance = random_instance(rng, random_graph(rng, rng.randint(2, 8)), 1)
        cuts = all_cuts(instance)
        cut, layer = rng.choice(cuts), rng.randrange(len(instance.graph.layers))
        for to in (Resource.EDGE, Resource.CLOUD):
            edit = edited(instance, cut, [layer], to)
            if edit.refused:
                assert (layer in cut) == (to is Resource.EDGE) or layer in instance.graph.inputs
                continue
            wanted = [one for one in cuts if (layer in one) == (to is Resource.EDGE)]
            nearest = min(wanted, key=lambda one: len(one ^ cut))
            assert edit.cut == nearest
            assert (edit.reason is None) == (not edit.along)


def test_inputs_and_pinned_layers_stay_where_they_are():
    instance = diamond()
    assert "Input 'x' must be on the edge" in edited(instance, instance.all_edge, [X], Resource.CLOUD).refused
    assert "already" in edited(instance, instance.all_edge, [A], Resource.EDGE).refused
    pinned = replace(instance, constraints=Constraints(in_cloud=frozenset({A})))
    assert "'a' must stay in the cloud" in edited(pinned, pinned.all_cloud, [Y], Resource.EDGE).refused


def test_a_move_of_several_requests_leaves_those_that_are_there_already():
    instance = diamond(requests=3)
    cuts = (instance.all_edge, instance.all_cloud, instance.all_cloud)
    both = edited_requests(instance, cuts, [0, 1], [Y], Resource.EDGE)
    assert (both.cuts, both.along, both.refused) == ((instance.all_edge, instance.all_edge, cuts[2]), (A, B), None)
    there = edited_requests(instance, cuts, [0], [Y], Resource.EDGE)
    assert "already" in there.refused
    assert there.nothing_to_do
    assert edited_requests(instance, cuts, [], [Y], Resource.EDGE).refused == "No request is chosen."
    refused = edited_requests(instance, cuts, [0, 1], [X], Resource.CLOUD)
    assert refused.cuts == cuts
    assert "Input 'x'" in refused.refused
