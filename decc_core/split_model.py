"""Writes the pieces of a network that a plan asks for as `torch.export` programs, checked against the whole."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from decc_core import store
from decc_core.cost import Cut
from decc_core.errors import SplitFailed
from decc_core.extract import ExtractedModel
from decc_core.graph import LayerGraph
from decc_core.model import Model
from decc_core.pieces import SIDES, Part, SplitManifest, manifest_of, parts_of, tensor_names
from decc_core.plan_check import check_work
from decc_core.runtime.programs import ProgramWriter
from decc_core.runtime.wire import to_bytes
from decc_core.span import Resource

MANIFEST = "split.json"
README = "README.txt"
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
    if not isinstance(model, ExtractedModel):
        raise SplitFailed(
            f"'{model.graph.name}' runs in ONNX Runtime; pieces are written only of PyTorch networks. Plan it from its "
            "torch.export file (.pt2), or run the plan with `decc run`, which takes ONNX networks."
        )
    report = progress or (lambda done, total, what: None)
    cuts = parts_of(model.graph, saved.plan)
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
        manifest = manifest_of(model.graph, saved.plan, dim_orders)
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


def _inputs(model: ExtractedModel) -> Tensors:
    examples = model.load_inputs(model.example_inputs)
    graph = model.graph
    return {graph.tensors_of[layer][0]: examples[graph.layers[layer].name, 0] for layer in graph.inputs}


def _write(model: ExtractedModel, part: Part, tensors: Tensors, folder: Path) -> Tensors:
    """Export one piece into the folder, read it back, and run what was read."""
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
    model: ExtractedModel,
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


def readme(manifest: SplitManifest) -> str:
    """How to run the pieces one after the other, and what each file is."""
    many = len(manifest.cuts) > 1
    files = [
        f"  {piece.file}: {len(piece.layers)} layers; takes {', '.join(piece.takes)}; gives {', '.join(piece.gives)}"
        for piece in manifest.pieces
    ]
    cuts = [
        f"  {'cut ' + str(number) + ', ' if many else ''}request(s) "
        f"{', '.join(str(request + 1) for request in cut.requests)}: "
        + (f"{cut.sent_bytes:,} bytes cross, in this order: " if cut.sent else "nothing crosses")
        + ", ".join(f"{tensor.name} {tensor.dtype}{list(tensor.shape)}" for tensor in cut.sent)
        for number, cut in enumerate(manifest.cuts, start=1)
    ]
    lines = [
        f"{manifest.graph_name}, cut as the plan of '{manifest.strategy}' says (written by `decc split`)",
        "",
        *files,
        *cuts,
        "",
        "Requests are counted from 1 here, and from 0 in split.json.",
        "On the example inputs the pieces gave, bit for bit, the outputs of the whole network. Shapes are fixed.",
        "Tensors keep their memory layout on the way (dim_order in split.json), or last digits may change.",
        "torch.export.load can run code: load these files only if you trust where they come from.",
        "",
        "To run them one after the other, in this folder:",
        "",
        *HOW_TO_RUN.replace("INPUTS", _inputs_in_python(manifest)).splitlines(),
        "",
    ]
    return "\n".join(lines)


HOW_TO_RUN = """\
import json, torch
split = json.load(open("split.json"))["content"]
cut = split["cuts"][0]
tensors = INPUTS
for side in ("edge", "cloud"):
    if cut[side]:
        program = torch.export.load(cut[side]["file"]).module()
        with torch.no_grad():
            tensors |= program(**{name: tensors[name] for name in cut[side]["takes"]})
outputs = [tensors[tensor["name"]] for tensor in split["outputs"]]
"""


def _inputs_in_python(manifest: SplitManifest) -> str:
    parts = (f'"{one.name}": torch.zeros({list(one.shape)}, dtype=torch.{one.dtype})' for one in manifest.inputs)
    return f"{{{', '.join(parts)}}}"
