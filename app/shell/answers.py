"""Answers that are looked up in the background of a visit: the browser asks for them, and no run of the page is needed.

A run of the page takes a moment in which nothing else is answered, and takes along whatever a visitor was about to do:
a line of text is not worth that.
"""

from __future__ import annotations

import json
import re
import weakref
from typing import Protocol

from app.shell.door import Application, Message, Receive, Send

ADDRESS = re.compile(r"/_decc/answer/([A-Za-z0-9_-]{43})")


class Lookup(Protocol):
    """What looks something up."""

    ticket: str
    """What a browser asks with; nobody guesses it."""
    found: str
    over: bool

    def look(self) -> None:
        """Hear that somebody still waits for it."""


_lookups: weakref.WeakValueDictionary[str, Lookup] = weakref.WeakValueDictionary()


def show(lookup: Lookup) -> str:
    """Let who has the ticket ask for a lookup, for as long as that is there; returns the ticket."""
    _lookups[lookup.ticket] = lookup
    return lookup.ticket


class Answers:
    """Answers who has the ticket of a lookup; all other requests pass."""

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        asked = ADDRESS.search(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if asked is None or asked.end() != len(scope["path"]):
            await self.app(scope, receive, send)
            return
        lookup = _lookups.get(asked[1])
        body = {"over": True, "says": ""}
        if lookup is not None:
            lookup.look()
            # In this order: what is over has been found.
            over = lookup.over
            body = {"over": over, "says": lookup.found}
        head = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 404 if lookup is None else 200, "headers": head})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})
