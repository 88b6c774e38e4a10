"""Numbers from outside: ASCII digits, and values that mean something, wherever they enter."""

from __future__ import annotations

from math import inf, nan

import pytest

from decc_core import ranges
from decc_core.cli.plan import CompareOptions
from decc_core.errors import DeccError
from decc_core.models.device import DeviceSettings
from decc_core.models.zoo import is_known
from decc_core.network.graph import Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.problem.constraints import Constraints
from decc_core.problem.link import Link
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.problem.scenario import Scenario, parsed
from decc_core.profiling.settings import ProfileSettings
from decc_core.runtime.controller.report import RunSettings
from decc_core.runtime.wire.pacing import UNSHAPED, LinkShape, Rate
from decc_core.runtime.wire.transport import Address

FOREIGN = ("١٢", "１２", "४", "²", "1_000", "", " ", "0x10", "1,5", "12\n٣")
SPEC = TensorSpec((1,), "float32")
NOWHERE = Provenance(ProvenanceKind.MEASURED, "test")


def profile(time_s: float = 1.0, whole_s: float = 1.0, calibration: float = 1.0) -> DeviceProfile:
    return DeviceProfile("d", "g", "f", {"a": time_s}, {}, whole_s, NOWHERE, calibration)


def graph(flops: int = 0, weight: int = 0) -> LayerGraph:
    layers = (Layer("x", "input", (), (SPEC,)), Layer("a", "op", (TensorRef("x"),), (SPEC,), flops=flops))
    return LayerGraph("g", layers, (TensorRef("a"),), {"w": weight})


MEASURES = {
    "uplink rate": lambda value: Link(value, 1e6),
    "downlink rate": lambda value: Link(1e6, value),
    "round trip": lambda value: Link(1e6, 1e6, value),
    "overhead": lambda value: Link(1e6, 1e6, 0, value),
    "rate of a run": lambda value: Rate((value,)),
    "time of a trace": lambda value: Rate((1e6, 1e6), (0.0, value)),
    "jitter": lambda value: LinkShape(Rate((1e6,)), Rate((1e6,)), jitter_s=value),
    "layer": profile,
    "whole": lambda value: profile(whole_s=value),
    "calibration": lambda value: profile(calibration=value),
    "scale": lambda value: profile().scaled(value, "test"),
    "slowdown": lambda value: Scenario("g", edge_slowdown=value),
    "speed-up": lambda value: Scenario("g", cloud_speedup=value),
    "uplink of a scenario": lambda value: Scenario("g", uplink_mbps=value),
    "round trip of a scenario": lambda value: Scenario("g", rtt_ms=value),
    "memory": lambda value: Scenario("g", edge_memory_mb=value),
    "bytes": lambda value: Scenario("g", uplink_kb=value),
    "dilation": lambda value: RunSettings(UNSHAPED, dilation=value),
    "deadline": lambda value: RunSettings(UNSHAPED, deadline_s=value),
    "proof": lambda value: CompareOptions(Scenario("g"), None, value, False),
}


@pytest.mark.parametrize("value", [nan, inf, -inf, -1.0, 1e300])
@pytest.mark.parametrize("measure", MEASURES)
def test_no_measure_is_endless_negative_absurd_or_no_number(measure, value):
    with pytest.raises(DeccError):
        MEASURES[measure](value)


COUNTS = {
    "requests": lambda value: Scenario("g", requests=value),
    "seed": lambda value: RunSettings(UNSHAPED, seed=value),
    "threads": DeviceSettings,
    "repeats": lambda value: ProfileSettings(repeats=value),
    "memory": lambda value: Constraints(edge_memory_bytes=value),
    "bytes sent": lambda value: Constraints(uplink_bytes=value),
    "shape": lambda value: TensorSpec((value, 2), "float32"),
    "FLOPs": lambda value: graph(flops=value),
    "weights": lambda value: graph(weight=value),
}


@pytest.mark.parametrize("value", [-(2**64), 2**63, 10**400])
@pytest.mark.parametrize("count", COUNTS)
def test_no_count_leaves_the_range_of_its_kind(count, value):
    with pytest.raises(DeccError):
        COUNTS[count](value)


def test_sizes_are_refused_where_only_their_sum_or_product_is_too_large():
    with pytest.raises(DeccError, match="larger than any"):
        TensorSpec((2**31, 2**31), "float32")
    with pytest.raises(DeccError, match="larger than any"):
        TensorSpec((1,) * 1000, "float32")
    huge = TensorSpec((2**30, 2**30), "float32")
    with pytest.raises(DeccError, match="more bytes of tensors than"):
        LayerGraph("g", (Layer("x", "input", (), (huge, huge)),), (TensorRef("x"),))


@pytest.mark.parametrize("text", FOREIGN)
def test_only_ascii_digits_are_numbers(text):
    for read in (ranges.number, ranges.whole_number, lambda text: parsed("requests", text)):
        with pytest.raises(ValueError, match="is no"):
            read(text)
    assert not ranges.is_count(text)
    assert not is_known(f"multiview{text}")
    with pytest.raises(DeccError, match="is no address"):
        Address.parse(f"127.0.0.1:{text}")


def test_ordinary_numbers_are_read():
    assert [ranges.number(text) for text in ("1", "-2.5", ".5", "3.", "1e-3", " 7 ")] == [1, -2.5, 0.5, 3, 1e-3, 7]
    assert [ranges.whole_number(text) for text in ("12", "-3", "+4")] == [12, -3, 4]
    assert ranges.is_count("007")
    assert is_known("multiview4-float")
