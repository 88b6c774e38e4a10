"""Bars and lines for print: strategies side by side, layer times, a proof's progress, and how far off a run was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from decc_core.network.work import Resource
from decc_core.pictures import COLOURS
from decc_core.printed.sheet import BOUND, GRID, INK, MUTED, Sheet, drawable, log_ticks, tint
from decc_core.problem.instance import RESOURCES
from decc_core.problem.link import NS_PER_S
from decc_core.profiling.layer_times import LayerTimes, overall_ratio
from decc_core.study.compare import Comparison
from decc_core.text import duration, three_digits, time_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MANY_ROWS = 80
"""More layers than this are lines: bars would be thinner than a printed line."""
RATIO = "#7A5BA8"
OTHERS = "#A9B4C0"
"""Bars that are not the best."""
MARKERS = {Resource.EDGE: "s", Resource.UPLINK: "^", Resource.CLOUD: "o", Resource.DOWNLINK: "v"}


def draw_strategies(sheet: Sheet, comparison: Comparison, title: str) -> None:
    """Horizontal bars with their numbers at the right, the best in colour, and the bound as a dashed line."""
    from matplotlib.lines import Line2D

    outcomes, best = comparison.outcomes, comparison.best.strategy
    longest_ns = max([comparison.lower_bound_ns, *(outcome.objective_ns for outcome in outcomes)]) or 1
    ns_per_unit, unit = time_unit(longest_ns)
    axes = sheet.axes(1.35 * len(outcomes) + 3)
    places = range(len(outcomes))
    colours = [COLOURS[Resource.EDGE] if outcome.strategy == best else OTHERS for outcome in outcomes]
    values = [outcome.objective_ns / ns_per_unit for outcome in outcomes]
    axes.barh(places, values, height=0.7, color=colours, zorder=2)
    axes.set_yticks(places, [drawable(outcome.strategy) for outcome in outcomes])
    axes.set_ylim(len(outcomes) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    numbers = axes.twinx()
    numbers.set_ylim(axes.get_ylim())
    numbers.set_yticks(places, [duration(outcome.objective_ns) for outcome in outcomes])
    numbers.tick_params(axis="y", length=0, labelsize=sheet.small, colors=INK)
    numbers.spines[:].set_visible(False)
    for place, outcome in enumerate(outcomes):
        if outcome.strategy == best:
            for label in (axes.get_yticklabels()[place], numbers.get_yticklabels()[place]):
                label.set_fontweight("bold")
    bound = comparison.lower_bound_ns
    dashed: dict[str, Any] = {"color": BOUND, "linewidth": sheet.thin(1.2), "linestyle": (0, (5, 3))}
    axes.axvline(bound / ns_per_unit, zorder=3, **dashed)
    sheet.time_axis(axes, longest_ns / ns_per_unit, f"{title} ({unit})")
    sheet.legend([(Line2D([], [], **dashed), f"proven lower bound: {duration(bound)}")])
    sheet.settle()


def draw_times(sheet: Sheet, rows: Sequence[LayerTimes], names: Sequence[str], log: bool) -> None:
    """Edge and cloud time of every layer or group above, their ratio below.

    Few rows are paired bars with whiskers up to the 95th percentile, many are lines.
    """
    from matplotlib.lines import Line2D

    longest_s = max((max(row.edge_s, row.cloud_s) for row in rows), default=0.0) or 1e-3
    ns_per_unit, unit = time_unit(longest_s * NS_PER_S)
    per_s = NS_PER_S / ns_per_unit
    names_mm = max((sheet.width_mm(name, sheet.small) for name in names), default=0.0)
    above, below = sheet.panels(20 + names_mm / sheet.line_mm, (1.7, 1.0))
    xs = list(range(len(rows)))
    entries: list[tuple[Any, str]] = []
    for resource, values, p95s in (
        (Resource.EDGE, [row.edge_s * per_s for row in rows], [row.edge_p95_s for row in rows]),
        (Resource.CLOUD, [row.cloud_s * per_s for row in rows], [row.cloud_p95_s for row in rows]),
    ):
        whiskers = [
            0.0 if p95_s is None else max(0.0, p95_s * per_s - value) for value, p95_s in zip(values, p95s, strict=True)
        ]
        draw = _line if len(rows) > MANY_ROWS else _bars
        entries.append((draw(sheet, above, resource, xs, values, whiskers), resource.value))
    if log:
        _log_axis(above, [value * per_s for row in rows for value in (row.edge_s, row.cloud_s) if value > 0], 6)
    else:
        above.set_ylim(bottom=0)
    ratios = [row.ratio or float("nan") for row in rows]
    marks: dict[str, Any] = {"marker": "o", "markersize": 0.3 * sheet.points} if len(rows) <= MANY_ROWS else {}
    below.plot(xs, ratios, color=RATIO, linewidth=sheet.thin(0.9), drawstyle="steps-mid", **marks)
    ratio = Line2D([], [], color=RATIO, linewidth=sheet.thin(0.9), **marks)
    entries.append((ratio, "edge time over cloud time"))
    overall = overall_ratio(rows)
    if overall:
        below.axhline(overall, color=MUTED, linewidth=sheet.thin(0.9), linestyle=(0, (4, 2)))
        dashed = Line2D([], [], color=MUTED, linewidth=sheet.thin(0.9), linestyle=(0, (4, 2)))
        entries.append((dashed, f"whole network: {three_digits(overall)}×"))
    _log_axis(below, [row.ratio for row in rows if row.ratio] + ([overall] if overall else []), 4)
    for axes, title in ((above, f"time ({unit})"), (below, "ratio (×)")):
        sheet.grid(axes, "y")
        sheet.titled(axes, y=title)
    _names(sheet, below, names)
    above.tick_params(axis="x", length=0)
    sheet.legend(entries)
    sheet.settle()


def _bars(
    sheet: Sheet, axes: Axes, resource: Resource, xs: Sequence[int], values: Sequence[float], whiskers: Sequence[float]
) -> Any:
    beside = -0.2 if resource is Resource.EDGE else 0.2
    # Hatching says the same as colour.
    look: dict[str, Any] = {"hatch": sheet.hatch, "edgecolor": "#FFFFFF"} if resource is Resource.CLOUD else {}
    return axes.bar(
        [x + beside for x in xs], values, width=0.38, color=COLOURS[resource], linewidth=0, zorder=2,
        yerr=[[0.0] * len(xs), list(whiskers)] if any(whiskers) else None,
        error_kw={
            "elinewidth": sheet.thin(0.6), "ecolor": INK, "capsize": 0.1 * sheet.points, "capthick": sheet.thin(0.5),
        },
        **look,
    )  # fmt: skip


def _line(
    sheet: Sheet, axes: Axes, resource: Resource, xs: Sequence[int], values: Sequence[float], whiskers: Sequence[float]
) -> Any:
    style: Any = "solid" if resource is Resource.EDGE else (0, (2, 1))
    colour = COLOURS[resource]
    upper = [value + whisker for value, whisker in zip(values, whiskers, strict=True)]
    axes.fill_between(xs, values, upper, step="mid", color=tint(colour, 0.3), linewidth=0, zorder=1)
    (line,) = axes.plot(
        xs, values, color=colour, linewidth=sheet.thin(0.9), linestyle=style, drawstyle="steps-mid", zorder=2
    )
    return line


def _log_axis(axes: Axes, values: Sequence[float], most: int) -> None:
    """Vertical; over all values, which may be none."""
    low, high = (min(values) / 1.15, 1.15 * max(values)) if values else (0.5, 2.0)
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.minorticks_off()
    ticks = log_ticks(low, high, most) or [low, high]
    axes.set_yticks(ticks, [f"{tick:,.4g}" for tick in ticks])


def _names(sheet: Sheet, axes: Axes, names: Sequence[str]) -> None:
    """Names below the axes, upright: as many as there is room for."""
    every = sheet.every(0.78 * sheet.size.width_mm, len(names))
    shown = list(range(0, len(names), every))
    axes.set_xticks(shown, [drawable(names[place]) for place in shown], rotation=90)
    axes.set_xlim(-0.6, len(names) - 0.4)


class Known(Protocol):
    """What was known from this time of a proof on, in seconds."""

    @property
    def elapsed_s(self) -> float: ...
    @property
    def best_s(self) -> float: ...
    @property
    def bound_s(self) -> float: ...


def draw_proof(sheet: Sheet, rows: Sequence[Known], title: str) -> None:
    """Two steps that close in on each other; where they meet, the plan is proven optimal."""
    ns_per_unit, unit = time_unit(rows[0].best_s * NS_PER_S)
    per_s = NS_PER_S / ns_per_unit
    axes = sheet.axes(13)
    xs = [row.elapsed_s for row in rows]
    entries = []
    for name, values, colour, style in (
        ("best plan found", [row.best_s * per_s for row in rows], COLOURS[Resource.EDGE], "solid"),
        ("proven lower bound", [row.bound_s * per_s for row in rows], BOUND, (0, (5, 3))),
    ):
        (line,) = axes.plot(
            xs, values, color=colour, linewidth=sheet.thin(1.4), linestyle=style, drawstyle="steps-post", zorder=2
        )
        entries.append((line, name))
    low, high = min(row.bound_s for row in rows) * per_s, max(row.best_s for row in rows) * per_s
    room = 0.08 * (high - low) or 0.05 * high or 1.0
    axes.set_ylim(low - room, high + room)
    axes.locator_params(axis="y", nbins=6)
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    sheet.time_axis(axes, xs[-1] or 1.0, "time of the proof (s)")
    sheet.grid(axes, "y")
    sheet.titled(axes, x="time of the proof (s)", y=f"{title} ({unit})")
    sheet.legend(entries)
    sheet.settle()


class StageError(Protocol):
    """How far a request's work on a resource was from its plan, as a fraction of it."""

    @property
    def resource(self) -> Resource: ...
    @property
    def error(self) -> float: ...


def draw_errors(sheet: Sheet, rows: Sequence[StageError]) -> None:
    """A mark for each stage: to the right it took longer than planned, to the left it was quicker."""
    axes = sheet.axes(len(RESOURCES) * 1.8 + 3)
    for place, resource in enumerate(RESOURCES):
        mine = [100 * row.error for row in rows if row.resource is resource]
        axes.plot(
            mine, [place] * len(mine), linestyle="none", marker=MARKERS[resource], markersize=0.75 * sheet.points,
            markerfacecolor=COLOURS[resource], markeredgecolor=INK, markeredgewidth=sheet.thin(0.4), zorder=3,
        )  # fmt: skip
    low = min([-5.0, *(100 * row.error for row in rows)])
    high = max([5.0, *(100 * row.error for row in rows)])
    room = 0.05 * (high - low)
    axes.set_xlim(low - room, high + room)
    axes.axvline(0, color=MUTED, linewidth=sheet.thin(0.8))
    axes.set_yticks(range(len(RESOURCES)), [resource.value for resource in RESOURCES])
    axes.set_ylim(len(RESOURCES) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=7 if sheet.size.width_mm > 120 else 5)
    axes.grid(visible=True, color=GRID, linewidth=sheet.thin(0.6))
    sheet.titled(axes, x="measured time of each stage against its plan (%)")
    sheet.settle()
