"""Tensors and nothing else, or objects that run code? Decided for what torch.save wrote, without loading it."""

from __future__ import annotations

from typing import BinaryIO

from decc_core.errors import UnreadableFile
from decc_core.load.kinds import pickles, remedies
from decc_core.load.kinds.kind import Kind, refused
from decc_core.load.kinds.pickles import Pickle
from decc_core.load.kinds.signatures import Foreign
from decc_core.load.zips.listing import AGAIN
from decc_core.text import listed, shown

LEGACY_MAGIC = b"l\xfc\x9cF\xf9 j\xa8P\x19"
LEGACY_PARTS = 5
"""Magic number, version, machine, the objects, keys of the storages; then the bytes of the tensors."""
NEWEST_PROTOCOL = 3
"""What torch.load(weights_only=True) reads; torch.save writes 2 unless told otherwise."""
MODULES = ("torch.nn.modules.", "torchvision.models.", "timm.", "__main__.")


def torch_kind(found: Pickle, name: str) -> Kind:
    """STATE_DICT for a pickle that makes tensors and nothing else; otherwise the refusal says what it wants."""
    if found.harmful:
        raise refused(name, _objects(found))
    if not found.whole:
        raise UnreadableFile(f"{shown(name)} is a file of torch.save that breaks off or is damaged; {AGAIN}.")
    if found.protocol > NEWEST_PROTOCOL:
        raise refused(
            name,
            Foreign(
                f"a file of torch.save with pickle protocol {found.protocol}",
                "only the default protocol can be read without running code",
                remedies.WEIGHTS,
            ),
        )
    if not found.has_tensors:
        raise refused(name, Foreign("a file of torch.save without tensors", "there are no weights", remedies.WEIGHTS))
    return Kind.STATE_DICT


def pickle_kind(file: BinaryIO, head: bytes, name: str) -> Kind | None:
    """The kind of a file that is a pickle or several; None where the bytes are no pickle."""
    file.seek(0)
    if LEGACY_MAGIC in head[:40]:
        return torch_kind(_together(list(pickles.pickles(file, LEGACY_PARTS))), name)
    found = pickles.scan(file)
    if found.globals and (found.whole or head[0] == 0x80):
        raise refused(name, _objects(found))
    if found.whole and (head[0] == 0x80 or file.tell() == file.seek(0, 2)):
        raise refused(name, Foreign("a pickle", "only tensors that torch.save wrote are taken", remedies.WEIGHTS))
    return None


def _together(parts: list[Pickle]) -> Pickle:
    names = dict.fromkeys(name for part in parts for name in part.globals)
    whole = len(parts) == LEGACY_PARTS and parts[-1].whole
    return Pickle(tuple(names), whole, max(part.protocol for part in parts), sum(part.opcodes for part in parts))


def _objects(found: Pickle) -> Foreign:
    is_module = any(name.startswith(MODULES) for name in found.globals)
    what = "a pickled PyTorch module" if is_module else "a pickle of Python objects"
    # A computed name is "?": how it comes about is only known by running it.
    why = f"loading it would run what it asks for, {listed(found.harmful or found.globals)}"
    return Foreign(what, why, remedies.either(remedies.PT2, remedies.WEIGHTS))
