"""The controller's side of its workers: one worker's calls, with deadlines and errors that name it, and a pair."""

from __future__ import annotations

import queue
import statistics
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, TypeVar

import grpc

from decc_core import __version__, store
from decc_core.errors import WorkerFailed
from decc_core.models.device import DeviceSettings
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource
from decc_core.plans.pieces import SIDES
from decc_core.problem.link import TensorWork
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling.settings import ProfileSettings
from decc_core.progress import Progress, silent
from decc_core.runtime.controller.outputs import References
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire import methods
from decc_core.runtime.wire.assembly import CHUNK_BYTES, TensorChunk
from decc_core.runtime.wire.link_probe import measure_work
from decc_core.runtime.wire.methods import Method
from decc_core.runtime.wire.processes import LocalWorker, cores_apart, machine_id, require_room_for_threads
from decc_core.runtime.wire.pulse import Pulse
from decc_core.runtime.wire.transport import Address, Security, open_channel, start_call
from decc_core.text import shown
from decc_core.unforeseen import enough_for

CLOSE_S = 2.0
"""To give a run up takes no time; who does not answer has failed already, and whoever waits has been told so."""
PINGS = 16
WELL_S = 2.0
"""Within which a worker that lives says so."""
RESTING_S = 5.0
"""The same for one that has nothing else to do, and which nobody is in a hurry to give up."""
POLL_S = 0.2
TOGETHER_ROUNDS, TOGETHER_PASSES, TOGETHER_S = 3, 3, 0.5
"""Rounds and passes, or seconds, in which workers are measured alone and together."""
Answer = TypeVar("Answer")


@dataclass
class WorkerClient:
    """A worker that is up, here or on another host; `ahead_ns` is how far its clock is ahead of the controller's."""

    role: Resource
    address: Address
    security: Security
    process: LocalWorker | None = None
    channel: grpc.Channel = field(init=False)
    pulse: Pulse = field(init=False)
    description: m.Description = field(init=False)
    loaded: m.Loaded | None = None
    goodbye: Any = None
    held: dict[str, Any] = field(default_factory=dict)
    """The call that prepared each run: while it lasts, the worker keeps the run for us."""
    ahead_ns: int = 0

    def __post_init__(self) -> None:
        self.channel = open_channel(self.address, self.security)
        self.pulse = Pulse(self.role.value, self.address, self.security)

    @classmethod
    def of(cls, process: LocalWorker) -> WorkerClient:
        """A worker process of this machine, as soon as it listens."""
        process.wait_ready()
        return cls(process.role, process.address, process.security, process)

    def connect(self, boot: str) -> None:
        """Say hello; refuses a worker of the other role, and compares clocks unless both are on this machine."""
        self.description = self._ask(methods.DESCRIBE, m.Nothing())
        if self.description.role != self.role:
            raise WorkerFailed(
                f"The worker at {self.address} serves as {self.description.role.value}, not as {self.role.value}."
            )
        if self.description.protocol != m.PROTOCOL:
            raise WorkerFailed(
                f"The {self._name} runs DECC {shown(self.description.version)}, which speaks version "
                f"{self.description.protocol} of the workers' protocol, and this is DECC '{__version__}' with version "
                f"{m.PROTOCOL}: install the same version of DECC on both hosts."
            )
        if not boot or self.description.boot != boot:
            self.ahead_ns = self._clock_offset_ns()

    def _clock_offset_ns(self) -> int:
        """From the fastest of several pings, as in NTP: half its round trip is the largest possible error."""
        pings = []
        for _ in range(PINGS):
            began = time.perf_counter_ns()
            there: int = self._ask(methods.DESCRIBE, m.Nothing()).clock_ns
            over = time.perf_counter_ns()
            pings.append((over - began, there - (began + over) // 2))
        return min(pings)[1]

    def load(self, network: NetworkRef) -> m.Loaded:
        """Give the worker a network; the one that it has kept for us so far may go."""
        data = network.read()
        chunks = (
            m.ModelChunk(bytes(memoryview(part)[first : first + CHUNK_BYTES]))
            for part in data
            for first in range(0, len(part), CHUNK_BYTES)
        )
        before = self.loaded.handle if self.loaded is not None else None
        if data:
            order = m.LoadModel(layers_bytes=len(data[0]), tensors_bytes=len(data[1]), instead_of=before)
        else:
            order = m.LoadModel(network.name, instead_of=before)
        loaded: m.Loaded = self._ask(methods.LOAD, order, chunks)
        self.loaded = loaded
        return loaded

    @property
    def network(self) -> m.Loaded:
        """What the worker keeps for us."""
        if self.loaded is None:
            raise WorkerFailed(f"The {self._name} was given no network; load one first.")
        return self.loaded

    def profile(self, settings: ProfileSettings, progress: Progress | None = None) -> DeviceProfile:
        """Measure the loaded network on the worker's device; progress arrives while it measures."""
        for event in self._listen(methods.PROFILE, m.ProfileModel(self.network.handle, settings)):
            if isinstance(event, m.Profiled):
                return store.from_json(event.content, DeviceProfile, "the worker's profile")
            (progress or silent)(event.done, event.total, event.what)
        raise WorkerFailed(f"The {self._name} ended its profile without a result.")

    def prepare(self, order: m.PrepareRun) -> None:
        call = start_call(self.channel, methods.PREPARE, m.encode(order), self.security, None)
        end = threading.Timer(methods.WORK_S, call.cancel)
        end.daemon = True
        end.start()
        try:
            with closing(self._answers(methods.PREPARE, call)) as answers:
                if next(answers, None) is None:
                    raise WorkerFailed(f"The {self._name} ended the run before it began.")
        finally:
            end.cancel()
        self.held[order.run] = call

    def send_inputs(self, run: str, chunks: Iterable[TensorChunk]) -> None:
        self._ask(methods.INPUTS, m.RunRef(run), chunks)

    def warm(self, run: str) -> tuple[float, ...]:
        """Native seconds of each run of layers, in order of work."""
        prepared: m.Prepared = self._ask(methods.WARM, m.RunRef(run))
        return prepared.runs_s

    def pace(self, order: m.Pace) -> None:
        self._ask(methods.PACE, order)

    def whole(self, run: str, requests: Sequence[int]) -> Iterator[Any]:
        """Chunks and ends of the unsplit model's outputs."""
        return self._listen(methods.WHOLE, m.RunRef(run, tuple(requests)))

    def through_formats(self, run: str, requests: Sequence[int]) -> Iterator[Any]:
        """Chunks and ends of the outputs that come of coding what crosses, without a link."""
        return self._listen(methods.CODED, m.RunRef(run, tuple(requests)))

    def close_run(self, run: str) -> None:
        """Tell the worker that a run is over; one that was given up is not waited for, should it ever hear it."""
        try:
            if self.pulse.lost:
                # Held, since a call that nobody holds is cancelled.
                self.goodbye = start_call(
                    self.channel, methods.CLOSE, m.encode(m.RunRef(run)), self.security, methods.CLOSE.limit_s
                )
            else:
                self._ask(methods.CLOSE, m.RunRef(run), limit_s=CLOSE_S)
        finally:
            held = self.held.pop(run, None)
            if held is not None:
                held.cancel()

    def watch(self, run: str, deadline_s: float, events: queue.SimpleQueue[tuple[Resource, Any]]) -> Any:
        """Start the worker's part of a run; its events, and last an exception or None, go into the queue."""
        call = start_call(self.channel, methods.RUN, m.encode(m.RunRef(run)), self.security, deadline_s)

        def read() -> None:
            try:
                for event in self._answers(methods.RUN, call):
                    events.put((self.role, event))
                events.put((self.role, None))
            except Exception as error:
                events.put((self.role, error))

        threading.Thread(target=read, name=f"watch-{self.role.value}", daemon=True).start()
        return call

    def why_gone(self) -> str | None:
        """What happened to the worker, or None if it still answers."""
        if self.pulse.lost:
            return self.pulse.silence()
        if self.pulse.answers(WELL_S):
            return None
        death = self.process.death if self.process is not None else None
        return f"The {self._name} {death or 'does not answer any more'}."

    def require_well(self) -> None:
        """Refuses a worker that is gone; one that is only busy, with another controller's network, is not."""
        if not self.pulse.answers(RESTING_S) and not self.pulse.linked:
            gone = self.why_gone()
            if gone is not None:
                raise WorkerFailed(gone)

    def close(self, gently: bool = True) -> None:
        gently = gently and not self.pulse.lost
        self.pulse.close()
        self.channel.close()
        if self.process is not None:
            self.process.stop(gently)

    @property
    def _name(self) -> str:
        return f"{self.role.value} worker at {self.address}"

    def _ask(self, method: Method, order: Any, more: Iterable[Any] = (), limit_s: float | None = None) -> Any:
        """The one answer; `more` are the messages that follow the first one, where the method takes them."""
        answers = list(self._listen(method, order, more, limit_s))
        if len(answers) != 1:
            raise WorkerFailed(f"The {self._name} gave {len(answers)} answers where one was asked for.")
        return answers[0]

    def _listen(
        self, method: Method, order: Any, more: Iterable[Any] = (), limit_s: float | None = None
    ) -> Iterator[Any]:
        request = map(m.encode, chain([order], more)) if method.more else m.encode(order)
        call = start_call(self.channel, method, request, self.security, limit_s or method.limit_s)
        try:
            yield from self._answers(method, call)
        finally:
            call.cancel()

    def _answers(self, method: Method, call: Any) -> Generator[Any, None, None]:
        """All answers of a call, for as long as the worker lives."""
        with self.pulse.watching(call):
            for data in call:
                self.pulse.heard()
                yield m.decode(data, method.answers, self._name)


class WorkerPair:
    """An edge and a cloud worker that are up, and the network that they have loaded."""

    def __init__(self, edge: WorkerClient, cloud: WorkerClient, cloud_from_edge: Address | None = None) -> None:
        """`cloud_from_edge` is where the edge reaches the cloud, if not where we do."""
        self.cloud_from_edge = cloud_from_edge or cloud.address
        self.clients = {Resource.EDGE: edge, Resource.CLOUD: cloud}
        self._references: dict[str, tuple[Any, References]] = {}
        """What the network returned last, unsplit and through formats, and for which inputs, or which of its cuts."""
        cores = cores_apart()
        self.cores = {side: (cores[i],) if len(cores) > 1 else () for i, side in enumerate(SIDES)}
        """A core of its own for each local worker, where there are two."""

    @enough_for("a live run", WorkerFailed)
    def connect(self) -> None:
        """Say hello to both, one after the other: clocks are compared best while nothing else goes on."""
        require_room_for_threads()
        for client in self.clients.values():
            client.connect(machine_id())

    @property
    def fingerprint(self) -> str:
        """Of the graph that both have loaded."""
        return self.clients[Resource.EDGE].network.fingerprint

    @enough_for("a live run", WorkerFailed)
    def load(self, network: NetworkRef) -> str:
        """Give both workers a network; returns its graph's fingerprint."""
        loaded = self.both(lambda client: client.load(network))
        edge, cloud = (loaded[side] for side in SIDES)
        if (edge.fingerprint, edge.weights) != (cloud.fingerprint, cloud.weights):
            what = "graphs" if edge.fingerprint != cloud.fingerprint else "weights"
            raise WorkerFailed(
                f"The workers made different {what} of {'the network' if network.data else network.name}: "
                "run the same versions of DECC, PyTorch and ONNX Runtime on both hosts."
            )
        self.forget()
        return edge.fingerprint

    def references_for(self, inputs: Any, kind: str = "unsplit") -> References:
        """What is known of the network's outputs for these inputs; those of the same kind for others are let go."""
        known = self._references.get(kind)
        if known is None or known[0] != inputs:
            if known is not None:
                known[1].close()
            known = self._references[kind] = (inputs, References())
        return known[1]

    def forget(self) -> None:
        """Let go of the network's outputs."""
        for _, references in self._references.values():
            references.close()
        self._references.clear()

    @enough_for("a measurement", WorkerFailed)
    def profile(self, side: Resource, settings: ProfileSettings, progress: Progress | None = None) -> DeviceProfile:
        """Measure the loaded network's layers on one worker; the other one rests, and is asked how it is."""
        (resting,) = (client for role, client in self.clients.items() if role is not side)
        asked_s = time.monotonic()

        def tell(done: int, total: int, what: str) -> None:
            nonlocal asked_s
            if time.monotonic() - asked_s > WELL_S:
                resting.require_well()
                asked_s = time.monotonic()
            (progress or silent)(done, total, what)

        return self.clients[side].profile(settings, tell)

    @property
    def on_one_machine(self) -> bool:
        """Whether both workers share the cores and the memory of one host."""
        edge, cloud = (client.description.boot for client in self.clients.values())
        return bool(edge) and edge == cloud

    @enough_for("a measurement", WorkerFailed)
    def slowed_together(self, devices: Mapping[Resource, DeviceSettings]) -> dict[Resource, float]:
        """How many times longer each worker computes while the other one does, though nothing is sent.

        The loaded network is measured by turns on one worker, on the other one, and on both at once.
        """
        settings = {
            side: ProfileSettings(f"{side.value} worker", runs_on, TOGETHER_PASSES, 1, TOGETHER_S)
            for side, runs_on in devices.items()
        }
        ratios: dict[Resource, list[float]] = {side: [] for side in self.clients}
        for _ in range(TOGETHER_ROUNDS):
            alone = {side: client.profile(settings[side]).whole_s for side, client in self.clients.items()}
            both = self.both(lambda client: client.profile(settings[client.role]).whole_s)
            for side, found in ratios.items():
                found.append(both[side] / alone[side] if alone[side] else 1.0)
        return {side: statistics.median(found) for side, found in ratios.items()}

    @enough_for("a measurement", WorkerFailed)
    def tensor_work(self, threads: Mapping[Resource, int]) -> dict[Resource, TensorWork]:
        """What it costs each worker to send or receive a tensor, measured now, one after the other.

        A core to spare is one that none of the so many threads of its layers needs; workers on one machine share its
        cores.
        """
        work = {}
        for side, client in self.clients.items():
            computing = sum(threads.values()) if self.on_one_machine else threads[side]
            measured = measure_work(client.address, client.security)
            work[side] = replace(measured, spare_core=client.description.cores > computing)
        return work

    def both(self, call: Callable[[WorkerClient], Answer]) -> dict[Resource, Answer]:
        """The same call to both workers at once; the first failure ends what the other one does, and is raised."""
        answers: dict[Resource, Answer] = {}
        failures: list[Exception] = []

        def ask(side: Resource) -> None:
            try:
                answers[side] = call(self.clients[side])
            except Exception as error:
                failures.append(error)
                for client in self.clients.values():
                    client.pulse.cancel()

        threads = [threading.Thread(target=ask, args=(side,), daemon=True) for side in self.clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(POLL_S)
        if failures:
            raise failures[0]
        return answers

    def close(self) -> None:
        """Leave both; where one is lost, somebody waits to hear of it, and local processes are ended at once."""
        self.forget()
        lost = any(client.pulse.lost for client in self.clients.values())
        for client in self.clients.values():
            with suppress(Exception):
                client.close(gently=not lost)
