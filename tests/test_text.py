"""Numbers in sentences."""

from __future__ import annotations

from math import inf

from decc_core.text import (
    bytes_text,
    change_text,
    duration_s,
    figure,
    gain_text,
    gap_text,
    ranges_text,
    rounded,
    three_digits,
    written,
)


def test_numbers_read_well():
    assert [duration_s(t) for t in (12.34, 0.0123, 0.000_001_5)] == ["12.3 s", "12.3 ms", "1.50 µs"]
    assert [bytes_text(b) for b in (12, 1500, 2_000_000)] == ["12 B", "1.50 kB", "2.00 MB"]
    assert [gap_text(gap) for gap in (0, 1e-6, 0.031, 0.25)] == ["0 %", "< 0.01 %", "3.10 %", "25.0 %"]
    assert ranges_text((1, 2, 3, 5, 7, 8)) == "1–3, 5, 7–8"


def test_no_number_has_more_digits_than_anybody_believes():
    assert [gap_text(gap) for gap in (0.0795, 0.24, 11.5714, inf)] == ["7.95 %", "24.0 %", "1,157 %", "∞ %"]
    assert [gain_text(ratio) for ratio in (1.0, 1.676, 86.27, 1157.14, inf)] == [
        "1.00×",
        "1.68×",
        "86.3×",
        "1,157×",
        "∞×",
    ]
    assert [three_digits(value) for value in (9.996, 99.97, 4605.193, -3.5)] == ["10.0", "100", "4605", "−3.50"]
    assert [rounded(value) for value in (0, 0.00003, 0.0031, 4605.193, -0.0031)] == [
        "0", "< 0.0001", "0.0031", "4,605", "−0.0031",
    ]  # fmt: skip
    assert [figure(name, value) for name, value in (("gap", 11.57), ("x_rps", 0.00312), ("x_rps", 1234.5))] == [
        "1,157 %", "0.00312", "1,234",
    ]  # fmt: skip


def test_changes_have_a_sign_that_is_no_hyphen():
    told = [change_text(change) for change in (0, 0.0001, 0.016, -0.4, 16.15, -0.0995)]
    assert told == ["0 %", "< 0.1 %", "+1.6 %", "−40 %", "+1,615 %", "−10 %"]


def test_numbers_for_programs_have_six_digits_and_no_exponent():
    assert [written(value) for value in (7200.000024, 75.45281649220989, 1e-7, 1e12, 0, -0.25)] == [
        "7200", "75.4528", "0.0000001", "1000000000000", "0", "-0.25",
    ]  # fmt: skip
