"""The network's layers as a graph of groups that open: rows of data, and a scene coloured by one of their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import NamedTuple

from app.figures.branch_graph import out_bytes, run_labels
from app.figures.layer_tree import Group, GroupKind, shown
from app.figures.nested_layout import Area, lay_out
from app.figures.scene import ROUND, SQUARE, Frame, Legend, Line, Mark, Point, Scene, Swatch
from app.figures.style import DARK, Theme
from decc_core.network.graph import LayerGraph, TensorSpec
from decc_core.network.titles import middle_left_out, operator_name
from decc_core.network.towers import common_tower, towers
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS, TOWER_COLOURS, channels, ink_on, tower_colour
from decc_core.problem.instance import CostInstance, Cut, crossing_tensors
from decc_core.text import bytes_text, duration, flops_text

LETTERS, CAPTION_LETTERS, FRAME_LETTERS = 18, 20, 40
"""Letters for which a mark has room in its title and below it, and the title of a wide frame."""


class Colouring(str, Enum):
    """What the colours of the marks say."""

    BRANCH = "branch"
    PLACEMENT = "placement"
    EDGE_TIME = "edge time"
    BYTES = "bytes out"
    FLOPS = "FLOPs"
    PARAMETERS = "parameters"


@dataclass(frozen=True)
class Facts:
    """What is known of a layer or a group: nanoseconds on both devices, bytes, and floating-point operations.

    `out_bytes` are those of the tensors that leave it, as on the wire; parameters are counted once however many
    layers share them.
    """

    edge_ns: int
    cloud_ns: int
    out_bytes: int
    parameter_bytes: int
    flops: int


class BranchPlace(NamedTuple):
    """A branch by its number over the whole network, and by its number among so many of its segment; a branch beside
    which data only passes has no number of its own."""

    number: int
    place: int
    many: int


@dataclass(frozen=True)
class GroupNode:
    """A layer or a closed group, where it lies, the outermost branch to which it belongs, and the place of its tower.

    `short` is its name among those that are seen within the same open group; `inner_towers` are those of the branches
    of a closed segment.
    """

    part: Group
    title: str
    short: str
    area: Area
    facts: Facts
    branch: BranchPlace | None
    tower: int | None
    inner_towers: tuple[int | None, ...] = ()


@dataclass(frozen=True)
class Flow:
    """Data from one node to another; `tensors` are all that take this way."""

    source: str
    target: str
    kind: str
    points: tuple[Point, ...]
    tensors: tuple[int, ...]


@dataclass(frozen=True)
class OpenGroup:
    """A group whose parts are seen."""

    part: Group
    title: str
    area: Area


@dataclass(frozen=True)
class LayerRows:
    """Everything that is drawn of a network with some groups open; every layer is in exactly one node.

    `branches` is the highest number of a branch, `towers` are the names of the towers.
    """

    nodes: tuple[GroupNode, ...]
    flows: tuple[Flow, ...]
    open_groups: tuple[OpenGroup, ...]
    branches: int = 0
    towers: tuple[str, ...] = ()


def layer_rows(instance: CostInstance, tree: Group, opened: Set[str]) -> LayerRows:
    """The picture's data: nodes, flows between them and open groups of the network's tree, laid out."""
    graph = instance.graph
    layout = lay_out(graph, tree, opened)
    branches = outermost_branches(tree, frozenset(graph.inputs))
    parts = list(shown(tree, opened))
    called = dict(_labelled(graph, tree, opened))
    carried = _carried(graph, parts)
    return LayerRows(
        nodes=tuple(
            GroupNode(
                part,
                _title(graph, part),
                called[part.id],
                layout.marks[part.id],
                facts(instance, part.layers),
                branches.get(part.layers[0]),
                common_tower(graph, part.layers),
                tuple(common_tower(graph, inner.layers) for inner in _branches_of(part)),
            )
            for part in parts
        ),
        flows=tuple(
            Flow(source, target, kind, points, tuple(carried[source, target]))
            for (source, target), (kind, points) in layout.lines.items()
        ),
        open_groups=tuple(
            OpenGroup(tree.by_id[name], _title(graph, tree.by_id[name]), area) for name, area in layout.frames.items()
        ),
        branches=max((branch.number for branch in branches.values()), default=0),
        towers=tuple(tower.name for tower in towers(graph)),
    )


def _whole_tower(graph: LayerGraph, part: Group) -> str:
    """The name of the tower that this part is, if it is one."""
    at = common_tower(graph, part.layers)
    return towers(graph)[at].name if at is not None and len(part.layers) == len(towers(graph)[at].layers) else ""


def _title(graph: LayerGraph, part: Group) -> str:
    inner = [_whole_tower(graph, branch) for branch in _branches_of(part)]
    return f"{len(inner)} towers" if inner and all(inner) else _whole_tower(graph, part) or graph.run_title(part.layers)


def _branches_of(part: Group) -> tuple[Group, ...]:
    return part.parts if part.kind is GroupKind.SEGMENT else ()


def _labelled(graph: LayerGraph, group: Group, opened: Set[str]) -> Iterator[tuple[str, str]]:
    """The labels of all that is seen in a group, by id: each tells its part from the others of the same open group."""
    seen = [part for part in group.parts if not (part.parts and part.id in opened)]
    called = run_labels(graph, [part.layers for part in seen], LETTERS)
    for part, label in zip(seen, called, strict=True):
        yield part.id, middle_left_out(_whole_tower(graph, part), LETTERS) or label
    for part in group.parts:
        if part.parts and part.id in opened:
            yield from _labelled(graph, part, opened)


def _carried(graph: LayerGraph, parts: Sequence[Group]) -> dict[tuple[str, str], list[int]]:
    """The tensors that flow between two parts, each once."""
    home = {layer: part.id for part in parts for layer in part.layers}
    carried: dict[tuple[str, str], list[int]] = {}
    for i, tensor in enumerate(graph.tensors):
        source = home[tensor.producer]
        for target in dict.fromkeys(home[consumer] for consumer in tensor.consumers):
            if target != source:
                carried.setdefault((source, target), []).append(i)
    return carried


def outermost_branches(tree: Group, inputs: frozenset[int] = frozenset()) -> dict[int, BranchPlace]:
    """For each layer its branch; the outermost segment of several branches decides, of those within what several inputs
    reach.

    Where there is none, a branch beside which data only passes by counts as the first of one.
    """
    branches: dict[int, BranchPlace] = {}
    numbers = count(1)

    def walk(part: Group, own: BranchPlace | None) -> None:
        several = len(inputs) > 1 and len(inputs.intersection(part.layers)) > 1
        if part.place is not None and not several and (own is None or own.many == 1):
            own = BranchPlace(next(numbers) if part.place[1] > 1 else 0, *part.place)
        if not part.parts and own is not None:
            branches[part.layers[0]] = own
        for inner in part.parts:
            walk(inner, own)

    walk(tree, None)
    return branches


def facts(instance: CostInstance, layers: Sequence[int]) -> Facts:
    """Sums over some layers."""
    graph = instance.graph
    parameters = {name for layer in layers for name in graph.layers[layer].parameters}
    return Facts(
        edge_ns=sum(instance.edge_ns[layer] for layer in layers),
        cloud_ns=sum(instance.cloud_ns[layer] for layer in layers),
        out_bytes=out_bytes(instance, tuple(layers)),
        parameter_bytes=sum(graph.parameter_bytes[name] for name in parameters),
        flops=sum(graph.layers[layer].flops for layer in layers),
    )


def spec_text(spec: TensorSpec) -> str:
    """Shape and dtype of a tensor."""
    return f"{'×'.join(map(str, spec.shape)) or 'a number'} {spec.dtype}"


# -- colours --

PLAIN_LIGHT, PLAIN_DARK = "#E4E9EF", "#2C3642"
"""Nodes of the trunk, and of a value of nothing."""
# Paul Tol's muted palette: told apart with every common colour blindness, and none of them stands for a resource.
BRANCH_COLOURS = ("#88CCEE", "#DDCC77", "#CC6677", "#44AA99", "#AA4499", "#999933", "#882255", "#332288", "#117733")
# Both ramps are ordered by lightness alone, so that they read without colour, too; dear is far from the page's colour.
RAMP_LIGHT = ("#FFF1CF", "#FDCB7F", "#F39155", "#D0555A", "#8F2D6B", "#471D5E")
RAMP_DARK = ("#33254A", "#6F2C66", "#B2455F", "#E5764C", "#F9B45C", "#FFF0B8")
RAMP_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
ORDINALS = {1: "st", 2: "nd", 3: "rd"}

NUMBERS = {
    Colouring.EDGE_TIME: (lambda found: found.edge_ns, duration, "time on the edge device"),
    Colouring.BYTES: (lambda found: found.out_bytes, bytes_text, "bytes of its outputs on the wire"),
    Colouring.FLOPS: (lambda found: found.flops, flops_text, "floating-point operations"),
    Colouring.PARAMETERS: (lambda found: found.parameter_bytes, bytes_text, "bytes of its parameters"),
}
"""For each colouring by a number: where it stands, how it reads, and what it is."""


def draw_layers(
    instance: CostInstance, rows: LayerRows, colouring: Colouring, theme: Theme, cuts: Sequence[Cut] = ()
) -> Scene:
    """The scene of these rows; `cuts` are those of a plan, one a request, and only asked for by placement."""
    paint = {Colouring.BRANCH: _by_branch, Colouring.PLACEMENT: _by_placement}.get(colouring, _by_number)
    paints, legend = paint(rows, colouring, theme, cuts)
    crossing = {tensor for cut in set(cuts) for tensor in crossing_tensors(instance.graph, cut)}
    return Scene(
        marks=tuple(
            _mark(instance, rows.towers, node, painted, colouring is Colouring.PLACEMENT)
            for node, painted in zip(rows.nodes, paints, strict=True)
        ),
        lines=tuple(_line(instance, flow, crossing) for flow in rows.flows),
        frames=tuple(
            Frame(
                group.part.id,
                group.area.x,
                group.area.y,
                group.area.width,
                group.area.height,
                middle_left_out(group.title, max(6, min(FRAME_LETTERS, int(group.area.width / 8) - 5))),
            )
            for group in rows.open_groups
        ),
        legend=legend,
        strong_colour=COLOURS[Resource.UPLINK],
    )


@dataclass(frozen=True)
class _Paint:
    """How one node looks."""

    fill: str
    caption: str
    shape: str = SQUARE
    mixed: tuple[tuple[str, float], ...] = ()


Painted = tuple[list[_Paint], Legend]


def _by_branch(rows: LayerRows, colouring: Colouring, theme: Theme, cuts: Sequence[Cut]) -> Painted:
    plain = PLAIN_DARK if theme is DARK else PLAIN_LIGHT
    paints, places = [], [0]
    for node in rows.nodes:
        if node.tower is not None:
            name = middle_left_out(rows.towers[node.tower], CAPTION_LETTERS)
            caption = name if node.short != name else f"{len(node.part.layers)} layers"
            paints.append(_Paint(tower_colour(node.tower), caption if len(node.part.layers) > 1 else name))
        elif node.part.kind is GroupKind.SEGMENT:
            paints.append(_segment_paint(node))
            places.append(len(node.part.parts))
        elif node.branch is None:
            many = len(node.part.layers)
            paints.append(_Paint(plain, f"{many} layers" if many > 1 else "trunk"))
        else:
            branch = node.branch
            caption = f"branch {branch.number} of {rows.branches}" if branch.number else "beside a shortcut"
            paints.append(_Paint(_branch_colour(branch.place), caption))
            places.append(branch.place)
    shared = "what several inputs reach" if rows.towers else "trunk: every path passes it"
    swatches = [Swatch(plain, shared)]
    swatches += [Swatch(tower_colour(i), name) for i, name in enumerate(rows.towers[: len(TOWER_COLOURS)])]
    if len(rows.towers) > len(TOWER_COLOURS):
        swatches.append(Swatch(tower_colour(0), f"and so on to {rows.towers[-1]}, colours in turn"))
    most = max(places)
    names = [f"{i}{ORDINALS.get(i, 'th')}" for i in range(1, min(most, len(BRANCH_COLOURS)) + 1)]
    names[:1] = [f"{name} branch of its segment" for name in names[:1]]
    swatches += [Swatch(_branch_colour(i + 1), name) for i, name in enumerate(names)]
    if most > len(BRANCH_COLOURS):
        swatches.append(Swatch(_branch_colour(1), f"and so on to {most}, colours in turn"))
    return paints, Legend("Towers and branches" if rows.towers else "Branches", tuple(swatches))


def _segment_paint(node: GroupNode) -> _Paint:
    """A closed segment: the colours of its branches side by side, those of towers where its branches are some."""
    many = len(node.part.parts)
    colours = [_branch_colour(i + 1) if at is None else tower_colour(at) for i, at in enumerate(node.inner_towers)]
    what = "branches" if None in node.inner_towers else "towers"
    return _Paint(colours[0], f"{many} {what}", mixed=tuple((colour, 1 / many) for colour in colours))


def _branch_colour(number: int) -> str:
    return BRANCH_COLOURS[(number - 1) % len(BRANCH_COLOURS)]


def _by_placement(rows: LayerRows, colouring: Colouring, theme: Theme, cuts: Sequence[Cut]) -> Painted:
    if not cuts:
        raise ValueError("Colouring by placement needs the cuts of a plan.")
    edge, cloud = COLOURS[Resource.EDGE], COLOURS[Resource.CLOUD]
    paints = []
    for node in rows.nodes:
        on_edge = sum(layer in cut for cut in cuts for layer in node.part.layers)
        share = on_edge / (len(cuts) * len(node.part.layers))
        if share in (0, 1):
            paints.append(_Paint(edge, "edge") if share else _Paint(cloud, "cloud", ROUND))
        else:
            paints.append(_Paint(edge, f"{100 * share:.0f} % edge", mixed=((edge, share), (cloud, 1 - share))))
    swatches = (
        Swatch(edge, "on the edge"),
        Swatch(cloud, "in the cloud", ROUND),
        Swatch(COLOURS[Resource.UPLINK], "crossing tensor (uplink)", "line"),
    )
    return paints, Legend("Placement by DECC; two colours: the share of layers and requests on each side", swatches)


def _by_number(rows: LayerRows, colouring: Colouring, theme: Theme, cuts: Sequence[Cut]) -> Painted:
    """The root of a number decides its colour, so that small ones can still be told apart."""
    read, text, what = NUMBERS[colouring]
    ramp = RAMP_DARK if theme is DARK else RAMP_LIGHT
    plain = PLAIN_DARK if theme is DARK else PLAIN_LIGHT
    values = [read(node.facts) for node in rows.nodes]
    most = max(values, default=0)
    paints = [
        _Paint(ramp_colour(ramp, (value / most) ** 0.5), text(value)) if value else _Paint(plain, "none")
        for value in values
    ]
    if not most:
        return paints, Legend(f"{colouring.value}: none anywhere", (Swatch(plain, "none"),))
    ticks = tuple((at, text(round(most * at * at)) if at else "0") for at in RAMP_TICKS)
    legend = Legend(f"{colouring.value}: {what}, of each box", (Swatch(plain, "none"),), ramp, ticks)
    return paints, legend


def ramp_colour(ramp: Sequence[str], at: float) -> str:
    """The colour at a place between 0 and 1."""
    place = min(max(at, 0.0), 1.0) * (len(ramp) - 1)
    i = min(int(place), len(ramp) - 2)
    mixed = (round(a + (b - a) * (place - i)) for a, b in zip(channels(ramp[i]), channels(ramp[i + 1]), strict=True))
    return "#" + "".join(f"{channel:02X}" for channel in mixed)


def _mark(instance: CostInstance, names: Sequence[str], node: GroupNode, paint: _Paint, outlined: bool) -> Mark:
    fills = [colour for colour, _ in paint.mixed] or [paint.fill]
    x, y = node.area.centre
    return Mark(
        id=node.part.id,
        x=x,
        y=y,
        width=node.area.width,
        height=node.area.height,
        title=node.short,
        caption=paint.caption,
        lines=_tooltip(instance, names, node),
        fill=paint.fill,
        ink=ink_on(*fills),
        shape=paint.shape,
        mixed=paint.mixed,
        group=bool(node.part.parts),
        accent=tower_colour(node.tower) if outlined and node.tower is not None else "",
        layers=node.part.layers,
    )


def _tooltip(instance: CostInstance, names: Sequence[str], node: GroupNode) -> tuple[str, ...]:
    numbers, many = node.facts, len(node.part.layers)
    if node.part.kind is GroupKind.LAYER:
        place = node.part.layers[0]
        layer, first = instance.graph.layers[place], instance.graph.titles[place]
        second = f"{operator_name(layer.operator)} in {layer.module_path or 'no module'}"
    else:
        first, second = node.title, f"{node.part.kind.value} of {many} layers; double-click opens it"
    aside = f"only {names[node.tower]} reaches it" if node.tower is not None else ""
    return (
        first,
        second,
        *([aside] if aside else []),
        f"edge {duration(numbers.edge_ns)}, cloud {duration(numbers.cloud_ns)}",
        f"gives {bytes_text(numbers.out_bytes)} · parameters {bytes_text(numbers.parameter_bytes)} · "
        f"{flops_text(numbers.flops)}",
    )


def _line(instance: CostInstance, flow: Flow, crossing: Set[int]) -> Line:
    strong = [tensor for tensor in flow.tensors if tensor in crossing]
    label = ", ".join(
        f"{instance.graph.tensor_title(i, short=True)} ({bytes_text(instance.wire_bytes[i])})" for i in strong[:3]
    )
    more = f" and {len(strong) - 3} more" if len(strong) > 3 else ""
    makers = tuple(dict.fromkeys(instance.graph.tensors[i].producer for i in strong))
    return Line(flow.source, flow.target, flow.points, flow.kind, bool(strong), label + more, layers=makers)
