"""One damaged file after another through a target, under a watch: time, memory, and what was found is kept."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.targets import FORMATS, Format, checked
from tests.memory import forget_peak, peak_bytes, resident_bytes

MAX_S = 5.0
"""Processor time that one file may take, which has at most 64 KiB."""
MAX_GROWTH_BYTES = 512 << 20
"""Memory that one file may take at its peak."""
MAX_LEFT_BYTES = 256 << 20
"""Memory that may be left after all files, beyond what the first hundred left."""
WARM_UP = 100
FINDS = Path(os.environ.get("DECC_FUZZ_FINDS", Path(__file__).resolve().parents[2] / ".hypothesis" / "finds"))
ROUNDS = (1, 1, 1, 2, 3)


class TooSlow(BaseException):
    """No `Exception`: the nets of a reader must not catch it."""


@dataclass
class Watch:
    """What a run over one format has seen so far."""

    name: str
    form: Format = field(init=False)
    files: int = 0
    taken: int = 0
    slowest_s: float = 0.0
    most_bytes: int = 0
    began_s: float = field(default_factory=time.perf_counter)
    _first_bytes: int = 0

    def __post_init__(self) -> None:
        self.form = FORMATS[self.name]
        self.form.seeds()

    def damaged(self, rng: random.Random) -> bytes:
        """The next file: a seed, damaged once or a few times."""
        data = rng.choice(self.form.seeds())
        for _ in range(rng.choice(ROUNDS)):
            data = self.form.damaged(data, rng)
        return data

    def look(self, data: bytes) -> None:
        """Read one file; what it should not do is raised, with the place where the file was kept."""
        try:
            self._read(data)
        except (Exception, TooSlow) as error:
            kept = self._kept(data, type(error))
            raise AssertionError(
                f"{self.name}: {type(error).__name__}: {str(error)[:500]}; the file is {kept}"
            ) from error

    def _read(self, data: bytes) -> None:
        before = resident_bytes()
        forget_peak()
        with _alarm():
            began_s = time.process_time()
            self.taken += checked(self.form, data)
            took_s = time.process_time() - began_s
        grown = peak_bytes() - before
        self.files += 1
        self.slowest_s, self.most_bytes = max(self.slowest_s, took_s), max(self.most_bytes, grown)
        assert took_s < MAX_S, f"took {took_s:.1f} s"
        assert grown < MAX_GROWTH_BYTES, f"took {grown >> 20} MiB"
        if self.files == WARM_UP:
            self._first_bytes = resident_bytes()

    def finish(self) -> None:
        """Memory must not have been lost over all the files."""
        if self.files > WARM_UP:
            left = resident_bytes() - self._first_bytes
            assert left < MAX_LEFT_BYTES, f"{self.name}: {left >> 20} MiB were not given back"

    def _kept(self, data: bytes, kind: type[BaseException]) -> Path:
        smaller = smallest(data, lambda part: _fails_as(kind, self.form, part))
        return kept(self.name, smaller)

    def __str__(self) -> str:
        seconds = max(time.perf_counter() - self.began_s, 1e-9)
        return (
            f"{self.name}: {self.files:,} files, {self.taken:,} taken, {self.files / seconds:,.0f} a second, "
            f"slowest {self.slowest_s * 1e3:.0f} ms, at most {self.most_bytes / 1e6:.0f} MB"
        )


def kept(name: str, data: bytes) -> Path:
    """Write a file that was found, under the digest of what is in it."""
    path = FINDS / name / hashlib.sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def smallest(data: bytes, fails: Callable[[bytes], bool], tries: int = 2000) -> bytes:
    """The file without the parts that are not needed to fail: halves first, then ever smaller ones."""
    size = len(data) // 2
    while size and tries:
        at = 0
        while at < len(data) and tries:
            tries -= 1
            shorter = data[:at] + data[at + size :]
            if fails(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data


def _fails_as(kind: type[BaseException], form: Format, data: bytes) -> bool:
    if kind is TooSlow:
        return False
    try:
        checked(form, data)
    except BaseException as error:
        return type(error) is kind
    return False


@contextmanager
def _alarm() -> Iterator[None]:
    """Processor time runs out in the middle of a file, where Python can be interrupted."""

    def too_slow(*_: Any) -> None:
        raise TooSlow(f"took more than {MAX_S} s")

    earlier = signal.signal(signal.SIGPROF, too_slow)
    signal.setitimer(signal.ITIMER_PROF, MAX_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, earlier)
