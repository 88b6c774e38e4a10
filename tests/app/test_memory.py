"""What the server keeps: no more than its budget, each answer made once, and nothing of a visitor who left."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from app import memory
from app.memory import Memory, budget_bytes, size_of
from decc_core.errors import InvalidInstance
from decc_core.network.work import Resource, Span, Work

KB = 1000


def test_the_least_used_is_given_up_when_the_budget_is_exceeded():
    kept = Memory(3 * KB)
    for name in "abc":
        kept.put(name, bytes(900))
    assert kept.get("a") is not None
    kept.put("d", bytes(900))
    assert [name for name in "abcd" if kept.get(name) is not None] == ["a", "c", "d"]
    assert kept.size <= 3 * KB


def test_the_last_answer_stays_though_it_is_beyond_the_budget():
    kept = Memory(KB)
    kept.put("small", bytes(100))
    kept.put("large", bytes(5 * KB))
    assert kept.get("small") is None
    assert len(kept.get("large")) == 5 * KB


def test_what_belongs_to_somebody_is_dropped_with_them():
    kept = Memory(9 * KB)
    kept.put("theirs", bytes(10), "them")
    kept.put("ours", bytes(10))
    kept.drop("them")
    assert kept.get("theirs") is None
    assert kept.get("ours") is not None


def test_an_owner_who_leaves_is_forgotten_soon():
    memory.start_keeper()
    memory.MEMORY.put("of somebody", bytes(10), "somebody")
    memory.leave("somebody")
    deadline = time.monotonic() + 10
    while memory.MEMORY.get("of somebody") is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert memory.MEMORY.get("of somebody") is None


def test_two_who_ask_for_the_same_wait_for_one_answer():
    kept, made, begun, go_on = Memory(9 * KB), [], threading.Event(), threading.Event()

    def make() -> str:
        made.append(1)
        begun.set()
        go_on.wait(10)
        return "answer"

    first = threading.Thread(target=kept.keep, args=("question", make))
    second = threading.Thread(target=kept.keep, args=("question", make))
    first.start()
    begun.wait(10)
    second.start()
    go_on.set()
    first.join(10)
    second.join(10)
    assert kept.keep("question", make) == "answer"
    assert made == [1]


def test_who_asks_after_a_failure_asks_anew():
    kept = Memory(KB)

    def fail() -> str:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        kept.keep("question", fail)
    assert kept.keep("question", lambda: "answer") == "answer"


def test_a_value_that_grew_since_it_was_read_counts_as_it_is(monkeypatch):
    monkeypatch.setattr(memory, "AGAIN_S", 0.0)
    kept, value = Memory(9 * KB), SimpleNamespace(content=b"")
    kept.put("grows", value)
    kept.get("grows").content = bytes(5 * KB)
    kept.put("other", b"")
    assert kept.size > 5 * KB
    kept.get("grows")
    kept.put("large", bytes(8 * KB))
    assert kept.get("grows") is None


def test_a_large_value_that_everybody_reads_is_not_measured_for_each_of_them(monkeypatch):
    measured = []
    monkeypatch.setattr(memory, "size_of", lambda value: measured.append(value) or 1)
    kept = Memory(9 * KB)
    kept.put("read by all", "large")
    for visitor in range(5):
        kept.get("read by all")
        kept.put(visitor, visitor)
    assert measured == ["large", 0, 1, 2, 3, 4]


def test_writers_of_one_value_lose_nothing():
    kept = Memory(10**6)
    writers = [
        threading.Thread(target=kept.update, args=("cells", lambda known, i=i: {**(known or {}), i: i}))
        for i in range(50)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert kept.get("cells") == {i: i for i in range(50)}


def test_sizes_are_about_right():
    numbers = list(range(10**6, 10**6 + 5000))
    assert size_of(np.zeros(1000)) == pytest.approx(8000, rel=0.05)
    assert size_of(np.zeros(1000)[5:][5:]) == pytest.approx(8000, rel=0.05)
    # An array that no other array holds, but whose memory is not its own, as compiled code returns them.
    assert size_of(np.frombuffer(bytes(8000))) == pytest.approx(8000, rel=0.05)
    assert size_of(numbers) == pytest.approx(5000 * (8 + 28), rel=0.1)
    assert size_of({i: (i, bytes(100)) for i in numbers}) == pytest.approx(5000 * (28 + 56 + 133 + 30), rel=0.1)
    shared = bytes(10**6)
    assert size_of((shared, shared)) == pytest.approx(10**6, rel=0.01)
    span = Span(Resource.EDGE, Work(0, 10**6), 0, 10**7)
    assert size_of([span] * 3) > size_of([None] * 3) + 100
    circle = SimpleNamespace()
    circle.own = circle
    assert size_of(circle) < KB


def test_the_budget_is_set_from_outside(monkeypatch):
    monkeypatch.setenv(memory.VARIABLE, "5000")
    assert budget_bytes() == 5000
    monkeypatch.setenv(memory.VARIABLE, "much")
    with pytest.raises(InvalidInstance, match="DECC_CACHE_BYTES is 'much'"):
        budget_bytes()
