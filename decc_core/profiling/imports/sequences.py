"""The longest common subsequence of two lists of words, on machine words: 20,000 layers take a moment."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

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


def aligned_first(layers: Sequence[str], words: Sequence[str], minor: frozenset[str]) -> list[int]:
    """As `aligned`, but no number of minor words outweighs another one: they are aligned only between the others."""
    major_layers = [i for i, name in enumerate(layers) if name not in minor]
    major_words = [k for k, word in enumerate(words) if word not in minor]
    found = [-1] * len(words)
    for k, place in zip(
        major_words, aligned([layers[i] for i in major_layers], [words[k] for k in major_words]), strict=True
    ):
        found[k] = major_layers[place] if place >= 0 else -1
    ends = [(k, i) for k, i in enumerate(found) if i >= 0]
    for (k0, i0), (k1, i1) in pairwise([(-1, -1), *ends, (len(words), len(layers))]):
        between = [k for k in range(k0 + 1, k1) if words[k] in minor]
        places = [i for i in range(i0 + 1, i1) if layers[i] in minor]
        inner = aligned([layers[i] for i in places], [words[k] for k in between])
        for k, place in zip(between, inner, strict=True):
            found[k] = places[place] if place >= 0 else -1
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
