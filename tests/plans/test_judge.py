"""The judge accepts what can be run and refuses the rest; a slow judge, written apart, says the same of both."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from decc_core.errors import InvalidSchedule
from decc_core.network.work import Resource
from decc_core.planner.strategies import STRATEGIES, solve
from decc_core.plans.judge import check_schedule
from decc_core.plans.plan import Execution, Plan, Sequences, staged_plan
from decc_core.plans.schedule import Schedule, schedule
from decc_core.problem.instance import RESOURCES, CostInstance
from tests.builders import diamond, random_graph, random_instance
from tests.plans import slow_judge

CUT = frozenset({0, 1, 2})


def timed_diamond(execution: Execution, requests: int = 1) -> tuple[CostInstance, Plan, Schedule]:
    instance = diamond(requests=requests)
    plan = staged_plan(instance, execution, (CUT,) * requests)
    return instance, plan, schedule(instance, plan)


def both(instance: CostInstance, plan: Plan, timing: Schedule) -> list[str | None]:
    """What each judge says against a schedule, or None."""
    said: list[str | None] = []
    for judge in (check_schedule, slow_judge.check_schedule):
        try:
            judge(instance, plan, timing)
            said.append(None)
        except InvalidSchedule as error:
            said.append(str(error))
    return said


def shifted(timing: Schedule, resource: Resource, by_ns: int) -> Schedule:
    part = timing.sequences.work.parts[RESOURCES.index(resource)]
    starts, ends = timing.starts.copy(), timing.ends.copy()
    starts[part] += by_ns
    ends[part] += by_ns
    return replace(timing, starts=starts, ends=ends)


@pytest.mark.parametrize("execution", list(Execution))
def test_every_schedule_passes_both_judges(execution):
    assert both(*timed_diamond(execution, requests=2)) == [None, None]


def test_tampered_schedules_are_refused_and_the_culprit_is_named():
    instance, plan, timing = timed_diamond(Execution.BRANCH_PIPELINED)
    for tampered, why in (
        (shifted(timing, Resource.CLOUD, -1), "reads 'a' -> 'y' before it arrives|reads 'b' -> 'y' before it arrives"),
        (shifted(timing, Resource.UPLINK, -1), "sends 'a' -> 'y' before it is made"),
        (shifted(timing, Resource.DOWNLINK, -1), "returns 'y' too early"),
        (replace(timing, results=np.array([1])), "claims its result at 1 ns, not at 34 ns"),
        (replace(timing, results=np.array([1, 2])), "1 cut and 2 result"),
        (replace(timing, starts=timing.starts[1:], ends=timing.ends[1:]), "does not time all work"),
        (replace(timing, starts=timing.ends), "gives layer 1 a wrong time"),
        (replace(timing, ends=timing.ends + 1), "starts 'a' before its last work is over"),
    ):
        with pytest.raises(InvalidSchedule, match=why):
            check_schedule(instance, plan, tampered)
    without = Sequences({**plan.sequences, Resource.UPLINK: ()})
    with pytest.raises(InvalidSchedule, match="uplink does not follow the plan"):
        check_schedule(instance, plan, replace(timing, sequences=without))


def test_work_and_cuts_that_name_what_is_not_there_are_refused():
    instance, plan, timing = timed_diamond(Execution.BRANCH_PIPELINED)
    strange = Sequences({**plan.sequences, Resource.EDGE: ((0, 0), (0, 9), (0, 2))})
    with pytest.raises(InvalidSchedule, match="The edge works on #9 of request 0"):
        check_schedule(instance, replace(plan, sequences=strange), replace(timing, sequences=strange))
    with pytest.raises(InvalidSchedule, match="cut of request 0 names a layer"):
        check_schedule(instance, replace(plan, cuts=(CUT | {-1},)), timing)


def test_stages_and_requests_must_wait_as_the_execution_says():
    instance, plan, timing = timed_diamond(Execution.BRANCH_PIPELINED, requests=2)
    as_frames = replace(plan, execution=Execution.FRAME_PIPELINED)
    assert both(instance, as_frames, timing) == ["Request 0 starts its uplink stage too early."] * 2
    instance, plan, timing = timed_diamond(Execution.FRAME_PIPELINED, requests=2)
    in_turn = replace(plan, execution=Execution.CONSECUTIVE)
    assert both(instance, in_turn, timing) == ["Request 1 starts before the request before it is back."] * 2


def mutated(rng: random.Random, plan: Plan, timing: Schedule) -> tuple[Plan, Schedule]:
    """A plan and its schedule with one thing changed, mostly for the worse."""
    starts, ends, results = timing.starts.copy(), timing.ends.copy(), timing.results.copy()
    k, request = rng.randrange(len(starts)), rng.randrange(len(results))
    cuts, works = list(plan.cuts), dict(plan.sequences)
    resource = rng.choice([resource for resource in RESOURCES if works[resource]])
    i = rng.randrange(len(works[resource]))
    match rng.randrange(8):
        case 0:  # sooner
            earlier = rng.randint(0, int(starts[k]))
            starts[k] -= earlier
            ends[k] -= earlier
        case 1:  # later
            later = rng.randint(1, 50)
            starts[k] += later
            ends[k] += later
        case 2:  # longer
            ends[k] += rng.randint(1, 50)
        case 3:
            results[request] += rng.choice([-1, 1])
        case 4:  # a layer on the other side
            cuts[request] = cuts[request] ^ {rng.randrange(1 + max(plan.work.item))}
        case 5:  # done for another request
            works[resource] = tuple(
                work._replace(request=request) if j == i else work for j, work in enumerate(works[resource])
            )
        case 6:  # something else is done
            others = works[resource]
            works[resource] = tuple(
                work._replace(item=rng.choice(others).item) if j == i else work for j, work in enumerate(others)
            )
        case 7:  # two in the other order, at the same times
            order = list(works[resource])
            j = rng.randrange(len(order))
            order[i], order[j] = order[j], order[i]
            works[resource] = tuple(order)
    changed = Plan(plan.execution, tuple(cuts), works)
    return changed, Schedule(changed.sequences, starts, ends, results)


@pytest.mark.parametrize("seed", range(12))
def test_both_judges_say_the_same_of_schedules_with_one_thing_changed(seed):
    rng = random.Random(seed)
    instance = random_instance(rng, random_graph(rng, rng.randint(3, 9)), rng.randint(1, 3))
    refused = 0
    for name in STRATEGIES:
        plan = solve(instance, name).plan
        timing = schedule(instance, plan)
        assert both(instance, plan, timing) == [None, None]
        for _ in range(40):
            fast, slow = both(instance, *mutated(rng, plan, timing))
            assert fast == slow
            refused += fast is not None
    assert refused > 0.6 * 40 * len(STRATEGIES)
