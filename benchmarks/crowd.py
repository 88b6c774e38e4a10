"""How long visitors wait for each other: `python -m benchmarks.crowd [--visitors N] [--changes N] [--rounds N]`.

Each visitor is a thread with a connection of its own that speaks to the page's server as a browser does, and draws
nothing: it changes network, uplink and number of requests, waits for the end of the run, and changes them again without
a pause. All do so at once; before that one of them does it alone. Nobody plans what another one has planned, so every
change plans anew.

Printed is the time from a change to the end of the server's run, in milliseconds, and the server's memory.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import threading
import time
from contextlib import ExitStack, closing
from urllib.parse import urlencode, urlsplit

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from tests.app.server import running_page

NETWORKS = ("googlenet", "multiview4", "resnet18")
REQUESTS = (1, 4, 8)
WARM_S = 20.0
"""The server's processes for plans start a while after the server."""
LONGEST_S = 120.0
MB = 1e6


class Visitor:
    """One visit: a connection that asks for runs of the page, and hears when each is over."""

    def __init__(self, url: str) -> None:
        self.place = urlsplit(url).netloc
        with closing(http.client.HTTPConnection(self.place, timeout=LONGEST_S)) as first:
            first.request("GET", "/_stcore/health")
            cookie = (first.getresponse().getheader("set-cookie") or "").split(";")[0]
        opened = connect(
            f"ws://{self.place}/_stcore/stream",
            additional_headers={"Origin": url, "Cookie": cookie},
            subprotocols=["streamlit", cookie.partition("=")[2]],
            max_size=None,
        )
        self.stays = ExitStack()
        self.socket = self.stays.enter_context(opened)

    def change(self, **controls: str | int | float) -> float:
        """Milliseconds until the page for these controls was sent."""
        message, began_s = BackMsg(), time.perf_counter()
        message.rerun_script.query_string = urlencode(controls)
        self.socket.send(message.SerializeToString())
        while True:
            said = ForwardMsg()
            said.ParseFromString(self.socket.recv(timeout=LONGEST_S))
            if said.delta.new_element.exception.message:
                raise SystemExit(said.delta.new_element.exception.message)
            if said.WhichOneof("type") == "script_finished":
                return 1e3 * (time.perf_counter() - began_s)

    def close(self) -> None:
        self.stays.close()


def changes(url: str, number: int, count: int, first: int) -> list[float]:
    """The times of so many changes of one visitor, whose rates nobody else has."""
    with closing(Visitor(url)) as visitor:
        visitor.change()
        return [
            visitor.change(
                model=NETWORKS[(number + i) % len(NETWORKS)],
                requests=REQUESTS[i % len(REQUESTS)],
                uplink_mbps=round(1 + 0.37 * (number + 1) + 1.9 * (first + i), 2),
            )
            for i in range(count)
        ]


def at_once(url: str, visitors: int, count: int, first: int) -> list[float]:
    times: list[float] = []
    threads = [
        threading.Thread(target=lambda number=number: times.extend(changes(url, number, count, first)))
        for number in range(visitors)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(times) != visitors * count:
        raise SystemExit(f"Of {visitors * count} changes {len(times)} were drawn.")
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=10)
    parser.add_argument("--changes", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with running_page() as url:
        time.sleep(WARM_S)
        server = max(psutil.Process().children(), key=lambda process: process.create_time())
        for visitors in (1, *[options.visitors] * options.rounds):
            first = round(time.monotonic() * 10) % 10_000
            times = at_once(url, visitors, options.changes, first)
            print(
                f"visitors={visitors} median_ms={statistics.median(times):.0f} worst_ms={max(times):.0f} "
                f"server_mb={server.memory_info().rss / MB:.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
