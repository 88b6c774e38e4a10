"""Names and sentences that come from files, as text: Markdown takes nothing in them for an order."""

from __future__ import annotations

import re

SPECIAL = re.compile(r"([\\`*_{}\[\]<>$~|#:!&])")


def plain(text: str) -> str:
    """The text on one line, with everything escaped that Markdown would take for its own."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code(name: str) -> str:
    """A name in fixed width, as Markdown."""
    return "`" + " ".join(name.replace("`", "'").split()) + "`"
