"""What the page asks by itself must not undo where its visitor has just gone."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from streamlit.proto.BackMsg_pb2 import BackMsg

from app.shell.door import Application, Message, Receive, Send


class Timers:
    """Drops what a timer of the page asks for a view that the visitor has left.

    A browser names the old view until the new one begins to be drawn. Streamlit joins the requests that wait for their
    turn and takes the view of the last one, so that a part of the page that looks every half second whether something
    is over would bring back the view that was left by a click in that time.
    """

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        chosen = ""

        async def receive_of_visitor() -> Message:
            nonlocal chosen
            while True:
                message = await receive()
                asked = _asked(message)
                if asked is None:
                    return message
                if not asked.is_auto_rerun:
                    chosen = asked.page_script_hash or chosen
                elif chosen and asked.page_script_hash not in ("", chosen):
                    continue
                return message

        await self.app(scope, receive_of_visitor, send)


def _asked(message: Message) -> Any:
    """What a browser asks to be drawn, where it does."""
    try:
        said = BackMsg.FromString(message.get("bytes") or b"")
    except DecodeError:
        # Streamlit has its own sentence for that.
        return None
    return said.rerun_script if said.WhichOneof("type") == "rerun_script" else None
