"""What mixing cuts and overlapping branches contribute, each alone and both together, and what coding tensors does."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from decc_core.errors import LeftOut
from decc_core.formats import RAW
from decc_core.network.graph import LayerGraph
from decc_core.planner.analysis import Analysis
from decc_core.planner.strategies import BASELINES, STRATEGIES
from decc_core.planner.strategies.ablated import mix_only, overlap_only
from decc_core.plans.plan import Plan
from decc_core.plans.schedule import objective_ns, schedule
from decc_core.problem.link import NS_PER_S
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.study.compare import Comparison, compare, ratio
from decc_core.text import duration, first_line, gain_text


@dataclass(frozen=True)
class Ablation:
    """Objectives in nanoseconds.

    `neither` is the best plan with one cut for all requests and no overlap inside a request; `mix` lets requests be cut
    differently but keeps their stages whole; `overlap` cuts all requests alike but overlaps their branches; `both` is
    decc.
    """

    neither_ns: int
    mix_ns: int
    overlap_ns: int
    both_ns: int
    best_baseline: str
    best_baseline_ns: int

    def gain(self, part_ns: int) -> float:
        """How many times better than neither."""
        return ratio(self.neither_ns, part_ns)

    @property
    def over_best_baseline(self) -> float:
        return ratio(self.best_baseline_ns, self.both_ns)


def ablate(comparison: Comparison, analysis: Analysis | None = None) -> Ablation:
    """The ablation of a comparison that holds decc and all baselines that are possible.

    Raises `LeftOut`, whatever it fails by: the comparison stands without it.
    """
    try:
        return _ablated(comparison, analysis or Analysis(comparison.instance))
    except Exception as error:
        raise LeftOut(
            f"The ablation is left out, because planning with one idea alone failed: {first_line(error)}."
        ) from error


def _ablated(comparison: Comparison, analysis: Analysis) -> Ablation:
    instance, decc = comparison.instance, comparison.of("decc")
    baselines = [outcome for outcome in comparison.outcomes if outcome.strategy in BASELINES]
    alike = [outcome for outcome in baselines if STRATEGIES[outcome.strategy].alike]
    neither = min(outcome.objective_ns for outcome in alike)

    def value(plan: Plan) -> int:
        return objective_ns(instance, plan, schedule(instance, plan))

    mixed = mix_only(analysis, [outcome.plan for outcome in baselines])
    overlapped = overlap_only(analysis, [outcome.plan for outcome in alike])
    mix = min(*(outcome.objective_ns for outcome in baselines), *map(value, mixed))
    overlap = min(neither, *map(value, overlapped))
    best = comparison.best_baseline
    return Ablation(neither, mix, overlap, decc.objective_ns, best.strategy, best.objective_ns)


@dataclass(frozen=True)
class WireAblation:
    """decc's objective in nanoseconds with every tensor as it is, with coded inputs or coded features alone, and both.

    Features are all tensors but the network's inputs.
    """

    raw_ns: int
    inputs_ns: int
    features_ns: int
    both_ns: int

    def row(self) -> dict[str, float]:
        return {f"{name.removesuffix('_ns')}_s": value / NS_PER_S for name, value in asdict(self).items()}

    def __str__(self) -> str:
        parts = [
            f"{what} {gain_text(ratio(self.raw_ns, value))}"
            for what, value in (
                ("coded inputs alone", self.inputs_ns),
                ("coded features alone", self.features_ns),
                ("both", self.both_ns),
            )
        ]
        return f"Against raw tensors ({duration(self.raw_ns)}), each with its own best plan: {', '.join(parts)}."


def ablate_wire(
    scenario: Scenario, graph: LayerGraph, edge: DeviceProfile, cloud: DeviceProfile, both_ns: int
) -> WireAblation | None:
    """What the scenario's wire formats are worth; `both_ns` is decc's objective with them. None where all is raw."""
    if scenario.travel.is_raw:
        return None
    inputs = scenario.input_wire or scenario.wire

    def objective(wire: str, input_wire: str) -> int:
        instance = replace(scenario, wire=wire, input_wire=input_wire).instance(graph, edge, cloud)
        return compare(instance, ("decc",)).of("decc").objective_ns

    return WireAblation(objective(RAW, RAW), objective(RAW, inputs), objective(scenario.wire, RAW), both_ns)
