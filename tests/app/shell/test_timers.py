"""A timer of the page brings back no view that was left, and asks nothing before the page is drawn."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from app.shell import timers
from app.shell.timers import KINDS, Timers


def asked(view: str, by_itself: bool = False, query: str = "", drawn: tuple[str, ...] = ()) -> bytes:
    """What a browser sends to have a view drawn; it names the controls that it has drawn."""
    said = BackMsg()
    for key in drawn:
        said.rerun_script.widget_states.widgets.add(id=f"$$ID-0123-{key}")
    said.rerun_script.page_script_hash = view
    said.rerun_script.is_auto_rerun = by_itself
    said.rerun_script.query_string = query
    return said.SerializeToString()


def heard(*sent: bytes, first: bytes = b"") -> list[bytes]:
    """What is let through of what a browser sends, once it was sent something."""
    waiting = [{"type": "websocket.connect"}, *({"type": "websocket.receive", "bytes": one} for one in sent)]
    found: list[bytes] = []

    async def receive():
        return waiting.pop(0) if waiting else {"type": "websocket.disconnect"}

    async def browser(_message):
        pass

    async def application(_scope, receive, send):
        await send({"type": "websocket.send", "bytes": first})
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.receive":
                found.append(message["bytes"])

    # In a thread, as the browser of other tests keeps a loop running in this one.
    with ThreadPoolExecutor(1) as alone:
        alone.submit(asyncio.run, Timers(application)({"type": "websocket"}, receive, browser)).result()
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


def test_a_timer_waits_until_every_kind_of_control_is_drawn(monkeypatch):
    controls = b"controls with $$ID-4567-seen"
    early, part = asked("sweep", by_itself=True), asked("sweep", by_itself=True, drawn=KINDS[1:])
    ready = asked("sweep", by_itself=True, drawn=KINDS)
    assert heard(early, part, early, ready, early, first=controls) == [ready, early]
    assert heard(early, first=b"a page that stops, without controls") == [early]
    monkeypatch.setattr(timers, "LOADS_S", 0.0)
    assert heard(early, part, first=controls) == [early, part], "nobody waits for ever"


@pytest.mark.parametrize("drawn", [("model",), ("model", "seen")])
def test_what_a_visitor_asks_before_that_passes_and_says_that_the_browser_knows_of_no_run(drawn):
    (passed,) = heard(asked("plan", drawn=drawn), first=b"controls with $$ID-0123-seen")
    states = {one.id: one.string_value for one in BackMsg.FromString(passed).rerun_script.widget_states.widgets}
    assert states == {"$$ID-0123-model": "", "$$ID-0123-seen": "0"}
    whole = asked("plan", drawn=KINDS)
    assert heard(whole, first=b"controls with $$ID-0123-seen") == [whole]
