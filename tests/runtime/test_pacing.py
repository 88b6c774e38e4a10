"""When chunks leave: computed on paper, without a clock."""

from __future__ import annotations

import pytest

from decc_core.errors import InvalidInstance, UnreadableFile
from decc_core.problem.link import Link
from decc_core.runtime.controller.dilation import needed_dilation
from decc_core.runtime.wire.pacing import LINES_PER_POINT, MAX_POINTS, LinkShape, Pacer, Rate, read_trace, trace_of

MS = 1_000_000
LINK = LinkShape.of(Link(8e6, 8e6, rtt_s=0.02, overhead_s=0.001))
"""1 byte per microsecond."""


def test_a_tensor_occupies_the_link_for_its_bytes_and_the_overhead():
    pacer = Pacer(LINK.uplink, LINK, zero_ns=0)
    parts = list(pacer.plan(10_000, ready_ns=5 * MS))
    assert (parts[0][0], parts[-1][1], parts[-1][2]) == (0, 10_000, 15 * MS)
    assert pacer.free_ns == 16 * MS
    assert pacer.due_ns == 26 * MS


def test_chunks_are_long_but_the_last_takes_two_milliseconds():
    parts = list(Pacer(LINK.uplink, LINK, 0).plan(112_000, 0))
    assert parts == [
        (0, 50_000, 50 * MS),
        (50_000, 100_000, 100 * MS),
        (100_000, 110_000, 110 * MS),
        (110_000, 112_000, 112 * MS),
    ]


def test_a_small_tensor_is_one_chunk():
    assert list(Pacer(LINK.uplink, LINK, 0).plan(2_000, 0)) == [(0, 2_000, 2 * MS)]


def test_tensors_wait_for_the_one_before():
    pacer = Pacer(LINK.uplink, LINK, 0)
    list(pacer.plan(10_000, 0))
    list(pacer.plan(1_000, 3 * MS))
    assert pacer.free_ns == 13 * MS


def test_a_tensor_without_bytes_still_makes_one_part():
    assert list(Pacer(LINK.uplink, LINK, 0).plan(0, 0)) == [(0, 0, 0)]


def test_jitter_delays_by_at_most_its_size_keeps_the_order_and_repeats_with_its_seed():
    shape = LinkShape.of(Link(8e6, 8e6), jitter_s=0.01)

    def dues():
        pacer = Pacer(shape.uplink, shape, 0)
        found = []
        for _ in range(20):
            list(pacer.plan(100, 0))
            found.append(pacer.due_ns)
        return found

    assert dues() == dues() == sorted(dues())
    assert len(set(dues())) > 2


def test_a_rate_over_time_is_integrated():
    rate = Rate((8e6, 4e6), (0.0, 0.01))
    assert rate.sent_at(0.0, 10_000) == pytest.approx(0.010)
    assert rate.sent_at(0.0, 15_000) == pytest.approx(0.020)
    assert rate.sent_at(0.02, 5_000) == pytest.approx(0.030)
    assert rate.at(0.005) == 8e6
    assert rate.at(0.5) == 4e6


def test_a_dilated_link_takes_so_many_times_longer():
    slow = LINK.dilated(3)
    pacer = Pacer(slow.uplink, slow, 0)
    list(pacer.plan(10_000, 0))
    assert (pacer.free_ns, pacer.due_ns) == (33 * MS, 63 * MS)
    assert Rate((8e6, 4e6), (0.0, 0.01)).dilated(2).sent_at(0.0, 15_000) == pytest.approx(0.040)


def test_a_trace_file_is_read(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("seconds,Mbit/s\n# a comment\n10, 8\n12.5, 4\n")
    assert read_trace(path) == Rate((8e6, 4e6), (0.0, 2.5))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no line"),
        ("seconds,Mbit/s\n", "holds no line"),
        ("0, 8\n1, fast\n", "Line 2 of trace.csv is '1, fast'"),
        ("0, 8\n0, 9\n", "Line 2 of trace.csv is at 0 s, and the one before it at 0 s.*must increase"),
        ("# from a bus\n0,5\n\n1,6\n0.5,7\n", "Line 5 of trace.csv is at 0.5 s, and the one before it at 1 s"),
        ("0, 0\n", "Line 1 of trace.csv ends the trace with a rate of 0"),
        ("0, 5\n3, 0\n\n", "Line 2 of trace.csv ends the trace with a rate of 0"),
        ("O,5\n10,50\n", "Line 1 of trace.csv is 'O,5'"),
        ("0 s, 5 Mbit/s\n10,50\n", "Line 1 of trace.csv is '0 s, 5 Mbit/s'"),
        ("seconds,Mbit/s\ns,Mbit/s\n0,5\n", "Line 2 of trace.csv is 's,Mbit/s'"),
        ("-,5\n10,50\n", "Line 1 of trace.csv is '-,5'"),
        ("0;5\n1,6\n", "Line 2 of trace.csv is '1,6'"),
        ("0,5,2,5\n10,0,50,0\n", "Line 1 of trace.csv is '0,5,2,5'; which of its numbers are meant is not clear"),
        ("s,Mbit/s\n0,5,2,5\n", "Line 2 of trace.csv is '0,5,2,5'; which of its numbers are meant is not clear"),
        ("0;1.234,5\n", "Line 1 of trace.csv is '0;1.234,5'"),
        ("0\n0\n3\n7\n", "Line 1 of trace.csv is '0'; of times at which packets leave, count the bits in each second"),
        ("0, -5\n1, 6\n", "rate in line 1 of trace.csv is -5 Mbit/s"),
        ("1700000000000, 5\n1700000001000, 6\n", "Line 1 of trace.csv is at 1.7e[+]12 s.*write seconds"),
        ("0, nan\n", "rate in line 1 of trace.csv is nan Mbit/s"),
        ("0, inf\n", "rate in line 1 of trace.csv is inf Mbit/s"),
        ("0, 1e-300\n", "must be finite and lie between"),
        ("0, 1e300\n", "must be finite and lie between"),
        ("0, 8\nnan, 9\n", "Line 2 of trace.csv is at nan s"),
        ("0, 8\n1e300, 9\n", "is no time of a recording"),
        ("0, 8\n1, ٤\n", "Line 2 of trace.csv"),
        ("0, 8\n1\0, 9\n", "Line 2 of trace.csv"),
        ("0, 8\n1, " + "9" * 200_000 + "\n", "Line 2 of trace.csv"),
        ('0, 8\n"1, 9\n2, 9 x\n', "Line 3 of trace.csv"),
        ("0, 8\n" * 100_001, "has 100,001 lines"),
    ],
)
def test_broken_traces_are_refused(tmp_path, text, sentence):
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises((UnreadableFile, InvalidInstance), match=sentence):
        read_trace(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf0,5\n10,50\n",
        b"\xef\xbb\xbf# a bus\r\nseconds,Mbit/s\r\n0,5\r\n\r\n10,50\r\n",
        b"0,5\r10,50\r",
        b"0,5 # start\n10,50# faster\n",
        b"0.0\t5.0\n10.0\t50\n",
        b"seconds Mbit/s\n0.0   5.0\n 10.0 50\n",
        b"seconds;Mbit/s\n0,0;5,0\n10;50\n",
        b'"0";"5,0"\n"10";"50,0"\n',
        b"0,0\t5,0\n10\t50\n",
        b"0,5,start\n10,50,faster\n",
        b"seconds,up,down\n0,5,80\n10,50,90\n",
        b"1700000000.5,5\n1700000010.5,50\n",
        b"Zeit in s;Rate (5G)\n0;5\n10;50\n",
    ],
)
def test_a_trace_is_read_however_it_was_saved(tmp_path, content):
    path = tmp_path / "trace.csv"
    path.write_bytes(content)
    assert read_trace(path) == Rate((5e6, 50e6), (0.0, 10.0))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "latin-1"])
def test_a_trace_in_another_encoding_is_refused_by_name(tmp_path, encoding):
    path = tmp_path / "trace.csv"
    path.write_bytes("Übertragung, Mbit/s\n0, 5\n".encode(encoding))
    with pytest.raises(UnreadableFile, match="but UTF-16; save it as UTF-8" if encoding == "utf-16" else "UTF-8|Line"):
        read_trace(path)


def test_nothing_leaves_in_an_outage_and_all_of_it_afterwards(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("0, 8\n0.01, 0\n0.03, 8\n")
    rate = read_trace(path)
    assert rate == Rate((8e6, 0.0, 8e6), (0.0, 0.01, 0.03))
    assert rate.sent_at(0.0, 10_000) == pytest.approx(0.010)
    assert rate.sent_at(0.0, 15_000) == pytest.approx(0.035)
    assert rate.sent_at(0.02, 1_000) == pytest.approx(0.031)
    assert rate.sent_at(0.02, 0) == pytest.approx(0.030)
    assert rate.dilated(2).sent_at(0.0, 15_000) == pytest.approx(0.070)


def test_chunks_wait_for_the_end_of_an_outage():
    pacer = Pacer(rate := Rate((0.0, 8e6), (0.0, 0.5)), LinkShape.of(Link(8e6, 8e6), rate), 0)
    assert list(pacer.plan(52_000, 0)) == [(0, 50_000, 550 * MS), (50_000, 52_000, 552 * MS)]


def test_a_rate_over_time_that_ends_in_an_outage_is_refused():
    with pytest.raises(InvalidInstance, match="nothing would arrive any more"):
        Rate((8e6, 0.0), (0.0, 1.0))
    with pytest.raises(InvalidInstance, match="rate of the link is -1"):
        Rate((-1.0, 8e6), (0.0, 1.0))


def test_a_missing_trace_is_refused(tmp_path):
    with pytest.raises(UnreadableFile, match="Cannot read the bandwidth trace"):
        read_trace(tmp_path / "none.csv")


def test_no_dilation_is_needed_where_native_work_is_quicker():
    assert needed_dilation([([0.01, 0.02], [0.02, 0.04])]) == 1.0


def test_dilation_makes_room_for_native_work_with_a_margin():
    factor = needed_dilation([([0.01] * 4, [0.005] * 4)])
    assert 2.4 <= factor <= 2.7


def test_short_segments_are_caught_up_with():
    """One slow but tiny segment among long ones does not stretch the whole run."""
    assert needed_dilation([([0.0001, 0.01], [0.00001, 0.02])]) == 1.0


def test_a_trace_of_very_many_lines_is_refused_before_they_are_looked_at(monkeypatch):
    monkeypatch.setattr("decc_core.runtime.wire.pacing.LINE_END", None)
    with pytest.raises(UnreadableFile, match=r"long\.csv has .* lines"):
        trace_of("\r\n" * (LINES_PER_POINT * MAX_POINTS), "long.csv")
