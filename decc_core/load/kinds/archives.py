"""What a zip archive is: torch, numpy, Keras and others all write zips, and differ by what is inside."""

from __future__ import annotations

import io
from pathlib import PurePosixPath
from typing import BinaryIO

from decc_core.errors import RefusedFile, UnreadableFile
from decc_core.load.kinds import pickles, remedies
from decc_core.load.kinds.kind import EXTENSIONS, Kind, refused
from decc_core.load.kinds.signatures import NO_NETWORK, OTHER_RUNTIME, RUNS, Foreign
from decc_core.load.kinds.torch_pickles import torch_kind
from decc_core.load.limits import Limits, setting
from decc_core.load.zips.listing import Entry, content, listing
from decc_core.text import listed, shown

SCRIPT = Foreign(
    "a TorchScript archive", "it holds a program; export the module that it was made from", remedies.ORIGINAL
)
OLD_EXPORT = Foreign(
    "a file of torch.export in the format before PyTorch 2.8", "its tensors are pickled", remedies.ORIGINAL
)
COMPILED = Foreign("a compiled AOTInductor package", "it holds machine code and no layers", remedies.ORIGINAL)
KERAS = Foreign("a Keras network", "networks are taken as pt2 or ONNX", remedies.KERAS)
SAVED_MODEL = Foreign("a TensorFlow SavedModel", "networks are taken as pt2 or ONNX", remedies.TENSORFLOW)
CORE_ML = Foreign("a Core ML package", OTHER_RUNTIME)
NUMPY = Foreign("an archive of NumPy arrays", "arrays alone are no network", remedies.PT2)
PACKAGE = Foreign("a torch.package", "it holds Python code", remedies.PT2)
SERVED = Foreign("a TorchServe archive", "it holds Python code", remedies.PT2)
OFFICE = Foreign("an office document", NO_NETWORK, remedies.PT2)
JAVA = Foreign("a Java archive", RUNS, remedies.PT2)
OTHER = Foreign("an archive of other files", NO_NETWORK, remedies.PT2)


def archive_kind(file: BinaryIO, name: str, limits: Limits) -> Kind:
    """The kind of a zip archive that is taken; refuses the others, each with its reason."""
    entries = {entry.name: entry for entry in listing(file, name, limits)}
    names = frozenset(entries)
    root = next(iter(entries), "").split("/")[0]
    if _is_pt2(file, entries, root, name):
        if not any(part.startswith(f"{root}/models/") for part in names):
            raise refused(name, COMPILED)
        return Kind.PT2
    found = _foreign(names, root)
    if found:
        raise refused(name, found)
    if f"{root}/data.pkl" in names:
        return _checkpoint(file, entries, root, name, limits)
    raise _packed(names, name) or refused(name, OTHER)


def _is_pt2(file: BinaryIO, entries: dict[str, Entry], root: str, name: str) -> bool:
    mark = entries.get(f"{root}/archive_format")
    return mark is not None and content(file, mark, 4, name).strip() == b"pt2"


def _foreign(names: frozenset[str], root: str) -> Foreign | None:
    ends = frozenset(PurePosixPath(part).name for part in names)
    if f"{root}/constants.pkl" in names or f"{root}/bytecode.pkl" in names:
        return SCRIPT
    if "serialized_exported_program.json" in ends:
        return OLD_EXPORT
    if any(part.startswith(f"{root}/.data/extern_modules") for part in names):
        return PACKAGE
    if "config.json" in names and "model.weights.h5" in names:
        return KERAS
    if "saved_model.pb" in ends:
        return SAVED_MODEL
    if any("com.apple.CoreML" in part or part.endswith((".mlmodel", ".mlmodelc")) for part in names):
        return CORE_ML
    if "MAR-INF/MANIFEST.json" in names:
        return SERVED
    if "[Content_Types].xml" in names:
        return OFFICE
    if "META-INF/MANIFEST.MF" in names:
        return JAVA
    return NUMPY if names and all(part.endswith(".npy") for part in names) else None


def _checkpoint(file: BinaryIO, entries: dict[str, Entry], root: str, name: str, limits: Limits) -> Kind:
    unpacked = sum(entry.size for entry in entries.values())
    if unpacked > limits.parameter_bytes:
        raise RefusedFile(
            f"{shown(name)} unpacks to {unpacked} bytes of weights, above the limit of {limits.parameter_bytes}.",
            remedy=f"{setting('parameter_bytes')}={unpacked}\n",
        )
    objects = entries[f"{root}/data.pkl"]
    if objects.size > pickles.MAX_BYTES:
        raise UnreadableFile(
            f"{shown(name)} has {objects.size} bytes of pickled objects; {pickles.MAX_BYTES} are read."
        )
    return torch_kind(pickles.scan(io.BytesIO(content(file, objects, pickles.MAX_BYTES, name))), name)


def _packed(names: frozenset[str], name: str) -> RefusedFile | None:
    """The refusal of an archive around files that are taken, which says which to send."""
    inside = sorted(part for part in names if "__MACOSX" not in part and _is_taken(part))
    if not inside:
        return None
    which = (
        f"unpack it and send {listed(inside)}" if len(inside) == 1 else f"unpack it and send one of {listed(inside)}"
    )
    return refused(name, Foreign("an archive around other files", which, "unzip FILE.zip\n"))


def _is_taken(part: str) -> bool:
    return PurePosixPath(part).suffix.lower() in EXTENSIONS
