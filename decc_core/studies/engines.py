"""Who plans the lines of a study: this process, several of this machine, or the workers of a Dask cluster.

All have one seam: numbers of lines go in, answers come out as they are finished, in any order, and `None` from time to
time, so that whoever waits can look after other things. Whoever closes the iterator ends the work.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Any, Protocol

from decc_core.errors import DeccError, InvalidStudy, StudyStopped
from decc_core.studies import columns, work
from decc_core.studies.grid import Grid, Line
from decc_core.studies.materials import Kit, Materials
from decc_core.studies.process import DONE, READY
from decc_core.text import counted, first_line, printable

ROOT = Path(__file__).resolve().parents[2]
HEARTBEAT_S = 0.25
ATTEMPTS = 2
"""So often a line is begun whose process ends in the middle of it."""
KEPT_PARTS = 24
"""Graphs and profiles that a process keeps, those needed last; lines come network by network."""
START_S = 120.0
LONGEST_LINE_S = 3600.0
"""Beside what the exact solver may take."""
ENDING_S = 5.0
MOST_PROCESSES = 256
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
"""Every process plans with one thread: there are as many processes as cores."""
CONNECTING_S, WAITING_S, ASKING_S = 10.0, 60.0, 5.0
"""For a scheduler to answer, for workers to come or come back, and between two looks at them."""
AHEAD = 4
"""Lines that lie ready at a cluster for each worker."""


@dataclass(frozen=True)
class Answer:
    """A line that is finished: its table as bytes, or the reason why it could not be planned at all."""

    line: int
    content: bytes = b""
    reason: str = ""


class Engine(Protocol):
    """Plans lines of a grid."""

    @property
    def workers(self) -> int:
        """How many lines are planned at a time, as far as it is known."""
        ...

    def run(self, grid: Grid, lines: Sequence[int], materials: Materials) -> Iterator[Answer | None]:
        """Answers as they are finished, and None at least a few times a second while there are none."""
        ...


class Serial:
    """This process, one line after the other."""

    workers = 1

    def run(self, grid: Grid, lines: Sequence[int], materials: Materials) -> Iterator[Answer | None]:
        for number in lines:
            yield None
            line = grid[number]
            yield Answer(number, work.planned(line, materials.kit(line.kit), columns.versions()))


class Local:
    """Processes of this machine, as many as it has cores unless told otherwise."""

    def __init__(self, processes: int | None = None) -> None:
        if processes is not None and not 1 <= processes <= MOST_PROCESSES:
            raise InvalidStudy(f"{processes} processes cannot be started; choose 1 to {MOST_PROCESSES}.")
        self.workers = processes or _cores()

    def run(self, grid: Grid, lines: Sequence[int], materials: Materials) -> Iterator[Answer | None]:
        waiting, answers = deque(lines), Queue[Answer | Exception]()
        slots = [_Slot(grid, materials, waiting, answers) for _ in range(min(self.workers, len(lines)))]
        for slot in slots:
            slot.start()
        try:
            for _ in lines:
                while True:
                    try:
                        answer = answers.get(timeout=HEARTBEAT_S)
                        break
                    except Empty:
                        yield None
                if isinstance(answer, Exception):
                    raise answer
                yield answer
        finally:
            for slot in slots:
                slot.end()
            for slot in slots:  # a slot may be about to end its process by itself
                slot.join(ENDING_S)


def _cores() -> int:
    """Those that this process may use."""
    with suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Slot(threading.Thread):
    """One process at a time, which plans lines until none are waiting; one that ends is started anew.

    Each has its own: when a process ends, it is known whose line it was.
    """

    def __init__(
        self, grid: Grid, materials: Materials, waiting: deque[int], answers: Queue[Answer | Exception]
    ) -> None:
        super().__init__(name="study", daemon=True)
        self.grid, self.materials, self.waiting, self.answers = grid, materials, waiting, answers
        self.process: _Process | None = None
        self.ended = False
        self.lock = threading.Lock()

    def run(self) -> None:
        try:
            while not self.ended:
                try:
                    number = self.waiting.popleft()
                except IndexError:
                    return
                answer = self._planned(self.grid[number])
                if not self.ended:
                    self.answers.put(answer)
        except Exception as error:
            self.answers.put(error)
        finally:
            self.end()

    def end(self) -> None:
        with self.lock:
            self.ended = True
            process, self.process = self.process, None
        if process is not None:
            process.end()

    def _planned(self, line: Line) -> Answer:
        reason = ""
        for attempt in range(ATTEMPTS):
            process = self._fresh()
            if process is None:
                break
            if reason := process.get_ready():
                with self.lock:
                    self.process = None
                if attempt + 1 < ATTEMPTS or self.ended:
                    continue
                raise StudyStopped(f"A process to plan in could not be started ({reason}).")
            try:
                kind, content = process.ask(line, self.materials)
            except (EOFError, OSError, pickle.UnpicklingError):
                reason = process.end()
                with self.lock:
                    self.process = None
                continue
            if kind == DONE:
                return Answer(line.number, content)
            raise InvalidStudy(content)
        return Answer(line.number, reason=f"The process that planned it ended {counted(ATTEMPTS, 'time')} ({reason}).")

    def _fresh(self) -> _Process | None:
        """The slot's process, a new one where the last is of no use any more; none once the slot has been ended."""
        with self.lock:
            if self.ended:
                return None
            if self.process is None:
                self.process = _Process()
            return self.process


class _Process:
    """A process that was started, and the graphs and profiles that it holds."""

    def __init__(self) -> None:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self.said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115, as it lives as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "decc_core.studies.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
            # Ctrl-C in a terminal is for whoever started it, which ends its processes.
            start_new_session=True,
        )
        self.is_ready = False
        self.holds = OrderedDict[str, None]()
        self.late = ""

    def get_ready(self) -> str:
        """Empty once it is up, or why it is not."""
        if self.is_ready:
            return ""
        try:
            with self._deadline(START_S):
                (said,) = self._read()
        except (EOFError, OSError, pickle.UnpicklingError, ValueError):
            said = ""
        if said != READY:
            return self.end()
        self.is_ready = True
        return ""

    def ask(self, line: Line, materials: Materials) -> tuple[str, Any]:
        """Its answer; `EOFError` or `OSError` where the process is of no use any more."""
        keys = materials.kits[line.kit]
        new = {key: part for key, part in materials.parts(line.kit).items() if key not in self.holds}
        for key in keys:
            self.holds[key] = None
            self.holds.move_to_end(key)
        forgotten = [self.holds.popitem(last=False)[0] for _ in range(len(self.holds) - KEPT_PARTS)]
        question = pickle.dumps((line, columns.versions(), keys, new, forgotten), pickle.HIGHEST_PROTOCOL)
        assert self.process.stdin is not None
        with self._deadline(LONGEST_LINE_S + len(line.points) * (line.exact_s or 0.0)):
            self.process.stdin.write(question)
            self.process.stdin.flush()
            kind, content = self._read()
            return kind, content

    def _read(self) -> Any:
        assert self.process.stdout is not None
        return pickle.load(self.process.stdout)

    def _deadline(self, longest_s: float) -> _Deadline:
        return _Deadline(longest_s, self)

    def end(self) -> str:
        """End it, whatever it does; says why it had ended, if it had."""
        ended = self.process.poll()
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING_S)
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        words = b""
        with suppress(OSError, ValueError):
            self.said.seek(0)
            words = self.said.read()[-2000:]
            self.said.close()
        if self.late:
            return self.late
        ended = self.process.returncode if ended is None else ended
        last = printable(words.decode("utf-8", "replace").strip().splitlines()[-1])[:200] if words.strip() else ""
        how = f"signal {-ended}" if ended is not None and ended < 0 else f"exit status {ended}"
        return f"{how}: {last}" if last else how


class _Deadline:
    """Kills a process that takes longer."""

    def __init__(self, longest_s: float, process: _Process) -> None:
        self.process, self.longest_s = process, longest_s
        self.timer = threading.Timer(longest_s, self._late)
        self.timer.daemon = True

    def _late(self) -> None:
        self.process.late = f"it took longer than {self.longest_s:,.0f} s"
        self.process.process.kill()

    def __enter__(self) -> None:
        self.timer.start()

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()


class Dask:
    """The workers of a Dask cluster, each with one thread, this DECC and the same versions of Python and NumPy.

    Scheduler and workers unpickle what they are sent, and so does whoever connects to them: for trusted networks only.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.workers = 1

    def run(self, grid: Grid, lines: Sequence[int], materials: Materials) -> Iterator[Answer | None]:
        with self._connected() as client:
            parts: dict[str, Any] = {}
            waiting, pending = deque(lines), dict[Any, int]()
            looked_s = seen_s = time.monotonic()
            try:
                while waiting or pending:
                    while waiting and len(pending) < AHEAD * self.workers:
                        number = waiting.popleft()
                        pending[self._submitted(client, grid[number], materials, parts)] = number
                    finished = [future for future in pending if future.done()]
                    for future in finished:
                        yield self._answer(future, pending.pop(future))
                    if finished:
                        seen_s = time.monotonic()
                        continue
                    yield None
                    time.sleep(HEARTBEAT_S / 5)
                    now_s = time.monotonic()
                    if now_s - looked_s > ASKING_S:
                        looked_s = now_s
                        if self._count(client):
                            seen_s = now_s
                        elif now_s - seen_s > WAITING_S:
                            raise StudyStopped(
                                f"No worker of the Dask cluster at {self.address} has been there for {WAITING_S:g} s; "
                                "start some, and start the study again, which goes on from here."
                            )
            finally:
                for future in (*pending, *parts.values()):
                    with suppress(Exception):
                        future.cancel()

    def _connected(self) -> Any:
        """A client of a cluster that can plan for this process."""
        try:
            import distributed
        except ImportError:
            raise InvalidStudy(
                "Dask is not installed here; install DECC with it, in its checkout: pip install '.[dask]'."
            ) from None
        try:
            connect: Any = distributed.Client
            client = connect(self.address, timeout=CONNECTING_S, set_as_default=False, name="decc-study")
        except (OSError, ValueError, TimeoutError, RuntimeError, TypeError) as error:
            raise InvalidStudy(
                f"No Dask scheduler answers at {printable(self.address)} ({first_line(error)}); start one with "
                "`dask scheduler` and name its address, as in: --dask tcp://192.168.1.5:8786."
            ) from None
        try:
            self._require_workers(client)
        except BaseException:
            client.close(ENDING_S)
            raise
        return client

    def _require_workers(self, client: Any) -> None:
        try:
            client.wait_for_workers(1, timeout=WAITING_S)
        except TimeoutError:
            raise InvalidStudy(
                f"The Dask scheduler at {self.address} has had no worker for {WAITING_S:g} s; start some with "
                f"`dask worker {self.address} --nthreads 1`."
            ) from None
        threads = client.nthreads()
        for worker, count in threads.items():
            if count != 1:
                raise InvalidStudy(
                    f"The Dask worker {worker} has {count} threads, and plans are made by one; start it with "
                    "--nthreads 1, and with --nworkers as many as there are cores."
                )
        try:
            found = client.run(_versions)
        except Exception as error:
            raise InvalidStudy(
                f"A worker of the Dask cluster at {self.address} cannot plan ({first_line(error)}); install the same "
                "version of DECC in its environment."
            ) from None
        for worker, there in found.items():
            for name, here in columns.versions().items():
                if there.get(name) != here:
                    raise InvalidStudy(
                        f"The Dask worker {worker} has {name.replace('_version', '')} {there.get(name)}, and here is "
                        f"{here}; the plans could differ: install the same version on both sides."
                    )
        self.workers = len(threads)

    def _count(self, client: Any) -> int:
        """How many workers there are; refuses to go on where the scheduler does not answer."""
        try:
            count = len(client.nthreads(callback_timeout=CONNECTING_S))
        except Exception as error:
            raise self._lost(error) from None
        self.workers = max(1, count)
        return count

    def _lost(self, error: BaseException) -> StudyStopped:
        return StudyStopped(
            f"The Dask scheduler at {self.address} is gone ({first_line(error)}); start it and the study again, which "
            "goes on from what is finished."
        )

    def _submitted(self, client: Any, line: Line, materials: Materials, parts: dict[str, Any]) -> Any:
        """The line at the cluster; a graph or profile goes there once, and from worker to worker after that.

        It goes as a task, which the scheduler may give to another worker when the one that has it is lost.
        """
        keys = materials.kits[line.kit]
        for key, part in materials.parts(line.kit).items():
            if key not in parts:
                parts[key] = client.submit(_same, part, key=f"decc-part-{key}-{id(self)}", pure=True)
        return client.submit(
            _planned, line, *(parts[key] for key in keys), columns.versions(), pure=False,
            key=f"decc-line-{line.number}-{id(self)}-{time.monotonic_ns()}",
        )  # fmt: skip

    def _answer(self, future: Any, number: int) -> Answer:
        if future.status in ("cancelled", "lost"):
            raise self._lost(RuntimeError("it does not know the lines any more"))
        try:
            return Answer(number, future.result(timeout=WAITING_S))
        except DeccError:
            # Of other versions, or whatever else is to be said once and not for every point.
            raise
        except TimeoutError as error:
            raise self._lost(error) from None
        except Exception as error:
            return Answer(number, reason=f"{type(error).__name__}: {first_line(error)}.")


def _versions() -> dict[str, str]:
    """Of the process that is asked, wherever it is."""
    return columns.versions()


def _same(part: Any) -> Any:
    return part


def _planned(line: Line, *rest: Any) -> bytes:
    *parts, versions = rest
    return work.planned(line, Kit(*parts), versions)
