"""How the command line prints: readable tables, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from decc_core import store
from decc_core.errors import UnreadableFile
from decc_core.text import duration_s, gap_text, printable

WIDEST = 1000


def say(text: str) -> None:
    """A line on standard output; names in it may come from files, and be anything."""
    print(printable(text))


def note(text: str, begins: str = "note: ") -> None:
    """A line on standard error, so that output can be piped."""
    print(begins + printable(text), file=sys.stderr)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    highlight: int | None = None,
    dispensable: Sequence[str] = (),
) -> None:
    """A table whose first column is text and whose others are right-aligned; one row may stand out.

    In logs and pipes, where nobody knows the width, it is as wide as it needs. A narrow terminal goes without the
    `dispensable` columns, as many of them as it must, the first ones first; beyond that cells break.
    """
    lines, left_out = list(rows), list[str]()
    console = Console()
    while True:
        table = _table(title, columns, lines, highlight, left_out)
        width = console.measure(table, options=console.options.update(max_width=WIDEST)).maximum
        if not console.is_terminal or width <= console.width or len(left_out) == len(dispensable):
            break
        left_out.append(dispensable[len(left_out)])
    (console if console.is_terminal else Console(width=width)).print(table)
    if left_out:
        say(f"Left out, because the terminal is narrow: {', '.join(left_out)}.")


def _table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], highlight: int | None, left_out: Sequence[str]
) -> Table:
    table = Table(title=_literal(title), title_justify="left", title_style="bold")
    for i, column in enumerate(columns):
        if column not in left_out:
            table.add_column(_literal(column), justify="left" if i == 0 else "right", overflow="fold")
    for i, row in enumerate(rows):
        kept = (_literal(cell) for column, cell in zip(columns, row, strict=True) if column not in left_out)
        table.add_row(*kept, style="bold green" if i == highlight else None)
    return table


def _literal(text: str) -> Text:
    """Text as it is: a name with brackets in it is no markup."""
    return Text(printable(text))


@contextmanager
def exact_progress() -> Iterator[Callable[[float, float], None]]:
    """While the exact solver works, one line on the terminal's error stream: best value, best bound, gap."""
    status = Console(stderr=True).status("")
    started = False

    def show(value_s: float, bound_s: float) -> None:
        nonlocal started
        if not started:
            status.start()
            started = True
        gap = gap_text((value_s - bound_s) / bound_s) if bound_s > 0 else "unknown"
        status.update(f"exact solver: best {duration_s(value_s)}, bound {duration_s(bound_s)}, gap {gap}")

    try:
        yield show
    finally:
        if started:
            status.stop()


def print_json(value: Mapping[str, Any]) -> None:
    json.dump(_finite(value), sys.stdout, indent=1)
    print()


def _finite(value: Any) -> Any:
    """JSON knows no infinity: such numbers become null."""
    if isinstance(value, float) and not isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def write_json(value: Mapping[str, Any], path: Path) -> None:
    """Write a JSON file that is no stored type; says so on standard error, so that output can be piped."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_finite(value)) + "\n", encoding="utf-8")
    except OSError as error:
        raise UnreadableFile(f"Cannot write {path}: {error.strerror}.") from None
    note(f"Wrote {path}.", "")


def write_traces(traces: Iterable[tuple[str, Mapping[str, Any]]], path: Path) -> None:
    """A JSON file for each strategy or policy: the first under the name that was asked for, the others under theirs."""
    for i, (name, trace) in enumerate(traces):
        write_json(trace, path if i == 0 else path.with_stem(f"{path.stem}-{name}"))


def write_bytes(data: bytes, path: Path) -> None:
    """Write a file, with one clear sentence if that fails; says so on standard error, so that output can be piped."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise UnreadableFile(f"Cannot write {path}: {error.strerror}.") from None
    note(f"Wrote {path}.", "")


def save(value: store.Stored, path: Path) -> None:
    """Write a file, and say so."""
    store.save(value, path)
    say(f"Wrote {path}.")
