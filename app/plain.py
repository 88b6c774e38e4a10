"""Names and sentences from models as text: nothing in them is taken for markup."""

from __future__ import annotations

import string

ESCAPED = str.maketrans({mark: f"\\{mark}" for mark in string.punctuation} | {"\n": " ", "\r": " "})


def plain(text: str) -> str:
    """The text as Markdown that shows exactly it."""
    return text.translate(ESCAPED)


def code(name: str) -> str:
    """A name in fixed width, as Markdown."""
    return "`" + name.replace("`", "'").replace("\n", " ").replace("\r", " ") + "`"
