"""Zip archives of any content, made by the same few lines for every test that wants one."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable


def zipped(parts: dict[str, bytes] | Iterable[tuple[str, bytes]], packing: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these parts, whatever they are called."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, content in parts.items() if isinstance(parts, dict) else parts:
            entry = zipfile.ZipInfo("a")
            entry.filename, entry.compress_type = name, packing
            # Two parts of one name are what is wanted here, without a warning.
            archive.NameToInfo.clear()
            with archive.open(entry, "w") as part:
                part.write(content)
    return buffer.getvalue()
