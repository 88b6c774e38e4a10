"""Plans are cut into runs of layers that need nothing from outside between their start and their end."""

from __future__ import annotations

import pytest
import torch

from decc_core.errors import InfeasiblePlan
from decc_core.models.runtimes import runtime_of
from decc_core.network.work import Resource, Work
from decc_core.planner.strategies import solve
from decc_core.plans.plan import Execution, Plan, staged_plan
from decc_core.plans.runs import check_names, runs_of
from decc_core.runtime.worker.side import Side
from decc_core.runtime.worker.ticking import NativeTicker
from tests.runtime.networks import fork, instance, split_plan


def names(one, run):
    return [one.graph.layers[layer].name for layer in run.layers]


def test_a_stage_is_one_run_however_many_tensors_leave_it():
    one = instance()
    for side in (Resource.EDGE, Resource.CLOUD):
        assert len(runs_of(one.graph, split_plan(one, Execution.FRAME_PIPELINED), side)) == 1


def test_an_edge_run_ends_where_a_tensor_leaves():
    one = instance()
    index = one.graph.index
    # Stem and left branch stay; the stem's output leaves for the right branch, the left branch's for the join.
    cut = frozenset(range(index["conv2d"] + 1)) | {index["conv2d_1"], index["relu"], index["conv2d_2"]}
    plan = staged_plan(one, Execution.BRANCH_PIPELINED, [cut])
    first, second = runs_of(one.graph, plan, Resource.EDGE)
    assert names(one, first)[-1] == "conv2d"
    assert names(one, second) == ["conv2d_1", "relu", "conv2d_2"]
    assert [one.graph.tensor_name(t) for t in first.gives] == ["conv2d"]


def test_a_cloud_run_begins_where_a_tensor_must_first_arrive():
    one = instance()
    index = one.graph.index
    cut = frozenset(range(index["conv2d"] + 1)) | {index["conv2d_1"], index["relu"], index["conv2d_2"]}
    plan = staged_plan(one, Execution.BRANCH_PIPELINED, [cut])
    first, second = runs_of(one.graph, plan, Resource.CLOUD)
    assert names(one, first)[0] == "conv2d_3"
    assert names(one, second)[0] == "cat"


@pytest.mark.parametrize("strategy", ["decc", "jps", "dads-dsl", "edge-only", "cloud-only"])
def test_runs_of_both_sides_compute_what_the_model_computes(strategy):
    model, one = fork(), instance(requests=3)
    plan = solve(one, strategy).plan
    inputs = (torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8),)
    expected = model.run(inputs)
    for request in range(3):
        tensors = {model.graph.tensors_of[model.graph.inputs[0]][0]: inputs[0]}
        for side in (Resource.EDGE, Resource.CLOUD):
            for run in runs_of(model.graph, plan, side):
                if run.request == request:
                    ticker = NativeTicker()
                    outputs = runtime_of(model).program(model, run)(ticker, *(tensors[t] for t in run.reads))
                    tensors |= dict(zip(run.gives, outputs, strict=True))
                    assert len(ticker.stamps) == len(run.layers)
        assert torch.equal(tensors[model.graph.returned[0]], expected[0])


def test_a_sender_that_nobody_asks_for_more_has_noted_all_that_it_sent():
    model, one = fork(), instance()
    side = Side(Resource.EDGE, model, split_plan(one, Execution.FRAME_PIPELINED))
    for key in side.outgoing:
        side.tensors.put(key, torch.zeros(model.graph.tensors[key.item].spec.shape), 0)
    chunks = side.send()
    last = side.outgoing[-1]
    while True:
        chunk = next(chunks)
        if (chunk.request, chunk.tensor) == last and chunk.due_ns is not None:
            break
    # The other side may answer this very chunk and hang up, and then gRPC never resumes the generator.
    assert [row[:2] for row in side.sent] == [tuple(key) for key in side.outgoing]


def test_a_plan_that_names_what_is_not_there_is_refused():
    one = instance()
    plan = split_plan(one)
    wrong = Plan(plan.execution, plan.cuts, {**plan.sequences, Resource.EDGE: (Work(0, 99),)})
    with pytest.raises(InfeasiblePlan, match="#99 of request 0"):
        check_names(one.graph, wrong)
