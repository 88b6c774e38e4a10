"""The Gantt chart of a schedule: who works on which request, when, on each of the four resources."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Any

from app.figures.style import Theme
from app.text import in_chart
from decc_core.network.graph import LayerGraph
from decc_core.network.titles import shared_module
from decc_core.network.towers import common_tower, tower_of, towers
from decc_core.network.work import Resource, Span, Work
from decc_core.pictures import COLOURS, FINE, Bar, Coding, channels, coded_in, ink_on, span_groups
from decc_core.plans.plan import Plan, item_name
from decc_core.plans.schedule import Schedule, coding_stretches
from decc_core.plans.trace import Trace
from decc_core.problem.instance import RESOURCES, CostInstance, Objective
from decc_core.study.critical import CriticalPath, Idle, critical_path, idle_times
from decc_core.text import duration, time_unit

MANY_SPANS = 60
"""A resource with more spans than this is drawn with its neighbours of one request merged."""
MOST_BARS = 600
"""With more bars than this on a resource, those too thin to be seen share one."""
MOST_RUNS = 50_000
"""Of so many runs of layers the browser is told which bar holds them; bars of larger charts point at nothing."""
WIDE = 60
"""A bar of at least this fraction of the time axis has room for its request's number."""
LETTERS = 110
"""So many letters have room along the time axis."""
STRENGTHS = (1.0, 0.76, 0.3)
"""Of a bar's colour over the page: neighbouring requests alternate, and what two plans share is faint."""

Marked = Collection[tuple[Resource, Work]]


class Marking(Enum):
    """What marked bars stand for: outlined as the critical path, or in full colour as what another plan lacks."""

    CRITICAL = "critical"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Gap:
    """A time at which a resource does nothing."""

    resource: Resource
    start_ns: int
    end_ns: int

    @property
    def duration_ns(self) -> int:
        return self.end_ns - self.start_ns


@dataclass(frozen=True)
class Jump:
    """Where the critical path goes from one resource to another."""

    source: Resource
    end_ns: int
    target: Resource
    start_ns: int


@dataclass(frozen=True)
class Chart:
    """Four rows against time, up to `until_ns`; the request's number stands in its bar, the bound is a dashed line.

    `marking` says what marked bars stand for; `gaps` are hatched, and `jumps` of the critical path are dotted lines
    between the rows. Where bars are `named`, each says its layer or tensor, too.
    """

    bars: tuple[Bar, ...]
    until_ns: int
    bound_ns: int | None = None
    marking: Marking | None = None
    gaps: tuple[Gap, ...] = ()
    jumps: tuple[Jump, ...] = ()
    named: bool = False

    def __post_init__(self) -> None:
        last_ns = max((bar.end_ns for bar in self.bars), default=0)
        if self.until_ns < max(last_ns, 1):
            raise ValueError(f"The chart ends at {self.until_ns} ns, before its last bar at {last_ns} ns.")


def gantt(
    instance: CostInstance,
    timing: Schedule | Trace,
    *,
    path: CriticalPath | None = None,
    different: Marked | None = None,
    bound_ns: int | None = None,
    until_ns: int | None = None,
    named: bool = False,
) -> Chart:
    """The chart of a schedule, with its critical path and idle time, or what another plan lacks, if given.

    `until_ns` fixes the end of the time axis, so that two charts can be compared.
    """
    marking = Marking.CRITICAL if path is not None else Marking.DIFFERENT if different is not None else None
    return Chart(
        gantt_rows(instance, timing, marked=path.work if path is not None else different or ()),
        max(until_ns or 0, timing.makespan_ns, bound_ns or 0, 1),
        bound_ns,
        marking,
        gap_rows(idle_times(timing)) if path is not None else (),
        jump_rows(path) if path is not None else (),
        named,
    )


def plan_chart(
    instance: CostInstance, plan: Plan, timing: Schedule, bound_ns: int, critical: bool
) -> tuple[Chart, str]:
    """A plan's schedule under the bound of its makespan; if asked for with its critical path, which is told, too."""
    path = critical_path(instance, plan, timing) if critical else None
    bound = bound_ns if instance.objective is Objective.MAKESPAN else None
    chart = gantt(instance, timing, path=path, bound_ns=bound)
    return chart, path_in_words(path, instance.objective) if path is not None else ""


def path_in_words(path: CriticalPath, objective: Objective) -> str:
    """How the makespan divides over what the critical path passes."""

    def share(time_ns: int) -> str:
        part = time_ns / path.makespan_ns
        return f"{100 * part:.0f} %" if part >= 0.005 else "< 1 %"

    names = [*(resource.value for resource in RESOURCES), "propagation"]
    parts = zip(names, [*path.load_ns, path.propagation_ns], strict=True)
    shares = [f"{name} {duration(ns)} ({share(ns)})" for name, ns in parts if ns]
    repeated = " For throughput the busiest row counts, not this path." if objective is Objective.THROUGHPUT else ""
    return f"The critical path (outlined) takes {duration(path.makespan_ns)}: {', '.join(shares)}.{repeated}"


def gap_rows(idle: Mapping[Resource, Idle]) -> tuple[Gap, ...]:
    """Idle times; where there are many, those that can be seen."""
    gaps = [Gap(resource, *gap) for resource, times in idle.items() for gap in times.gaps_ns]
    if len(gaps) > MOST_BARS:
        unseen_ns = max(gap.end_ns for gap in gaps) // FINE
        gaps = [gap for gap in gaps if gap.duration_ns > unseen_ns]
    return tuple(gaps)


def jump_rows(path: CriticalPath) -> tuple[Jump, ...]:
    """The jumps between work that is drawn, that is, takes time; where there are many, no two at the same place."""
    spans = [step.span for step in path.steps if step.span.end_ns > step.span.start_ns]
    jumps = [
        Jump(a.resource, a.end_ns, b.resource, b.start_ns) for a, b in pairwise(spans) if a.resource is not b.resource
    ]
    if len(jumps) > MOST_BARS:
        unseen_ns = path.makespan_ns // FINE or 1
        jumps = list({(jump.source, jump.target, jump.end_ns // unseen_ns): jump for jump in jumps}.values())
    return tuple(jumps)


def gantt_rows(
    instance: CostInstance, timing: Schedule | Trace, many: int = MANY_SPANS, marked: Marked = ()
) -> tuple[Bar, ...]:
    """The bars of a schedule, planned or measured; spans that take no time are left out.

    `marked` work stands in bars of its own, unless these would be too thin to be seen.
    """
    part_of = _towers_of_work(instance.graph)
    coding = coding_stretches(instance, timing) if isinstance(timing, Schedule) else {}
    bars: list[Bar] = []
    for resource in RESOURCES:
        spans = [span for span in timing.spans[resource] if span.end_ns > span.start_ns]
        groups = span_groups(spans, 0, marked) if len(spans) > many else [[span] for span in spans]
        if part_of is not None and len(spans) > many:
            # Who is who: the work of two towers shares no bar, unless they take turns too often.
            apart = span_groups(spans, 0, marked, part_of)
            groups = apart if len(apart) <= MOST_BARS else groups
        if len(groups) > MOST_BARS:
            groups = _without_thin(groups, timing.makespan_ns // FINE)
        bars.extend(_bar(instance, resource, group, marked, coding) for group in groups)
    if isinstance(timing, Trace):
        bars.extend(_coding_bars(instance, timing))
    return tuple(bars)


def _coding_bars(instance: CostInstance, measured: Trace) -> Iterator[Bar]:
    """What was coded, each time a bar of the layer that makes or needs the tensor.

    Bars that could not be seen are left out.
    """
    graph, unseen_ns = instance.graph, measured.makespan_ns // FINE
    in_cloud = {span.work for span in measured.spans.get(Resource.CLOUD, ())}
    for resource, spans in measured.coding.items():
        for span in spans:
            if span.duration_ns > (unseen_ns if len(spans) > MANY_SPANS else 0):
                tensor = graph.tensors[span.work.item]
                readers = [reader for reader in tensor.consumers if Work(span.work.request, reader) in in_cloud]
                layer = tensor.producer if resource is Resource.EDGE or not readers else min(readers)
                name, stretch = item_name(graph, resource, layer), (span.start_ns, span.end_ns)
                yield Bar(
                    resource, (span.work.request,), *stretch, first=name, last=name, layers=(layer,), coding=(stretch,)
                )


def _towers_of_work(graph: LayerGraph) -> Callable[[Span], object] | None:
    """The tower to which a piece of work belongs, in a network that has some."""
    if not towers(graph):
        return None
    of_layer = dict(enumerate(tower_of(graph)))
    of_tensor = {i: of_layer[tensor.producer] for i, tensor in enumerate(graph.tensors)}
    return lambda span: (of_layer if span.resource.computes else of_tensor).get(span.work.item)


def _layers(instance: CostInstance, spans: Iterable[Span]) -> tuple[int, ...]:
    """The layers that some work stands for: those that are computed, or that make what is sent."""
    graph = instance.graph
    items = {(span.resource.computes, span.work.item) for span in spans}
    known = (
        (is_layer, item) for is_layer, item in items if 0 <= item < len(graph.layers if is_layer else graph.tensors)
    )
    return tuple(sorted({item if is_layer else graph.tensors[item].producer for is_layer, item in known}))


def _without_thin(groups: Sequence[list[Span]], unseen_ns: int) -> list[list[Span]]:
    """Neighbours that together cannot be seen are one group, whatever their requests."""
    joined: list[list[Span]] = []
    for group in groups:
        if joined and group[-1].end_ns - joined[-1][0].start_ns <= unseen_ns:
            joined[-1].extend(group)
        else:
            joined.append([*group])
    return joined


def _bar(instance: CostInstance, resource: Resource, group: Sequence[Span], marked: Marked, coding: Coding) -> Bar:
    graph, first, last = instance.graph, group[0], group[-1]
    layers = _layers(instance, group)
    tower = common_tower(graph, layers)
    return Bar(
        resource=resource,
        requests=tuple(sorted({span.work.request for span in group})),
        start_ns=first.start_ns,
        end_ns=last.end_ns,
        items=len(group),
        first=item_name(graph, resource, first.work.item),
        last=item_name(graph, resource, last.work.item),
        size_bytes=0 if resource.computes else sum(_bytes(instance, resource, span.work.item) for span in group),
        marked=bool(marked) and any((resource, span.work) in marked for span in group),
        layers=layers,
        tower="" if tower is None else towers(graph)[tower].name,
        module=shared_module([graph.layers[layer].module_path for layer in layers]),
        coding=coded_in(group, coding),
    )


def _bytes(instance: CostInstance, link: Resource, tensor: int) -> int:
    return instance.wire_bytes[tensor] if link is Resource.UPLINK else instance.bytes_back(tensor)


def request_numbers(bars: Sequence[Bar], until_ns: int) -> dict[Bar, str]:
    """The number of its request for each bar that has room for one, where there are several; before it the name of its
    tower, where that has room, too."""
    several = len({request for bar in bars for request in bar.requests}) > 1
    texts = {}
    for bar in bars:
        number = str(bar.request + 1) if several and len(bar.requests) == 1 else ""
        text = " · ".join(filter(None, (in_chart(bar.tower), number)))
        named = bar.tower and 0 < until_ns * len(text) / LETTERS <= bar.duration_ns
        texts[bar] = text if named else number if bar.duration_ns >= until_ns / WIDE else ""
    return texts


def as_data(chart: Chart, theme: Theme) -> dict[str, Any]:
    """The chart as what JSON knows: times in nanoseconds, all texts and colours; the browser finds out what has room.

    Layers are pairs of first and last, and each list of them is told once, as bars of several requests share theirs.
    """
    ns_per_unit, unit = time_unit(chart.until_ns)
    several = len({request for bar in chart.bars for request in bar.requests}) > 1
    held: dict[tuple[int, ...], int] = {}
    told, bars = 0, []
    for bar in chart.bars:
        layers = runs(bar.layers)
        if layers not in held:
            told += len(layers) // 2
            held[layers] = len(held) if told <= MOST_RUNS else -1
        bars.append(
            {
                "row": RESOURCES.index(bar.resource),
                "from": bar.start_ns,
                "to": bar.end_ns,
                "requests": list(bar.requests),
                "number": str(bar.request + 1) if several and len(bar.requests) == 1 else "",
                "label": bar.first if chart.named else bar.tower,
                "lines": list(bar.lines),
                "strength": _strength(bar, chart.marking),
                "marked": bar.marked,
                "layers": held[layers],
                "coding": [list(stretch) for stretch in bar.coding],
            }
        )
    return {
        "rows": [_row(resource, theme) for resource in RESOURCES],
        "bars": bars,
        "layers": [list(layers) for layers, place in held.items() if place >= 0],
        "gaps": [
            {
                "row": RESOURCES.index(gap.resource),
                "from": gap.start_ns,
                "to": gap.end_ns,
                "text": f"idle {duration(gap.duration_ns)}",
                "lines": [
                    f"{gap.resource.value}: idle",
                    f"{duration(gap.start_ns)} to {duration(gap.end_ns)}: {duration(gap.duration_ns)}",
                ],
            }
            for gap in chart.gaps
        ],
        "jumps": [
            [RESOURCES.index(jump.source), jump.end_ns, RESOURCES.index(jump.target), jump.start_ns]
            for jump in chart.jumps
        ],
        "bound": chart.bound_ns,
        "until": chart.until_ns,
        "end": duration(chart.until_ns),
        "per_unit": ns_per_unit,
        "unit": unit,
        "marking": chart.marking.value if chart.marking else "",
    }


def runs(numbers: Sequence[int]) -> tuple[int, ...]:
    """First and last of every run of whole numbers that follow each other, from rising ones."""
    ends: list[int] = []
    for number in numbers:
        if ends and number == ends[-1] + 1:
            ends[-1] = number
        else:
            ends += [number, number]
    return tuple(ends)


def in_words(chart: Chart) -> str:
    """What the chart is, for those who do not see it."""
    bound = "" if chart.bound_ns is None else f", over a proven lower bound of {duration(chart.bound_ns)}"
    return (
        f"Gantt chart: work on {', '.join(resource.value for resource in RESOURCES[:-1])} and {RESOURCES[-1].value} "
        f"against time, {duration(chart.until_ns)} in all{bound}."
    )


def _strength(bar: Bar, marking: Marking | None) -> int:
    if marking is Marking.DIFFERENT:
        return 0 if bar.marked else 2
    return bar.request % 2


def _row(resource: Resource, theme: Theme) -> dict[str, Any]:
    """The colour of a resource in each strength, and the ink that is read on it."""
    fills = [_over(COLOURS[resource], theme.page, strength) for strength in STRENGTHS]
    return {"name": resource.value, "fills": fills, "inks": [ink_on(fill) for fill in fills]}


def _over(colour: str, page: str, strength: float) -> str:
    """A colour that lets the page through."""
    mixed = (strength * a + (1 - strength) * b for a, b in zip(channels(colour), channels(page), strict=True))
    return "#" + "".join(f"{round(value):02X}" for value in mixed)
