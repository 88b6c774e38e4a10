"""Pages for print: sizes, files, and texts that fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from decc_core.printed.sheet import (
    SIZES,
    Form,
    Picture,
    Sheet,
    drawable,
    log_ticks,
    printed,
    round_ticks,
    settings,
    tint,
)
from tests.printed.sheets import require_tidy

HOSTILE = "$\\frac{x$ <image href='https://host.invalid/a.png'/> --> ]]> &amp; %s {0}\n\x1b[31m 图"


def hostile(sheet: Sheet) -> None:
    axes = sheet.axes(10)
    axes.barh([0], [1])
    axes.set_yticks([0], [drawable(HOSTILE)[:20]])
    sheet.time_axis(axes, 1, HOSTILE[:40])
    sheet.legend([(axes.patches[0], HOSTILE[:50])], HOSTILE[:30])
    sheet.settle()


PICTURE = Picture(HOSTILE, "it", hostile)


@pytest.mark.parametrize("size", SIZES)
def test_files_are_whole_and_names_in_them_are_text(size):
    assert any("$\\frac{x$" in text for text in require_tidy(PICTURE, size))


def test_the_same_figure_is_the_same_file():
    for form in (Form.PDF, Form.SVG):
        assert printed(PICTURE, SIZES["column"], form) == printed(PICTURE, SIZES["column"], form)


def test_a_slide_is_16_to_9_and_a_column_as_high_as_it_needs():
    for name, size in SIZES.items():
        picture = printed(PICTURE, size, Form.PNG)
        width, height = (int.from_bytes(picture[place : place + 4]) for place in (16, 20))
        assert width == pytest.approx(size.width_mm / 25.4 * 300, abs=2)
        assert (width / height == pytest.approx(16 / 9, rel=0.01)) is (name == "slide")


def test_letters_that_the_font_lacks_are_question_marks_and_everything_is_on_one_line():
    assert drawable("a→b − 2× 图\n≈") == "a→b − 2× ? ≈"


def test_a_text_is_clipped_to_its_room_or_left_out():
    with settings():
        sheet = Sheet(SIZES["column"])
        whole = sheet.width_mm("inception3a.branch2", 7)
        assert sheet.fitted("inception3a.branch2", whole, 7) == "inception3a.branch2"
        clipped = sheet.fitted("inception3a.branch2", whole / 2, 7)
        assert clipped.endswith("…")
        assert sheet.width_mm(clipped, 7) <= whole / 2
        assert sheet.fitted("inception3a.branch2", 1, 7) == ""
        assert sheet.wrapped("one two three", sheet.width_mm("one two", 7), 7) == "one two\nthree"


def test_ticks_are_round_and_no_more_than_there_is_room_for():
    assert round_ticks(310, 8) == [0, 50, 100, 150, 200, 250, 300]
    assert round_ticks(0.7, 8) == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert round_ticks(0, 8) == [0]
    assert log_ticks(0.1, 1000, 13) == [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    assert log_ticks(0.1, 1000, 5) == [0.1, 1, 10, 100, 1000]
    assert all(len(round_ticks(until, most)) <= most + 1 for until in (0.003, 1, 77, 1e6) for most in range(2, 12))


def test_a_tint_is_the_colour_on_white_paper():
    assert tint("#0072B2", 1) == "#0072B2"
    assert tint("#0072B2", 0) == "#FFFFFF"


def test_settings_of_others_stay_as_they_are_and_are_not_taken():
    import matplotlib

    before = printed(PICTURE, SIZES["column"], Form.SVG)
    with matplotlib.rc_context({"font.family": "serif", "axes.facecolor": "black", "text.parse_math": True}):
        assert printed(PICTURE, SIZES["column"], Form.SVG) == before
        assert matplotlib.rcParams["axes.facecolor"] == "black"


def test_matplotlib_is_imported_when_something_is_drawn_and_not_before():
    script = (
        "import sys; import decc_core.printed.sheet, decc_core.printed.gantt, decc_core.printed.graph, "
        "decc_core.printed.charts, decc_core.printed.sweep, app.figures.printed, app.shell.exports; "
        "sys.exit('matplotlib' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, timeout=120, check=False)
    assert found.returncode == 0, found.stderr.decode()
