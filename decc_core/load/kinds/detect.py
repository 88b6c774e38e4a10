"""What is in a file that somebody sent? Told by its content, from as few bytes as it takes, and without torch."""

from __future__ import annotations

import io
import stat
from mmap import ACCESS_READ, mmap
from pathlib import Path

import safetensors

from decc_core.errors import UnreadableFile
from decc_core.load import zips
from decc_core.load.kinds import pickles, remedies
from decc_core.load.kinds.foreign import FOLDER, SAVED_MODEL, foreign_archive, foreign_file, other_archive
from decc_core.load.kinds.kind import Foreign, Kind
from decc_core.load.limits import Limits
from decc_core.load.onnx.scan import outline
from decc_core.load.zips import AGAIN
from decc_core.text import first_line, shown

HEAD_BYTES = 8192
LARGEST_HEADER_BYTES = 16 << 20
"""Of safetensors: the names, shapes and places of a hundred thousand tensors."""


def kind_of(path: Path, name: str, limits: Limits) -> Kind:
    """The kind of a file that is taken; `name` is what its sender calls it, and messages too.

    Raises RefusedFile, with a remedy, for every other kind, and UnreadableFile where a file is broken.
    """
    try:
        kind = _kind(path, limits)
    except OSError as error:
        raise UnreadableFile(f"Cannot read {shown(name)}: {error.strerror or 'the system gives no reason'}.") from None
    if isinstance(kind, Foreign):
        raise kind.refused(name)
    return kind


def _kind(path: Path, limits: Limits) -> Kind | Foreign:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        return SAVED_MODEL if (path / "saved_model.pb").exists() else FOLDER
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFile("The file is no ordinary one; copy its content into one.")
    if status.st_size == 0:
        raise UnreadableFile(f"The file is empty; {AGAIN}.")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if head.startswith(zips.BEGINNING):
            return _archive_kind(zips.opened(file, limits), limits)
        # The length of a header, and its first character; nothing else begins so.
        header_bytes = int.from_bytes(head[:8], "little")
        if 2 <= header_bytes < 1 << 32 and head[8:9] == b"{":
            return _safetensors_kind(path, header_bytes)
        if kind := pickles.pickle_kind(file, head):
            return kind
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            fields = outline(data)
    if fields is None or not fields.is_onnx:
        return foreign_file(head, fields)
    if not fields.whole:
        raise UnreadableFile(f"The ONNX network breaks off before its end; {AGAIN}.")
    return Kind.ONNX


def _archive_kind(archive: zips.Archive, limits: Limits) -> Kind | Foreign:
    """Torch, NumPy, Keras and others all write zips, and differ by what is inside."""
    names = archive.parts.keys()
    root = next(iter(names), "").split("/")[0]
    mark, objects = f"{root}/archive_format", f"{root}/data.pkl"
    if mark in names and archive.beginning(mark, 4).strip() == b"pt2":
        if any(name.startswith(f"{root}/models/") for name in names):
            return Kind.PT2
        return Foreign("a compiled AOTInductor package", "it holds machine code and no layers", remedies.ORIGINAL)
    if kind := foreign_archive(names, root):
        return kind
    if objects not in names:
        return other_archive(names)
    limits.require(parameter_bytes=sum(part.size for part in archive.parts.values()))
    if (size := archive.parts[objects].size) > pickles.MAX_BYTES:
        raise UnreadableFile(f"The file has {size} bytes of pickled objects; {pickles.MAX_BYTES} are read.")
    content = archive.beginning(objects, pickles.MAX_BYTES)
    return pickles.checkpoint_kind(pickles.scan(io.BytesIO(content)))


def _safetensors_kind(path: Path, header_bytes: int) -> Kind | Foreign:
    if header_bytes > LARGEST_HEADER_BYTES:
        raise UnreadableFile(
            f"The safetensors file has a header of {header_bytes} bytes; at most {LARGEST_HEADER_BYTES} are read."
        )
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            empty = not file.keys()
    except safetensors.SafetensorError as error:
        raise UnreadableFile(f"The safetensors file is damaged ({first_line(error)}); {AGAIN}.") from None
    if empty:
        return Foreign("a safetensors file without tensors", "there are no weights in it", remedies.WEIGHTS)
    return Kind.SAFETENSORS
