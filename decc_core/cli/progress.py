"""Progress on standard error, so that output can be piped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from decc_core.text import printable


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar that hears how much of how much is done, and what is going on."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(_literal(title))

        def told(done: int, total: int, what: str) -> None:
            shown.update(task, completed=done, total=total, description=_literal(f"{title}: {what}"))

        yield told


def _literal(text: str) -> str:
    """Names in it may come from files: brackets in them are no markup."""
    return escape(printable(text))
