"""A white page of one size, on which a figure is drawn for print, and how it becomes a file.

matplotlib draws. It takes most of a second to import, so that no module here does so before something is drawn.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

from decc_core import __version__
from decc_core.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT = "DejaVu Sans"
"""Comes with matplotlib; Latin, Greek and Cyrillic letters, arrows and signs."""
SETTINGS: dict[str, Any] = {
    "font.family": FONT,
    # TrueType, which journals ask for, and every editor of drawings can edit.
    "pdf.fonttype": 42,
    # Letters as outlines: no viewer has to have the font.
    "svg.fonttype": "path",
    "svg.hashsalt": "decc",
    # A dollar in a layer's name begins no formula.
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "hatch.linewidth": 0.5,
    "lines.dash_capstyle": "butt",
}
INK, MUTED, GRID, PAPER, BOUND = "#14202B", "#5B6877", "#DDE3EA", "#FFFFFF", "#B5291C"
"""Text, text that stands back, lines of the grid, the page, and whatever is proven."""
MM_PER_INCH = 25.4
MM_PER_POINT = MM_PER_INCH / 72
LINE = 1.3
"""Height of a line of text, in heights of its letters."""
TALLEST_MM = 230.0
"""So high is what is printed on a page of A4 or letter."""
SMALLER = 0.875
"""Size of what stands at axes and in legends."""
HANDLE, HANDLE_GAP, BETWEEN = 1.8, 0.6, 1.6
"""Of a legend: width of a sample, from it to its text, and from one column to the next, in heights of letters."""
DPI = 300
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_ONE_AT_A_TIME = threading.Lock()
"""matplotlib's settings and its fonts are those of the whole process."""


@dataclass(frozen=True)
class Size:
    """How large a figure is printed, and how large its letters are; without a height it is as high as it needs."""

    title: str
    width_mm: float
    points: float
    height_mm: float | None = None


SIZES = {
    "column": Size("one column, 85 mm", 85.0, 7.0),
    "columns": Size("two columns, 178 mm", 178.0, 8.0),
    "slide": Size("slide, 16:9", 338.7, 18.0, 190.5),
}


class Form(str, Enum):
    """A kind of file."""

    PDF = "pdf"
    SVG = "svg"
    PNG = "png"


class Sheet:
    """The page: its figure, and the sizes of what is drawn there; all lengths are millimetres."""

    def __init__(self, size: Size) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        self.size = size
        self.points = size.points
        self.small = SMALLER * size.points
        self.line_mm = LINE * size.points * MM_PER_POINT
        pad = 0.4 * size.points / 72
        layout = ConstrainedLayoutEngine(w_pad=pad, h_pad=pad, wspace=0.0, hspace=0.02)
        self.figure: Figure = Figure(facecolor=PAPER, layout=layout)
        FigureCanvasAgg(self.figure)

    def thin(self, points: float = 1.0) -> float:
        """The width of a line that looks alike at all sizes, in points."""
        return points * self.size.points / 8

    @property
    def hatch(self) -> str:
        """Slanted lines as far apart as is seen: they are so many on an inch, whatever the size."""
        return "//" if self.size.width_mm > 300 else "////"

    def axes(self, lines: float) -> Axes:
        """One pair of axes on a page as high as so many lines of text, what stands at the axes included."""
        return self.panels(lines, (1.0,))[0]

    def panels(self, lines: float, heights: Sequence[float]) -> tuple[Axes, ...]:
        """Several below each other, with one horizontal axis for all."""
        self._high(lines)
        found = self.figure.subplots(
            len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": list(heights)}
        )
        return self._styled(found)

    def tiles(self, lines: float, many: int, columns: int) -> tuple[Axes, ...]:
        """So many side by side, row by row, each with axes of its own; what is left of the last row stays empty."""
        rows = ceil(many / columns)
        self._high(lines * rows)
        panels = self._styled(self.figure.subplots(rows, columns, squeeze=False))
        for axes in panels[many:]:
            axes.remove()
        return panels[:many]

    def _high(self, lines: float) -> None:
        height_mm = self.size.height_mm or min(lines * self.line_mm, TALLEST_MM)
        self.figure.set_size_inches(self.size.width_mm / MM_PER_INCH, height_mm / MM_PER_INCH)

    def _styled(self, found: Any) -> tuple[Axes, ...]:
        panels: tuple[Axes, ...] = tuple(found.flat)
        for axes in panels:
            self._style(axes)
        return panels

    def _style(self, axes: Axes) -> None:
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=self.small, width=self.thin(0.6), length=0.3 * self.points, colors=INK)
        axes.spines[["top", "right"]].set_visible(False)
        for spine in axes.spines.values():
            spine.set_linewidth(self.thin(0.6))
            spine.set_color(MUTED)

    def titled(self, axes: Axes, x: str = "", y: str = "") -> None:
        """What stands at the axes."""
        axes.set_xlabel(drawable(x), fontsize=self.small, color=INK)
        axes.set_ylabel(drawable(y), fontsize=self.small, color=INK)

    def grid(self, axes: Axes, axis: str = "x") -> None:
        axes.grid(visible=True, axis=axis, color=GRID, linewidth=self.thin(0.6))  # type: ignore[arg-type]

    def time_axis(self, axes: Axes, until: float, title: str) -> None:
        """From 0 to the end, with as many round numbers as there is room for."""
        axes.set_xlim(0, 1.005 * until)
        for most in range(10, 1, -1):
            ticks = round_ticks(until, most)
            texts = [f"{tick:,.6g}" for tick in ticks]
            widest = max(self.width_mm(text, self.small) for text in texts)
            if len(ticks) * (widest + 1.2 * self.height_mm(self.small)) <= 0.75 * self.size.width_mm:
                break
        axes.set_xticks(ticks, texts)
        self.grid(axes)
        self.titled(axes, x=title)

    def every(self, room_mm: float, many: int) -> int:
        """Of so many texts that stand upright side by side, which have room: every first, second, third, …"""
        return max(1, ceil(many * LINE * self.small * MM_PER_POINT / max(room_mm, 1e-9)))

    def legend(self, entries: Sequence[tuple[Any, str]], title: str = "") -> None:
        """Above the axes, in as many columns as there is room for; the page grows by what it takes."""
        if not entries:
            return
        labels = [drawable(label) for _, label in entries]
        columns = self._columns(labels)
        order = _by_rows(len(labels), columns)
        title = self.wrapped(title, 0.95 * self.size.width_mm, self.small)
        if self.size.height_mm is None:
            rows = ceil(len(labels) / columns) + (title.count("\n") + 1 if title else 0)
            taken_mm = (0.9 + 1.25 * SMALLER * rows) * self.line_mm
            self.figure.set_figheight(self.figure.get_figheight() + taken_mm / MM_PER_INCH)
        found = self.figure.legend(
            [entries[place][0] for place in order],
            [labels[place] for place in order],
            loc="outside upper left",
            ncols=columns,
            title=title or None,
            title_fontsize=self.small,
            alignment="left",
            frameon=False,
            fontsize=self.small,
            labelcolor=INK,
            handlelength=HANDLE,
            handletextpad=HANDLE_GAP,
            columnspacing=BETWEEN,
            borderaxespad=0.5,
            borderpad=0.2,
            labelspacing=0.35,
        )
        found.get_title().set_color(MUTED)

    def _columns(self, labels: Sequence[str]) -> int:
        letter = self.small * MM_PER_POINT
        widths = [self.width_mm(label, self.small) + (HANDLE + HANDLE_GAP) * letter for label in labels]

        def width(columns: int) -> float:
            return sum(max(widths[column::columns]) + BETWEEN * letter for column in range(columns))

        return next((n for n in range(len(widths), 1, -1) if width(n) <= 0.94 * self.size.width_mm), 1)

    def settle(self) -> None:
        """Lay everything out now, for good: what is drawn from here on fits itself into the room that is left."""
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")

    def box_mm(self, axes: Axes) -> tuple[float, float]:
        """Width and height of settled axes."""
        box = axes.get_window_extent()
        return box.width / self.figure.dpi * MM_PER_INCH, box.height / self.figure.dpi * MM_PER_INCH

    def height_mm(self, points: float) -> float:
        """Of letters."""
        return points * MM_PER_POINT

    def width_mm(self, text: str, points: float) -> float:
        """Of a text on one line."""
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import text_to_path

        font = FontProperties(family=FONT, size=points)
        width, _, _ = text_to_path.get_text_width_height_descent(drawable(text), font, ismath=False)
        return float(width) * MM_PER_POINT

    def fitted(self, text: str, room_mm: float, points: float) -> str:
        """The text, or as much of its beginning as there is room for; nothing where that would say nothing."""
        text = drawable(text)
        if self.width_mm(text, points) <= room_mm:
            return text
        # Letters are about as wide as each other: begin near the end, and not with all of a long name.
        kept = min(len(text), int(room_mm / (0.2 * points * MM_PER_POINT)) + 1)
        while kept > 2 and self.width_mm(f"{text[:kept]}…", points) > room_mm:
            kept -= 1
        return f"{text[:kept]}…" if kept > 2 else ""

    def wrapped(self, text: str, room_mm: float, points: float) -> str:
        """The text on as many lines as it needs."""
        lines = [""]
        for word in drawable(text).split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self.width_mm(longer, points) > room_mm:
                lines.append(word)
            else:
                lines[-1] = longer
        return "\n".join(lines)

    def saved(self, form: Form, title: str) -> bytes:
        """The page as a file, the same for the same figure."""
        file = io.BytesIO()
        about: dict[str, Any] = {"Title": drawable(title)}
        if form is Form.PDF:
            about |= {"Creator": f"DECC {__version__}", "CreationDate": None}
        elif form is Form.SVG:
            about |= dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self.figure.savefig(file, format=form.value, metadata=about, dpi=DPI)
        content = file.getvalue()
        # The declaration names a file of another host, which nobody needs to read the drawing.
        return re.sub(rb"<!DOCTYPE[^>]*>\s*", b"", content, count=1) if form is Form.SVG else content


@dataclass(frozen=True)
class Picture:
    """A figure that can be printed: what it shows, its part of a file's name, and how it is drawn.

    One that has too much on it for a page says so, in a sentence, instead.
    """

    title: str
    name: str
    draw: Callable[[Sheet], None]
    too_large: str = ""


def drawn(picture: Picture, size: Size) -> Sheet:
    """The page with the figure on it; `printed` is for everybody who wants a file."""
    sheet = Sheet(size)
    picture.draw(sheet)
    return sheet


def printed(picture: Picture, size: Size, form: Form) -> bytes:
    """The figure as a file that refers to nothing outside itself."""
    with _ONE_AT_A_TIME, settings():
        return drawn(picture, size).saved(form, picture.title)


def settings() -> Any:
    """matplotlib's own settings with ours, whatever a notebook or a file of the user's has changed."""
    import matplotlib.style

    return matplotlib.style.context(["default", SETTINGS])


@cache
def _letters() -> frozenset[int]:
    """All that the font can write."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(FONT)).get_charmap())


def drawable(text: str) -> str:
    """The text on one line, with a question mark for each letter that the font does not have."""
    return "".join(char if ord(char) in _letters() else "?" for char in printable(text))


def round_ticks(until: float, most: int) -> list[float]:
    """Round numbers from 0 to the end, at most about so many."""
    if until <= 0:
        return [0.0]
    size = 10.0 ** floor(log10(until / most))
    step = next(step * size for step in STEPS if until / (step * size) <= most)
    # As text they are rounded; here, too, so that 3 steps of 0.1 are 0.3.
    return [float(f"{i * step:.10g}") for i in range(int(until / step * (1 + 1e-9)) + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two, for a logarithmic axis: in a 1, 2, 5 rhythm, or fewer."""
    decades = range(floor(log10(low)), floor(log10(high)) + 1)
    for steps, every in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 3)):
        ticks = [float(f"{step * 10.0**decade:.4g}") for decade in decades if decade % every == 0 for step in steps]
        ticks = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(ticks) <= most:
            return ticks
    return ticks


def _by_rows(many: int, columns: int) -> list[int]:
    """In which order a legend takes its entries, so that they are read row by row: it fills column after column."""
    return [place for column in range(columns) for place in range(column, many, columns)]


def tint(colour: str, strength: float) -> str:
    """A colour mixed with white, which prints as it looks, unlike one that lets shine through."""
    parts = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(255 - strength * (255 - part)):02X}" for part in parts)
