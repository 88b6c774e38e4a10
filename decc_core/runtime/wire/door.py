"""A worker's door: who is let in, how many at once, and how long anybody is waited for."""

from __future__ import annotations

import hmac
import resource
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from decc_core.errors import WorkerFailed
from decc_core.runtime.wire.log import ConnectionLog
from decc_core.runtime.wire.methods import SERVICE, Method
from decc_core.runtime.wire.strangers import CROWDED_S, Strangers
from decc_core.runtime.wire.transport import OPTIONS, TOKEN_KEY, Address, Security

THREADS = 16
"""Calls that are answered at once; a controller needs four."""
WAITING = 32
"""Calls more that may wait for a thread."""
STREAMS = 32
"""Calls at once over one connection."""
CONNECTIONS = 128
HANDSHAKE_S, IDLE_S, AGE_S = 5, 300, 3600
"""How long a connection may take to be made, be without calls, and stay; calls that go on are never cut off by that."""
MESSAGE_S = 30.0
"""How long the next message of a call is waited for, a slow link needs a while for a long one; `CROWDED_S` where others
wait for a thread."""
GRACE_S = 5.0
"""The controller's own deadlines come first."""
TICK_S = 0.25
HEALTHY: bytes = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING).SerializeToString()
Answer = Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]
"""Takes the encoded messages of a call, as they come, and gRPC's context."""


@dataclass(eq=False)
class _Visit:
    """A call that was let in: when it must be over, and since when a message of it is waited for."""

    context: grpc.ServicerContext
    until: float
    waits_since: float = inf

    def messages(self, requests: Iterator[bytes], paced: bool) -> Iterator[bytes]:
        """The call's messages; where they are paced, only the first is waited for impatiently."""
        self.waits_since = time.monotonic()
        for data in requests:
            self.waits_since = inf
            yield data
            if not paced:
                self.waits_since = time.monotonic()


class _Room(ThreadPoolExecutor):
    """The threads that answer calls, and how many calls have one or wait for one."""

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self.calls = 0
        self._counting = threading.Lock()

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        with self._counting:
            self.calls += 1
        future = super().submit(work, *arguments, **named)
        future.add_done_callback(self._one_less)
        return future

    def _one_less(self, future: Future[Any]) -> None:
        with self._counting:
            self.calls -= 1


class _Door(grpc.ServerInterceptor):  # type: ignore[misc]
    """Looks at every call before anything of it is read.

    Whoever is refused, and whoever asks for the worker's health, is answered without a message being waited for, by
    threads that do nothing else: nobody can keep those busy. A caller with the token who says nothing has to leave
    after a while, and at once where others wait.
    """

    def __init__(self, token: str | None, log: ConnectionLog | None) -> None:
        self.token = token.encode() if token is not None else None
        self.log = log
        self.room = _Room(THREADS, "call")
        self.visits: set[_Visit] = set()
        self.strangers: Strangers | None = None
        refusing = ThreadPoolExecutor(1, thread_name_prefix="refuse")
        self.stranger = self._refusal(refusing, grpc.StatusCode.UNAUTHENTICATED, "The token is missing or wrong.")
        self.full = self._refusal(
            refusing,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"{THREADS + WAITING} calls are here already; wait, or start one more worker",
        )

    def attend(self, server: grpc.Server, port: int, connections: int) -> None:
        """For as long as there is a server, see to it that callers, and connections without any, leave in time."""
        self.strangers = Strangers(port, connections, self.log)
        threading.Thread(target=self._look_after, args=(weakref.ref(server),), name="door", daemon=True).start()

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        given = dict(details.invocation_metadata).get(TOKEN_KEY, "")
        if self.token is not None and not hmac.compare_digest(_bytes(given), self.token):
            return self.stranger
        answer = continuation(details)
        if answer is None or _has_threads_of_its_own(answer):
            return answer
        self._make_room()
        return answer if self.room.calls < THREADS + WAITING else self.full

    def answers(self, method: Method, answer: Answer) -> grpc.RpcMethodHandler:
        """What gRPC calls. Every call may have any number of messages, so that we wait for them and not gRPC."""

        def handle(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            with self._visit(method, context) as visit:
                yield from answer(visit.messages(requests, paced=method.limit_s is None), context)

        return grpc.stream_stream_rpc_method_handler(handle)

    def health(self) -> grpc.GenericRpcHandler:
        """gRPC's health service, of which `Check` is answered: SERVING, whatever is asked for."""

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            self._let_in(context)
            return HEALTHY

        check = _at_once(ThreadPoolExecutor(1, thread_name_prefix="health"), answer)
        return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": check})

    def _let_in(self, context: grpc.ServicerContext) -> None:
        if self.strangers is not None:
            self.strangers.know(context.peer())

    def _refusal(self, pool: ThreadPoolExecutor, code: grpc.StatusCode, sentence: str) -> grpc.RpcMethodHandler:
        """Ends a call with a sentence, which the log has, too."""

        def refuse(requests: Iterator[bytes], context: grpc.ServicerContext) -> None:
            if self.strangers is not None:
                self.strangers.refuse(context.peer(), sentence[0].lower() + sentence[1:].rstrip("."))
            context.abort(code, sentence)

        return _at_once(pool, refuse)

    @contextmanager
    def _visit(self, method: Method, context: grpc.ServicerContext) -> Iterator[_Visit]:
        limit_s = inf if method.limit_s is None else method.limit_s + GRACE_S
        visit = _Visit(context, time.monotonic() + limit_s)
        self._let_in(context)
        self.visits.add(visit)
        try:
            yield visit
        finally:
            self.visits.discard(visit)

    def _make_room(self) -> None:
        """Where others wait for a thread, end the calls that have kept us waiting for too long."""
        now, others = time.monotonic(), self.room.calls - THREADS + 1
        if others > 0:
            for visit in sorted(self.visits, key=lambda visit: visit.waits_since)[:others]:
                if now - visit.waits_since > CROWDED_S:
                    self._end(visit)

    def _end(self, visit: _Visit) -> None:
        self.visits.discard(visit)
        visit.context.cancel()

    def _look_after(self, server: weakref.ref[grpc.Server]) -> None:
        while server() is not None:
            time.sleep(TICK_S)
            self._make_room()
            # Who has the token and waits for a thread is not known yet; nobody is shown out meanwhile.
            if self.strangers is not None and self.room.calls <= THREADS:
                with suppress(OSError):
                    self.strangers.show_out()
            now = time.monotonic()
            for visit in list(self.visits):
                if now > visit.until or now - visit.waits_since > MESSAGE_S:
                    self._end(visit)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode(errors="replace")


def _has_threads_of_its_own(handler: grpc.RpcMethodHandler) -> bool:
    return hasattr(handler.stream_unary, "experimental_thread_pool")


def _at_once(pool: ThreadPoolExecutor, answer: Callable[[Any, grpc.ServicerContext], Any]) -> grpc.RpcMethodHandler:
    """A handler that reads no message and runs on threads of its own."""
    answer.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return grpc.stream_unary_rpc_method_handler(answer)


def start_server(
    address: Address, security: Security, methods: Mapping[Method, Answer], log: ConnectionLog | None = None
) -> tuple[grpc.Server, int]:
    """A running server, with health service, and its port; port 0 lets the system choose."""
    security.require_for(address, serving=True)
    door, connections = _Door(security.token, log), _connections()
    server = grpc.server(door.room, interceptors=(door,), options=_options(connections))
    handlers = {method.name: door.answers(method, answer) for method, answer in methods.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers), door.health()))
    try:
        if security.key is not None and security.certificate is not None:
            credentials = grpc.ssl_server_credentials([(security.key, security.certificate)])
            port = server.add_secure_port(str(address), credentials)
        else:
            port = server.add_insecure_port(str(address))
    except RuntimeError:
        raise WorkerFailed(
            f"Cannot listen on {address}: the port is taken, or the address is not this machine's."
        ) from None
    server.start()
    door.attend(server, port, connections)
    return server, port


def _connections() -> int:
    """Half of the files that this process may open are for others than those who connect."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(CONNECTIONS, max(8, files // 2)) if files > 0 else CONNECTIONS


def _options(connections: int) -> tuple[tuple[str, int], ...]:
    return (
        *OPTIONS,
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", STREAMS),
        ("grpc.max_allowed_incoming_connections", connections),
        ("grpc.server_handshake_timeout_ms", 1000 * HANDSHAKE_S),
        ("grpc.max_connection_idle_ms", 1000 * IDLE_S),
        ("grpc.max_connection_age_ms", 1000 * AGE_S),
    )
