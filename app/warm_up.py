"""What the server does before its first visitor comes: it imports what the first plan needs, and plans it once."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from threading import Thread, Timer

import streamlit as st
from streamlit.cli_util import open_browser
from streamlit.web.server import server_util

from decc_core.runtime.wire.connections import by_tcp, open_numbers

PLANNERS_LATER_S = 10.0
PATIENCE_S = 5.0
"""How long visitors are kept waiting: where the planner must be compiled first, the page comes up and says so."""
LATE = (
    "app.views.plan", "app.views.plan_table", "pandas", "pyarrow", "PIL.Image", "PIL.ImageFile",
)  # fmt: skip
"""What the view and its libraries would import when they first draw: Streamlit asks of all that is sent to a component
whether it is a frame of pandas or pyarrow.
"""
LATER = ("pandas.io.formats.style", "pyarrow.pandas_compat", "plotly.tools", "plotly.offline")
"""What other views would import when they are first opened."""


@asynccontextmanager
async def warm_server(_app: st.App) -> AsyncIterator[None]:
    """Around the server's life: visitors are let in when all is warm, or when patience is at an end."""
    _end_in_order()
    send_at_once()
    # A daemon, so that nobody who stops the server waits for it.
    warming = Thread(target=_warm_up_or_say_why, name="warm-up", daemon=True)
    warming.start()
    await asyncio.to_thread(warming.join, PATIENCE_S)
    _open_browser()
    # Imported, too, when the rest is there; started later: the first visitor's browser needs the cores now.
    from app.jobs.planners import PLANNERS
    from app.shell import inbox

    inbox.start_keeper()
    later = Timer(PLANNERS_LATER_S, _start_later, (PLANNERS.start,))
    later.daemon = True
    later.start()
    yield
    later.cancel()
    PLANNERS.end()


def warm_up() -> None:
    """Import, read, plan and draw what a visitor of the bare address sees."""
    # Not at the top: these are the seconds that patience is for.
    from app.figures.gantt import as_data, plan_chart
    from app.figures.style import LIGHT
    from app.shell import (
        cached,
        foreword,
        frame,  # noqa: F401
    )
    from app.state import OPENING
    from decc_core.study.compare import compare

    for module in LATE:
        import_module(module)
    # Looks into Streamlit's scripts, once.
    foreword.with_foreword("")
    scenario = OPENING.scenario
    graph = cached.graph_of(scenario.model)
    edge, cloud = (cached.shipped_profile(scenario.model, device) for device in (scenario.edge, scenario.cloud))
    # Uncached, as `cached.compared` would look for a page to spin on; what takes long is to load the compiled loops.
    comparison = compare(scenario.instance(graph, edge, cloud))
    best = comparison.best
    chart, _ = plan_chart(comparison.instance, best.plan, best.schedule, comparison.lower_bound_ns, True)
    as_data(chart, LIGHT)


def _start_later(start: Callable[[], None]) -> None:
    start()
    for module in LATER:
        import_module(module)


def _warm_up_or_say_why() -> None:
    began_s = time.monotonic()
    try:
        warm_up()
        if time.monotonic() - began_s < PATIENCE_S:
            # Streamlit looks for garbage after each run of the page; what is there before the first visitor stays, and
            # took it 0.1 s each time.
            gc.collect()
            gc.freeze()
    except Exception:
        # The page meets the same trouble and tells the visitor; a server that ends here would tell nobody.
        logging.getLogger(__name__).exception("The server is not warm; its page is drawn nevertheless.")


def _end_in_order() -> None:
    """Let a request to terminate do what Ctrl-C does."""
    # The server raises its signal once more when it has shut down; this one would then end Python on the spot, and
    # visitors' uploads would stay on the disk.
    on_interrupt = signal.getsignal(signal.SIGINT)
    if callable(on_interrupt):
        signal.signal(signal.SIGTERM, lambda _number, frame: on_interrupt(signal.SIGINT, frame))


def send_at_once() -> None:
    """Let no answer of the server wait until the one before it was received, which takes 40 ms or more.

    Streamlit's socket names no protocol, and so asyncio leaves Nagle's algorithm on. A connection is as the socket was
    that accepted it.
    """
    # A server that cannot see its files, or has no more of them, is slower and not down.
    with suppress(OSError):
        for number in open_numbers():
            with by_tcp(number) as found:
                if found is not None and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _open_browser() -> None:
    """What Streamlit does for plain scripts, and leaves to those who bring an application."""
    if not st.get_option("server.headless"):
        address = st.get_option("server.address") or "localhost"
        open_browser(server_util.get_url(server_util.get_display_address(address)))
