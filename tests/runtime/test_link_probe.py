"""What a worker answers to probes: bytes as they are, of which the first says what they are for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from decc_core.errors import WireError
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import TensorChunk, TensorHead
from decc_core.runtime.wire.link_probe import answer_probe


def answers(*said: bytes) -> list[bytes]:
    return list(answer_probe(iter(said), SimpleNamespace(is_active=lambda: True)))


def chunk(number: int, size_bytes: int, data: bytes, due_ns: int | None = 0) -> bytes:
    return b"t" + m.encode(TensorChunk(number, 0, 0, data, TensorHead("uint8", (size_bytes,), (0,)), due_ns))


def test_what_is_swallowed_is_counted_and_what_is_echoed_comes_back():
    assert answers(b"u12", b"uabcd", b"e?", b"s", b"s") == [b"e?", (8).to_bytes(8, "big"), bytes(8)]


def test_processor_time_grows_with_what_a_process_does():
    first, later = (int.from_bytes(answer, "big") for answer in answers(b"c", *[b"u" + bytes(1 << 16)] * 500, b"c"))
    assert 0 < first < later


def test_tensors_come_in_and_go_out_as_in_a_run():
    size = (64).to_bytes(4, "big")
    *_, last = answers(b"n" + size, chunk(0, 64, bytes(64)), chunk(1, 64, bytes(64)), b"s")
    assert last == bytes(8)
    sent = [m.decode(one, TensorChunk, "worker") for one in answers(b"n" + size, b"w" + (3).to_bytes(4, "big"))]
    assert [(one.request, len(one.data), one.due_ns) for one in sent] == [(0, 64, 0), (1, 64, 0), (2, 64, 0)]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ([b"?"], "begins with an unknown letter"),
        ([b"t123"], "sent a malformed message"),
        ([b"n" + (4).to_bytes(4, "big"), chunk(0, 5, bytes(5))], "is of a wrong type"),
        ([b"n" + (1 << 20).to_bytes(4, "big"), chunk(16, 1 << 20, b"", None)], "belongs to an unknown request"),
    ],
)
def test_probes_that_make_no_sense_or_would_fill_the_memory_are_refused(said, sentence):
    with pytest.raises(WireError, match=sentence):
        answers(*said)


def test_tensors_are_never_larger_than_a_message_may_be():
    sent = answers(b"n" + (0xFFFFFFFF).to_bytes(4, "big"), b"w" + (1).to_bytes(4, "big"))
    assert sum(len(m.decode(one, TensorChunk, "worker").data) for one in sent) == 1 << 20
