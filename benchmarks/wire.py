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
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from decc_core import formats, library
from decc_core.network.graph import LayerGraph, TensorSpec
from decc_core.planner.analysis import Analysis
from decc_core.planner.strategies import solve
from decc_core.problem.instance import CostInstance
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import DEFAULT_CLOUD, DEFAULT_EDGE, Scenario
from decc_core.problem.wire import TensorCoding, WireProfile, tensor_name
from decc_core.study import findings
from decc_core.study.compare import compare

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
    deep, raw = list(_measured(graph, profile, len(graph.layers) / 3)), profile.codings["raw"]
    for name, tensors in profile.codings.items():
        both = [(raw[tensor], tensors[tensor]) for tensor in deep if tensor in tensors]
        if not both:
            continue
        smaller = [before.bytes_median / coding.bytes_median for before, coding in both]
        kept = [coding.agreement or 0.0 for _, coding in both]
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
        encode_ms = _usual_ms(partial(one.encode, values, MEGABYTE))
        decode_ms = _usual_ms(partial(one.decode, message, MEGABYTE))
        smaller = MEGABYTE.size_bytes / len(message)
        print(f"{name:24}{encode_ms:>7.2f} ms{decode_ms:>7.2f} ms{encode_ms + decode_ms:>7.2f} ms{smaller:>9.2f}x")


def _usual_ms(call: Callable[[], object]) -> float:
    """The median of a few repeats after one that does not count."""
    return statistics.median([_took_ms(call) for _ in range(1 + REPEATS)][1:])


def _took_ms(call: Callable[[], object]) -> float:
    """Processor time: the machine may be busy with other things."""
    before = time.process_time()
    call()
    return (time.process_time() - before) * 1e3


def splits() -> None:
    """One request of each network on each link and pair of devices; the ends send what the splits send.

    Only one network is measured on trained weights: tensors of the others are taken to be as many times smaller, and as
    quick to code, as its tensor at the same depth.
    """
    rows = [(wire, image) for wire in WIRES for image in ("raw", JPEG)]
    points: dict[tuple[str, str], list[findings.Point]] = {row: [] for row in rows}
    profiles = {model: _assumed(library.load_graph(model)) for model in NETWORKS}
    for model, rate, (_, slower, faster), (wire, image) in product(NETWORKS, UPLINKS_MBPS, PAIRS, rows):
        scenario = Scenario(
            model, edge_slowdown=slower, cloud_speedup=faster, uplink_mbps=rate, rtt_ms=10, wire=wire, input_wire=image,
            measured=profiles[model],
        )  # fmt: skip
        points[wire, image].append(_point(scenario))
    cases = len(NETWORKS) * len(UPLINKS_MBPS) * len(PAIRS)
    print(f"{len(NETWORKS)} networks x {len(UPLINKS_MBPS)} uplinks x {len(PAIRS)} pairs of devices, one request")
    print(f"{'features':12}{'input':>8}{'a split beats both ends in':>30}{'by, geometric mean':>20}{'at most':>9}")
    for (wire, image), found in points.items():
        better = [gain for point in found if (gain := point.gain("decc", findings.BEST_BASELINE)) > MORE]
        mean, most = (findings.geometric_mean(better), max(better)) if better else (1.0, 1.0)
        print(f"{wire:12}{image:>8}{f'{len(better)} of {cases}':>30}{mean:>19.2f}x{most:>8.2f}x")


def _point(scenario: Scenario) -> findings.Point:
    """The best plan beside both ends, as a study has it."""
    analysis = Analysis(_instance(scenario))
    times = {name: float(solve(analysis, name).schedule.makespan_ns) for name in ("edge-only", "cloud-only", "decc")}
    return findings.Point(scenario.model, scenario.uplink_mbps, scenario.requests, None, times)


def _instance(scenario: Scenario) -> CostInstance:
    model = scenario.model
    edge, cloud = (library.load_profile(model, name) for name in (DEFAULT_EDGE, DEFAULT_CLOUD))
    return scenario.instance(library.load_graph(model), edge, cloud)


def _assumed(graph: LayerGraph) -> WireProfile:
    """The trained network's wire profile, as one of another network: its tensors by their depth."""
    profile, trained = library.load_wire_profile(TRAINED), library.load_graph(TRAINED)
    if graph.fingerprint == trained.fingerprint:
        return profile
    known = [i for i in range(len(trained.tensors)) if tensor_name(trained, i) in profile.codings["raw"]]
    depths = np.array([trained.tensors[i].producer / len(trained.layers) for i in known])
    codings: dict[str, dict[str, TensorCoding]] = {name: {} for name in profile.codings}
    for i, tensor in enumerate(graph.tensors):
        alike = known[int(np.abs(depths - tensor.producer / len(graph.layers)).argmin())]
        image = tensor.producer in graph.inputs
        for name, tensors in profile.codings.items():
            coding = tensors.get(tensor_name(trained, alike))
            takes = formats.find(name).takes(tensor.spec)
            if coding is None or not takes or image != (trained.tensors[alike].producer in trained.inputs):
                continue
            times = tensor.spec.size_bytes / trained.tensors[alike].spec.size_bytes
            codings[name][tensor_name(graph, i)] = replace(
                coding,
                bytes_median=round(coding.bytes_median * times),
                bytes_p95=round(coding.bytes_p95 * times),
                encode_s=coding.encode_s * times,
                decode_s=coding.decode_s * times,
            )
    return replace(profile, graph_name=graph.name, graph_fingerprint=graph.fingerprint, codings=codings)


def _planned(scenario: Scenario, graph: LayerGraph, edge: DeviceProfile, cloud: DeviceProfile) -> None:
    compare(scenario.instance(graph, edge, cloud))


def planning() -> None:
    """All strategies and the bound: with tensors as they are, in one format, and in the best one of each tensor.

    Small tensors leave more cuts to decide about. How much of the time is due to that shows a link on which raw tensors
    are as quick as those in `int4`, which are an eighth.
    """
    kinds: dict[str, dict[str, Any]] = {
        "raw": {},
        "raw, 8x the link": {"uplink_mbps": 8 * UPLINKS_MBPS[1]},
        "int4": {"wire": "int4"},
        "any at >= 99%": {"wire": "any", "min_agreement": LEAST[0]},
    }
    print(f"{'planning, all strategies':28}" + "".join(f"{name:>18}" for name in kinds))
    usual = {"cloud_speedup": 4, "uplink_mbps": UPLINKS_MBPS[1], "rtt_ms": 10}
    ratios: dict[str, list[float]] = {name: [] for name in kinds}
    for model, requests in product(NETWORKS, (1, 8)):
        graph = library.load_graph(model)
        edge, cloud = (library.load_profile(model, name) for name in (DEFAULT_EDGE, DEFAULT_CLOUD))
        plans = {}
        for name, chosen in kinds.items():
            measured = _assumed(graph) if "wire" in chosen else None
            scenario = Scenario(model, **{**usual, **chosen}, requests=requests, measured=measured)
            plans[name] = partial(_planned, scenario, graph, edge, cloud)
        # By turns, and compared within a round: a machine's speed changes from one to the next.
        rounds = [{name: _took_ms(plan) for name, plan in plans.items()} for _ in range(1 + REPEATS)][1:]
        for name in kinds:
            ratios[name].append(statistics.median(took[name] / took["raw"] for took in rounds))
        medians = (statistics.median(took[name] for took in rounds) for name in kinds)
        print(f"{model + f', {requests} requests':28}" + "".join(f"{time_ms:>15.1f} ms" for time_ms in medians))
    means = map(statistics.geometric_mean, ratios.values())
    print(f"{'as a share of raw, mean':28}" + "".join(f"{mean:>17.2f}x" for mean in means))


if __name__ == "__main__":
    main()
