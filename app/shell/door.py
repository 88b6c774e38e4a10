"""Who the page answers: requests for its own names alone, so that a foreign site cannot reach it through a browser."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from decc_core.load.process.messages import REQUIRED, SANDBOX

VARIABLE = "DECC_PAGE_HOSTS"
"""The environment variable with more names under which the page is open, comma-separated."""
OWN = frozenset({"localhost", "127.0.0.1", "::1"})
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class Door:
    """Refuses requests with a foreign Host or Origin, before anything of Streamlit sees them.

    A name that its owner points to this machine's loopback would otherwise pass for the page's own site.
    """

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or _is_welcome(dict(scope["headers"])):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            sentence = (
                "This page answers under the name localhost only; to open it under other names, start it with "
                f"{VARIABLE} set to them, and with --server.address.\n"
            )
            head = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
            await send({"type": "http.response.start", "status": 403, "headers": head})
            await send({"type": "http.response.body", "body": sentence.encode()})


def lock_up_readers() -> None:
    """Where strangers reach the page, their files are read behind every lock or not at all, unless told otherwise."""
    if not _address() <= OWN or not _address():
        os.environ.setdefault(SANDBOX, REQUIRED)


def _is_welcome(headers: Mapping[bytes, bytes]) -> bool:
    host, origin = (headers.get(name, b"").decode("latin-1") for name in (b"host", b"origin"))
    named = frozenset(name.strip().lower() for name in os.environ.get(VARIABLE, "").split(",") if name.strip())
    known = OWN | named | _address()
    if _name(f"//{host}") not in known:
        return False
    # Another site on this machine has another port; a proxy under a name of ours may have any.
    own = (f"http://{host}".lower(), f"https://{host}".lower())
    # All names of the loopback are this machine.
    same = {_name(origin), _name(f"//{host}")} <= OWN and _port(origin) == _port(f"//{host}")
    return not origin or origin.lower() in own or same or _name(origin) in named


def _address() -> frozenset[str]:
    """The address that the page was told to listen on, where that is a single one."""
    address = str(st.get_option("server.address") or "")
    try:
        return frozenset() if ip_address(address).is_unspecified else frozenset({address})
    except ValueError:
        return frozenset({address.lower()} - {""})


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
