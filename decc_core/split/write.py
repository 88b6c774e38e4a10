"""Writes the pieces of a network that a plan asks for, as `torch.export` programs or ONNX, and checks them."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from decc_core import store
from decc_core.errors import SplitFailed
from decc_core.models.model import Model
from decc_core.models.runtimes import runtime_of
from decc_core.models.tensors import dim_order, dtype_name, raw_bytes
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.plans.check import check_work
from decc_core.plans.pieces import SIDES, PieceIndices, SplitManifest, manifest_of, pieces_of, tensor_names
from decc_core.problem.instance import Cut
from decc_core.progress import Progress, silent
from decc_core.split.readme import readme

MANIFEST = "split.json"
README = "README.txt"
Tensors = dict[int, torch.Tensor]
"""Tensors of one request by their index in the graph."""


def split(
    model: Model, saved: store.SavedPlan, folder: Path, force: bool = False, progress: Progress | None = None
) -> SplitManifest:
    """Write one program for each side of each distinct cut, a manifest, and a note on how to use them.

    Before the folder is there under its name, all programs are read back and run on the model's example inputs;
    outputs that are not bit for bit those of the whole are refused. `force` replaces an earlier split, nothing else.
    """
    _require_plan(model.graph, saved)
    runtime, names, report = runtime_of(model), tensor_names(model.graph), progress or silent
    cuts = pieces_of(model.graph, saved.plan, runtime.suffix)
    total = 1 + sum(len(pieces) for _, pieces in cuts)
    with _written_whole(folder, force) as fresh, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report(0, total, "running the whole network")
        whole = _bytes_of(model.run(model.example_inputs))
        named = model.named_inputs(model.example_inputs)
        inputs = {model.graph.tensors_of[model.graph.index[name]][0]: value for name, value in named.items()}
        done = 1
        dim_orders: dict[int, tuple[int, ...]] = {}
        for cut, pieces in cuts:
            tensors = dict(inputs)
            for side in SIDES:
                if side in pieces:
                    report(done, total, f"writing {pieces[side].file}")
                    tensors |= runtime.write_piece(model, pieces[side], names, tensors, fresh / pieces[side].file)
                    done += 1
            dim_orders |= {index: dim_order(tensor) for index, tensor in tensors.items()}
            _require_same(model, cut, pieces, tensors, whole)
        manifest = manifest_of(model.graph, saved.plan, saved.strategy, runtime.suffix, dim_orders)
        store.save(manifest, fresh / MANIFEST)
        (fresh / README).write_text(readme(manifest, runtime.how_to_run), encoding="utf-8")
        report(total, total, "done")
    return manifest


def _require_plan(graph: LayerGraph, saved: store.SavedPlan) -> None:
    """Refuse a plan of another network, or one that is not complete."""
    if saved.graph_name != graph.name:
        raise SplitFailed(f"The plan is for '{saved.graph_name}', not for '{graph.name}'; name that network instead.")
    if saved.graph_fingerprint != graph.fingerprint:
        raise SplitFailed(
            f"The plan is for another version of '{graph.name}'; plan it again with this version of DECC."
        )
    check_work(graph, saved.plan)


def _bytes_of(tensors: Iterable[torch.Tensor]) -> list[tuple[tuple[int, ...], str, bytes]]:
    """Shape, dtype and bytes in logical order: NaN equals NaN, and -0 does not equal 0."""
    return [(tuple(tensor.shape), dtype_name(tensor), bytes(raw_bytes(tensor.contiguous()))) for tensor in tensors]


def _require_same(
    model: Model,
    cut: Cut,
    pieces: Mapping[Resource, PieceIndices],
    tensors: Tensors,
    whole: list[tuple[tuple[int, ...], str, bytes]],
) -> None:
    graph = model.graph
    given = _bytes_of(tensors[graph.tensor_index[ref]] for ref in graph.outputs)
    for ref, output, expected in zip(graph.outputs, given, whole, strict=True):
        if output != expected:
            files = " and ".join(piece.file for piece in pieces.values())
            raise SplitFailed(
                f"{files} ({len(cut)} layers on the edge) give another '{ref.layer}' than the whole '{graph.name}'; "
                "nothing was written. Choose a plan with another cut."
            )


@contextmanager
def _written_whole(folder: Path, force: bool) -> Iterator[Path]:
    """A fresh folder that takes the name of `folder` when all is done, and is gone if anything goes wrong."""
    require_room(folder, force)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise SplitFailed(f"Cannot write {folder}: {error.strerror}.") from None
    try:
        yield fresh
        fresh.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        fresh.rename(folder)
    except OSError as error:
        raise SplitFailed(f"Cannot write {folder}: {error.strerror}; nothing was written.") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def require_room(folder: Path, force: bool) -> None:
    """Refuse a folder that holds anything; under `force`, one that holds anything but an earlier split."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise SplitFailed(f"{folder} is a file; name a folder for the pieces.")
    held = {path.name for path in folder.iterdir()}
    if held and not force:
        raise SplitFailed(f"{folder} is not empty; name another folder, or replace an earlier split with --force.")
    if (folder / MANIFEST).is_file():
        earlier = store.load(folder / MANIFEST, SplitManifest)
        held -= {MANIFEST, README, *(piece.file for piece in earlier.pieces)}
    if held:
        raise SplitFailed(f"{folder} holds '{min(held)}', which is no part of a split; name another folder.")
