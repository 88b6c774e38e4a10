"""The strategies: one table of records; adding one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from decc_core.errors import NotPossible, UnknownName
from decc_core.planner.analysis import Analysis, Solution
from decc_core.planner.strategies.dads import dads_dsh, dads_dsl
from decc_core.planner.strategies.decc import decc
from decc_core.planner.strategies.exact_result import ExactResult, Progress, Stoppable
from decc_core.planner.strategies.fixed import cloud_only, edge_only
from decc_core.planner.strategies.jps import jps
from decc_core.planner.strategies.neurosurgeon import neurosurgeon
from decc_core.planner.strategies.qdmp import qdmp
from decc_core.planner.strategies.single_cut import single_cut
from decc_core.plans.check import check_plan
from decc_core.plans.judge import check_schedule
from decc_core.plans.plan import Plan
from decc_core.problem.instance import CostInstance


@dataclass(frozen=True)
class Strategy:
    """One way to plan, and how pictures and texts show it.

    `paper` says where it was published, if it was; `short` is a name for narrow places, `colour` a key of the palette.
    `alike` strategies cut all requests alike. A strategy that `improves` starts from the plans of all others.
    """

    name: str
    short: str
    paper: str
    solve: Callable[[Analysis], Plan]
    colour: str
    alike: bool = True
    improves: bool = False


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("edge-only", "edge", "", edge_only, "sand"),
        Strategy("cloud-only", "cloud", "", cloud_only, "cyan"),
        Strategy("neurosurgeon", "neuro", "ASPLOS'17", neurosurgeon, "green"),
        Strategy("dads-dsl", "DSL", "INFOCOM'19", dads_dsl, "teal"),
        Strategy("qdmp", "QDMP", "IMWUT'20", qdmp, "olive"),
        Strategy("dads-dsh", "DSH", "INFOCOM'19", dads_dsh, "purple"),
        Strategy("single-cut", "single", "", single_cut, "wine"),
        Strategy("jps", "JPS", "ICPP'21, TMC'24", jps, "rose", alike=False),
        Strategy("decc", "DECC", "TETC'24", decc, "indigo", alike=False, improves=True),
    )
}
"""Everything that plans at once; the exact solver is asked for apart, with a time limit."""

BASELINES: tuple[str, ...] = tuple(name for name, strategy in STRATEGIES.items() if not strategy.improves)


def solve(problem: CostInstance | Analysis, name: str) -> Solution:
    """The plan of one strategy with its schedule, both checked; kept with the analysis.

    `problem` is an instance, or its analysis where one is at hand. Raises `NotPossible` where the strategy has no plan
    under the constraints, `UnknownName` for a strategy that is not in the table.
    """
    if name not in STRATEGIES:
        raise UnknownName(f"Unknown strategy '{name}'; choose one of {', '.join(STRATEGIES)}.")
    analysis = problem if isinstance(problem, Analysis) else Analysis(problem)
    if name in analysis.not_possible:
        raise NotPossible(analysis.not_possible[name])
    if name not in analysis.solutions:
        if STRATEGIES[name].improves:
            for other in BASELINES:
                with suppress(NotPossible):
                    solve(analysis, other)
        try:
            analysis.solutions[name] = judged(analysis.instance, STRATEGIES[name].solve(analysis))
        except NotPossible as reason:
            analysis.not_possible[name] = str(reason)
            raise
    return analysis.solutions[name]


def judged(instance: CostInstance, plan: Plan) -> Solution:
    """A plan with its schedule, after both kept every rule; raises `InfeasiblePlan` or `InvalidSchedule`."""
    timing = check_plan(instance, plan)
    check_schedule(instance, plan, timing)
    return Solution(plan, timing)


def solve_exact(
    problem: CostInstance | Analysis,
    warm_start: Plan,
    limit_s: float,
    known_bound_ns: int | None = None,
    progress: Progress | None = None,
    stoppable: Stoppable | None = None,
) -> ExactResult:
    """The checked result of the exact solver; `progress` hears of every better plan or bound, in seconds.

    `known_bound_ns` is a bound that is proven already, by default the analysis' own. `stoppable` is handed a function
    that ends the search early, from another thread.
    """
    # CP-SAT brings half a second of imports that only a proof needs.
    from decc_core.planner.strategies.exact import exact

    analysis = problem if isinstance(problem, Analysis) else Analysis(problem)
    bound = analysis.bound_ns if known_bound_ns is None else known_bound_ns
    result = exact(analysis.instance, warm_start, limit_s, bound, progress, stoppable)
    judged(analysis.instance, result.plan)
    return result
