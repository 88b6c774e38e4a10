"""Numbers in sentences."""

from __future__ import annotations

from decc_core.text import bytes_text, duration_s, gap_text, ranges_text


def test_numbers_read_well():
    assert [duration_s(t) for t in (12.34, 0.0123, 0.000_001_5)] == ["12.3 s", "12.3 ms", "1.50 µs"]
    assert [bytes_text(b) for b in (12, 1500, 2_000_000)] == ["12 B", "1.50 kB", "2.00 MB"]
    assert [gap_text(gap) for gap in (0, 1e-6, 0.031, 0.25)] == ["0 %", "< 0.01 %", "3.10 %", "25.0 %"]
    assert ranges_text((1, 2, 3, 5, 7, 8)) == "1–3, 5, 7–8"
