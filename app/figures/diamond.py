"""The network of the lesson: every layer in the colour of its place, every tensor with its size and its way."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from app.figures.style import Theme, new_figure
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS
from decc_core.problem.instance import CostInstance, Cut, crossing_tensors, returned_tensors

RESULT = "result"
PLACES = {
    "input": (0.0, 0.0),
    "a": (1.15, 0.0),
    "b": (2.3, 0.62),
    "c": (2.3, -0.62),
    "d": (3.45, 0.0),
    RESULT: (4.6, 0.0),
}
NS_PER_MS = 1_000_000
HALF_WIDTH, HALF_HEIGHT = 0.32, 0.3


@dataclass(frozen=True)
class Box:
    """A layer, or the result, and where it is; `lines` are its texts, the name first."""

    name: str
    resource: Resource
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Way:
    """A tensor on its way to one reader; `link` is the link that it takes, if any."""

    source: str
    target: str
    text: str
    link: Resource | None


@dataclass(frozen=True)
class Diamond:
    """All boxes and ways of one cut."""

    boxes: tuple[Box, ...]
    ways: tuple[Way, ...]


def plain_ms(time_ns: int) -> str:
    """The lesson's times are round; they are shown as they stand on paper."""
    return f"{time_ns / NS_PER_MS:.4g} ms"


def plain_kb(size_bytes: int) -> str:
    return f"{size_bytes / 1000:g} kB"


def diamond(instance: CostInstance, cut: Cut, theme: Theme) -> go.Figure:
    """The lesson's network under a cut."""
    return draw_diamond(diamond_rows(instance, cut), theme)


def diamond_rows(instance: CostInstance, cut: Cut) -> Diamond:
    """What the drawing says about one cut of the lesson's network."""
    graph = instance.graph
    crossing, returned = set(crossing_tensors(graph, cut)), set(returned_tensors(graph, cut))
    boxes = [_box(instance, cut, layer) for layer in range(len(graph.layers))]
    boxes.append(Box(RESULT, Resource.EDGE, (RESULT, "needed on the edge")))
    ways = []
    for i, tensor in enumerate(graph.tensors):
        source, size = graph.titles[tensor.producer], plain_kb(instance.wire_bytes[i])
        for consumer in tensor.consumers:
            crosses = i in crossing and consumer not in cut
            text = f"{size}, {plain_ms(instance.uplink_ns[i])}" if crosses else size
            ways.append(Way(source, graph.titles[consumer], text, Resource.UPLINK if crosses else None))
        if tensor.is_output:
            back = i in returned
            text = f"{size}, {plain_ms(instance.downlink_ns[i])}" if back else size
            ways.append(Way(source, RESULT, text, Resource.DOWNLINK if back else None))
    return Diamond(tuple(boxes), tuple(ways))


def _box(instance: CostInstance, cut: Cut, layer: int) -> Box:
    name = instance.graph.titles[layer]
    resource = Resource.EDGE if layer in cut else Resource.CLOUD
    if layer in instance.graph.inputs:
        return Box(name, resource, (name, "starts on the edge"))
    here = instance.edge_ns[layer] if layer in cut else instance.cloud_ns[layer]
    place, other = ("on the edge", "cloud") if layer in cut else ("in the cloud", "edge")
    there = instance.cloud_ns[layer] if layer in cut else instance.edge_ns[layer]
    return Box(name, resource, (name, f"{plain_ms(here)} {place}", f"({other}: {plain_ms(there)})"))


def draw_diamond(picture: Diamond, theme: Theme, height: int = 270) -> go.Figure:
    """From left to right; blue boxes are on the edge, green ones in the cloud, coloured arrows cross a link."""
    label = "The network of the lesson: its layers, where each is computed, and what crosses a link"
    figure = new_figure(theme, height, label, showlegend=False, hovermode=False, dragmode=False)
    for way in picture.ways:
        _draw_way(figure, way, theme)
    for box in picture.boxes:
        _draw_box(figure, box, theme)
    figure.add_trace(go.Scatter(x=[None], y=[None], showlegend=False))
    ends = [x for x, _ in PLACES.values()]
    figure.update_xaxes(visible=False, fixedrange=True, range=[min(ends) - 0.45, max(ends) + 0.45])
    figure.update_yaxes(visible=False, fixedrange=True, range=[-1.1, 1.1])
    return figure


def _draw_box(figure: go.Figure, box: Box, theme: Theme) -> None:
    x, y = PLACES[box.name]
    is_layer = box.name not in ("input", RESULT)
    colour = COLOURS[box.resource]
    figure.add_shape(
        type="path",
        path=_rounded(x, y),
        fillcolor=colour if is_layer else theme.page,
        line={"color": colour, "width": 2},
    )
    first, *others = box.lines
    small = "".join(f"<br><span style='font-size:11px'>{line}</span>" for line in others)
    figure.add_annotation(
        x=x,
        y=y,
        text=f"<b>{first}</b>{small}",
        showarrow=False,
        font={"size": 15, "color": "#FFFFFF" if is_layer else theme.text},
    )


def _rounded(x: float, y: float) -> str:
    left, right, low, high = x - HALF_WIDTH, x + HALF_WIDTH, y - HALF_HEIGHT, y + HALF_HEIGHT
    across, up = 0.05, 0.09
    return (
        f"M {left + across},{low} L {right - across},{low} Q {right},{low} {right},{low + up} L {right},{high - up} "
        f"Q {right},{high} {right - across},{high} L {left + across},{high} Q {left},{high} {left},{high - up} "
        f"L {left},{low + up} Q {left},{low} {left + across},{low} Z"
    )


def _draw_way(figure: go.Figure, way: Way, theme: Theme) -> None:
    (x0, y0), (x1, y1) = PLACES[way.source], PLACES[way.target]
    start, end = (x0 + HALF_WIDTH, y0 + _towards(y1 - y0)), (x1 - HALF_WIDTH, y1 - _towards(y1 - y0))
    colour = COLOURS[way.link] if way.link else theme.line
    figure.add_annotation(
        x=end[0],
        y=end[1],
        ax=start[0],
        ay=start[1],
        axref="x",
        ayref="y",
        xref="x",
        yref="y",
        text="",
        showarrow=True,
        arrowhead=2,
        arrowwidth=4 if way.link else 2,
        arrowsize=0.7 if way.link else 1,
        arrowcolor=colour,
    )
    lean = (end[1] > start[1]) - (end[1] < start[1])
    below = "c" in (way.source, way.target)
    figure.add_annotation(
        x=(start[0] + end[0]) / 2,
        y=(start[1] + end[1]) / 2,
        # Beside the arrow, on the outer side of the diamond.
        xshift=(20 if below else -20) * lean,
        yshift=-24 if below else 24,
        text=f"<b>{way.link.value}</b><br>{way.text}" if way.link else way.text,
        showarrow=False,
        font={"size": 12, "color": theme.text if way.link else theme.muted},
    )


def _towards(rise: float) -> float:
    """Slanted arrows leave and reach a box off its middle."""
    return 0.12 if rise > 0 else -0.12 if rise < 0 else 0.0
