"""What layers are called where people read it: by the module that made them, and by their kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

WRAPPER = "network"
"""The zoo wraps networks in a module of this name, which says nothing."""
KNOWN_AS = {
    "native_batch_norm_legit_no_training": "batch_norm",
    "native_batch_norm_legit": "batch_norm",
    "scaled_dot_product_attention": "attention",
    "to_copy": "to",
    "unsafe_view": "view",
}


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
    parts = operator.split(".")
    name = (parts[1] if len(parts) > 1 else parts[0]).strip("_")
    return KNOWN_AS.get(name, name)


def unwrapped(path: str) -> str:
    """A module's path without the module that the built-in networks are wrapped in."""
    return f"{path}.".removeprefix(f"{WRAPPER}.")[:-1]


def titles_of(layers: Sequence[Named]) -> tuple[str, ...]:
    """A title for each layer: `backbone.layer1.0.bn1`, or `features.0.conv2d` where the module is called by a number,
    made several, or holds others.

    Layers that no module made keep their names. All titles differ, and none is another layer's name.
    """
    paths = [unwrapped(layer.module_path) for layer in layers]
    made, names = Counter(paths), {layer.name for layer in layers}
    parents = {path[:place] for path in made for place, letter in enumerate(path) if letter == "."}
    taken, titles = set[str](), []
    for layer, path in zip(layers, paths, strict=True):
        kind = operator_name(layer.operator)
        last = path.rsplit(".", 1)[-1]
        enough = (made[path] == 1 and path not in parents and not last.isdigit()) or last == kind
        base = layer.name if not path else path if enough else f"{path}.{kind}"
        title, number = base, 1
        while title in taken or (title in names and title != layer.name):
            number += 1
            title = f"{base}_{number}"
        taken.add(title)
        titles.append(title)
    return tuple(titles)


def shortened(titles: Sequence[str]) -> tuple[str, ...]:
    """The shortest ends of titles that tell them apart and begin with a word, not with a number."""
    parts = [title.split(".") for title in titles]
    ends = Counter(".".join(part[-length:]) for part in parts for length in range(1, len(part) + 1))

    def short(part: list[str]) -> str:
        tails = (".".join(part[-length:]) for length in range(1, len(part)))
        return next((tail for tail in tails if ends[tail] == 1 and not tail[:1].isdigit()), ".".join(part))

    return tuple(short(part) for part in parts)
