"""The note beside the pieces of a network: what each file is, and how to run them one after the other."""

from __future__ import annotations

from decc_core.plans.pieces import SplitManifest


def readme(manifest: SplitManifest) -> str:
    """How to run the pieces one after the other, and what each file is."""
    many = len(manifest.cuts) > 1
    suffix = ".onnx" if manifest.pieces[0].file.endswith(".onnx") else ".pt2"
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
        CARE[suffix],
        "",
        "To run them one after the other, in this folder:",
        "",
        *HOW_TO_RUN[suffix].replace("INPUTS", _inputs_in_python(manifest, suffix)).splitlines(),
        "",
    ]
    return "\n".join(lines)


CARE = {
    ".pt2": "torch.export.load can run code: load these files only if you trust where they come from.",
    ".onnx": "The files are optimised already, with operators of ONNX Runtime's own: keep optimisation off, as below.",
}
HOW_TO_RUN = {
    ".pt2": """\
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
    ".onnx": """\
import json, numpy, onnxruntime
split = json.load(open("split.json"))["content"]
cut = split["cuts"][0]
tensors = INPUTS
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
for side in ("edge", "cloud"):
    if cut[side]:
        piece = onnxruntime.InferenceSession(cut[side]["file"], options)
        given = {name: tensors[name] for name in cut[side]["takes"]}
        tensors |= zip(cut[side]["gives"], piece.run(cut[side]["gives"], given))
outputs = [tensors[tensor["name"]] for tensor in split["outputs"]]
""",
}
ZEROS = {".pt2": "torch.zeros({shape}, dtype=torch.{dtype})", ".onnx": 'numpy.zeros({shape}, "{dtype}")'}


def _inputs_in_python(manifest: SplitManifest, suffix: str) -> str:
    zeros = ((one.name, ZEROS[suffix].format(shape=list(one.shape), dtype=one.dtype)) for one in manifest.inputs)
    return "{" + ", ".join(f'"{name}": {made}' for name, made in zeros) + "}"
