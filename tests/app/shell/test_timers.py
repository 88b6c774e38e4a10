"""A timer of the page does not bring back a view that its visitor has left."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from streamlit.proto.BackMsg_pb2 import BackMsg

from app.shell.timers import Timers


def asked(view: str, by_itself: bool = False, query: str = "") -> bytes:
    """What a browser sends to have a view drawn."""
    said = BackMsg()
    said.rerun_script.page_script_hash = view
    said.rerun_script.is_auto_rerun = by_itself
    said.rerun_script.query_string = query
    return said.SerializeToString()


def heard(*sent: bytes) -> list[bytes]:
    """What is let through of what a browser sends."""
    waiting = [{"type": "websocket.connect"}, *({"type": "websocket.receive", "bytes": one} for one in sent)]
    found: list[bytes] = []

    async def receive():
        return waiting.pop(0) if waiting else {"type": "websocket.disconnect"}

    async def application(_scope, receive, _send):
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.receive":
                found.append(message["bytes"])

    # In a thread, as the browser of other tests keeps a loop running in this one.
    with ThreadPoolExecutor(1) as alone:
        alone.submit(asyncio.run, Timers(application)({"type": "websocket"}, receive, None)).result()
    return found


def test_what_a_timer_asks_for_the_view_that_was_left_is_dropped():
    begun, left, back = asked(""), asked("live"), asked("plan", query="again")
    stale, fresh = asked("plan", by_itself=True), asked("live", by_itself=True)
    assert heard(begun, stale, left, stale, fresh, back, fresh, stale) == [begun, stale, left, fresh, back, stale]


def test_everything_else_passes_as_it_is():
    other = BackMsg()
    other.stop_script = True
    sent = [other.SerializeToString(), b"\xff\xff no message", b"", asked("plan"), asked("", by_itself=True)]
    assert heard(*sent) == sent
