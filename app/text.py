"""Names and sentences that come from files, as text: Markdown and charts take nothing in them for an order."""

from __future__ import annotations

import re

SPECIAL = re.compile(r"([\\`*_{}\[\]<>$~|#:!&])")
ADDRESS = re.compile(r"(://|www(?=\.)|@)", re.IGNORECASE)
"""Where an address begins. What is shown makes links of addresses, escaped or not, but not over a word joiner."""
WORD_JOINER = "\u2060"


def plain(text: str) -> str:
    """The text on one line, with everything escaped that Markdown would take for its own, and no links."""
    line = ADDRESS.sub(rf"\1{WORD_JOINER}", " ".join(text.split()))
    return SPECIAL.sub(r"\\\1", line)


def code(name: str) -> str:
    """The name as inline code in Markdown, with more backticks around it than there are inside."""
    line = " ".join(name.split()) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}"


def in_chart(text: str) -> str:
    """The text as a label or hover text of a chart shows it: Plotly would take tags in it for its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shortened(text: str, letters: int) -> str:
    """At most so many letters; the end is kept, where names of modules differ."""
    return text if len(text) <= letters else "…" + text[-(letters - 1) :]
