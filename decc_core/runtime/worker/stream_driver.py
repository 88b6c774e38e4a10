"""Drives one side through a stream: as through a plan's run, but that requests come while it goes on."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

from decc_core.errors import WireError
from decc_core.network.work import Resource
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import TensorChunk
from decc_core.runtime.worker.driver import Driver
from decc_core.runtime.worker.side import Side
from decc_core.runtime.worker.stream import CloudStream, EdgeStream, Overloaded, StreamSide

ROWS_A_MESSAGE = 10_000


class StreamDriver(Driver):
    """One prepared stream; its plan has a request for each cut of the menu."""

    side: StreamSide

    def _made_side(self) -> Side:
        kind = EdgeStream if self.role is Resource.EDGE else CloudStream
        return kind(self.role, self.model, self.plan, *self._formats(), self.order.beside)

    def _asked(self, number: int) -> tuple[int, int]:
        return divmod(number, len(self.plan.cuts))

    def take_stream(self, order: m.Stream) -> None:
        """The requests; the decision is made ready, too."""
        self.side.take_stream(order)

    def events(self) -> Iterator[Any]:
        if not hasattr(self.side, "order"):
            raise WireError(f"Run '{self.name}' was started before it was told of its requests.")
        yield from super().events()

    def settle(self) -> None:
        """Collect garbage now, and set aside what stays: a stream is long, and what it leaves must be collected."""
        gc.collect()
        gc.freeze()

    def _told(self) -> Iterator[Any]:
        """With the requests that were finished meanwhile."""
        for event in super()._told():
            if isinstance(self.side, EdgeStream):
                rows, self.side.rows = self.side.rows, []
                refused, self.side.refused = self.side.refused, []
                for first in range(0, max(len(rows), len(refused)), ROWS_A_MESSAGE):
                    part = slice(first, first + ROWS_A_MESSAGE)
                    yield m.Results(rows[part], refused[part])
            yield event

    def _result(self, event: m.Done) -> Iterator[TensorChunk]:
        """Outputs were told where they were new."""
        yield from ()

    def _dispatch(self) -> None:
        assert isinstance(self.side, EdgeStream)
        try:
            self.side.dispatch()
        except Overloaded as error:
            self._tell_spans()
            self.queue.put(m.Failed(str(error), overloaded=True))
            self.side.tensors.fail(error)

    def _collect(self) -> None:
        assert isinstance(self.side, EdgeStream)
        threading.Thread(target=self._guarded, args=(self._dispatch,), name="dispatch", daemon=True).start()
        self.side.collect(self.queue.put)

    def _compute(self) -> None:
        super()._compute()
        if self.role is Resource.EDGE:
            self._finish()
