"""What is put into Streamlit's frame, and that nothing else is touched."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from app.shell import foreword
from app.shell.foreword import DRAWN_FIRST, MOST_BYTES, SCRIPTS, Foreword, with_foreword

FRAME = b'<html><head><title>Streamlit</title></head><body><div id="root"></div></body></html>'


def served(
    path: str, body: bytes = FRAME, kind: bytes = b"text/html; charset=utf-8", status: int = 200, parts: int = 2
) -> tuple[dict[str, Any], dict[bytes, bytes], bytes]:
    """What the application was asked, and the headers and the body that it gave by way of the foreword."""
    asked: dict[str, Any] = {}
    sent: list[dict[str, Any]] = []

    async def application(scope, _receive, send):
        asked.update(scope)
        head = [(b"content-type", kind), (b"etag", b"old"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        size = -(-len(body) // parts)
        for i in range(parts):
            part = body[i * size : (i + 1) * size]
            await send({"type": "http.response.body", "body": part, "more_body": i < parts - 1})

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": [(b"if-none-match", b"old"), (b"accept-encoding", b"gzip"), (b"host", b"localhost")],
        "extensions": {"http.response.pathsend": {}, "other": {}},
    }
    # In a thread, as the browser of other tests keeps a loop running in this one.
    with ThreadPoolExecutor(1) as alone:
        alone.submit(asyncio.run, Foreword(application)(scope, None, send)).result()
    start, *bodies = sent
    return asked, dict(start["headers"]), b"".join(message["body"] for message in bodies)


@pytest.mark.parametrize("path", ["/", "/network", "/decc/sweep"])
def test_a_page_has_the_foreword_whole_and_is_asked_for_whole(path):
    asked, headers, body = served(path)
    assert body.decode() == with_foreword(FRAME.decode())
    assert headers[b"content-length"] == str(len(body)).encode()
    assert b"etag" not in headers
    assert dict(asked["headers"]) == {b"host": b"localhost"}
    assert asked["extensions"] == {"other": {}}


def test_the_foreword_brings_title_look_script_and_a_way_past_the_controls():
    page = with_foreword(FRAME.decode())
    head, body = page.split("</head>")
    assert "<title>DECC: where to cut a network</title>" in head
    assert ".decc-verdict" in head
    assert "BACKEND_BASE_URL" in head
    assert head.count("</script>") == head.count("</style>") == 1
    assert body.index("decc-skip") < body.index('id="root"')


def test_what_is_drawn_first_is_fetched_first():
    head = with_foreword(FRAME.decode()).split("</head>")[0]
    for name in DRAWN_FIRST:
        assert len(list(SCRIPTS.glob(f"{name}.*.js"))) == 1, name
        assert f'href="./static/js/{name}.' in head
    assert "js/PlotlyChart" not in head
    for name in foreword.UNFOLDED:
        assert f'rel="prefetch" crossorigin href="./static/js/{name}.' in head


def test_what_these_import_before_they_run_is_fetched_too_and_what_they_load_later_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(foreword, "SCRIPTS", tmp_path)
    (tmp_path / "a.js").write_text("""import{x as y}from"./b.js";import'./c.js';const later=()=>import("./e.js")""")
    (tmp_path / "b.js").write_text("""export * from "./d.js"; import "./a.js"; import z from "elsewhere.js";""")
    (tmp_path / "c.js").write_text("""import "./gone.js";""")
    for name in ("d.js", "e.js"):
        (tmp_path / name).write_text("")
    assert foreword.with_imports({"a.js"}) == ["a.js", "b.js", "c.js", "d.js"]


def test_streamlits_own_frame_has_the_places_for_it():
    frame = (Path(st.__file__).resolve().parent / "static" / "index.html").read_text(encoding="utf-8")
    page = with_foreword(frame)
    assert "decc-skip" in page
    assert "modulepreload" in page
    assert "<title>DECC" in page


@pytest.mark.parametrize(
    ("path", "body", "kind", "status"),
    [
        ("/static/js/index.js", b"</head>", b"text/javascript", 200),
        ("/_stcore/health", b"ok </head>", b"text/html", 200),
        ("/network", b"</head>", b"application/json", 200),
        ("/network", b"not here </head>", b"text/html", 404),
        ("/network", b"\xff\xfe</head>", b"text/html", 200),
    ],
)
def test_everything_else_is_passed_on_as_it_is(path, body, kind, status):
    assert served(path, body, kind, status)[2] == body


def test_what_is_too_long_for_a_frame_is_passed_on_while_it_comes():
    body = b"</head>" + b"x" * (2 * MOST_BYTES)
    assert served("/network", body, parts=8)[2] == body
