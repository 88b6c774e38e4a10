"""What the page asks by itself must not undo where its visitor has just gone, nor come before the page is there."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.WidgetStates_pb2 import WidgetStates

from app.shell.choices import SEEN
from app.shell.door import Application, Message, Receive, Send

KINDS = ("model", "uplink_mbps", "uplink_mbps_exactly", "objective", SEEN)
"""One control of each kind that the page sets, whose scripts a browser loads apart; the last one is sent last."""
LOADS_S = 60.0
"""A browser that has not drawn the controls by then has other troubles."""
BOX = re.compile(rb"\$\$ID-\w+-" + SEEN.encode())
"""Streamlit's name of the box that has the browser say which run it knows, in a message to the browser."""


@dataclass
class Controls:
    """Whether a browser has drawn the controls that it was sent."""

    box: str = ""
    sent_s: float = 0.0
    drawn: bool = False

    def send(self, data: bytes) -> None:
        """Note that the last of them is on its way."""
        if not self.box and (found := BOX.search(data)):
            self.box, self.sent_s = found[0].decode(), time.monotonic()

    def hear(self, states: WidgetStates) -> None:
        """Note which of them a browser names, which it does once they are drawn; before, it knows of no run."""
        names = [state.id for state in states.widgets]
        self.drawn = self.drawn or all(any(name.endswith(f"-{kind}") for name in names) for kind in KINDS)
        if self.are_coming:
            box = next((state for state in states.widgets if state.id == self.box), None)
            box = states.widgets.add(id=self.box) if box is None else box
            box.string_value = "0"

    @property
    def are_coming(self) -> bool:
        return not self.drawn and bool(self.box) and time.monotonic() - self.sent_s < LOADS_S


class Timers:
    """Drops what a timer of the page asks for a view that the visitor has left.

    A browser names the old view until the new one begins to be drawn. Streamlit joins the requests that wait for their
    turn and takes the view of the last one, so that a part of the page that looks every half second whether something
    is over would bring back the view that was left by a click in that time.

    And drops what a timer asks before the browser has drawn the controls: it takes seconds to load their scripts, and
    the next run of the page would not tell it again where they stand, so that all of them showed their least values.
    What a visitor asks so early passes, and says that the browser knows of no run.
    """

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        chosen, controls = "", Controls()

        async def send_to_visitor(message: Message) -> None:
            controls.send(message.get("bytes") or b"")
            await send(message)

        async def receive_of_visitor() -> Message:
            nonlocal chosen
            while True:
                message = await receive()
                said = _asked(message)
                if said is None:
                    return message
                asked = said.rerun_script
                controls.hear(asked.widget_states)
                if not asked.is_auto_rerun:
                    chosen = asked.page_script_hash or chosen
                elif controls.are_coming or (chosen and asked.page_script_hash not in ("", chosen)):
                    continue
                return {**message, "bytes": said.SerializeToString()} if controls.are_coming else message

        await self.app(scope, receive_of_visitor, send_to_visitor)


def _asked(message: Message) -> BackMsg | None:
    """What a browser asks to be drawn, where it does."""
    try:
        said = BackMsg.FromString(message.get("bytes") or b"")
    except DecodeError:
        # Streamlit has its own sentence for that.
        return None
    return said if said.WhichOneof("type") == "rerun_script" else None
