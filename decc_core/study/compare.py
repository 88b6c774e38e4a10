"""Several strategies on one instance, side by side, under one lower bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from decc_core.errors import InfeasiblePlan, NotPossible, SolverFailed, UnknownName
from decc_core.planner.analysis import Analysis, Solution
from decc_core.planner.replan import replan
from decc_core.planner.strategies import BASELINES, STRATEGIES, judged, solve, solve_exact
from decc_core.planner.strategies.exact_result import ExactResult, Progress
from decc_core.plans.check import check_plan
from decc_core.plans.plan import Execution, Plan
from decc_core.plans.schedule import Schedule, objective_ns, schedule, throughput_rps
from decc_core.problem.instance import RESOURCES, CostInstance, Cut, Loads, uplink_bytes
from decc_core.problem.link import NS_PER_S

Clock = Callable[[], float]


def no_clock() -> float:
    """The clock of a caller that does not care how long planning takes."""
    return 0.0


@dataclass(frozen=True)
class Outcome:
    """One strategy's plan on an instance, timed and bounded; `plan_s` is the planning time on the caller's clock."""

    strategy: str
    plan: Plan
    schedule: Schedule
    throughput_rps: float
    uplink_bytes: int
    objective_ns: int
    lower_bound_ns: int
    plan_s: float

    @property
    def execution(self) -> Execution:
        return self.plan.execution

    @property
    def makespan_s(self) -> float:
        return self.schedule.makespan_ns / NS_PER_S

    @property
    def busy_ns(self) -> Loads:
        return self.schedule.busy_ns

    @property
    def lower_bound_s(self) -> float:
        return self.lower_bound_ns / NS_PER_S

    @property
    def gap(self) -> float:
        """Distance from the proven bound, as a fraction of it; 0 means equality in nanoseconds."""
        if self.objective_ns == self.lower_bound_ns:
            return 0.0
        return (self.objective_ns - self.lower_bound_ns) / self.lower_bound_ns if self.lower_bound_ns else float("inf")

    def __repr__(self) -> str:
        return (
            f"<{self.strategy}, {self.execution.value}: makespan {self.makespan_s * 1e3:.4g} ms, "
            f"{self.throughput_rps:.3g} requests/s, gap {self.gap:.2%}>"
        )

    def row(self) -> dict[str, str | int | float]:
        """The figures of a table's row; units stand in the names."""
        busy = {f"{r.value}_busy_s": ns / NS_PER_S for r, ns in zip(RESOURCES, self.busy_ns, strict=True)}
        return {
            "strategy": self.strategy,
            "execution": self.execution.value,
            "makespan_s": self.makespan_s,
            "throughput_rps": self.throughput_rps,
            **busy,
            "uplink_bytes": self.uplink_bytes,
            "lower_bound_s": self.lower_bound_s,
            "gap": self.gap,
            "plan_s": self.plan_s,
        }


@dataclass(frozen=True)
class Comparison:
    """The outcomes of several strategies on one instance, in the order asked for; the bound is the same for all."""

    instance: CostInstance
    outcomes: tuple[Outcome, ...]
    lower_bound_ns: int
    not_possible: dict[str, str] = field(default_factory=dict)
    """Why strategies that were asked for have no plan under the constraints."""

    def of(self, strategy: str) -> Outcome:
        """The outcome of one strategy; says why where there is none."""
        for outcome in self.outcomes:
            if outcome.strategy == strategy:
                return outcome
        if strategy in self.not_possible:
            raise NotPossible(f"There is no plan of '{strategy}': {self.not_possible[strategy]}")
        there = ", ".join(outcome.strategy for outcome in self.outcomes)
        raise UnknownName(f"There is no outcome of '{strategy}' in this comparison; it has {there}.")

    def has(self, strategy: str) -> bool:
        return any(outcome.strategy == strategy for outcome in self.outcomes)

    @property
    def best(self) -> Outcome:
        """The outcome with the smallest objective; the earlier row wins a tie, so that simple plans are preferred."""
        return min(self.outcomes, key=lambda outcome: outcome.objective_ns)

    @property
    def has_baseline(self) -> bool:
        """Whether any baseline has a plan under the constraints."""
        return any(outcome.strategy in BASELINES for outcome in self.outcomes)

    @property
    def best_baseline(self) -> Outcome:
        if not self.has_baseline:
            raise NotPossible("No baseline has a plan under these constraints.")
        return min(
            (outcome for outcome in self.outcomes if outcome.strategy in BASELINES),
            key=lambda outcome: outcome.objective_ns,
        )

    def gain(self, over: str, of: str = "decc") -> float:
        """How many times better one strategy is than another, for the instance's objective."""
        return ratio(self.of(over).objective_ns, self.of(of).objective_ns)


def ratio(slower_ns: int, faster_ns: int) -> float:
    """Quotient of two times; equal times, zero included, give 1."""
    if slower_ns == faster_ns:
        return 1.0
    return slower_ns / faster_ns if faster_ns else float("inf")


def compare(
    problem: CostInstance | Analysis,
    strategies: Sequence[str] = tuple(STRATEGIES),
    clock: Clock = no_clock,
    exact_limit_s: float | None = None,
    progress: Progress | None = None,
    more_starts: Sequence[Plan] = (),
) -> Comparison:
    """Solve an instance with each strategy; strategies without a plan under the constraints are listed with the reason.

    `problem` is an instance, or its analysis where one is at hand.
    `exact_limit_s` adds the exact solver, which may raise the common bound; `progress` hears of its best value and
    bound, in seconds. `more_starts` are plans of similar instances, from which decc starts, too, where they are legal.
    """
    analysis = problem if isinstance(problem, Analysis) else Analysis(problem)
    instance, bound = analysis.instance, analysis.bound_ns
    for plan in more_starts:
        with suppress(InfeasiblePlan):
            check_plan(instance, plan)
            analysis.more_starts.append(plan)
    outcomes = []
    for name in strategies:
        began = clock()
        with suppress(NotPossible):
            solution = solve(analysis, name)
            outcomes.append(outcome_of(instance, name, solution, bound, clock() - began))
    not_possible = {name: analysis.not_possible[name] for name in strategies if name in analysis.not_possible}
    comparison = Comparison(instance, tuple(outcomes), bound, not_possible)
    if exact_limit_s is None:
        return comparison
    began = clock()
    try:
        result = solve_exact(analysis, solve(analysis, "decc").plan, exact_limit_s, progress=progress)
    except SolverFailed as reason:
        # A proof that fails costs its own row, and no other.
        return replace(comparison, not_possible={**not_possible, "exact": str(reason)})
    return with_exact(comparison, result, clock() - began)


def with_exact(comparison: Comparison, result: ExactResult, plan_s: float) -> Comparison:
    """The comparison with the exact solver's plan as its last row, and with its bound where that is higher."""
    instance, bound = comparison.instance, max(comparison.lower_bound_ns, result.lower_bound_ns)
    others = [replace(outcome, lower_bound_ns=bound) for outcome in comparison.outcomes if outcome.strategy != "exact"]
    solution = Solution(result.plan, schedule(instance, result.plan))
    last = outcome_of(instance, "exact", solution, bound, plan_s)
    return replace(comparison, outcomes=(*others, last), lower_bound_ns=bound)


def hand_made(instance: CostInstance, cuts: tuple[Cut, ...], like: Plan, bound: int) -> Outcome:
    """The best plan with these cuts, its order of work modelled on another plan's; refuses cuts that break a rule."""
    return outcome_of(instance, "hand-made", judged(instance, replan(Analysis(instance), cuts, like)), bound)


def outcome_of(instance: CostInstance, strategy: str, solution: Solution, bound: int, plan_s: float = 0.0) -> Outcome:
    """A strategy's plan, measured under a bound proven elsewhere."""
    plan, timing = solution
    return Outcome(
        strategy=strategy,
        plan=plan,
        schedule=timing,
        throughput_rps=throughput_rps(instance, plan),
        uplink_bytes=sum(uplink_bytes(instance, cut) for cut in plan.cuts),
        objective_ns=objective_ns(instance, plan, timing),
        lower_bound_ns=bound,
        plan_s=plan_s,
    )
