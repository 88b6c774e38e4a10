"""All strategies side by side as bars of what the plan was chosen for, over the proven bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from app.figures.style import Theme
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS
from decc_core.problem.instance import Objective
from decc_core.study.compare import Comparison
from decc_core.text import duration

TITLES = {Objective.MAKESPAN: "makespan", Objective.THROUGHPUT: "time per repeated batch"}


@dataclass(frozen=True)
class StrategyBar:
    """The objective of one strategy's plan."""

    strategy: str
    execution: str
    objective_ns: int
    is_best: bool


def bars(comparison: Comparison, theme: Theme) -> str:
    """All strategies of a comparison, as HTML."""
    title = TITLES[comparison.instance.objective]
    return draw_bars(bar_rows(comparison), comparison.lower_bound_ns, title, theme)


def bar_rows(comparison: Comparison) -> tuple[StrategyBar, ...]:
    """One bar per strategy, in the comparison's order."""
    best = comparison.best.strategy
    return tuple(
        StrategyBar(outcome.strategy, outcome.execution.value, outcome.objective_ns, outcome.strategy == best)
        for outcome in comparison.outcomes
    )


def draw_bars(rows: Sequence[StrategyBar], bound_ns: int, title: str, theme: Theme) -> str:
    """Horizontal bars as HTML, the best in the colour of the page, the others grey; the bound is a dashed line.

    HTML and not a chart: nothing here zooms or is hovered over, and a chart would cost a redrawn page a tenth of a
    second.
    """
    longest_ns = max([bound_ns, *(row.objective_ns for row in rows)]) or 1
    bound = 100 * bound_ns / longest_ns
    side = "right" if bound > 70 else "left"
    lines = [_bar(row, 100 * row.objective_ns / longest_ns, theme) for row in rows]
    return (
        f'<div style="font-size:.85rem;color:{theme.text};padding-top:1.3rem">'
        f'<div style="position:relative"><div style="{PLACE}"><div style="{TRACK}">'
        f'<div style="position:absolute;left:{bound:.2f}%;top:-.2rem;bottom:-.2rem;'
        f'border-left:2px dashed {theme.bound}">'
        f'<span style="position:absolute;top:-1.2rem;{side}:.1rem;white-space:nowrap;color:{theme.bound}">'
        f"proven lower bound: {duration(bound_ns)}</span></div></div></div>{''.join(lines)}</div>"
        f'<div style="color:{theme.muted};text-align:center;padding-top:.4rem">{escape(title)}</div></div>'
    )


# Names stand in a column of their own; the rest is the track of the bars, with room for their numbers behind it.
NAMES = "7.2rem"
PLACE = f"position:absolute;left:{NAMES};right:0;top:0;bottom:0;pointer-events:none"
TRACK = "position:relative;height:100%;width:calc(100% - 4.8rem)"


def _bar(row: StrategyBar, share: float, theme: Theme) -> str:
    colour = COLOURS[Resource.EDGE] if row.is_best else theme.line
    weight = "600" if row.is_best else "400"
    return (
        f'<div style="display:flex;align-items:center;height:1.55rem;font-weight:{weight}" '
        f'title="{escape(row.strategy)}, {row.execution}: {duration(row.objective_ns)}">'
        f'<div style="width:{NAMES};flex:none;text-align:right;padding-right:.6rem">{escape(row.strategy)}</div>'
        f'<div style="flex:1;display:flex;align-items:center">'
        f'<div style="width:calc((100% - 4.8rem) * {share / 100:.4f});height:1rem;background:{colour}"></div>'
        f'<div style="padding-left:.4rem;white-space:nowrap">{duration(row.objective_ns)}</div></div></div>'
    )
