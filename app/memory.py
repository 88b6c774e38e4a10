"""What the server keeps for its visitors: answers, under one budget in bytes; the least used are given up first."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from queue import SimpleQueue
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, TypeVar

import numpy as np

from decc_core.errors import InvalidInstance
from decc_core.network.graph import LayerGraph
from decc_core.ranges import is_count

VARIABLE = "DECC_CACHE_BYTES"
"""The environment variable that sets the budget."""
BUDGET_BYTES = 100_000_000
AGAIN_S = 5.0
"""A value that grows is measured again after so long at the earliest; visitors wait for it."""
SAMPLE = 24
"""Of a longer collection so many members are measured, and stand for the others."""
PLAIN = (int, float, str, bytes, np.ndarray)
COLLECTIONS = (tuple, list, set, frozenset)
FREE = (bool, type(None), Enum, type, FunctionType, BuiltinFunctionType, ModuleType)
"""What is there anyway."""

T = TypeVar("T")


@dataclass
class _Entry:
    value: Any
    size: int
    owner: Hashable | None
    measured_s: float


class Memory:
    """Values by key. What has an owner is dropped with it; the value kept last stays, were it beyond the budget."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._read: set[Hashable] = set()
        """Read since they were measured; with its pictures a value grows."""
        self._turns: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes in use, as measured when values were kept."""
        with self._lock:
            return sum(entry.size for entry in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Any:
        """The value, or None."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            self._read.add(key)
            return self._entries[key].value

    def keep(self, key: Hashable, make: Callable[[], T], owner: Hashable | None = None) -> T:
        """The value; made where it is not there, by one thread while others that ask for the same wait."""
        if (value := self.get(key)) is not None:
            return value
        with self._turn(key):
            if (value := self.get(key)) is None:
                value = make()
                self.put(key, value, owner)
        return value

    def put(self, key: Hashable, value: Any, owner: Hashable | None = None) -> None:
        """Keep a value, and give up others where there is no room for it."""
        size, now = size_of(value), time.monotonic()
        with self._lock:
            self._read &= self._entries.keys()
            for grown in {read for read in self._read if now - self._entries[read].measured_s >= AGAIN_S}:
                entry = self._entries[grown]
                entry.size, entry.measured_s = size_of(entry.value), now
                self._read.discard(grown)
            self._entries[key] = _Entry(value, size, owner, now)
            self._entries.move_to_end(key)
            total = sum(entry.size for entry in self._entries.values())
            while total > self.budget_bytes and len(self._entries) > 1:
                total -= self._entries.popitem(last=False)[1].size

    def update(self, key: Hashable, change: Callable[[Any], Any], owner: Hashable | None = None) -> None:
        """Replace a value, or None where there is none, by another; writers of the same value wait for each other."""
        with self._turn(key):
            self.put(key, change(self.get(key)), owner)

    @contextmanager
    def _turn(self, key: Hashable) -> Iterator[None]:
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            yield
        with self._lock:
            self._turns.pop(key, None)

    def drop(self, owner: Hashable) -> None:
        """Forget what belongs to an owner."""
        with self._lock:
            for key in [key for key, entry in self._entries.items() if entry.owner == owner]:
                del self._entries[key]


def size_of(value: object) -> int:
    """About how many bytes a value takes with all that it holds; of long collections a sample is measured.

    Networks inside other values do not count: each is kept for itself.
    """
    total, seen, waiting = 0.0, set(), [(value, 1.0)]
    while waiting:
        part, times = waiting.pop()
        while isinstance(part, np.ndarray) and isinstance(part.base, np.ndarray):
            part = part.base
        if id(part) in seen or isinstance(part, FREE) or (isinstance(part, LayerGraph) and part is not value):
            continue
        seen.add(id(part))
        total += times * (part.nbytes if isinstance(part, np.ndarray) else sys.getsizeof(part))
        if isinstance(part, PLAIN):
            continue
        if isinstance(part, dict):
            members: Collection[object] = [*_sample(part), *_sample(part.values())]
            times *= len(part) / min(SAMPLE, len(part) or 1)
        elif isinstance(part, COLLECTIONS):
            members = _sample(part)
            times *= len(part) / max(1, len(members))
        else:
            slots = (name for kind in type(part).__mro__ for name in kind.__dict__.get("__slots__", ()))
            members = [*getattr(part, "__dict__", {}).values(), *(getattr(part, name, None) for name in slots)]
        waiting.extend((member, times) for member in members)
    return round(total)


def _sample(members: Collection[object]) -> list[object]:
    """All members, or some that lie evenly in between."""
    return list(islice(members, 0, None, max(1, len(members) // SAMPLE)))[:SAMPLE]


def budget_bytes() -> int:
    """The budget that the environment sets, or the usual one."""
    text = os.environ.get(VARIABLE, str(BUDGET_BYTES))
    if not is_count(text):
        raise InvalidInstance(f"{VARIABLE} is '{text}'; give a whole number.")
    return int(text)


MEMORY = Memory(budget_bytes())
"""The server's."""
_gone: SimpleQueue[Hashable] = SimpleQueue()
_keeper_started = threading.Event()


def leave(owner: Hashable) -> None:
    """Have the server forget what belongs to an owner; soon, and from wherever an object may die."""
    # A queue of this kind may be put to while the garbage is collected, where a lock might be held already.
    _gone.put(owner)


def start_keeper() -> None:
    """The thread that forgets what belongs to owners that left."""
    if not _keeper_started.is_set():
        _keeper_started.set()
        threading.Thread(target=_keep_house, name="memory", daemon=True).start()


def _keep_house() -> None:
    while True:
        MEMORY.drop(_gone.get())
        while not _gone.empty():  # collecting takes a second where much is held, and visitors may leave together
            MEMORY.drop(_gone.get())
        gc.collect()
        with suppress(OSError, AttributeError):  # other C libraries than glibc keep freed memory in their own way
            ctypes.CDLL(None).malloc_trim(0)
