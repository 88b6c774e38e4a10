"""What is refused in the weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from tests.load.hostile_pt2.base import NETWORK, REFUSED, WEIGHTS, Parts, changed, ints, packed, refused


def weight(name: str, **fields: Any) -> None:
    def make(parts: Parts, marker: Path) -> bytes:
        return changed(parts, WEIGHTS, lambda found: found["config"]["conv.weight"].update(fields))

    REFUSED[name] = make


weight("a weight in another folder", path_name="../constants/tensor_0")
weight("a weight in no part", path_name="weight_99")
weight("a weight in the list of weights", path_name="model_weights_config.json")
weight("a weight without a shape", tensor_meta=None)


@refused
def a_weight_shorter_than_its_shape(parts, marker):
    return packed(parts | {"data/weights/weight_0": b"\0" * 16})


@refused
def a_weight_of_half_an_element(parts, marker):
    return packed(parts | {"data/weights/weight_0": b"\0" * 4321})


@refused
def a_weight_without_values(parts, marker):
    return packed(parts | {"data/weights/weight_0": b""})


@refused
def a_part_that_is_no_weight(parts, marker):
    return packed(parts | {"data/weights/weight_77": b"\0" * 16})


@refused
def a_weight_named_like_a_python_attribute(parts, marker):
    both = {name: parts[name].replace(b"conv.weight", b"__class__.forward") for name in (NETWORK, WEIGHTS)}
    return packed(parts | both)


@refused
def a_weight_shared_a_million_ways(parts, marker):
    def change(found):
        one = found["config"]["conv.weight"]
        one["tensor_meta"] |= {"sizes": ints(4, 3, 1 << 26), "strides": ints(0, 0, 0)}

    return changed(parts, WEIGHTS, change)


@refused
def two_types_on_the_same_bytes(parts, marker):
    def change(found):
        config = found["config"]
        config["conv.bias"] = copy.deepcopy(config["conv.weight"])
        config["conv.bias"]["tensor_meta"]["dtype"] = 4

    return changed(parts, WEIGHTS, change)
