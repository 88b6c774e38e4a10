"""The pieces of a network that a plan asks for: one program for each side of each distinct cut, and what crosses."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.plans.plan import Plan
from decc_core.problem.instance import Cut, crossing_tensors, returned_tensors

SIDES = (Resource.EDGE, Resource.CLOUD)


@dataclass(frozen=True)
class PieceTensor:
    """A tensor that enters or leaves a piece, by the name under which programs take and give it.

    `dim_order` lists the dimensions as they lie in memory, the slowest first: a tensor that is rebuilt in another
    order can change the last digits of a result.
    """

    name: str
    layer: str
    output: int
    shape: tuple[int, ...]
    dtype: str
    size_bytes: int
    dim_order: tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """One program: its file, the layers in it, and the names of the tensors that it takes and gives."""

    file: str
    layers: tuple[str, ...]
    takes: tuple[str, ...]
    gives: tuple[str, ...]


@dataclass(frozen=True)
class CutPieces:
    """The programs of one cut, the requests that take it, and what crosses, in the order in which it is sent.

    A side that computes nothing has no program.
    """

    requests: tuple[int, ...]
    edge: Piece | None
    cloud: Piece | None
    sent: tuple[PieceTensor, ...]
    sent_bytes: int


@dataclass(frozen=True)
class SplitManifest:
    """What `decc split` wrote, for which network and plan; `outputs` stand in the order of the whole network's."""

    graph_name: str
    graph_fingerprint: str
    strategy: str
    inputs: tuple[PieceTensor, ...]
    outputs: tuple[PieceTensor, ...]
    cuts: tuple[CutPieces, ...]

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """All programs, cut after cut."""
        return tuple(piece for cut in self.cuts for piece in (cut.edge, cut.cloud) if piece is not None)


@dataclass(frozen=True)
class PieceIndices:
    """A piece in indices: the layers of one side of a cut, and the tensors that it takes and gives."""

    file: str
    layers: tuple[int, ...]
    takes: tuple[int, ...]
    gives: tuple[int, ...]


def pieces_of(graph: LayerGraph, plan: Plan, suffix: str) -> tuple[tuple[Cut, dict[Resource, PieceIndices]], ...]:
    """Each distinct cut of a plan with its pieces; a side that has no layer to compute has none.

    `suffix` is that of the files, ".pt2" or ".onnx".
    """
    cuts = tuple(plan.groups())
    return tuple(
        (cut, _pieces(graph, cut, f"-{number}{suffix}" if len(cuts) > 1 else suffix))
        for number, cut in enumerate(cuts, start=1)
    )


def _pieces(graph: LayerGraph, cut: Cut, ending: str) -> dict[Resource, PieceIndices]:
    crossing = crossing_tensors(graph, cut)
    back = returned_tensors(graph, cut)
    kept = tuple(tensor for tensor in graph.returned if tensor not in back)
    inputs = tuple(graph.tensors_of[layer][0] for layer in graph.inputs)
    on_edge = tuple(layer for layer in sorted(cut) if not graph.layers[layer].is_input)
    in_cloud = tuple(layer for layer in range(len(graph.layers)) if layer not in cut)
    pieces = {}
    if on_edge:
        gives = tuple(dict.fromkeys((*crossing, *kept)))
        pieces[Resource.EDGE] = PieceIndices(f"edge{ending}", on_edge, inputs, gives)
    if in_cloud:
        pieces[Resource.CLOUD] = PieceIndices(f"cloud{ending}", in_cloud, crossing, back)
    return pieces


@lru_cache(maxsize=16)
def tensor_names(graph: LayerGraph) -> tuple[str, ...]:
    """A name for each tensor that can be an argument in Python; all are different."""
    names: dict[str, None] = {}
    for tensor in range(len(graph.tensors)):
        name = re.sub(r"\W", "_", graph.tensor_name(tensor), flags=re.ASCII)
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
            name = f"t_{name}"
        while name in names:
            name += "_"
        names[name] = None
    return tuple(names)


def sending_order(plan: Plan, cut: Cut) -> tuple[int, ...]:
    """The crossing tensors of a cut, as the first request that takes it sends them."""
    request = plan.cuts.index(cut)
    work, uplink = plan.work, plan.work.parts[1]
    return tuple(work.item[uplink][work.request[uplink] == request].tolist())


def manifest_of(
    graph: LayerGraph, plan: Plan, strategy: str, suffix: str, dim_orders: Mapping[int, tuple[int, ...]]
) -> SplitManifest:
    """What the pieces of a plan are called and how they fit; `dim_orders` of all tensors that enter or leave one."""

    def described(tensors: Iterable[int]) -> tuple[PieceTensor, ...]:
        return tuple(_tensor(graph, tensor, dim_orders[tensor]) for tensor in tensors)

    cuts = []
    groups = plan.groups()
    for cut, pieces in pieces_of(graph, plan, suffix):
        edge, cloud = (_piece(graph, pieces[side]) if side in pieces else None for side in SIDES)
        sent = described(sending_order(plan, cut))
        cuts.append(CutPieces(groups[cut], edge, cloud, sent, sum(tensor.size_bytes for tensor in sent)))
    return SplitManifest(
        graph_name=graph.name,
        graph_fingerprint=graph.fingerprint,
        strategy=strategy,
        inputs=described(graph.tensors_of[layer][0] for layer in graph.inputs),
        outputs=described(graph.tensor_index[ref] for ref in graph.outputs),
        cuts=tuple(cuts),
    )


def _piece(graph: LayerGraph, piece: PieceIndices) -> Piece:
    names = tensor_names(graph)
    return Piece(
        piece.file,
        tuple(graph.layers[layer].name for layer in piece.layers),
        tuple(names[tensor] for tensor in piece.takes),
        tuple(names[tensor] for tensor in piece.gives),
    )


def _tensor(graph: LayerGraph, tensor: int, dim_order: tuple[int, ...]) -> PieceTensor:
    described = graph.tensors[tensor]
    return PieceTensor(
        name=tensor_names(graph)[tensor],
        layer=graph.layers[described.producer].name,
        output=described.output,
        shape=described.spec.shape,
        dtype=described.spec.dtype,
        size_bytes=described.spec.size_bytes,
        dim_order=dim_order,
    )
