"""Writes the pieces of a network that a plan asks for, as `torch.export` programs or ONNX, and checks them."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import singledispatch
from pathlib import Path

import torch

from decc_core import store
from decc_core.errors import SplitFailed
from decc_core.models.model import Model
from decc_core.models.onnx import pieces as onnx_pieces
from decc_core.models.onnx.model import OnnxModel
from decc_core.models.torch.extract import ExtractedModel
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.plans.check import check_work
from decc_core.plans.pieces import SIDES, Part, SplitManifest, manifest_of, parts_of, tensor_names
from decc_core.problem.instance import Cut
from decc_core.runtime.wire.torch_tensors import to_bytes
from decc_core.runtime.worker.programs import ProgramWriter
from decc_core.split.readme import readme

MANIFEST = "split.json"
README = "README.txt"
SUFFIXES: dict[type[Model], str] = {ExtractedModel: ".pt2", OnnxModel: ".onnx"}
Progress = Callable[[int, int, str], None]
Tensors = dict[int, torch.Tensor]
"""Tensors of one request by their index in the graph."""


def split(
    model: Model, saved: store.SavedPlan, folder: Path, force: bool = False, progress: Progress | None = None
) -> SplitManifest:
    """Write one program for each side of each distinct cut, a manifest, and a note on how to use them.

    Before the folder is there under its name, all programs are read back and run on the model's example inputs;
    outputs that are not bit for bit those of the whole are refused. `force` replaces an earlier split, nothing else.
    """
    require_plan(model.graph, saved)
    suffix = SUFFIXES[type(model)]
    report = progress or (lambda done, total, what: None)
    cuts = parts_of(model.graph, saved.plan, suffix)
    total = 1 + sum(len(parts) for _, parts in cuts)
    with _written_whole(folder, force) as fresh, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report(0, total, "running the whole network")
        whole = _bytes_of(model.run(model.example_inputs))
        done = 1
        dim_orders: dict[int, tuple[int, ...]] = {}
        for cut, parts in cuts:
            tensors = _inputs(model)
            for side in SIDES:
                if side in parts:
                    report(done, total, f"writing {parts[side].file}")
                    tensors |= _write(model, parts[side], tensors, fresh)
                    done += 1
            dim_orders |= {index: to_bytes(tensor)[0].order for index, tensor in tensors.items()}
            _require_same(model, cut, parts, tensors, whole)
        manifest = manifest_of(model.graph, saved.plan, saved.strategy, suffix, dim_orders)
        store.save(manifest, fresh / MANIFEST)
        (fresh / README).write_text(readme(manifest), encoding="utf-8")
        report(total, total, "done")
    return manifest


def require_plan(graph: LayerGraph, saved: store.SavedPlan) -> None:
    """Refuse a plan of another network, or one that is not complete."""
    if saved.graph_name != graph.name:
        raise SplitFailed(f"The plan is for '{saved.graph_name}', not for '{graph.name}'; name that network instead.")
    if saved.graph_fingerprint != graph.fingerprint:
        raise SplitFailed(
            f"The plan is for another version of '{graph.name}'; plan it again with this version of DECC."
        )
    check_work(graph, saved.plan)


def _inputs(model: Model) -> Tensors:
    graph = model.graph
    named = model.named_inputs(model.example_inputs)
    return {graph.tensors_of[graph.index[name]][0]: value for name, value in named.items()}


@singledispatch
def _write(model: Model, part: Part, tensors: Tensors, folder: Path) -> Tensors:
    """Write one piece into the folder, read it back, and run what was read."""
    raise TypeError(type(model).__name__)


@_write.register
def _write_onnx(model: OnnxModel, part: Part, tensors: Tensors, folder: Path) -> Tensors:
    names, path = tensor_names(model.graph), folder / part.file
    onnx_pieces.save_piece(model, part.layers, part.takes, part.gives, names, path)
    takes, gives = ([names[tensor] for tensor in side] for side in (part.takes, part.gives))
    found = onnx_pieces.run_piece(path, takes, gives, [tensors[tensor] for tensor in part.takes], model.threads)
    return dict(zip(part.gives, found, strict=True))


@_write.register
def _write_program(model: ExtractedModel, part: Part, tensors: Tensors, folder: Path) -> Tensors:
    names = tensor_names(model.graph)
    taken = {names[tensor]: tensors[tensor] for tensor in part.takes}
    try:
        program = torch.export.export(_module(model, part), (), kwargs=taken)
        torch.export.save(program, folder / part.file)
        given = torch.export.load(folder / part.file).module()(**taken)
    except OSError:
        raise
    except Exception as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise SplitFailed(
            f"The piece {part.file} of '{model.graph.name}' cannot be exported ({type(error).__name__}: "
            f"{first[:160].rstrip('.')}); choose a plan with another cut."
        ) from error
    return {tensor: given[names[tensor]] for tensor in part.gives}


def _module(model: ExtractedModel, part: Part) -> torch.nn.Module:
    """The layers of a part as a module that takes tensors by name and gives them in a dictionary."""
    names = tensor_names(model.graph)
    writer = ProgramWriter(model)
    for tensor in part.takes:
        writer.read(tensor, names[tensor])
    for index in part.layers:
        writer.layer(index)
    writer.graph.output({names[tensor]: writer.node(tensor) for tensor in part.gives})
    return writer.module()


def _bytes_of(tensors: tuple[torch.Tensor, ...]) -> list[tuple[tuple[int, ...], str, bytes]]:
    """Shape, dtype and bytes in logical order: NaN equals NaN, and -0 does not equal 0."""
    heads = (to_bytes(tensor.contiguous()) for tensor in tensors)
    return [(head.shape, head.dtype, bytes(data)) for head, data in heads]


def _require_same(
    model: Model,
    cut: Cut,
    parts: Mapping[Resource, Part],
    tensors: Tensors,
    whole: list[tuple[tuple[int, ...], str, bytes]],
) -> None:
    graph = model.graph
    found = _bytes_of(tuple(tensors[graph.tensor_index[ref]] for ref in graph.outputs))
    for ref, mine, expected in zip(graph.outputs, found, whole, strict=True):
        if mine != expected:
            files = " and ".join(part.file for part in parts.values())
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
    foreign = sorted(held - _files_of_split(folder)) if held else []
    if foreign:
        raise SplitFailed(f"{folder} holds '{foreign[0]}', which is no part of a split; name another folder.")


def _files_of_split(folder: Path) -> set[str]:
    if not (folder / MANIFEST).is_file():
        return set()
    earlier = store.load(folder / MANIFEST, SplitManifest)
    return {MANIFEST, README, *(piece.file for piece in earlier.pieces)}
