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


def together(*sent: list[bytes], deadline_s: float = 60) -> list[str]:
    """How requests end that are on their way at the same time, each with its parts; the last one waits for ever."""

    async def all_at_once() -> list[str]:
        async def end(parts: list[bytes]) -> str:
            waiting, said = [*parts], []

            async def receive():
                await asyncio.sleep(0)
                if not waiting:
                    await asyncio.Event().wait()
                body = waiting.pop(0)
                return {"type": "http.request", "body": body, "more_body": bool(body)}

            async def taking(_scope, receive, _send):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect" or not message["more_body"]:
                        said.append("cut off" if message["type"] == "http.disconnect" else "taken")
                        return

            async def send(message):
                said.extend(str(status) for status in [message.get("status")] if status)

            box.app = taking
            await box(scope, receive, send)
            return said[0] if said else "given up"

        box = Inbox(None, lambda: 0)
        scope = {"type": "http", "method": "PUT", "path": f"{PLACE}v/f", "headers": [(b"content-length", b"150")]}
        ends = await asyncio.gather(*(end(parts) for parts in sent))
        assert box.coming == 0
        return ends

    with ThreadPoolExecutor(1) as alone:
        return alone.submit(asyncio.run, all_at_once()).result()


def test_what_arrives_at_the_same_time_counts_together():
    ends = together([b"x" * 75, b"x" * 75, b""], [b"x" * 75, b"x" * 75, b""])
    assert sorted(ends) in (["cut off", "cut off"], ["cut off", "taken"])
    assert together([b"x" * 75, b"x" * 75, b""]) == ["taken"]


def test_who_says_that_much_is_coming_and_sends_nothing_keeps_nobody_out_and_is_given_up(monkeypatch):
    monkeypatch.setattr(inbox, "ARRIVES_S", 0.2)
    assert together([], [b"x" * 150, b""]) == ["given up", "taken"]


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
