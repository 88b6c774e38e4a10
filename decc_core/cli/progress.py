"""Progress on standard error, so that output can be piped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from decc_core.cli import output
from decc_core.text import printable

EVERY_S = 10.0
"""Where no bar can be drawn, in a log or a pipe, a line says from time to time how far it is."""


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar that hears how much of how much is done, and what is going on."""
    console = Console(stderr=True)
    if not console.is_terminal:
        with _lines(title) as lines:
            yield lines
        return
    with Progress(console=console, transient=True) as shown:
        task = shown.add_task(_literal(title))

        def told(done: int, total: int, what: str) -> None:
            shown.update(task, completed=done, total=total, description=_literal(f"{title}: {what}"))

        yield told


@contextmanager
def _lines(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """The same as lines; what is over soon says nothing."""
    began_s, over, state = time.monotonic(), threading.Event(), title

    def told(done: int, total: int, what: str) -> None:
        nonlocal state
        state = f"{title}: {what}, {done} of {total}" if total > 1 else f"{title}: {what}"

    def tell() -> None:
        while not over.wait(EVERY_S):
            output.note(f"{state} ({time.monotonic() - began_s:.0f} s so far)", "")

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield told
    finally:
        over.set()
        teller.join(1.0)


def _literal(text: str) -> str:
    """Names in it may come from files: brackets in them are no markup."""
    return escape(printable(text))
