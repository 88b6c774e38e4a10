"""The note beside the pieces of a network: what each file is, and how to run them one after the other."""

from __future__ import annotations

from decc_core.models.runtime import HowToRun
from decc_core.plans.pieces import SplitManifest


def readme(manifest: SplitManifest, how: HowToRun) -> str:
    """How to run the pieces one after the other, and what each file is."""
    many = len(manifest.cuts) > 1
    inputs = (
        f'"{tensor.name}": {how.zeros.format(shape=list(tensor.shape), dtype=tensor.dtype)}'
        for tensor in manifest.inputs
    )
    files = [
        f"  {piece.file}: {len(piece.layers)} layers; takes {', '.join(piece.takes)}; gives {', '.join(piece.gives)}"
        for piece in manifest.pieces
    ]
    cuts = [
        f"  {'cut ' + str(number) + ', ' if many else ''}request{'s' if len(cut.requests) > 1 else ''} "
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
        how.care,
        "",
        "To run them one after the other, in this folder:",
        "",
        *how.code.replace("INPUTS", f"{{{', '.join(inputs)}}}").splitlines(),
        "",
    ]
    return "\n".join(lines)
