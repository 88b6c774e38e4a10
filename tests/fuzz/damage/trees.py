"""Trees of JSON, traces among them."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from tests.fuzz.damage.raw import LITERALS, TEXTS, VALUES


def in_json(data: bytes, rng: random.Random) -> bytes:
    """Values, keys and whole branches of the tree changed; now and then a literal that JSON does not have."""
    tree = json.loads(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        tree = changed_tree(tree, rng)
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")
    if rng.random() < 0.05:
        at = rng.choice([i for i, byte in enumerate(text) if byte in b":,["] or [0])
        text = text[: at + 1] + rng.choice(LITERALS) + text[at + 1 :]
    return text


def changed_tree(tree: Any, rng: random.Random) -> Any:
    if not isinstance(tree, (dict, list)) or not tree or rng.random() < 0.005:
        return rng.choice(VALUES)
    holder, key = _place(tree, rng)
    rng.choice(_BRANCH_EDITS)(holder, key, tree, rng)
    return tree


def _place(tree: Any, rng: random.Random) -> tuple[Any, Any]:
    """A dictionary or list somewhere in the tree, and one of its keys."""
    while True:
        key = rng.choice(list(tree)) if isinstance(tree, dict) else rng.randrange(len(tree))
        inside = tree[key]
        if not isinstance(inside, (dict, list)) or not inside or rng.random() < 0.1:
            return tree, key
        tree = inside


def _set_value(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    holder[key] = copy.deepcopy(rng.choice(VALUES))


def _near(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    """A value that is nearly right."""
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int):
        holder[key] = rng.choice((value + 1, value - 1, -value, value * 2, value << 32, str(value), float(value)))
    elif isinstance(value, float):
        holder[key] = rng.choice((-value, value * 1e9, int(value), str(value)))
    elif isinstance(value, str):
        at = rng.randrange(len(value) + 1)
        holder[key] = value[:at] + rng.choice(TEXTS) + value[at + rng.randrange(2) :]
    elif isinstance(value, list):
        rng.shuffle(value)
    else:
        holder[key] = [value]


def _copied(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    """Another value of the same file: names keep their meaning, and references lead elsewhere."""
    other, at = _place(tree, rng)
    holder[key] = copy.deepcopy(other[at])


def _taken_out(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    del holder[key]


def _again(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    if isinstance(holder, list):
        size = len(json.dumps(holder[key]))
        times = rng.choice((1, 1, 2, 300)) if size < 500 else 1
        holder[key:key] = [copy.deepcopy(holder[key]) for _ in range(times)]
    else:
        holder[f"{key}{rng.choice(TEXTS)}"] = copy.deepcopy(holder[key])


def _renamed(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    if isinstance(holder, dict):
        name = rng.choice((rng.choice(TEXTS), rng.choice(list(holder))))
        holder[name] = holder.pop(key)


def _nested(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    wrap = rng.choice((lambda value: [value], lambda value: {"items": [value]}, lambda value: {str(key): value}))
    for _ in range(rng.choice((1, 2, 100, 300))):
        holder[key] = wrap(holder[key])


_BRANCH_EDITS = (
    _set_value, _set_value, _set_value, _near, _near, _near, _near, _copied, _copied, _taken_out, _again,
    _renamed, _nested,
)  # fmt: skip


def in_trace(data: bytes, rng: random.Random) -> bytes:
    """The JSON of a trace, and often its events: others in their places, equal times, times inside each other."""
    tree = json.loads(data)
    events = tree["traceEvents"] if isinstance(tree, dict) else tree
    for _ in range(rng.choice((0, 1, 1, 3))):
        one, other = rng.choice(events), rng.choice(events)
        key = rng.choice(("ts", "dur", "name", "cat", "tid", "pid", "args", "ph"))
        if rng.random() < 0.3:
            one[key] = copy.deepcopy(rng.choice(VALUES))
        elif key in other:
            one[key] = copy.deepcopy(other[key])
        if rng.random() < 0.2:
            events += copy.deepcopy(events[: rng.choice((1, 10, 100))])
    text = json.dumps(tree).encode()
    return in_json(text, rng) if rng.random() < 0.5 else text
