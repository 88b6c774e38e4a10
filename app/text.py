"""Names that come from files, as text that Streamlit's markdown shows as they are."""

from __future__ import annotations

import re

SPECIAL = re.compile(r"([\\`*_{}\[\]<>$~|#:!&])")


def plain(text: str) -> str:
    """The text on one line, with everything escaped that markdown would take for its own."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))
