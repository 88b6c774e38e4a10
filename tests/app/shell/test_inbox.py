"""What browsers send is limited together before it is read, and let go where nothing takes it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from app.shell import inbox
from app.shell.inbox import KEPT_S, PLACE, Files, Inbox


def answers(length: bytes | None, held: int, path: str = f"{PLACE}visit/file", method: str = "PUT") -> list[object]:
    """What comes of one request: what it was answered, or that it was passed on."""
    said: list[object] = []

    async def passed_on(_scope, _receive, _send):
        said.append("passed on")

    async def receive():
        raise AssertionError("nothing is read")

    async def send(message):
        said.append(message.get("status") or message["body"].decode())

    scope = {"type": "http", "method": method, "path": path, "headers": [(b"content-length", length)] if length else []}
    # In a thread, as the browser of other tests keeps a loop running in this one.
    with ThreadPoolExecutor(1) as alone:
        alone.submit(asyncio.run, Inbox(passed_on, lambda: held)(scope, receive, send)).result()
    return said


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setenv("DECC_MAX_FILE_BYTES", "100")


def test_files_up_to_the_limit_are_let_in():
    assert answers(b"100", held=100) == ["passed on"]


def test_more_than_all_may_have_is_refused_unread_with_a_sentence():
    status, sentence = answers(b"101", held=100)
    assert status == 413
    assert "try again" in sentence


@pytest.mark.parametrize("length", [None, b"-1", b"many", "٣".encode(), b"9" * 40])
def test_a_file_that_does_not_say_how_long_it_is_is_refused(length):
    assert answers(length, held=0)[0] == 411


@pytest.mark.parametrize(("path", "method"), [("/", "GET"), (f"{PLACE}visit/file", "DELETE"), ("/elsewhere", "PUT")])
def test_other_requests_are_none_of_its_business(path, method):
    assert answers(None, held=10**9, path=path, method=method) == ["passed on"]


def test_files_on_their_way_count_until_they_are_there():
    async def two() -> list[int]:
        statuses: list[int] = []
        arrived = asyncio.Event()

        async def slow(_scope, _receive, _send):
            await arrived.wait()

        async def send(message):
            statuses.extend(status for status in [message.get("status")] if status)

        scope = {"type": "http", "method": "PUT", "path": f"{PLACE}v/f", "headers": [(b"content-length", b"150")]}
        one = Inbox(slow, lambda: 0)
        first = asyncio.ensure_future(one(scope, None, send))
        await asyncio.sleep(0)
        await one(scope, None, send)
        arrived.set()
        await first
        assert one.coming == 0
        return statuses

    with ThreadPoolExecutor(1) as alone:
        assert alone.submit(asyncio.run, two()).result() == [413]


def test_a_file_that_nothing_takes_is_let_go_after_a_minute(monkeypatch):
    manager, files = MemoryUploadedFileManager("/upload"), Files()
    monkeypatch.setattr(inbox, "_manager", lambda: manager)
    manager.add_file("visit", UploadedFileRec("old", "old.pt2", "", b"x" * 60))
    files.let_go(100.0)
    manager.add_file("visit", UploadedFileRec("new", "new.pt2", "", b"x" * 40))
    files.let_go(100.0 + KEPT_S - 1)
    assert files.bytes_held() == 100
    files.let_go(100.0 + KEPT_S)
    assert files.bytes_held() == 40
    manager.remove_session_files("visit")
    files.let_go(200.0 + KEPT_S)
    assert files.since_s == {}
