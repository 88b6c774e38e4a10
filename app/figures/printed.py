"""The page's figures for print: made of the same rows as on the page, and only when somebody asks for the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from app.figures.bars import TITLES
from app.figures.branch_graph import CutGroup, branch_rows, cut_groups
from app.figures.branch_scene import branch_scene
from app.figures.gantt import gantt_rows, gap_rows, jump_rows
from app.figures.layer_graph import Colouring, LayerRows, draw_layers
from app.figures.lines import StrategyLine
from app.figures.overlay import stage_rows
from app.figures.profile_bars import time_rows
from app.figures.proof import Known
from app.figures.strategy_style import strategy_style
from app.figures.style import LIGHT
from app.figures.sweep_map import Axis, Conditions, MapKind, Tile
from app.figures.wire_depth import CutMark, look
from decc_core.network.graph import LayerGraph
from decc_core.planner.strategies import STRATEGIES
from decc_core.plans.schedule import Schedule
from decc_core.plans.trace import Trace, stages
from decc_core.printed.charts import draw_errors, draw_proof, draw_strategies, draw_times
from decc_core.printed.gantt import Timeline, draw_overlay, draw_timelines
from decc_core.printed.graph import draw_scene
from decc_core.printed.sheet import Picture, Sheet
from decc_core.printed.sweep import draw_lines, draw_map
from decc_core.printed.wire import draw_wire
from decc_core.problem.instance import CostInstance, Cut, Objective
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling.layer_times import GroupBy
from decc_core.study.compare import Comparison, Outcome
from decc_core.study.critical import critical_path, idle_times
from decc_core.study.crossover import Crossover
from decc_core.study.depth import WireLine
from decc_core.study.differences import plan_diff
from decc_core.text import duration, ranges_text

MANY_CUTS = 6
"""So many distinct cuts of a plan are offered, those of the first requests."""
MANY_BOXES = 1500
"""More boxes than this are dust on a page."""


def of_schedule(comparison: Comparison, outcome: Outcome, critical: bool) -> Picture:
    """A plan's schedule under the bound of its makespan, with its critical path if that is on the page."""

    def draw(sheet: Sheet) -> None:
        instance, timing = comparison.instance, outcome.schedule
        path = critical_path(instance, outcome.plan, timing) if critical else None
        bound_ns = comparison.lower_bound_ns if instance.objective is Objective.MAKESPAN else None
        timeline = Timeline(
            gantt_rows(instance, timing, marked=path.work if path else ()),
            bound_ns=bound_ns,
            gaps=gap_rows(idle_times(timing)) if path else (),
            jumps=jump_rows(path) if path else (),
            marked="critical path" if path else "",
        )
        draw_timelines(sheet, [timeline], timing.makespan_ns)

    return Picture(f"Schedule of {outcome.strategy}", f"gantt-{outcome.strategy}", draw)


def of_two_plans(comparison: Comparison, first: Outcome, second: Outcome) -> Picture:
    """Two schedules on one axis of time, in full colour what only one of them does."""

    def draw(sheet: Sheet) -> None:
        instance = comparison.instance
        diff = plan_diff(instance, first.plan, second.plan)
        timelines = [
            Timeline(
                gantt_rows(instance, one.schedule, marked=() if diff.same_cuts else work),
                f"{one.strategy}: {duration(one.objective_ns)}",
                marked="" if diff.same_cuts else "what only this plan does, or does on this side",
                faded=not diff.same_cuts,
            )
            for one, work in ((first, diff.first_work), (second, diff.second_work))
        ]
        draw_timelines(sheet, timelines, max(one.schedule.makespan_ns for one in (first, second)))

    names = f"{first.strategy} and {second.strategy}"
    return Picture(f"Two plans: {names}", f"gantt {names}", draw)


def of_cuts(instance: CostInstance, outcome: Outcome) -> list[Picture]:
    """The network as branches, once for each distinct cut of a plan."""
    return [_of_cut(instance, outcome, group) for group in cut_groups(outcome.plan)[:MANY_CUTS]]


def _of_cut(instance: CostInstance, outcome: Outcome, group: CutGroup) -> Picture:
    requests = ranges_text([request + 1 for request in group.requests])
    alone = instance.requests == 1
    whose = "" if alone else f", {'requests' if len(group.requests) > 1 else 'request'} {requests}"
    return Picture(
        f"Cut of {outcome.strategy}{whose}",
        f"cut {outcome.strategy}" if alone else f"cut {outcome.strategy} requests {requests.replace('–', '-')}",
        lambda sheet: draw_scene(sheet, branch_scene(branch_rows(instance, group.cut))),
    )


def of_strategies(comparison: Comparison) -> Picture:
    """All strategies side by side."""
    title = TITLES[comparison.instance.objective]
    return Picture(f"All strategies by {title}", "strategies", lambda sheet: draw_strategies(sheet, comparison, title))


def of_proof(rows: Sequence[Known], title: str) -> Picture:
    """How a proof went on."""
    return Picture(
        "Best plan and bound over the time of the proof", "proof", lambda sheet: draw_proof(sheet, rows, title)
    )


def of_layers(instance: CostInstance, rows: LayerRows, colouring: Colouring, cuts: Sequence[Cut]) -> Picture:
    """The network's layers, with the groups open that are open on the page."""
    boxes = len(rows.nodes)
    return Picture(
        f"Layers by {colouring.value}",
        f"layers {colouring.value}",
        lambda sheet: draw_scene(sheet, draw_layers(instance, rows, colouring, LIGHT, cuts)),
        f"{boxes:,} boxes are too many for a page: close groups, or Collapse all, until {MANY_BOXES:,} are left."
        if boxes > MANY_BOXES
        else "",
    )


def of_times(graph: LayerGraph, edge: DeviceProfile, cloud: DeviceProfile, by: GroupBy, log: bool) -> Picture:
    """The times of every layer or group on both devices."""

    def draw(sheet: Sheet) -> None:
        rows = time_rows(graph, edge, cloud, by)
        draw_times(sheet, [row.times for row in rows], [row.label for row in rows], log)

    return Picture(
        f"Times by {by.value}",
        f"times by {by.value}",
        draw,
    )


MAPS = {
    MapKind.WINNER: ("Map: who wins", "map who wins"),
    MapKind.GAIN: ("Map: gain of decc", "map gain"),
    MapKind.REGRET: ("Map: regret of keeping the plan", "map regret"),
}


def of_map(
    kind: MapKind,
    tiles: Callable[[], Sequence[Tile]],
    rates: Sequence[float],
    slowdowns: Sequence[float],
    present: Conditions,
    over: str,
    axis: Axis = Axis.EDGE,
) -> Picture:
    """A map over uplink rate and edge speed, or bits a value; `over` is what decc's gain is over."""
    title, name = MAPS[kind]
    ratios = f"gain over {over}" if kind is MapKind.GAIN else "time of the kept plan over that of a new one"

    def draw(sheet: Sheet) -> None:
        ticks = [axis.tick(value) for value in slowdowns]
        draw_map(sheet, tiles(), rates, slowdowns, present, _looks(), ratios, axis.title, ticks)

    return Picture(title, f"sweep {name}", draw)


def of_lines(
    lines: Callable[[], Sequence[StrategyLine]],
    crossings: Callable[[], Sequence[Crossover]],
    present_mbps: float,
    title: str,
) -> Picture:
    """Every strategy over the uplink's rate."""

    def draw(sheet: Sheet) -> None:
        draw_lines(sheet, lines(), crossings(), present_mbps, title, _looks())

    return Picture("Every strategy over the uplink's rate", "sweep lines", draw)


def _looks() -> Mapping[str, object]:
    return {strategy: strategy_style(strategy) for strategy in STRATEGIES}


def of_wire(lines: Sequence[WireLine], cuts: Sequence[CutMark], used: str, least: float | None) -> Picture:
    """Bytes that cross over the depth of the network, and agreement where it was measured."""

    def draw(sheet: Sheet) -> None:
        looks = [look(place, LIGHT, line.wire == used) for place, line in enumerate(lines)]
        draw_wire(sheet, lines, [cut for cut in cuts if cut.size_bytes], used, looks, least)

    return Picture("Bytes that cross over the depth", "wire", draw)


def of_run(instance: CostInstance, strategy: str, predicted: Schedule, measured: Trace) -> list[Picture]:
    """A run over its plan, and how far every stage was off."""

    def overlaid(sheet: Sheet) -> None:
        until_ns = max(measured.makespan_ns, predicted.makespan_ns)
        draw_overlay(sheet, gantt_rows(instance, predicted), gantt_rows(instance, measured), until_ns)

    def errors(sheet: Sheet) -> None:
        draw_errors(sheet, stage_rows(stages(measured, predicted)))

    return [
        Picture(f"Planned over measured, {strategy}", f"measured {strategy}", overlaid),
        Picture(f"Every stage against its plan, {strategy}", f"stages {strategy}", errors),
    ]
