"""Whether a split is worth it, in one sentence, and the simplest plan that is as good as any."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from decc_core.errors import DeccError
from decc_core.formats import RAW
from decc_core.plans.plan import Plan, uses_both
from decc_core.problem.instance import CostInstance, Objective, crossing_tensors, returned_tensors
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.study.compare import Comparison, Outcome, compare, ratio
from decc_core.text import bytes_text, gain_text

AS_GOOD = 1.005
"""A plan whose result is within this factor of the best one's is as good."""
NOTICED = 1.05
"""What a plan gains by overlapping is told from here on."""
MUCH_BACK = 0.1
"""A way back that takes this share of the plan's time is told."""
FEW = 2
"""So many wire formats are named."""


@dataclass(frozen=True)
class Verdict:
    """What to do: `recommended` is the simplest of the plans that are as good as the best; `alone` is the best plan
    that leaves every request to the same one device, where there is one."""

    comparison: Comparison
    recommended: Outcome
    alone: Outcome | None

    @property
    def gain(self) -> float:
        """How many times better the recommended plan is than the best device alone."""
        return ratio(self.alone.objective_ns, self.recommended.objective_ns) if self.alone else 1.0

    @property
    def way_back(self) -> float:
        """The share of the recommended plan's time in which results are on their way back."""
        return self.recommended.busy_ns.downlink_ns / max(1, self.recommended.schedule.makespan_ns)

    @property
    def _returned_bytes(self) -> int:
        instance = self.comparison.instance
        cuts = self.recommended.plan.cuts
        return sum(instance.bytes_back(i) for cut in cuts for i in returned_tensors(instance.graph, cut))

    @property
    def splits(self) -> bool:
        """Whether a request has layers on both devices."""
        instance = self.comparison.instance
        return any(cut not in (instance.all_edge, instance.all_cloud) for cut in self.recommended.plan.cuts)

    @property
    def advice(self) -> str:
        """What the sentence comes down to: 'split', 'share', or where everything runs."""
        instance, plan = self.comparison.instance, self.recommended.plan
        if not uses_both(instance, plan):
            return _where(instance, plan)
        return "split" if self.splits else "share"

    def __str__(self) -> str:
        if not uses_both(self.comparison.instance, self.recommended.plan):
            return f"Do not split: {self._alone_in_words()}{self._overlap_in_words()}."
        what = "Split" if self.splits else "Share the requests"
        many = len(self.recommended.plan.cuts)
        ways = [f"{bytes_text(round(self.recommended.uplink_bytes / many))} up"]
        if self.way_back >= MUCH_BACK:
            ways.append(f"{bytes_text(round(self._returned_bytes / many))} back")
        return f"{what}: {self._gain_in_words()}, {' and '.join(ways)} per request{self._wire_in_words()}."

    def _wire_in_words(self) -> str:
        """How what goes up travels, and how much smaller than raw that makes it; nothing where nothing is coded."""
        instance, plan = self.comparison.instance, self.recommended.plan
        crossing = [tensor for cut in plan.cuts for tensor in crossing_tensors(instance.graph, cut)]
        used = list(dict.fromkeys(instance.format_of(tensor) for tensor in crossing))
        if not set(used) - {RAW}:
            return ""
        raw = sum(instance.graph.tensors[tensor].spec.size_bytes for tensor in crossing)
        coded = sum(instance.wire_bytes[tensor] for tensor in crossing)
        names = " and ".join(used) if len(used) <= FEW else f"{len(used)} formats"
        return f" ({names} on the wire, {gain_text(ratio(raw, coded))} smaller)"

    def _alone_in_words(self) -> str:
        where = _where(self.comparison.instance, self.recommended.plan)
        best = self.comparison.best
        if self.recommended.objective_ns == best.objective_ns:
            return f"no plan is better than everything {where}" if best.gap == 0 else f"everything {where} is best"
        apart = 100 * (ratio(self.recommended.objective_ns, best.objective_ns) - 1)
        return f"everything {where} is within {max(apart, 0.1):.1f} % of the best plan"

    def _overlap_in_words(self) -> str:
        """What one device gains by computing while the rest is still on its way; nothing where that is hardly any."""
        name = "edge-only" if self.recommended.plan.cuts[0] == self.comparison.instance.all_edge else "cloud-only"
        step_by_step = next((one for one in self.comparison.outcomes if one.strategy == name), None)
        if self.comparison.instance.objective is not Objective.MAKESPAN or step_by_step is None:
            return ""
        if step_by_step.objective_ns <= self.recommended.objective_ns * NOTICED:
            return ""
        gain = gain_text(ratio(step_by_step.objective_ns, self.recommended.objective_ns))
        return f", {gain} faster than {name} by overlapping"

    def _gain_in_words(self) -> str:
        if self.alone is None:
            return "neither device may do everything"
        alone = "edge" if self.alone.plan.cuts[0] == self.comparison.instance.all_edge else "cloud"
        if self.comparison.instance.objective is Objective.MAKESPAN:
            return f"{gain_text(self.gain)} faster than the {alone} alone"
        return f"{gain_text(self.gain)} the requests per second of the {alone} alone"


def verdict(comparison: Comparison) -> Verdict:
    """The verdict on a comparison; between plans that are as good, fewer kinds of cut, then fewer bytes win."""
    instance, limit = comparison.instance, comparison.best.objective_ns * AS_GOOD
    as_good = [outcome for outcome in comparison.outcomes if outcome.objective_ns <= limit]
    alone = [outcome for outcome in comparison.outcomes if not uses_both(instance, outcome.plan)]

    def effort(outcome: Outcome) -> tuple[int, bool, int, int]:
        plan = outcome.plan
        return len(set(plan.cuts)), uses_both(instance, plan), outcome.uplink_bytes, outcome.objective_ns

    recommended = min(as_good, key=effort)
    best_alone = min(alone, key=lambda outcome: outcome.objective_ns, default=None)
    # A gain over one device that nobody would notice is no reason to split, either.
    if best_alone and best_alone.objective_ns <= recommended.objective_ns * AS_GOOD:
        recommended = best_alone
    return Verdict(comparison, recommended, best_alone)


def extremes(edge: DeviceProfile, cloud: DeviceProfile) -> tuple[tuple[DeviceProfile, DeviceProfile], ...]:
    """The pairs at the ends of what is known of both devices' times; none where they were measured."""
    if not edge.error and not cloud.error:
        return ()
    return tuple((one, other) for one in _ends(edge) for other in _ends(cloud))


def _ends(profile: DeviceProfile) -> tuple[DeviceProfile, ...]:
    if not profile.error:
        return (profile,)
    return profile.scaled(1 + profile.error, "slowest"), profile.scaled(1 / (1 + profile.error), "fastest")


def doubt(found: Verdict, at_extremes: Iterable[Verdict]) -> str:
    """Whether the verdict holds wherever estimated times may lie, by the verdicts at their ends."""
    others = sorted({other.advice for other in at_extremes} - {found.advice})
    if not others:
        return "The times are estimated; this holds at both ends of their ranges."
    words = {"split": "splitting pays", "share": "sharing the requests pays"}
    what = " or ".join(words.get(other, f"everything {other} is better") for other in others)
    return f"The times are estimated, and at an end of their ranges {what}: measure before you decide."


def doubts(
    found: Verdict,
    scenario: Scenario,
    edge: DeviceProfile,
    cloud: DeviceProfile,
    compared: Callable[[CostInstance], Comparison] = compare,
) -> str:
    """With times that are estimated, a sentence on whether the verdict holds for others in their ranges, else none.

    `compared` has to ask the strategies that the verdict's own comparison asked, or the two differ by that alone.
    """
    graph, pairs = found.comparison.instance.graph, extremes(edge, cloud)
    if not pairs:
        return ""
    try:
        at_extremes = [verdict(compared(scenario.instance(graph, *pair))) for pair in pairs]
    except DeccError:
        # Under limits there may be no plan for a slower device, and huge times can be too long to add up.
        return "The times are estimated, and an end of their ranges has no plan: measure before you decide."
    return doubt(found, at_extremes)


def _where(instance: CostInstance, plan: Plan) -> str:
    return "on the edge" if plan.cuts[0] == instance.all_edge else "in the cloud"
