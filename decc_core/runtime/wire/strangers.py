"""Connections to a worker whose caller has not shown the token: they have to leave, so that there is room for others.

gRPC counts connections and knows nothing of tokens, so whoever reaches the port could take all places and keep them. A
connection is closed from below, as if the caller had hung up, which gRPC takes well.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

from decc_core.runtime.wire.connections import by_tcp, open_numbers
from decc_core.runtime.wire.log import ConnectionLog, Peer

STRANGER_S = 10.0
"""So long a connection may be there without a call that was let in."""
CROWDED_S = 0.25
"""The same where more than three quarters of the places are taken."""
LEFT = "left without a call: TLS on one side only, a certificate that was not trusted, or nothing to ask"
CLOSED = "closed: no call with the token came over it in time"


class Strangers:
    """Those of the connections to `port`, of which there may be `most`, that nobody with the token has used."""

    def __init__(self, port: int, most: int, log: ConnectionLog | None = None) -> None:
        self.port, self.most, self.log = port, most, log
        self._since: dict[Peer, float] = {}
        self._known: dict[Peer, float] = {}

    def know(self, peer: str) -> None:
        """The caller at this place, as gRPC names it, was let in."""
        place = _peer(peer)
        if place is not None:
            self._known[place] = time.monotonic()
            if self.log is not None:
                self.log.tell(place, "accepted", let_in=True)

    def refuse(self, peer: str, why: str) -> None:
        """A call from this place was not let in."""
        place = _peer(peer)
        if place is not None and self.log is not None:
            self.log.tell(place, f"refused: {why}")

    def show_out(self) -> None:
        """Close the connections that have been without a call for too long; `OSError` where they cannot be seen."""
        now, there = time.monotonic(), dict(self._connections())
        if self.log is not None:
            self._take_leave(self.log, self._since.keys() - there.keys())
        self._since = {peer: self._since.get(peer, now) for peer in there}
        for peer, since in list(self._known.items()):
            # One that has just been made may not be among those that we have seen.
            if peer not in there and now - since > STRANGER_S:
                self._known.pop(peer, None)
        unknown = sorted((since, peer) for peer, since in self._since.items() if peer not in self._known)
        too_many = len(there) - 3 * self.most // 4
        for place, (since, peer) in enumerate(unknown):
            if now - since > (CROWDED_S if place < too_many else STRANGER_S):
                with by_tcp(there[peer]) as connection, suppress(OSError):
                    # The number may be another file's by now.
                    if connection is not None and _far_end(connection, self.port) == peer:
                        connection.shutdown(socket.SHUT_RDWR)
                        if self.log is not None and not self.log.knows(peer):
                            self.log.tell(peer, CLOSED)

    def _take_leave(self, log: ConnectionLog, gone: set[Peer]) -> None:
        """Of connections over which nobody was let in or refused nothing else is known than that they were there."""
        for peer in sorted(gone - self._known.keys()):
            if not log.knows(peer):
                log.tell(peer, LEFT)
        log.forget(gone)

    def _connections(self) -> Iterator[tuple[Peer, int]]:
        for number in open_numbers():
            with by_tcp(number) as connection:
                peer = None if connection is None else _far_end(connection, self.port)
                if peer is not None:
                    yield peer, number


def _far_end(connection: socket.socket, port: int) -> Peer | None:
    """Who is connected to our port by it."""
    try:
        if connection.getsockname()[1] != port:
            return None
        host, number, *_ = connection.getpeername()
    except OSError:
        return None
    return _plain(host), number


def _peer(text: str) -> Peer | None:
    """`ipv4:127.0.0.1:5000` or `ipv6:%5B::1%5D:5000`, as gRPC writes them."""
    host, _, port = text.partition(":")[2].rpartition(":")
    try:
        return _plain(host.replace("%5B", "").replace("%5D", "").strip("[]")), int(port)
    except ValueError:
        return None


def _plain(host: str) -> str:
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
