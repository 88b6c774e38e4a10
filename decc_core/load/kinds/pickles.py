"""What a pickle would call, read off its opcodes, and whether that is tensors and nothing else; none is ever run."""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from decc_core.errors import UnreadableFile
from decc_core.load.kinds import remedies
from decc_core.load.kinds.kind import Foreign, Kind
from decc_core.load.zips import AGAIN
from decc_core.text import listed

MAX_BYTES = 64 << 20
MAX_OPCODES = 1_000_000
"""A few seconds of reading; the weights of a network with 3,000 tensors take 150,000."""
MAX_LINE_BYTES = 64 << 10
MAX_GLOBALS = 1000
MAX_NAME = 200

TENSORS = frozenset(
    {
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
    }
)
STORAGES = frozenset(
    f"torch.{kind}Storage"
    for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
) | {"torch.storage.UntypedStorage", "torch.storage.TypedStorage"}
HARMLESS = TENSORS | STORAGES | {"collections.OrderedDict", "torch.Size"}
"""What the pickle of a state_dict needs; all of it is also on the list of `torch.load(weights_only=True)`."""
MODULES = ("torch.nn.modules.", "torchvision.models.", "timm.", "__main__.")

LEGACY_MAGIC = b"l\xfc\x9cF\xf9 j\xa8P\x19"
LEGACY_PARTS = 5
"""Magic number, version, machine, the objects, keys of the storages; then the bytes of the tensors."""
NEWEST_PROTOCOL = 3
"""What torch.load(weights_only=True) reads; torch.save writes 2 unless told otherwise."""


@dataclass(frozen=True)
class Pickle:
    """What one pickle wants: dotted names in the order in which they are first wanted."""

    globals: tuple[str, ...]
    whole: bool
    """It ends as a pickle ends, within the bounds."""
    protocol: int

    @property
    def harmful(self) -> tuple[str, ...]:
        return tuple(name for name in self.globals if name not in HARMLESS)


def scan(file: BinaryIO) -> Pickle:
    """List what the pickle at the file's position wants; afterwards the file stands behind that pickle."""
    walk = _Walk()
    whole = False
    try:
        for opcode, argument, _ in pickletools.genops(cast(BinaryIO, _Bounded(file))):
            walk.step(opcode, argument)
            if walk.opcodes >= MAX_OPCODES or len(walk.globals) >= MAX_GLOBALS:
                break
        else:
            whole = True
    except (ValueError, EOFError, OverflowError, UnicodeError, MemoryError):
        # What pickletools raises where the bytes are no pickle, or end early.
        pass
    return Pickle(tuple(walk.globals), whole, walk.protocol)


class _Bounded:
    """The first bytes of a file: whatever length a pickle claims, no more than these is read or allocated."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.left = file, MAX_BYTES

    def read(self, size: int) -> bytes:
        return self._taken(self.file.read(max(0, min(size, self.left))))

    def readline(self) -> bytes:
        return self._taken(self.file.readline(min(MAX_LINE_BYTES, self.left)))

    def _taken(self, data: bytes) -> bytes:
        self.left -= len(data)
        return data


class _Walk:
    """A pickle machine that keeps only text: enough to know what STACK_GLOBAL, which takes its names there, means."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, str] = {}
        self.globals: dict[str, None] = {}
        self.protocol = self.opcodes = 0

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        self.opcodes += 1
        name = opcode.name
        if name == "PROTO":
            self.protocol = argument
        elif name in ("GLOBAL", "INST"):
            module, _, attribute = argument.partition(" ")
            self._wants(module, attribute)
        elif name == "STACK_GLOBAL":
            self._wants(*(part if isinstance(part, str) else "?" for part in ["?", "?", *self.stack[-2:]][-2:]))
        elif name in ("EXT1", "EXT2", "EXT4"):
            self._wants("copyreg", f"extension {argument}")
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            # Every slot is written down, because MEMOIZE counts them.
            top = self.stack[-1] if self.stack else None
            self.memo[len(self.memo) if argument is None else argument] = top if isinstance(top, str) else ""
            return
        self._stack(opcode, argument)

    def _wants(self, module: str, attribute: str) -> None:
        self.globals[f"{module}.{attribute}"[:MAX_NAME]] = None

    def _stack(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        if opcode.name == "DUP":
            self.stack += self.stack[-1:]
            return
        before, after = opcode.stack_before, opcode.stack_after
        if pickletools.markobject in before:
            while self.stack and self.stack.pop() is not pickletools.markobject:
                pass
            before = before[: before.index(pickletools.markobject)]
        if before:
            del self.stack[-len(before) :]
        if opcode.name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo.get(argument))
        elif opcode.name == "MARK":
            self.stack.append(pickletools.markobject)
        else:
            self.stack += [argument[:MAX_NAME] if isinstance(argument, str) else None] * len(after)


def pickle_kind(file: BinaryIO, head: bytes) -> Kind | Foreign | None:
    """The kind of a file that is a pickle or several; None where the bytes are no pickle."""
    file.seek(0)
    if LEGACY_MAGIC in head[:40]:
        return checkpoint_kind(_legacy(file))
    pickle = scan(file)
    if pickle.globals and (pickle.whole or head[0] == 0x80):
        return _objects(pickle)
    if pickle.whole and (head[0] == 0x80 or file.tell() == file.seek(0, 2)):
        return Foreign("a pickle", "only tensors that torch.save wrote are taken", remedies.WEIGHTS)
    return None


def _legacy(file: BinaryIO) -> Pickle:
    """The pickles that follow each other in what torch.save wrote before it wrote archives, as one."""
    parts: list[Pickle] = []
    while len(parts) < LEGACY_PARTS and all(part.whole for part in parts):
        parts.append(scan(file))
    names = dict.fromkeys(name for part in parts for name in part.globals)
    return Pickle(tuple(names), parts[-1].whole, max(part.protocol for part in parts))


def checkpoint_kind(pickle: Pickle) -> Kind | Foreign:
    """STATE_DICT where torch.save wrote tensors and nothing else; otherwise what the pickle wants instead."""
    if pickle.harmful:
        return _objects(pickle)
    if not pickle.whole:
        raise UnreadableFile(f"The file of torch.save breaks off or is damaged; {AGAIN}.")
    if pickle.protocol > NEWEST_PROTOCOL:
        what = f"a file of torch.save with pickle protocol {pickle.protocol}"
        return Foreign(what, "only the default protocol can be read without running code", remedies.WEIGHTS)
    if TENSORS.isdisjoint(pickle.globals):
        return Foreign("a file of torch.save without tensors", "there are no weights", remedies.WEIGHTS)
    return Kind.STATE_DICT


def _objects(pickle: Pickle) -> Foreign:
    is_module = any(name.startswith(MODULES) for name in pickle.globals)
    what = "a pickled PyTorch module" if is_module else "a pickle of Python objects"
    # A computed name is "?": how it comes about is only known by running it.
    why = f"loading it would run what it asks for, {listed(pickle.harmful or pickle.globals)}"
    return Foreign(what, why, f"{remedies.PT2}# or\n{remedies.WEIGHTS}")
