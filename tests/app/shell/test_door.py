"""Who the page answers: its own names, under which no foreign site can reach it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket
from time import monotonic, sleep

import psutil
import pytest

from app.shell.door import VARIABLE, Door, key_in

ROOT = Path(__file__).resolve().parents[3]


def answer(host: str, origin: str | None = None, kind: str = "http") -> str:
    """What comes of a request: passed on, or the status or code with which it ends."""
    said = []

    async def passed_on(_scope, _receive, _send):
        said.append("passed on")

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        said.append(str(message.get("status", message.get("code", ""))))

    headers = [(b"host", host.encode())] + ([(b"origin", origin.encode())] if origin is not None else [])
    # In a thread, as the browser of other tests keeps a loop running in this one.
    with ThreadPoolExecutor(1) as alone:
        alone.submit(asyncio.run, Door(passed_on)({"type": kind, "headers": headers}, receive, send)).result()
    return said[0]


@pytest.mark.parametrize("host", ["localhost", "localhost:8501", "127.0.0.1:8501", "[::1]:8501", "LOCALHOST:8501"])
def test_its_own_names_are_answered(host):
    assert answer(host) == "passed on"
    assert answer(host, f"http://{host.lower()}", "websocket") == "passed on"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8501", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "a@b:c"]
)
def test_a_foreign_name_that_points_here_is_refused(host):
    assert answer(host) == "403"
    assert answer(host, kind="websocket") == "1008"
    assert answer(host, f"http://{host}", "websocket") == "1008"


def test_names_of_the_loopback_are_one_machine_where_the_port_is_the_same():
    assert answer("127.0.0.1:8501", "http://localhost:8501", "websocket") == "passed on"
    assert answer("localhost:8501", "http://[::1]:8501") == "passed on"
    assert answer("127.0.0.1:8501", "http://localhost:8502", "websocket") == "1008"
    assert answer("127.0.0.1:8501", "http://localhost:port") == "403"


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:3000", "null", "http://[", "file://"])
def test_another_site_in_the_same_browser_is_refused(origin):
    assert answer("localhost:8501", origin) == "403"
    assert answer("localhost:8501", origin, "websocket") == "1008"


def test_names_that_were_asked_for_are_answered_also_behind_a_proxy(monkeypatch):
    monkeypatch.setenv(VARIABLE, "decc.example, Other.example")
    assert answer("decc.example") == "passed on"
    assert answer("other.example:8501", "https://decc.example", "websocket") == "passed on"
    assert answer("evil.example") == "403"


def test_started_from_another_folder_it_listens_on_this_machine_alone(tmp_path):
    with closing(socket(AF_INET, SOCK_STREAM)) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "decc_core", "app", "--port", str(port)]
    plain = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app" / "main.py"), f"--server.port={port}"]
    for start in (plain, command):
        with subprocess.Popen(
            start,
            cwd=tmp_path,
            env={
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": str(ROOT),
                "HOME": str(tmp_path),
                "STREAMLIT_SERVER_HEADLESS": "1",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as server:
            try:
                addresses = listening(server.pid, port)
                assert addresses <= {"127.0.0.1", "::1"}
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=10) as health:
                    assert health.status == 200
            finally:
                server.terminate()


def listening(pid: int, port: int) -> set[str]:
    """The addresses on which a process listens, once it does."""
    end = monotonic() + 60
    while monotonic() < end:
        with suppress(psutil.Error):
            sockets = psutil.Process(pid).net_connections(kind="tcp")
            found = {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN and one.laddr.port == port}
            if found:
                return found
        sleep(0.2)
    raise AssertionError("The page did not come up.")


KEY = "k" * 43


def met(*cookies: str, scheme: str = "ws", kind: str = "websocket") -> tuple[str | None, str, str]:
    """The key that a visit begins with, the cookies that the page sees, and the one that the browser is to keep."""
    seen, told = [], []

    async def passed_on(scope, _receive, send):
        seen.extend(value.decode() for name, value in scope["headers"] if name == b"cookie")
        await send({"type": "websocket.accept" if kind == "websocket" else "http.response.start", "headers": []})

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        told.extend(value.decode() for name, value in message["headers"] if name == b"set-cookie")

    headers = [(b"host", b"localhost:8501"), *((b"cookie", cookie.encode()) for cookie in cookies)]
    with ThreadPoolExecutor(1) as alone:
        scope = {"type": kind, "scheme": scheme, "headers": headers}
        alone.submit(asyncio.run, Door(passed_on)(scope, receive, send)).result()
    text = "; ".join(seen)
    found = dict(pair.split("=", 1) for pair in text.split("; ") if pair)
    return key_in(found), text, "; ".join(told)


def test_a_browser_without_a_key_gets_one_that_nobody_guesses_and_no_script_reads():
    (first, _, told), (second, *_) = met(), met()
    assert first is not None
    assert first != second
    assert told == f"decc_workspace={first}; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict"
    assert met(scheme="wss")[2].endswith("; Secure")


def test_a_key_is_kept_with_the_other_cookies():
    key, cookies, told = met(f"_streamlit_xsrf=2|x; decc_workspace={KEY}")
    assert key == KEY
    assert cookies == f"_streamlit_xsrf=2|x; decc_workspace={KEY}"
    assert told.startswith(f"decc_workspace={KEY};")


@pytest.mark.parametrize("text", ["", "short", "k" * 44, "k" * 42 + "/", '"' + "k" * 41 + '"', "<b>x</b>"])
def test_no_other_text_is_taken_for_a_key(text):
    key, cookies, _ = met(f"decc_workspace={text}", "a=b")
    assert key not in (None, text)
    assert cookies == f"a=b; decc_workspace={key}"
    assert met(f"decc_workspace={text}; decc_workspace={KEY}")[0] == KEY


def test_requests_for_files_get_no_key_as_a_foreign_sites_come_without_the_one_there_is():
    assert met(kind="http") == (None, "", "")


def test_a_key_that_is_no_text_is_none():
    assert key_in({"decc_workspace": object()}) is None
