"""What layers are called where people read it: by the module that made them, and by their kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

WRAPPER = "network"
"""The zoo wraps networks in a module of this name, which says nothing."""
KNOWN_AS = {
    "native_batch_norm_legit_no_training": "batch_norm",
    "native_batch_norm_legit": "batch_norm",
    "scaled_dot_product_attention": "attention",
    "split_with_sizes": "split",
    "to_copy": "to",
    "unsafe_view": "view",
}
MADE_UP = re.compile(r"(?:node)?_*(.*?)(?:_(\d+))?", re.DOTALL)
"""A name that an exporter made of an operator: `_to_copy`, `node_Conv_1293`; its operator, and its number."""
TO = " … "
"""Between the first and the last of a run of layers."""
SPLITS = (0.5, 0.7, 0.3, 0.85, 0.15)
"""How much of the room a name's beginning gets where its middle is left out, as long as others look the same."""
LEAST_HEAD = 3
"""Fewer letters of a beginning say nothing."""


class Named(Protocol):
    """What of a layer its title depends on."""

    @property
    def name(self) -> str: ...
    @property
    def operator(self) -> str: ...
    @property
    def module_path(self) -> str: ...


def operator_name(operator: str) -> str:
    """The operator as people call it: without library, overload and the marks of private names."""
    name = _bare(operator)
    return KNOWN_AS.get(name, name)


def _bare(operator: str) -> str:
    parts = operator.split(".")
    return (parts[1] if len(parts) > 1 else parts[0]).strip("_")


def unwrapped(path: str) -> str:
    """A module's path without the module that the built-in networks are wrapped in."""
    return f"{path}.".removeprefix(f"{WRAPPER}.")[:-1]


def modules_above(path: str) -> list[str]:
    """A module and all that hold it, outermost first."""
    own = unwrapped(path)
    return [own[:place] for place, letter in enumerate(own) if letter == "."] + [own]


def shared_module(paths: Sequence[str]) -> str:
    """The innermost module that all of these modules lie in or are; empty where there is none."""
    shared = []
    for parts in zip(*(unwrapped(path).split(".") for path in paths), strict=False):
        if len(set(parts)) > 1 or not parts[0]:
            break
        shared.append(parts[0])
    return ".".join(shared)


def titles_of(layers: Sequence[Named]) -> tuple[str, ...]:
    """A title for each layer: `backbone.layer1.0.bn1`, or `features.0.conv2d` where the module is called by a number,
    made several, or holds others.

    Layers that no module made keep their names, or are called after their kind where an exporter has made the name of
    the operator's: `batch_norm_6`. All titles differ, and none is another layer's name.
    """
    paths = [unwrapped(layer.module_path) for layer in layers]
    made, names = Counter(paths), {layer.name for layer in layers}
    parents = {path[:place] for path in made for place, letter in enumerate(path) if letter == "."}
    taken, titles = set[str](), []
    for layer, path in zip(layers, paths, strict=True):
        kind = operator_name(layer.operator)
        last = path.rsplit(".", 1)[-1]
        enough = (made[path] == 1 and path not in parents and not last.isdigit()) or last == kind
        base = own_title(layer) if not path else path if enough else f"{path}.{kind}"
        title, number = base, 1
        while title in taken or (title in names and title != layer.name):
            number += 1
            title = f"{base}_{number}"
        taken.add(title)
        titles.append(title)
    return tuple(titles)


def own_title(layer: Named) -> str:
    """A layer's name, or its kind with the name's number where the name is but the operator's."""
    found = MADE_UP.fullmatch(layer.name)
    if found is None or found[1].casefold() != _bare(layer.operator).casefold():
        return layer.name
    kind = operator_name(layer.operator)
    return f"{kind}_{found[2]}" if found[2] else kind


def shortened(titles: Sequence[str]) -> tuple[str, ...]:
    """The shortest ends of titles that tell them apart and begin with a word, not with a number."""
    return tuple(readable for _, readable in _unique_ends(titles))


def _unique_ends(titles: Sequence[str]) -> list[tuple[str, str]]:
    """For each title the shortest end that no other has, and the shortest such that begins with a word."""
    parts = [title.split(".") for title in titles]
    ends = Counter(".".join(part[-length:]) for part in parts for length in range(1, len(part) + 1))
    found = []
    for title, part in zip(titles, parts, strict=True):
        tails = (".".join(part[-length:]) for length in range(1, len(part)))
        unique = [tail for tail in tails if ends[tail] == 1]
        readable = next((tail for tail in unique if not tail[:1].isdigit()), title)
        found.append((unique[0] if unique else title, readable))
    return found


def labels(things: Sequence[Sequence[str]], letters: int) -> tuple[str, ...]:
    """A label of at most so many letters for each of the things that are shown together.

    A thing is told by one title, or by its first and its last. Each title becomes the shortest end that is unique
    among all of them and begins with a word. Where that is too long, its middle is left out, so that the end which
    tells it apart stays, and different titles still look different.
    """
    distinct = list(dict.fromkeys(title for thing in things for title in thing))
    ends = dict(zip(distinct, _unique_ends(distinct), strict=True))
    fitted: dict[tuple[str, ...], str] = {}
    taken: set[str] = set()
    for thing in dict.fromkeys(map(tuple, things)):
        both = TO.join(ends[title][1] for title in thing)
        if len(thing) > 1 and len(both) > letters:
            # Two names cut short say less than the first of them.
            marked = f"{ends[thing[0]][1]}{TO.rstrip()}"
            tries = [marked] if len(marked) <= letters else _fitted(*ends[thing[0]], letters)
        else:
            tries = [both] if len(thing) > 1 else _fitted(*ends[thing[0]], letters)
        fitted[thing] = next((label for label in tries if label not in taken), tries[0])
        taken.add(fitted[thing])
    return tuple(fitted[tuple(thing)] for thing in things)


def _fitted(unique: str, readable: str, letters: int) -> list[str]:
    """A name on so many letters, the best way first: whole, with its beginning and its unique end, or with the middle
    of that left out."""
    if len(readable) <= letters:
        return [readable]
    parts = readable.split(".")
    tails = (".".join(parts[i:]) for i in range(1, len(parts)))
    most = letters - 1 - LEAST_HEAD
    end = next((tail for tail in tails if len(unique) <= len(tail) <= most), unique)
    if len(end) <= most:
        head = readable[: letters - 1 - len(end)].rstrip("._")
        return [f"{head}…{end}", *(middle_left_out(readable, letters, share) for share in SPLITS)]
    return [middle_left_out(unique, letters, share) for share in SPLITS]


def middle_left_out(text: str, letters: int, share: float = 0.5) -> str:
    """The text on at most so many letters: its beginning, which gets this share of the room, and its end."""
    if len(text) <= letters:
        return text
    head = max(1, round((letters - 1) * share))
    tail = max(1, letters - 1 - head)
    return f"{text[:head].rstrip('._')}…{text[-tail:].lstrip('._')}"
