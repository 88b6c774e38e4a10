"""What is in a file that somebody sent? Told by its content, from as few bytes as it takes, and without torch."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import BinaryIO

from decc_core.errors import RefusedFile, UnreadableFile
from decc_core.load.kinds import protobufs, remedies, safetensors_header
from decc_core.load.kinds.archives import SAVED_MODEL, archive_kind
from decc_core.load.kinds.kind import Kind, extension_note, refused
from decc_core.load.kinds.signatures import OTHER_RUNTIME, PACKED, Foreign, foreign
from decc_core.load.kinds.texts import text_kind
from decc_core.load.kinds.torch_pickles import pickle_kind
from decc_core.load.limits import Limits, setting
from decc_core.load.zips.listing import AGAIN, LOCAL
from decc_core.text import shown

__all__ = ["Kind", "extension_note", "kind_of"]

HEAD_BYTES = 8192
FOLDER = Foreign("a folder", "one file is taken", remedies.PT2)
TORCH_TAR = Foreign("a torch.save file in the oldest format", "its objects are pickled in a tar", remedies.WEIGHTS)
TAR = Foreign("a tar archive", PACKED, "tar -xf FILE.tar\n")
TAR_MARK = (257, b"ustar")
TORCH_TAR_PARTS = (b"sys_info", b"pickle", b"tensors", b"storages")
CORE_ML = Foreign("a Core ML network", OTHER_RUNTIME)
FROZEN = Foreign("a frozen TensorFlow graph", "networks are taken as pt2 or ONNX", remedies.TENSORFLOW)
UNKNOWN = Foreign(
    "of a kind that DECC does not know", "it takes pt2, ONNX, and weights of torch.save or safetensors", remedies.PT2
)


def kind_of(path: Path, name: str, limits: Limits) -> Kind:
    """The kind of a file that is taken; `name` is what its sender calls it, and messages too.

    Raises RefusedFile, with a remedy, for every other kind, and UnreadableFile where a file is broken.
    """
    try:
        _check_size(path, name, limits)
        with path.open("rb") as file:
            return _kind(path, file, name, limits)
    except OSError as error:
        raise UnreadableFile(f"Cannot read {shown(name)}: {error.strerror or 'the system gives no reason'}.") from None


def _check_size(path: Path, name: str, limits: Limits) -> None:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise refused(name, SAVED_MODEL if (path / "saved_model.pb").exists() else FOLDER)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFile(f"{shown(name)} is no ordinary file; copy its content into one.")
    if status.st_size == 0:
        raise UnreadableFile(f"{shown(name)} is empty; {AGAIN}.")
    if status.st_size > limits.file_bytes:
        raise RefusedFile(
            f"{shown(name)} has {status.st_size} bytes, above the limit of {limits.file_bytes} for one file.",
            remedy=f"{setting('file_bytes')}={status.st_size}\n",
        )


def _kind(path: Path, file: BinaryIO, name: str, limits: Limits) -> Kind:
    head = file.read(HEAD_BYTES)
    size = file.seek(0, 2)
    if head.startswith(LOCAL):
        return archive_kind(file, name, limits)
    if safetensors_header.looks_like(head, size):
        return _safetensors(path, name, limits)
    kind = pickle_kind(file, head, name)
    if kind:
        return kind
    message = protobufs.message(file, size)
    if message and protobufs.is_onnx(message):
        if not message.whole:
            raise UnreadableFile(f"{shown(name)} is an ONNX network that breaks off before its end; {AGAIN}.")
        return Kind.ONNX
    raise refused(name, foreign(head, size) or _tar(head) or text_kind(head) or _protobuf(message) or UNKNOWN)


def _safetensors(path: Path, name: str, limits: Limits) -> Kind:
    if not safetensors_header.read_header(path, name):
        raise refused(
            name, Foreign("a safetensors file without tensors", "there are no weights in it", remedies.WEIGHTS)
        )
    return Kind.SAFETENSORS


def _tar(head: bytes) -> Foreign | None:
    offset, mark = TAR_MARK
    if not head.startswith(mark, offset):
        return None
    return TORCH_TAR if head[:100].rstrip(b"\0") in TORCH_TAR_PARTS else TAR


def _protobuf(message: protobufs.Message | None) -> Foreign | None:
    if message is None:
        return None
    if protobufs.is_saved_model(message):
        return SAVED_MODEL
    if protobufs.is_core_ml(message):
        return CORE_ML
    return FROZEN if protobufs.is_frozen_graph(message) else None
