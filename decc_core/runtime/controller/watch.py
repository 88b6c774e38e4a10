"""Follows the events of both workers to the end of a run, whatever the end."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from typing import Any

from decc_core.network.graph import TensorSpec
from decc_core.network.work import Resource
from decc_core.plans.plan import Plan
from decc_core.plans.trace import Trace, spans_of
from decc_core.progress import Progress
from decc_core.runtime.controller.client import POLL_S, WorkerClient
from decc_core.runtime.controller.outputs import Distance, Outputs, OutputsReader, References, compare_outputs
from decc_core.runtime.controller.report import RunSettings
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import TensorChunk


class Watch:
    """Collects what both workers tell of one run: results, spans, and what went wrong."""

    def __init__(
        self,
        run: str,
        plan: Plan,
        settings: RunSettings,
        clients: Mapping[Resource, WorkerClient],
        outputs: Mapping[int, TensorSpec],
        references: References,
        deadline_s: float,
        through_formats: References | None = None,
    ) -> None:
        """`outputs` are the specs of the tensors that each request returns, `references` what they should be.

        `through_formats` is what they should be where tensors are coded with loss.
        """
        self.run, self.plan, self.settings, self.clients, self.deadline_s = run, plan, settings, clients, deadline_s
        self.total = len(plan.cuts)
        self.reader = OutputsReader(outputs, self.total, "edge worker", self.compare)
        self.references, self.through_formats = references, through_formats
        self.outputs: dict[int, Outputs] = {}
        self.differences: dict[int, Distance] = {}
        self.from_formats: dict[int, Distance] = {}
        """Of outputs from what the same cut and formats give without a link."""
        self.coding: dict[Resource, list[Any]] = {}
        self.sizes: dict[int, tuple[int, int]] = {}
        """Bytes of each tensor as it is, and bytes that travelled up, summed over the requests."""
        self.results: dict[int, int] = {}
        self.rows: dict[Resource, list[Any]] = {resource: [] for resource in Resource}
        self.arrivals: dict[Resource, dict[Any, int]] = {Resource.UPLINK: {}, Resource.DOWNLINK: {}}
        self.zero_ns = 0
        self.finished: set[Resource] = set()
        self.dispatch_s: dict[Resource, float] = {}

    def compare(self, request: int, outputs: Outputs) -> None:
        """Compare a request's outputs as they come; they may be large, and are let go unless they are asked for."""
        self.differences[request] = compare_outputs(outputs, self.references.of(request))
        if self.through_formats is not None:
            self.from_formats[request] = compare_outputs(outputs, self.through_formats.of(request))
        if self.settings.keep_outputs:
            self.outputs[request] = outputs

    def follow(self, progress: Progress, stop: threading.Event) -> str | None:
        """Start both sides and listen; returns why the run failed, or None."""
        events: queue.SimpleQueue[tuple[Resource, Any]] = queue.SimpleQueue()
        uses_cloud = bool(self.plan.sequences[Resource.CLOUD])
        sides = (Resource.CLOUD, Resource.EDGE) if uses_cloud else (Resource.EDGE,)
        calls = [self.clients[side].watch(self.run, self.deadline_s + 10, events) for side in sides]
        heard = dict.fromkeys(sides, time.monotonic())
        limit = time.monotonic() + self.deadline_s
        try:
            while self.finished != set(sides):
                try:
                    side, event = events.get(timeout=POLL_S)
                except queue.Empty:
                    pass
                else:
                    heard[side] = time.monotonic()
                    trouble = self._take(side, event, progress)
                    if trouble is not None:
                        return self._explained(trouble, side, event)
                if stop.is_set():
                    return self._sentence("The run was stopped.")
                late = self._late(heard, limit)
                if late is not None:
                    return self._sentence(late)
            return None
        finally:
            for call in calls:
                call.cancel()

    def _late(self, heard: dict[Resource, float], limit: float) -> str | None:
        now = time.monotonic()
        for side, last in heard.items():
            if side not in self.finished and now - last > self.settings.silence_s:
                pulse = self.clients[side].pulse
                pulse.lose(self.settings.silence_s)
                return pulse.silence()
        return f"The run did not end within {self.deadline_s:.0f} s." if now > limit else None

    def _take(self, side: Resource, event: Any, progress: Progress) -> str | None:
        """Note one event; returns the trouble that ends the run, if it is one."""
        if isinstance(event, m.Failed):
            return event.reason
        if isinstance(event, Exception):
            return str(event)
        if event is None:
            return None if side in self.finished else f"The {side.value} worker ended the run early."
        if isinstance(event, m.Finished):
            self.finished.add(side)
            self.dispatch_s[side] = event.dispatch_s
        elif isinstance(event, m.Started):
            self.zero_ns = event.zero_ns - self.clients[side].ahead_ns
        elif isinstance(event, m.Spans):
            ahead = self.clients[side].ahead_ns
            rows = self.coding.setdefault(event.resource, []) if event.coding else self.rows[event.resource]
            rows += [(r, i, s - ahead, e - ahead) for r, i, s, e in event.rows]
        elif isinstance(event, m.Sizes):
            if event.resource is Resource.UPLINK:
                for _, tensor, raw, travelled in event.rows:
                    before = self.sizes.get(tensor, (0, 0))
                    self.sizes[tensor] = (before[0] + raw, before[1] + travelled)
        elif isinstance(event, m.Arrivals):
            ahead = self.clients[side].ahead_ns
            self.arrivals[event.resource] |= {(r, i): at - ahead for r, i, at in event.rows}
        elif isinstance(event, (TensorChunk, m.Done)):
            self.reader.take(event)
            if isinstance(event, m.Done):
                self.results[event.request] = event.result_ns - self.clients[side].ahead_ns
                progress(len(self.results), self.total, "running")
        return None

    def _explained(self, trouble: str, side: Resource, event: Any) -> str:
        """The failure, with the worker that caused it: one that died or hangs explains what the other one says."""
        for client in self.clients.values():
            gone = client.why_gone()
            if gone is not None:
                return self._sentence(gone)
        if isinstance(event, m.Failed) and not event.lost_link:
            trouble = f"The {side.value} worker at {self.clients[side].address} gave up: {trouble}"
        return self._sentence(trouble)

    def _sentence(self, trouble: str) -> str:
        open_requests = [request for request in range(self.total) if request not in self.results]
        if not open_requests:
            return trouble
        many = len(open_requests) > 1
        named = ", ".join(map(str, open_requests[:5])) + (", …" if len(open_requests) > 5 else "")
        return (
            f"{trouble} Request{'s' if many else ''} {named} {'are' if many else 'is'} not finished; "
            f"{len(self.results)} of {self.total} keep their results."
        )

    def trace(self, dilation: float) -> Trace:
        self._end_at_arrival()
        spans, coding = (
            {
                resource: tuple(spans_of(resource, sorted(rows, key=lambda row: row[2]), self.zero_ns, dilation))
                for resource, rows in by_resource.items()
            }
            for by_resource in (self.rows, self.coding)
        )
        results = {request: max(0, round((at_ns - self.zero_ns) / dilation)) for request, at_ns in self.results.items()}
        return Trace(spans, results, coding)

    def _end_at_arrival(self) -> None:
        """A tensor is through at the latest when the other side has it: a sender that wakes up late notes a later end.

        On a real link the sender cannot see the end at all; the emulated one may end before the way is over.
        """
        shaped = self.settings.link.shaped
        for resource, arrived in self.arrivals.items():
            rows = self.rows[resource]
            for place, (request, item, start, end) in enumerate(rows):
                there = arrived.get((request, item), end)
                rows[place] = (request, item, start, max(start, min(end, there) if shaped else there))
