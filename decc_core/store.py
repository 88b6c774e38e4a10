"""JSON in and out for every type, with a kind and a version; the only reader of files."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from decc_core import files, ranges
from decc_core.errors import DeccError, InfeasiblePlan, UnknownName, UnreadableFile
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource, Work
from decc_core.plans.pieces import SplitManifest
from decc_core.plans.plan import Execution, Plan
from decc_core.problem.instance import MAX_REQUESTS, Cut
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.wire import WireProfile
from decc_core.text import shown

LONGEST_NAME = 200


@dataclass(frozen=True)
class SavedPlan:
    """A plan with the graph that its indices refer to, and the name of the strategy that made it."""

    graph_name: str
    graph_fingerprint: str
    plan: Plan
    strategy: str = "hand-made"

    def __post_init__(self) -> None:
        for what, text in (
            ("strategy", self.strategy), ("network", self.graph_name), ("fingerprint", self.graph_fingerprint)
        ):  # fmt: skip
            if not text.isprintable() or len(text) > LONGEST_NAME:
                raise InfeasiblePlan(
                    f"The plan's {what} is called {shown(text)}; names are at most {LONGEST_NAME} letters that can be "
                    "printed: plan again, or correct the file."
                )
        if not 1 <= len(self.plan.cuts) <= MAX_REQUESTS:
            raise InfeasiblePlan(f"The plan is for {len(self.plan.cuts)} requests; plans are for 1 to {MAX_REQUESTS}.")
        for request, cut in enumerate(self.plan.cuts):
            if cut and not 0 <= min(cut) <= max(cut) <= ranges.MAX_INT:
                raise InfeasiblePlan(f"The cut of request {request} names a layer that no network has.")


Stored = LayerGraph | DeviceProfile | WireProfile | SavedPlan | SplitManifest
Storable = TypeVar("Storable", LayerGraph, DeviceProfile, WireProfile, SavedPlan, SplitManifest)

VERSION = 1
MAX_BYTES = 256_000_000
"""Of a file; the graph of the largest network that is read, and a thousand requests in a plan, take less."""
KINDS: dict[type, str] = {
    LayerGraph: "decc-graph",
    DeviceProfile: "decc-profile",
    WireProfile: "decc-wire-profile",
    SavedPlan: "decc-plan",
    SplitManifest: "decc-split",
}


class _Envelope(msgspec.Struct):
    kind: str
    version: int
    content: msgspec.Raw


class _PlanContent(msgspec.Struct):
    """A plan in a file; the name of its strategy has always stood beside its cuts."""

    strategy: str
    execution: Execution
    cuts: tuple[Cut, ...]
    sequences: dict[Resource, tuple[Work, ...]]


class _SavedPlanContent(msgspec.Struct):
    graph_name: str
    graph_fingerprint: str
    plan: _PlanContent

    @classmethod
    def of(cls, saved: SavedPlan) -> _SavedPlanContent:
        plan = saved.plan
        content = _PlanContent(saved.strategy, plan.execution, plan.cuts, dict(plan.sequences))
        return cls(saved.graph_name, saved.graph_fingerprint, content)

    def saved(self) -> SavedPlan:
        plan = Plan(self.plan.execution, self.plan.cuts, self.plan.sequences)
        return SavedPlan(self.graph_name, self.graph_fingerprint, plan, self.plan.strategy)


def to_json(value: Stored) -> bytes:
    """The value as indented JSON, wrapped in an envelope that names its kind and version."""
    if type(value) not in KINDS:
        known = ", ".join(kind.__name__ for kind in KINDS)
        raise UnknownName(f"A value of type {type(value).__name__} has no file format; {known} have one.")
    content = _SavedPlanContent.of(value) if isinstance(value, SavedPlan) else value
    envelope = _Envelope(KINDS[type(value)], VERSION, msgspec.Raw(msgspec.json.encode(content)))
    return msgspec.json.format(msgspec.json.encode(envelope), indent=1) + b"\n"


def plain(value: Stored) -> Any:
    """The value as dictionaries, lists, numbers and text, without an envelope."""
    return msgspec.to_builtins(value)


def from_json(data: bytes, kind: type[Storable], name: str) -> Storable:
    """Read one value of the given kind; `name` is what error messages call the file."""
    expected = KINDS[kind]
    try:
        # Editors of another system write a mark before the first byte.
        envelope = msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8), type=_Envelope)
        if envelope.kind != expected:
            raise UnreadableFile(f"{name} holds a '{envelope.kind}', not a '{expected}'.")
        if envelope.version != VERSION:
            raise UnreadableFile(
                f"{name} has version {envelope.version} of '{expected}'; this program reads version {VERSION}."
            )
        form: type[Any] = _SavedPlanContent if issubclass(kind, SavedPlan) else kind
        content: Any = msgspec.json.decode(envelope.content, type=form)
        value: Storable = content.saved() if form is _SavedPlanContent else content
        return value
    except msgspec.ValidationError as error:
        # A DeccError raised while the value is made arrives here as the cause: it says more than the wrapper.
        if isinstance(error.__cause__, DeccError):
            raise error.__cause__ from None
        raise UnreadableFile(f"{name} is not a valid '{expected}' file: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{name} is not JSON: {error}.") from None
    except RecursionError:
        raise UnreadableFile(f"{name} is nested too deep to be a '{expected}' file.") from None


def save(value: Stored, path: Path) -> None:
    """Write a file, and the folders above it."""
    data = to_json(value)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise UnreadableFile(f"Cannot write {path}: {error.strerror}.") from None


def load(path: Path, kind: type[Storable]) -> Storable:
    """Read one value of the given kind from a file."""
    return from_json(files.read(path, MAX_BYTES), kind, path.name)


def load_any(path: Path) -> Stored:
    """Read one value of whatever kind the file says that it holds."""
    data = files.read(path, MAX_BYTES).removeprefix(codecs.BOM_UTF8)
    try:
        held = msgspec.json.decode(data, type=_Envelope).kind
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableFile(f"{path.name} is no file of DECC's: {error}.") from None
    for kind, name in KINDS.items():
        if name == held:
            value: Stored = from_json(data, kind, path.name)
            return value
    raise UnreadableFile(f"{path.name} holds a '{held}'; this program reads {', '.join(KINDS.values())}.")
