"""Processes that plan for the page, so that the server answers its other visitors meanwhile.

Python runs one thread at a time: a plan of ten seconds would hold everybody up that long. Questions and answers travel
as pickles between this server and its own processes; networks travel once, and stay the same objects on both sides.
Until the processes are up, and where there are none, as in tests, the server plans by itself.
"""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast

from decc_core.errors import NotPossible
from decc_core.network.graph import LayerGraph
from decc_core.problem.instance import CostInstance

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = max(2, min(4, os.cpu_count() or 1))
"""At most; two at least, as one long plan is to leave a way for short ones."""
KEPT_GRAPHS = 8
"""So many networks each process keeps, the ones asked for last."""
WAIT_S = 5.0
"""Where all are busy for so long, the server plans by itself: a few long plans are not to keep everybody waiting."""
LONGEST_S = 300.0
ENDING_S = 5.0
READY, GRAPH, ASK, DONE, FAILED = "ready", "graph", "ask", "done", "failed"

Known = LayerGraph | CostInstance
"""What both sides have."""
INSTANCE = 0
"""The key of the instance in question; networks have others."""
P = ParamSpec("P")
T = TypeVar("T")


class _Sender(pickle.Pickler):
    """Writes an object in which what the other side has stands by its key."""

    def __init__(self, file: Any, there: Mapping[int, Known]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.keys = {id(value): key for key, value in there.items()}

    def persistent_id(self, value: Any) -> int | None:
        return self.keys.get(id(value)) if isinstance(value, Known) else None


class _Receiver(pickle.Unpickler):
    def __init__(self, file: Any, there: Mapping[int, Known]) -> None:
        super().__init__(file)
        self.there = there

    def persistent_load(self, key: Any) -> Known:
        return self.there[key]


def _sent(file: Any, value: object, there: Mapping[int, Known]) -> None:
    # First as a whole: what cannot be written must not leave half of itself.
    whole = io.BytesIO()
    _Sender(whole, there).dump(value)
    file.write(whole.getbuffer())
    file.flush()


@dataclass(eq=False)
class _Process:
    """One process, and the networks that it holds."""

    process: subprocess.Popen[bytes]
    holds: OrderedDict[int, None] = field(default_factory=OrderedDict)

    @classmethod
    def start(cls) -> _Process:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return cls(
            subprocess.Popen(
                [sys.executable, "-m", "app.jobs.planner"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
                # Ctrl-C in the server's terminal ends the server, which ends its processes.
                start_new_session=True,
            )
        )

    def get_ready(self) -> bool:
        try:
            return bool(pickle.load(self.process.stdout) == READY)  # type: ignore[arg-type]
        except (EOFError, OSError, pickle.UnpicklingError):
            return False

    def ask(self, instance: CostInstance, key: int, make: Callable[..., Any], args: Any, named: Any) -> tuple[str, Any]:
        """Whether it was done, and what came of it; `EOFError` or `OSError` where the process is of no use any more."""
        graph = instance.graph
        if key not in self.holds:
            _sent(self.process.stdin, (GRAPH, key, graph), {})
        self.holds[key] = None
        self.holds.move_to_end(key)
        while len(self.holds) > KEPT_GRAPHS:
            self.holds.popitem(last=False)
        _sent(self.process.stdin, (ASK, instance, make, args, named), {key: graph})
        end = threading.Timer(LONGEST_S, self.process.kill)
        end.daemon = True
        end.start()
        try:
            answer: tuple[str, Any] = _Receiver(self.process.stdout, {key: graph, INSTANCE: instance}).load()
            return answer
        except Exception as error:
            # Whatever it was: what is left in the pipe would be taken for the next answer.
            raise EOFError from error
        finally:
            end.cancel()

    def end(self) -> None:
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING_S)
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()


class Planners:
    """The processes; each answers one question at a time."""

    def __init__(self) -> None:
        self._all: set[_Process] = set()
        self._starting = 0
        self._free: LifoQueue[_Process] = LifoQueue()
        self._lock = threading.Lock()
        self._keys: dict[int, tuple[weakref.ref[LayerGraph], int]] = {}
        self._last_key = 0
        self.ready = threading.Event()
        """One process at least is up."""
        self._ended = False

    def start(self) -> None:
        """Start one more, where there may be more; returns at once."""
        with self._lock:
            if self._ended or len(self._all) + self._starting >= PROCESSES:
                return
            self._starting += 1
        threading.Thread(target=self._start_one, name="planners", daemon=True).start()

    def end(self) -> None:
        """End all, whatever they do; the server plans by itself then."""
        with self._lock:
            self._ended, gone = True, list(self._all)
            self._all.clear()
            self.ready.clear()
        for process in gone:
            process.end()

    def ask(self, instance: CostInstance, make: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """`make(...)`, a function that a module has by its name, made by one of the processes; about an instance.

        Raises what it raises, and `NotPossible` where it takes too long or a process's memory does not suffice.
        """
        if not self.ready.is_set():
            return make(*args, **named)
        if self._free.empty():
            self.start()
        try:
            process = self._free.get(timeout=WAIT_S)
        except Empty:
            return make(*args, **named)
        try:
            kind, value = process.ask(instance, self._key_of(instance.graph), make, args, named)
        except (EOFError, OSError):
            self._replace(process)
            raise NotPossible(
                f"Planning '{instance.graph.name}' took more than {LONGEST_S / 60:.0f} minutes, or more memory than "
                "there is, and was given up; choose fewer requests."
            ) from None
        except BaseException:
            self._free.put(process)
            raise
        self._free.put(process)
        if kind == FAILED:
            raise value
        return cast(T, value)

    def _start_one(self) -> None:
        process = None
        try:
            process = _Process.start()
        finally:
            with self._lock:
                self._starting -= 1
                if process is not None and not self._ended:
                    self._all.add(process)
        is_ready = process.get_ready()
        with self._lock:
            if is_ready and process in self._all:
                self._free.put(process)
                self.ready.set()
                return
            self._all.discard(process)
        process.end()

    def _replace(self, process: _Process) -> None:
        process.end()
        with self._lock:
            self._all.discard(process)
            if not self._all:
                self.ready.clear()
        self.start()

    def _key_of(self, graph: LayerGraph) -> int:
        """A network's number, for as long as it is there."""
        with self._lock:
            known = self._keys.get(id(graph))
            if known is None or known[0]() is not graph:
                self._keys = {place: told for place, told in self._keys.items() if told[0]() is not None}
                self._last_key += 1
                known = self._keys[id(graph)] = (weakref.ref(graph), self._last_key)
            return known[1]


PLANNERS = Planners()
"""The server's."""


def answer_questions(questions: BinaryIO, answers: BinaryIO) -> None:
    """What such a process does once it is ready, until the server goes."""
    graphs: OrderedDict[int, LayerGraph] = OrderedDict()
    _sent(answers, READY, {})
    while True:
        try:
            kind, *told = _Receiver(questions, graphs).load()
        except EOFError:
            return
        if kind == GRAPH:
            graphs[told[0]] = told[1]
            continue
        instance, make, args, named = told
        key = next(key for key, graph in graphs.items() if graph is instance.graph)
        graphs.move_to_end(key)
        while len(graphs) > KEPT_GRAPHS:
            graphs.popitem(last=False)
        try:
            answer = (DONE, make(*args, **named))
        except Exception as error:
            answer = (FAILED, error)
        try:
            _sent(answers, answer, {key: instance.graph, INSTANCE: instance})
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            _sent(answers, (FAILED, RuntimeError(f"{type(error).__name__}: {error}")), {})
