"""Several strategies on one instance, side by side, under one lower bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from decc_core.bounds import lower_bound_ns
from decc_core.cost import NS_PER_S, CostInstance, Loads, uplink_bytes
from decc_core.plan import Execution, Plan
from decc_core.schedule import Schedule, objective_ns, schedule, throughput_rps
from decc_core.strategies import BASELINES, STRATEGIES, solve, solve_exact

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


@dataclass(frozen=True)
class Comparison:
    """The outcomes of several strategies on one instance, in the order asked for; the bound is the same for all."""

    instance: CostInstance
    outcomes: tuple[Outcome, ...]
    lower_bound_ns: int

    def of(self, strategy: str) -> Outcome:
        return next(outcome for outcome in self.outcomes if outcome.strategy == strategy)

    def has(self, strategy: str) -> bool:
        return any(outcome.strategy == strategy for outcome in self.outcomes)

    @property
    def best(self) -> Outcome:
        """The outcome with the smallest objective; the earlier row wins a tie, so that simple plans are preferred."""
        return min(self.outcomes, key=lambda outcome: outcome.objective_ns)

    @property
    def best_baseline(self) -> Outcome:
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
    instance: CostInstance,
    strategies: Sequence[str] = tuple(STRATEGIES),
    clock: Clock = no_clock,
    exact_limit_s: float | None = None,
) -> Comparison:
    """Solve an instance with each strategy; `exact_limit_s` adds the exact solver, which may raise the common bound."""
    bound = lower_bound_ns(instance)
    plans: dict[str, tuple[Plan, float]] = {}
    for name in strategies:
        began = clock()
        known = [plan for solved, (plan, _) in plans.items() if solved in BASELINES]
        # decc starts from the baselines' plans: those already solved here are handed over, not solved again.
        starts = known if len(known) == len(BASELINES) else None
        plans[name] = (solve(instance, name, starts), clock() - began)
    if exact_limit_s is not None:
        began = clock()
        warm = plans["decc"][0] if "decc" in plans else solve(instance, "decc")
        found = solve_exact(instance, warm, exact_limit_s)
        plans["exact"] = (found.plan, clock() - began)
        bound = max(bound, found.lower_bound_ns)
    outcomes = tuple(_outcome(instance, plan, bound, plan_s) for plan, plan_s in plans.values())
    return Comparison(instance, outcomes, bound)


def _outcome(instance: CostInstance, plan: Plan, bound: int, plan_s: float) -> Outcome:
    timing = schedule(instance, plan)
    return Outcome(
        strategy=plan.strategy,
        plan=plan,
        schedule=timing,
        throughput_rps=throughput_rps(instance, plan),
        uplink_bytes=sum(uplink_bytes(instance, cut) for cut in plan.cuts),
        objective_ns=objective_ns(instance, plan, timing),
        lower_bound_ns=bound,
        plan_s=plan_s,
    )
