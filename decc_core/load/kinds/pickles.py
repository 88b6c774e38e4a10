"""What a pickle would call, read off its opcodes; nothing in it is ever run."""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

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


@dataclass(frozen=True)
class Pickle:
    """What one pickle wants: dotted names in the order in which they are first wanted."""

    globals: tuple[str, ...]
    whole: bool
    """It ends as a pickle ends, within the bounds."""
    protocol: int
    opcodes: int

    @property
    def harmful(self) -> tuple[str, ...]:
        return tuple(name for name in self.globals if name not in HARMLESS)

    @property
    def has_tensors(self) -> bool:
        return not TENSORS.isdisjoint(self.globals)


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
    return Pickle(tuple(walk.globals), whole, walk.protocol, walk.opcodes)


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
            pair = [part if isinstance(part, str) else "?" for part in ["?", "?", *self.stack[-2:]][-2:]]
            self._wants(*pair)
        elif name in ("EXT1", "EXT2", "EXT4"):
            self._wants("copyreg", f"extension {argument}")
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._remember(len(self.memo) if argument is None else argument)
            return
        self._stack(opcode, argument)

    def _wants(self, module: str, attribute: str) -> None:
        self.globals[f"{module}.{attribute}"[:MAX_NAME]] = None

    def _remember(self, slot: int) -> None:
        """Every slot is written down, because MEMOIZE counts them."""
        top = self.stack[-1] if self.stack else None
        self.memo[slot] = top if isinstance(top, str) else ""

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


def pickles(file: BinaryIO, count: int) -> Iterator[Pickle]:
    """Up to so many pickles that follow each other, as in what torch.save wrote before it wrote archives."""
    for _ in range(count):
        found = scan(file)
        yield found
        if not found.whole:
            return
