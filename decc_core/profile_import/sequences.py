"""The longest common subsequence of two lists of words, on machine words: 20,000 layers take a moment."""

from __future__ import annotations

from collections.abc import Sequence

MAX_CELLS = 2_000_000_000
"""Layers times operators of one pass, a bit for each."""


def aligned(layers: Sequence[str], words: Sequence[str]) -> list[int]:
    """For each word the index of its layer, or -1, so that as many as possible are equal and in the same order.

    Bit-parallel, after Hyyrö (2004): a row of the table is one integer; the way back reads single bits.
    """
    table = _rows(layers, words)
    found = [-1] * len(words)
    column, row = len(layers), len(words)
    while column and row:
        if table[row] >> (column - 1) & 1:
            column -= 1
        else:
            row -= 1
            if row and not table[row] >> (column - 1) & 1:
                continue
            column -= 1
            found[row] = column
    return found


def common_length(layers: Sequence[str], words: Sequence[str]) -> int:
    """How many words `aligned` would find a layer for."""
    bits, last = (1 << len(layers)) - 1, (1 << len(layers)) - 1
    masks = _masks(layers)
    for word in words:
        last = _step(last, masks.get(word, 0), bits)
    return len(layers) - last.bit_count()


def _rows(layers: Sequence[str], words: Sequence[str]) -> list[int]:
    bits = (1 << len(layers)) - 1
    masks, rows = _masks(layers), [bits]
    for word in words:
        rows.append(_step(rows[-1], masks.get(word, 0), bits))
    return rows


def _step(row: int, mask: int, bits: int) -> int:
    both = row & mask
    return ((row + both) | (row - both)) & bits


def _masks(layers: Sequence[str]) -> dict[str, int]:
    masks: dict[str, int] = {}
    for i, name in enumerate(layers):
        masks[name] = masks.get(name, 0) | 1 << i
    return masks


def period(words: Sequence[str]) -> int:
    """The shortest length of which the list is a whole number of equal repeats."""
    borders = [0] * len(words)
    for i in range(1, len(words)):
        k = borders[i - 1]
        while k and words[i] != words[k]:
            k = borders[k - 1]
        borders[i] = k + (words[i] == words[k])
    shortest = len(words) - borders[-1] if words else 0
    return shortest if shortest and len(words) % shortest == 0 else len(words)
