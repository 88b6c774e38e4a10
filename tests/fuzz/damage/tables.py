"""Tables of text."""

from __future__ import annotations

import random

from tests.fuzz.damage.raw import TEXTS

CELLS = (
    "0", "1", "-1", "0.5", "1e-3", "1e6", "1e7", "1e999", "nan", "inf", "0,5", "1_000", "٣", "½", '"', '""',
    '"a', "a\nb", "#", "", " ", "layer", "median_s", "median_us", "p95_s", "p95_µs", ";", ",", "\t", "\r",
    "\0", "9" * 100,
)  # fmt: skip


def in_table(data: bytes, rng: random.Random) -> bytes:
    """Cells and lines of a table changed, swapped, doubled; other delimiters."""
    lines = [line.split(",") for line in data.decode("utf-8", "surrogateescape").split("\n")]
    for _ in range(rng.choice((1, 1, 2, 4))):
        line = rng.choice(lines)
        at, choice = rng.randrange(len(line)), rng.randrange(7)
        if choice < 3:
            line[at] = rng.choice((rng.choice(CELLS), rng.choice(TEXTS), line[at] + rng.choice(CELLS)))
        elif choice == 3:
            line.insert(at, rng.choice(CELLS))
        elif choice == 4:
            lines.insert(rng.randrange(len(lines)), list(line))
        elif choice == 5 and len(lines) > 1:
            lines.remove(line)
        else:
            rng.shuffle(line)
    text = rng.choice((",", ",", ",", ";", "\t")).join
    return rng.choice(("\n", "\n", "\r\n", "\r")).join(map(text, lines)).encode("utf-8", "surrogateescape")
