"""What a worker tells of its connections: a line for each, and never so many that they fill a disk or slow a call."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from decc_core.errors import UnreadableFile
from decc_core.files import reason

BURST, EVERY_S = 60, 5.0
"""So many lines may come at once, and one more after each of so many seconds: at most some 2 MB a day."""
PEERS = 1024
"""Connections of which is remembered what was told of them."""
WAITING = 200
"""Lines that wait for somebody to read them; more are dropped."""
FILE_BYTES = 1_000_000
"""A file that is full makes room for a new one, and is kept beside it until that is full, too."""
CLOSE_S = 1.0
Peer = tuple[str, int]
"""Address and port."""


class ConnectionLog:
    """Takes lines from anywhere at once, and has a thread of its own write them.

    Callers who were let in and those who were not have a budget each: no flood of strangers hides who was let in.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._lines: queue.Queue[str | None] = queue.Queue(WAITING)
        self._budgets = {True: _Budget(), False: _Budget()}
        self._told: OrderedDict[Peer, set[str]] = OrderedDict()
        self._lock = threading.Lock()
        self._writer = threading.Thread(target=self._writing, name="log", daemon=True)
        self._writer.start()

    def tell(self, peer: Peer, what: str, let_in: bool = False) -> None:
        """A line on a connection, unless it has been told; many calls over one connection are one line."""
        with self._lock:
            told = self._told.setdefault(peer, set())
            self._told.move_to_end(peer)
            if what in told:
                return
            told.add(what)
            while len(self._told) > PEERS:
                self._told.popitem(last=False)
            dropped = self._budgets[let_in].spend()
            if dropped is None:
                return
            more = f" ({dropped:,} more lines like this are left out)" if dropped else ""
            with suppress(queue.Full):
                self._lines.put_nowait(f"{_now()} {_named(peer)} {what}{more}")

    def knows(self, peer: Peer) -> bool:
        """Whether anything was told of a connection."""
        with self._lock:
            return peer in self._told

    def forget(self, peers: Iterable[Peer]) -> None:
        """Connections that are over: others may come from the same places."""
        with self._lock:
            for peer in peers:
                self._told.pop(peer, None)

    def close(self) -> None:
        """Write what waits, for a moment; where nobody reads it, it is lost."""
        with suppress(queue.Full):
            self._lines.put_nowait(None)
        self._writer.join(CLOSE_S)

    def _writing(self) -> None:
        while (line := self._lines.get()) is not None:
            # A terminal that was closed, or a full disk, costs lines and nothing else.
            with suppress(OSError, ValueError):
                self._write(line)


class _Budget:
    """How many more lines there may be, and how many there should have been since the last one."""

    def __init__(self) -> None:
        self.left, self.since, self.dropped = float(BURST), time.monotonic(), 0

    def spend(self) -> int | None:
        """How many lines were dropped before this one; None if this one is dropped, too."""
        now = time.monotonic()
        self.left, self.since = min(BURST, self.left + (now - self.since) / EVERY_S), now
        if self.left < 1:
            self.dropped += 1
            return None
        self.left -= 1
        dropped, self.dropped = self.dropped, 0
        return dropped


class _LogFile(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """The usual one would write a traceback for each line that a full disk does not take."""


def to_file(file: Path) -> Callable[[str], None]:
    """Whoever writes lines to the end of a file, which never grows beyond its limit."""
    try:
        if file.exists() and not file.is_file():
            raise UnreadableFile(f"Cannot write {file}: it is no ordinary file; name another one.")
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = _LogFile(file, maxBytes=FILE_BYTES, backupCount=1, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"Cannot write {file}: {reason(error)}.") from None
    return lambda line: handler.emit(logging.makeLogRecord({"msg": line}))


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _named(peer: Peer) -> str:
    host, port = peer
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
