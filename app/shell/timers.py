"""What the page asks by itself must not undo where its visitor has just gone, nor come before the page is there."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from streamlit.proto.BackMsg_pb2 import BackMsg

from app.shell.choices import SEEN
from app.shell.door import Application, Message, Receive, Send

KINDS = ("model", "uplink_mbps", "uplink_mbps_exactly", SEEN)
"""One control of each kind that the page sets, whose scripts a browser loads apart; the last one is sent last."""
LOADS_S = 60.0
"""A browser that has not drawn the controls by then has other troubles."""


@dataclass
class Controls:
    """Whether a browser has drawn the controls that it was sent."""

    sent_s: float | None = None
    drawn: bool = False

    def send(self, data: bytes) -> None:
        """Note that the last of them is on its way."""
        if self.sent_s is None and _ends(KINDS[-1]).encode() in data:
            self.sent_s = time.monotonic()

    def hear(self, names: Collection[str]) -> None:
        """Note which of them a browser names: it does so once they are drawn."""
        self.drawn = self.drawn or all(any(name.endswith(_ends(kind)) for name in names) for kind in KINDS)

    @property
    def are_coming(self) -> bool:
        return not self.drawn and self.sent_s is not None and time.monotonic() - self.sent_s < LOADS_S


def _ends(key: str) -> str:
    """How Streamlit's name of a control ends."""
    return f"-{key}"


class Timers:
    """Drops what a timer of the page asks for a view that the visitor has left.

    A browser names the old view until the new one begins to be drawn. Streamlit joins the requests that wait for their
    turn and takes the view of the last one, so that a part of the page that looks every half second whether something
    is over would bring back the view that was left by a click in that time.

    And drops what a timer asks before the browser has drawn the controls: it takes seconds to load their scripts, and
    the next run of the page would not tell it again where they stand, so that all of them showed their least values.
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
                asked = _asked(message)
                if asked is None:
                    return message
                controls.hear([control.id for control in asked.widget_states.widgets])
                if not asked.is_auto_rerun:
                    chosen = asked.page_script_hash or chosen
                elif controls.are_coming or (chosen and asked.page_script_hash not in ("", chosen)):
                    continue
                return message

        await self.app(scope, receive_of_visitor, send_to_visitor)


def _asked(message: Message) -> Any:
    """What a browser asks to be drawn, where it does."""
    try:
        said = BackMsg.FromString(message.get("bytes") or b"")
    except DecodeError:
        # Streamlit has its own sentence for that.
        return None
    return said.rerun_script if said.WhichOneof("type") == "rerun_script" else None
