"""Before its first visitor the server imports what the first plan needs; it never stays away for that."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from streamlit.web.server.app_discovery import discover_asgi_app

from app import warm_up
from decc_core.runtime.wire import connections
from tests.app.server import MAIN

DEADLINE_S = 60


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """Addresses for which a browser was opened."""
    found: list[str] = []
    monkeypatch.setattr(warm_up, "open_browser", found.append)
    # What signals do is the main thread's matter, and has a test of its own.
    monkeypatch.setattr(warm_up, "_end_in_order", lambda: None)
    return found


def live(inside=lambda: None) -> None:
    """A server's life without a server."""

    async def whole() -> None:
        async with warm_up.warm_server(None):
            inside()

    # In a thread of its own, since a browser's tests leave the main thread with a running event loop.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, whole()).result()


def options(monkeypatch, **values: object) -> None:
    known = {"server.headless": True, "server.address": "localhost"} | values
    monkeypatch.setattr(warm_up.st, "get_option", known.__getitem__)


def test_streamlit_finds_the_application_in_the_script():
    assert discover_asgi_app(MAIN).import_string == "main:app"


def test_after_warming_up_the_first_plan_imports_nothing_more_and_never_torch():
    script = (
        f"import sys; sys.path.insert(0, {str(MAIN.parent.parent)!r}); "
        "from streamlit.testing.v1 import AppTest; from app.warm_up import warm_up; warm_up(); "
        "before = set(sys.modules); "
        f"page = AppTest.from_file({str(MAIN)!r}, default_timeout={DEADLINE_S}).run(); "
        "assert not page.exception and len(page.metric) == 5; "
        "late = {name for name in set(sys.modules) - before if name.split('.')[0] in "
        "('app', 'decc_core', 'networkx', 'numba', 'numpy', 'pandas', 'pyarrow', 'PIL', 'plotly')}; "
        "assert 'torch' not in sys.modules; print(*late)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=DEADLINE_S, check=False, text=True
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == []


def test_a_page_that_cannot_be_warmed_up_comes_up_cold_and_says_why(monkeypatch, opened, caplog):
    options(monkeypatch)
    monkeypatch.setattr(warm_up, "warm_up", lambda: 1 / 0)
    lived: list[bool] = []
    live(lambda: lived.append(True))
    assert lived == [True]
    assert "ZeroDivisionError" in caplog.text


def test_visitors_wait_no_longer_than_patience_lasts(monkeypatch, opened):
    options(monkeypatch)
    hold = threading.Event()
    monkeypatch.setattr(warm_up, "warm_up", hold.wait)
    monkeypatch.setattr(warm_up, "PATIENCE_S", 0.05)
    live()
    hold.set()


def test_a_browser_is_opened_as_for_a_plain_script_and_not_on_a_headless_machine(monkeypatch, opened):
    monkeypatch.setattr(warm_up, "warm_up", lambda: None)
    options(monkeypatch)
    live()
    assert opened == []
    for address, host in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "localhost"), (None, "localhost")):
        options(monkeypatch, **{"server.headless": False, "server.address": address})
        live()
        assert opened.pop().startswith(f"http://{host}:")


def test_a_request_to_terminate_does_what_ctrl_c_does():
    told: list[int] = []
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    # As the server does: the running handler is its own.
    signal.signal(signal.SIGINT, lambda number, _frame: told.append(number))
    try:
        warm_up._end_in_order()
        signal.raise_signal(signal.SIGTERM)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert told == [signal.SIGINT]


@pytest.mark.skipif(connections.OPEN_FILES is None, reason="the system does not tell the files of a process")
def test_what_a_server_answers_leaves_at_once():
    # As Streamlit makes its socket: without a protocol.
    with socket.socket(family=socket.AF_INET) as listening, socket.socket(family=socket.AF_INET) as other:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        warm_up.send_at_once()
        with socket.create_connection(listening.getsockname(), timeout=DEADLINE_S):
            connection, _ = listening.accept()
            with connection:
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert other.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
        assert listening.fileno() >= 0


def test_a_server_that_cannot_see_its_files_comes_up(monkeypatch):
    def no_more() -> list[int]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(warm_up, "open_numbers", no_more)
    warm_up.send_at_once()


def test_what_other_views_import_is_imported_when_the_planners_have_started():
    begun: list[bool] = []
    warm_up._start_later(lambda: begun.append(True))
    assert begun == [True]
    assert set(warm_up.LATER) <= set(sys.modules)
