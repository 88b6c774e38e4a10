"""A part of a network of PyTorch as an exported program of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from decc_core.errors import SplitFailed
from decc_core.models.runtime import HowToRun
from decc_core.models.torch.extract import ExtractedModel
from decc_core.models.torch.programs import piece_module
from decc_core.plans.pieces import PieceIndices
from decc_core.text import first_line

HOW_TO_RUN = HowToRun(
    care="torch.export.load can run code: load these files only if you trust where they come from.",
    code="""\
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
""",
    zeros="torch.zeros({shape}, dtype=torch.{dtype})",
)


def write_piece(
    model: ExtractedModel, piece: PieceIndices, names: Sequence[str], tensors: Mapping[int, torch.Tensor], path: Path
) -> dict[int, torch.Tensor]:
    """Export some layers, read what was written, and run it."""
    taken = {names[tensor]: tensors[tensor] for tensor in piece.takes}
    try:
        program = torch.export.export(piece_module(model, piece, names), (), kwargs=taken)
        torch.export.save(program, path)
        given = torch.export.load(path).module()(**taken)
    except OSError:
        raise
    except Exception as error:
        raise SplitFailed(
            f"The piece {piece.file} of '{model.graph.name}' cannot be exported ({type(error).__name__}: "
            f"{first_line(error)}); choose a plan with another cut."
        ) from error
    return {tensor: given[names[tensor]] for tensor in piece.gives}
