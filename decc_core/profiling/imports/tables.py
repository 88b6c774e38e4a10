"""A table of times, one row for each layer, as CSV: written by hand, by a spreadsheet or a script; and templates."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from decc_core import store
from decc_core.errors import UnreadableFile
from decc_core.network.graph import LayerGraph
from decc_core.network.titles import unwrapped
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.profiling.imports.imported import (
    KEPT_PROBLEMS,
    MAX_TIME_S,
    Imported,
    Problem,
    Reading,
    count,
    few,
    refusal,
    short,
)
from decc_core.text import shown

UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
COLUMN = re.compile(r"(median|p95)_(s|ms|us|µs|ns)")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
MODULE = "module"
"""A column of the template that helps to fill it in, and is not read."""
MAX_NUMBER = 60
DELIMITERS = ("\t", ";", ",")
COMMENTS = """\
# One row for each layer: its median time in seconds, and the 95th percentile where you know it.
# 'median_s' and 'p95_s' may as well be called 'median_ms' or 'median_us', in milliseconds or microseconds.
# 'module' tells where in the network a layer is; it is not read.
# Lines that begin with # are comments.
"""
NEEDS_QUOTES = re.compile(r"""[,;#"'\s]""")


@dataclass(frozen=True)
class _Columns:
    layer: int
    median: int
    p95: int | None
    units_s: dict[int, float]
    width: int
    ignored: tuple[str, ...]


@dataclass
class _Rows:
    """What the rows gave so far; of problems the first ones are kept, and all are counted."""

    median_s: dict[str, float] = field(default_factory=dict)
    p95_s: dict[str, float] = field(default_factory=dict)
    inputs: int = 0
    problems: list[Problem] = field(default_factory=list)
    refused: int = 0

    def refuse(self, line: int, why: str) -> None:
        self.refused += 1
        if len(self.problems) < KEPT_PROBLEMS:
            self.problems.append((f"line {line}", why))


def read_csv(data: bytes, reading: Reading) -> Imported:
    """The profile in a CSV file with the columns `layer` and `median_s` (or `_ms`, `_us`), and perhaps `p95_s`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFile(f"{reading.file} is neither JSON nor UTF-8 text; save it as CSV in UTF-8.") from None
    try:
        columns, rows = _read_rows(text, reading)
    except csv.Error as error:
        raise UnreadableFile(f"{reading.file} is no CSV table: {error}.") from None
    _require_all(rows, reading)
    median_s = {layer.name: rows.median_s[layer.name] for layer in reading.graph.layers if not layer.is_input}
    p95_s = {name: rows.p95_s.get(name, time_s) for name, time_s in median_s.items()}
    source = f"imported from {short(reading.file)}, a table of times"
    profile = reading.profile(median_s, p95_s, sum(median_s.values()), source, {}, {"format": "CSV"})
    return Imported(profile, tuple(_notes(columns, rows, len(median_s))))


def _read_rows(text: str, reading: Reading) -> tuple[_Columns, _Rows]:
    lines = _Lines(text)
    first = next(iter(lines), "")
    delimiter = next((character for character in DELIMITERS if character in first), ",")
    columns = _columns(next(csv.reader([first], delimiter=delimiter), []), reading.file)
    rows = _Rows()
    for cells in csv.reader(lines, delimiter=delimiter):
        if any(cell.strip() for cell in cells):
            _take(cells, columns, lines.number, delimiter, rows, reading.graph)
    return columns, rows


class _Lines:
    """The lines of a table without comments and empty ones; a `#` inside a quoted cell is no comment."""

    def __init__(self, text: str) -> None:
        self._lines = iter(io.StringIO(text, newline=""))
        self.number = 0
        self._quoted = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while True:
            line = next(self._lines)
            self.number += 1
            if self._quoted or (line.strip() and not line.lstrip().startswith("#")):
                self._quoted ^= line.count('"') % 2 == 1
                return line


def _columns(header: list[str], file: str) -> _Columns:
    names = [cell.strip().lower() for cell in header]
    places_of: dict[str, list[int]] = {"layer": [i for i, name in enumerate(names) if name == "layer"]}
    units_s = {}
    for i, name in enumerate(names):
        if match := COLUMN.fullmatch(name):
            places_of.setdefault(match[1], []).append(i)
            units_s[i] = UNITS_S[match[2]]
    for what in ("layer", "median"):
        if not places_of.get(what):
            raise UnreadableFile(
                f"{file} is no table of times: its first line needs the columns 'layer' and 'median_s' (or "
                f"'median_ms', 'median_us'), as in the template; it begins with '{short(','.join(header))}'."
            )
    for what, places in places_of.items():
        if len(places) > 1:
            raise UnreadableFile(f"{file} has {len(places)} columns for '{what}'; keep one of them.")
    used = {place for places in places_of.values() for place in places}
    ignored = tuple(short(name) for i, name in enumerate(names) if i not in used and name not in ("", MODULE))
    p95 = places_of.get("p95", [None])[0]
    return _Columns(places_of["layer"][0], places_of["median"][0], p95, units_s, len(names), ignored)


def _take(cells: list[str], columns: _Columns, line: int, delimiter: str, rows: _Rows, graph: LayerGraph) -> None:
    if len(cells) > columns.width and any(cell.strip() for cell in cells[columns.width :]):
        rows.refuse(line, f"has {len(cells)} cells; the first line has {columns.width}")
        return
    cells = cells + [""] * (columns.width - len(cells))
    name = cells[columns.layer]
    layer = graph.layer_called(name)
    layer = graph.layer_called(name.strip()) if layer is None else layer
    if layer is None:
        rows.refuse(line, f"names {shown(name)}, which is no layer of {shown(graph.name)}")
    elif graph.layers[layer].is_input:
        rows.inputs += 1
    elif graph.layers[layer].name in rows.median_s:
        rows.refuse(line, f"gives layer {shown(name)} a second time")
    else:
        _take_times(graph.layers[layer].name, cells, columns, line, delimiter, rows)


def _take_times(name: str, cells: list[str], columns: _Columns, line: int, delimiter: str, rows: _Rows) -> None:
    # A layer whose number is refused has been named all the same: it is no missing one.
    rows.median_s[name] = 0.0
    places = [columns.median] if columns.p95 is None else [columns.median, columns.p95]
    times: list[float | None] = []
    for place in places:
        text = cells[place].strip()
        if place == columns.p95 and not text:
            times.append(None)
            continue
        time_s = _seconds(text, columns.units_s[place], delimiter)
        if isinstance(time_s, str):
            rows.refuse(line, f"layer {shown(name)}: {time_s}")
            return
        times.append(time_s)
    median_s, p95_s = times[0] or 0.0, times[1] if len(times) > 1 else None
    if p95_s is not None and p95_s < median_s:
        rows.refuse(line, f"layer {shown(name)} has a 95th percentile below its median")
        return
    rows.median_s[name] = median_s
    if p95_s is not None:
        rows.p95_s[name] = p95_s


def _seconds(text: str, unit_s: float, delimiter: str) -> float | str:
    """A time of at least 0 s, or what is wrong with it."""
    if not text:
        return "its time is not filled in"
    # Where a comma cannot part two cells, it may be a decimal comma.
    plain = text.replace(",", ".") if delimiter != "," and "." not in text else text
    if len(plain) > MAX_NUMBER or not NUMBER.fullmatch(plain):
        return f"'{short(text, 30)}' is not a number"
    time_s = float(plain) * unit_s
    if time_s < 0:
        return f"'{short(text, 30)}' is negative"
    return time_s if time_s <= MAX_TIME_S else f"'{short(text, 30)}' is more than {MAX_TIME_S:,.0f} s"


def _require_all(rows: _Rows, reading: Reading) -> None:
    layers = zip(reading.graph.titles, reading.graph.layers, strict=True)
    missing = [title for title, layer in layers if not layer.is_input and layer.name not in rows.median_s]
    if not rows.refused and not missing:
        return
    parts = []
    if rows.refused:
        first = "; ".join(f"{where} {what}" for where, what in rows.problems[:2])
        more = f", and {count(rows.refused - 2, 'more line')}" if rows.refused > 2 else ""
        parts.append(first + more)
    if missing:
        parts.append(f"{count(len(missing), 'layer')} of {reading.network} missing: {few(missing)}")
    gone = [(name, "has no row") for name in missing]
    raise refusal(f"{reading.file} cannot be used: {'; '.join(parts)}.", [*rows.problems, *gone])


def _notes(columns: _Columns, rows: _Rows, layers: int) -> Iterator[str]:
    if columns.ignored:
        yield f"{count(len(columns.ignored), 'column was', 'columns were')} not used: {few(columns.ignored)}."
    if rows.inputs:
        yield f"{count(rows.inputs, 'row')} for inputs of the network not used: an input takes no time."
    without = layers - len(rows.p95_s)
    if without:
        which = "No layer has a" if without == layers else f"{count(without, 'layer has', 'layers have')} no"
        yield f"{which} 95th percentile: the median stands for it."


def template_json(graph: LayerGraph) -> bytes:
    """A profile of the network with all times 0, to be filled in with times that were measured elsewhere."""
    times = {layer.name: 0.0 for layer in graph.layers if not layer.is_input}
    source = "filled in by hand: say here how and on what the times were measured"
    made = Provenance(ProvenanceKind.MEASURED, source, {"processor": "?"}, {"threads": "?", "measured_on": "?"})
    return store.to_json(DeviceProfile("my-device", graph.name, graph.fingerprint, times, times, 0.0, made))


def template_csv(graph: LayerGraph) -> bytes:
    """A table with a row for each layer of the network, whose times are to be filled in."""
    rows = [
        f"{_quoted(title)},{_quoted(unwrapped(layer.module_path))},,\n"
        for title, layer in zip(graph.titles, graph.layers, strict=True)
        if not layer.is_input
    ]
    return f"{COMMENTS}layer,module,median_s,p95_s\n{''.join(rows)}".encode()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if NEEDS_QUOTES.search(name) else name
