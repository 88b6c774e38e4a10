"""What coding tensors for the link wins: `python -m benchmarks.wire [PART ...]`, all parts in about two minutes.

accuracy: how much smaller EfficientNet-Lite0's tensors are in formats that leave its classes as they were
codecs: what coding a megabyte takes of one core
splits: how often a split beats both ends, for raw and coded tensors, and for raw and JPEG inputs
planning: how much longer planning takes with formats

The first and the third read `sample_wire/`, which `benchmarks.sample_wire` measured on trained weights.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import exp, log

import numpy as np

from decc_core import formats, library
from decc_core.network.graph import FLOAT_DTYPES, LayerGraph, TensorSpec
from decc_core.planner.analysis import Analysis
from decc_core.planner.strategies import STRATEGIES, solve
from decc_core.problem.instance import CostInstance
from decc_core.problem.scenario import DEFAULT_CLOUD, DEFAULT_EDGE, Scenario
from decc_core.problem.wire import TensorCoding, WireProfile, tensor_name

TRAINED = "efficientnet_lite0"
LEAST = (0.99, 0.97)
NETWORKS = (
    "alexnet", "vgg16", "resnet18", "resnet50", "mobilenet_v2", "shufflenet_v2_x1_0", "squeezenet1_1", "googlenet",
    "inception_v3", "densenet121", "efficientnet_b0", TRAINED,
)  # fmt: skip
UPLINKS_MBPS = (5.85, 18.88, 50.0, 100.0)
PAIRS = (("cloud 4x", 1.0, 4.0), ("edge 5x slower, cloud 4x", 5.0, 4.0))
"""Factors on the times of one core, and of two."""
JPEG = "jpeg85"
WIRES = ("fp32", "int8+zstd", "int4")
MORE = 1.01
"""A split wins where it is that much faster than both ends."""
MEGABYTE = TensorSpec((1, 64, 56, 70), "float32")
"""A million bytes, as a map of features."""
REPEATS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"accuracy": accuracy, "codecs": codecs, "splits": splits, "planning": planning}
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[*parts, []], help="default: all")
    for name in parser.parse_args().parts or parts:
        parts[name]()
        print()


def accuracy() -> None:
    """Over the tensors behind the first third of the layers: times smaller in the smallest format that keeps enough."""
    graph, profile = library.load_graph(TRAINED), library.load_wire_profile(TRAINED)
    print(f"{TRAINED}: {profile.provenance.source}")
    print(f"{'format':24}{'smaller':>9}{'agreement, median':>19}{'least':>8}   (from the first third on)")
    deep = [name for name in _measured(graph, profile, len(graph.layers) / 3)]
    for name, tensors in profile.codings.items():
        found = [tensors[tensor] for tensor in deep if tensor in tensors]
        if not found:
            continue
        smaller = [profile.codings["raw"][tensor].bytes_median / tensors[tensor].bytes_median for tensor in deep if tensor in tensors]
        kept = [coding.agreement or 0.0 for coding in found]
        print(f"{name:24}{statistics.geometric_mean(smaller):>8.2f}x{statistics.median(kept):>18.1%}{min(kept):>8.1%}")
    for least in LEAST:
        best = [_smallest(profile, tensor, least) for tensor in deep]
        print(
            f"smallest format at >= {least:.0%}: {statistics.geometric_mean(best):.2f}x smaller "
            f"(median {statistics.median(best):.2f}x, from {min(best):.2f}x to {max(best):.2f}x, {len(best)} tensors)"
        )
    (image,) = (tensor_name(graph, tensor) for layer in graph.inputs for tensor in graph.tensors_of[layer])
    for name in formats.IMAGES:
        coding = profile.codings[name][image]
        raw = profile.codings["raw"][image].bytes_median
        print(f"input as {name}: {raw / coding.bytes_median:.2f}x smaller, agreement {coding.agreement:.1%}")


def _measured(graph: LayerGraph, profile: WireProfile, first_layer: float) -> Iterator[str]:
    """Names of the measured tensors from a layer on."""
    for i, tensor in enumerate(graph.tensors):
        if tensor.producer >= first_layer and (name := tensor_name(graph, i)) in profile.codings["raw"]:
            yield name


def _smallest(profile: WireProfile, tensor: str, least: float) -> float:
    """Times smaller in the smallest format that leaves so many classes as they were."""
    raw = profile.codings["raw"][tensor].bytes_median
    kept = (coding.get(tensor) for coding in profile.codings.values())
    return max(raw / one.bytes_median for one in kept if one is not None and (one.agreement or 0) >= least)


def codecs() -> None:
    """Encoding and decoding a megabyte of features, half of them zero, as after an activation."""
    drawn = np.random.default_rng(0).laplace(size=MEGABYTE.shape).astype(np.float32)
    values = np.maximum(drawn, 0)
    print(f"{'1 MB of fp32, one core':24}{'encode':>10}{'decode':>10}{'both':>10}{'smaller':>10}")
    for name in formats.NAMES:
        one = formats.find(name)
        if name != formats.RAW and not one.takes(MEGABYTE):
            continue
        message = one.encode(values, MEGABYTE)
        encode_ms, decode_ms = (
            _fastest_ms(call) for call in (lambda: one.encode(values, MEGABYTE), lambda: one.decode(message, MEGABYTE))
        )
        smaller = MEGABYTE.size_bytes / len(message)
        print(f"{name:24}{encode_ms:>7.2f} ms{decode_ms:>7.2f} ms{encode_ms + decode_ms:>7.2f} ms{smaller:>9.2f}x")
