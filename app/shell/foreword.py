"""What the browser knows before the page's scripts run: the look of the page, where its parts will stand, what to load.

Streamlit sends styles and scripts as parts of the page, when much of it is there already and would move. This is put
into the frame that it serves at every address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import streamlit as st

from app.shell.door import Application, Message, Receive, Send

HERE = Path(__file__).resolve().parent
SCRIPTS = Path(st.__file__).resolve().parent / "static" / "static" / "js"
DRAWN_FIRST = (
    "Html", "Metric", "ButtonGroup", "BidiComponent", "PageLink", "Selectbox", "Slider", "NumberInput", "Checkbox",
    "FileUploader", "TextInput", "Button",
)  # fmt: skip
"""Streamlit's scripts for what the first plan shows; the browser would ask for each when it is to be drawn, and then
for those that it imports.
"""
UNFOLDED = ("Multiselect",)
"""What a part of the controls shows when it is unfolded, and the first plan does not: fetched when there is time."""
IMPORTED = re.compile(r"""\b(?:from|import)\s*["']\./([^"'/]+\.js)["']""")
SKIP = '<button type="button" class="decc-skip">Go to the views</button>'
MOST_BYTES = 200_000
"""A frame is a few kilobytes; what is longer is passed on as it is."""
CONDITIONS = (b"if-none-match", b"if-modified-since", b"range", b"accept-encoding")
"""Headers with which a browser would get the frame without the foreword, in part, or packed."""
OLD = (b"etag", b"last-modified", b"content-length", b"accept-ranges")


class Foreword:
    """Writes the foreword into every HTML page that Streamlit serves, and leaves all else alone."""

    def __init__(self, app: Application, write: Callable[[str], str] | None = None) -> None:
        self.app, self.write = app, write or with_foreword

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not _may_be_a_page(scope["path"]):
            await self.app(scope, receive, send)
            return
        asked = {
            **scope,
            "headers": [pair for pair in scope["headers"] if pair[0].lower() not in CONDITIONS],
            # Files that the server sends by their paths cannot be written into.
            "extensions": {
                name: value
                for name, value in (scope.get("extensions") or {}).items()
                if name != "http.response.pathsend"
            },
        }
        await self.app(asked, receive, _Writer(send, self.write))


class _Writer:
    """Holds an HTML answer back until it is whole, and sends it with the foreword."""

    def __init__(self, send: Send, write: Callable[[str], str]) -> None:
        self.send, self.write = send, write
        self.start: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_html(message):
            self.start = message
        elif self.start is None or message["type"] != "http.response.body":
            await self.send(message)
        else:
            self.body += message.get("body", b"")
            if not message.get("more_body", False) or len(self.body) > MOST_BYTES:
                await self._release(message)

    async def _release(self, message: Message) -> None:
        start, self.start = self.start, None
        assert start is not None
        whole = not message.get("more_body", False)
        body = self.write(self.body.decode()).encode() if whole and _is_utf8(self.body) else self.body
        headers = [pair for pair in start["headers"] if pair[0].lower() not in OLD]
        if whole:
            headers.append((b"content-length", str(len(body)).encode()))
        await self.send({**start, "headers": headers})
        await self.send({**message, "body": body})


def with_foreword(page: str) -> str:
    """The frame with the foreword in it."""
    page = re.sub(r"<title>[^<]*</title>", f"<title>{TITLE}</title>", page, count=1)
    page = page.replace("</head>", f"{_head()}</head>", 1)
    return page.replace('<div id="root">', f'{SKIP}<div id="root">', 1)


TITLE = "DECC: where to cut a network"


@cache
def _head() -> str:
    names = _scripts_of(DRAWN_FIRST)
    # An address within the frame's own folder, wherever a proxy has put it.
    early = "".join(f'<link rel="modulepreload" crossorigin href="./static/js/{name}">' for name in names)
    early += "".join(
        f'<link rel="prefetch" crossorigin href="./static/js/{name}">'
        for name in _scripts_of(UNFOLDED)
        if name not in names
    )
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return f"{early}<style>{style}</style><script>{script}</script>"


def _scripts_of(parts: Sequence[str]) -> list[str]:
    return with_imports({file.name for file in SCRIPTS.glob("*.js") if file.name.split(".")[0] in parts})


def with_imports(names: set[str]) -> list[str]:
    """Scripts by their names, and all that they import before they run; those that are there."""
    found: dict[str, str] = {}
    new = names
    while new:
        found |= {name: path.read_text(encoding="utf-8") for name in new if (path := SCRIPTS / name).is_file()}
        new = {name for one in new & found.keys() for name in IMPORTED.findall(found[one])} - found.keys() - new
    return sorted(found)


def _may_be_a_page(path: str) -> bool:
    return "." not in path.rsplit("/", 1)[-1] and "/_stcore/" not in path


def _is_html(start: Message) -> bool:
    kind = dict(start["headers"]).get(b"content-type", b"")
    return start["status"] == 200 and kind.startswith(b"text/html")


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
