"""A lookup's answer is given to who has its ticket, and to nobody else."""

from __future__ import annotations

import asyncio
import gc
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from app.shell.answers import Answers, show


@dataclass
class Waiting:
    ticket: str = "t" * 43
    found: str = ""
    over: bool = False
    seen: int = 0

    def look(self) -> None:
        self.seen += 1


def answer(path: str, method: str = "GET", kind: str = "http") -> tuple[int, object]:
    """Status and body; 0 where the request was passed on."""
    sent: list[dict[str, object]] = []

    async def passed_on(_scope, _receive, _send):
        sent.extend(({"status": 0}, {"body": b"{}"}))

    async def send(message):
        sent.append(message)

    # In a thread, as the browser of other tests keeps a loop running in this one.
    with ThreadPoolExecutor(1) as alone:
        scope = {"type": kind, "method": method, "path": path}
        alone.submit(asyncio.run, Answers(passed_on)(scope, None, send)).result()
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_who_has_the_ticket_hears_how_far_it_is_and_shows_that_somebody_waits():
    lookup = Waiting()
    path = f"/_decc/answer/{show(lookup)}"
    assert answer(path) == (200, {"over": False, "says": ""})
    lookup.found, lookup.over = "up to <b>3</b> Mbit/s", True
    assert answer(f"/behind/a/proxy{path}") == (200, {"over": True, "says": "up to <b>3</b> Mbit/s"})
    assert lookup.seen == 2


def test_a_ticket_that_is_unknown_or_whose_lookup_has_gone_finds_nothing():
    lookup = Waiting(found="something", over=True)
    path = f"/_decc/answer/{show(lookup)}"
    del lookup
    gc.collect()
    assert answer(path) == (404, {"over": True, "says": ""})
    assert answer("/_decc/answer/" + "a" * 43)[0] == 404


@pytest.mark.parametrize(
    ("path", "method", "kind"),
    [
        ("/", "GET", "http"),
        ("/_decc/answer/short", "GET", "http"),
        (f"/_decc/answer/{'a' * 43}/more", "GET", "http"),
        (f"/_decc/answer/{'a' * 43}", "POST", "http"),
        (f"/_decc/answer/{'a' * 43}", "GET", "websocket"),
    ],
)
def test_all_other_requests_pass(path, method, kind):
    assert answer(path, method, kind)[0] == 0
