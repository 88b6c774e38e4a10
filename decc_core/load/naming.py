"""How names that come from a file are shown in a sentence: short, on one line, and harmless."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 80
FIRST = 5


def shown(name: str) -> str:
    """The name in quotes, without what a terminal would act on, and cut where it is long."""
    clean = "".join(char if char.isprintable() else "?" for char in name[: LONGEST + 1])
    return f"'{clean[:LONGEST] + '…' if len(clean) > LONGEST else clean}'"


def listed(names: Sequence[str], first: int = FIRST) -> str:
    """The first few names, and how many more there are."""
    found = ", ".join(shown(name) for name in names[:first])
    return found if len(names) <= first else f"{found} and {len(names) - first} more"


def file_name(path: str) -> str:
    """The last part of a path that somebody sent, in either system's spelling, without what no name needs."""
    part = path.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(char for char in part if char.isprintable()).strip()[:LONGEST] or "file"


def network_name(file: str) -> str:
    """What a network is called: the name of its file without the suffix."""
    name = file_name(file)
    return name.rsplit(".", 1)[0].strip() if "." in name[1:] else name


def tensors(count: int) -> str:
    return f"{count} tensor" if count == 1 else f"{count} tensors"
