"""Who the page answers: requests for its own names alone, so that a foreign site cannot reach it through a browser; and
the key by which a browser is known again.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from decc_core.load.process.messages import REQUIRED, SANDBOX

VARIABLE = "DECC_PAGE_HOSTS"
"""The environment variable with more names under which the page is open, comma-separated."""
OWN = frozenset({"localhost", "127.0.0.1", "::1"})
KEY = "decc_workspace"
"""The cookie in which a browser keeps its key."""
KEY_FORM = re.compile(r"[A-Za-z0-9_-]{43}")
"""256 random bits: nobody guesses one."""
KEY_KEPT_S = 7 * 24 * 3600
"""How long a browser keeps its key without coming back; what it stands for is forgotten long before."""
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
            await self.app(*_with_key(scope, receive, send))
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


def key_in(cookies: Mapping[str, str]) -> str | None:
    """The key that a browser showed; no other text is taken for one."""
    found = cookies.get(KEY)
    return found if isinstance(found, str) and KEY_FORM.fullmatch(found) else None


def _with_key(scope: Message, receive: Receive, send: Send) -> tuple[Message, Receive, Send]:
    """Where a visit begins, give a browser without a key a new one, and have it keep the one that it has.

    A visit begins with a websocket. A page that somebody came to from another site is asked for without the key, as no
    foreign site's request carries it, but opens its websocket with it: a new key in the answer to the first would lose
    what the old one stands for.
    """
    if scope["type"] != "websocket":
        return scope, receive, send
    pairs, others = [], []
    for name, value in scope["headers"]:
        if name == b"cookie":
            pairs += [pair.strip() for pair in value.decode("latin-1").split(";")]
        else:
            others.append((name, value))
    mine = f"{KEY}="
    shown = (pair.removeprefix(mine) for pair in pairs if pair.startswith(mine))
    key = next((one for one in shown if KEY_FORM.fullmatch(one)), None) or secrets.token_urlsafe(32)
    kept = "; ".join([*(pair for pair in pairs if pair and not pair.startswith(mine)), mine + key])
    told = f"{mine}{key}; Path=/; Max-Age={KEY_KEPT_S}; HttpOnly; SameSite=Strict"
    if _is_encrypted(scope, others):
        told += "; Secure"

    async def send_with_key(message: Message) -> None:
        if message["type"] == "websocket.accept":
            message = {**message, "headers": [*message.get("headers", ()), (b"set-cookie", told.encode("latin-1"))]}
        await send(message)

    return {**scope, "headers": [*others, (b"cookie", kept.encode("latin-1"))]}, receive, send_with_key


def _is_encrypted(scope: Message, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the browser came by TLS, here or to a proxy before the page."""
    return scope.get("scheme") == "wss" or (b"x-forwarded-proto", b"https") in headers


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
