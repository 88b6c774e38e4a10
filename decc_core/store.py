"""JSON in and out for every type, with a kind and a version; the only reader of files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from decc_core.errors import DeccError, UnreadableFile
from decc_core.graph import LayerGraph
from decc_core.pieces import SplitManifest
from decc_core.plan import Plan
from decc_core.profile import DeviceProfile


@dataclass(frozen=True)
class SavedPlan:
    """A plan with the graph that its indices refer to."""

    graph_name: str
    graph_fingerprint: str
    plan: Plan


Stored = LayerGraph | DeviceProfile | SavedPlan | SplitManifest
Storable = TypeVar("Storable", LayerGraph, DeviceProfile, SavedPlan, SplitManifest)

VERSION = 1
KINDS: dict[type, str] = {
    LayerGraph: "decc-graph",
    DeviceProfile: "decc-profile",
    SavedPlan: "decc-plan",
    SplitManifest: "decc-split",
}


class _Envelope(msgspec.Struct):
    kind: str
    version: int
    content: msgspec.Raw


def to_json(value: Stored) -> bytes:
    """The value as indented JSON, wrapped in an envelope that names its kind and version."""
    envelope = _Envelope(KINDS[type(value)], VERSION, msgspec.Raw(msgspec.json.encode(value)))
    return msgspec.json.format(msgspec.json.encode(envelope), indent=1) + b"\n"


def plain(value: Stored) -> Any:
    """The value as dictionaries, lists, numbers and text, without an envelope."""
    return msgspec.to_builtins(value)


def from_json(data: bytes, kind: type[Storable], name: str) -> Storable:
    """Read one value of the given kind; `name` is what error messages call the file."""
    expected = KINDS[kind]
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
        if envelope.kind != expected:
            raise UnreadableFile(f"{name} holds a '{envelope.kind}', not a '{expected}'.")
        if envelope.version != VERSION:
            raise UnreadableFile(
                f"{name} has version {envelope.version} of '{expected}'; this program reads version {VERSION}."
            )
        return msgspec.json.decode(envelope.content, type=kind)
    except msgspec.ValidationError as error:
        # A DeccError raised while the value is made arrives here as the cause: it says more than the wrapper.
        if isinstance(error.__cause__, DeccError):
            raise error.__cause__ from None
        raise UnreadableFile(f"{name} is not a valid '{expected}' file: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{name} is not JSON: {error}.") from None


def save(value: Stored, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_json(value))


def load(path: Path, kind: type[Storable]) -> Storable:
    """Read one value of the given kind from a file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"Cannot read {path}: {error.strerror}.") from None
    return from_json(data, kind, path.name)
