"""Seconds, bytes and bit rates become integer nanoseconds, once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decc_core.errors import InvalidInstance, InvalidProfile
from decc_core.problem.instance import CostInstance, crossing_tensors, loads, sequential_ns
from decc_core.problem.link import Link, TensorWork
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from tests.builders import make_graph, make_instance

HERE = Provenance(ProvenanceKind.MEASURED, "made up for a test")


def profile_of(graph, **times_s) -> DeviceProfile:
    return DeviceProfile("d", graph.name, graph.fingerprint, times_s, times_s, sum(times_s.values()), HERE)


def test_a_link_takes_bits_over_rate_plus_overhead():
    link = Link(uplink_bps=8e6, downlink_bps=16e6, overhead_s=0.001)
    assert link.uplink_s(1_000_000) == pytest.approx(1.001)
    assert link.downlink_s(1_000_000) == pytest.approx(0.501)


def test_an_instance_counts_nanoseconds():
    graph = make_graph({"x": [], "y": ["x"]})
    link = Link(uplink_bps=32e3, downlink_bps=64e3, rtt_s=0.02, overhead_s=0.0)
    instance = CostInstance.build(graph, profile_of(graph, y=0.5), profile_of(graph, y=0.1), link)
    assert instance.edge_ns == (0, 500_000_000)
    assert instance.cloud_ns == (0, 100_000_000)
    assert instance.uplink_ns[0] == 1_000_000
    assert instance.downlink_ns[1] == 500_000
    assert sequential_ns(instance, instance.all_edge) == 500_000_000
    assert sequential_ns(instance, instance.all_cloud) == 1_000_000 + 100_000_000 + 500_000 + 20_000_000


def test_a_crossing_tensor_is_paid_once_however_many_read_it():
    graph = make_graph({"x": [], "a": ["x"], "b": ["a"], "c": ["a"], "y": ["b", "c"]})
    instance = make_instance(graph, {"a": 1}, {"b": 2, "c": 3, "y": 4}, {"a": 10, "x": 100}, downlink=5)
    cut = frozenset({0, 1})
    assert crossing_tensors(graph, cut) == (1,)
    assert loads(instance, cut) == (1, 10, 9, 5)


@pytest.mark.parametrize(
    "broken",
    [
        {"uplink_bps": 0.0, "downlink_bps": 1.0},
        {"uplink_bps": float("nan"), "downlink_bps": 1.0},
        {"uplink_bps": 1.0, "downlink_bps": -1.0},
        {"uplink_bps": 1.0, "downlink_bps": 1.0, "rtt_s": -0.1},
        {"uplink_bps": 1.0, "downlink_bps": 1.0, "overhead_s": float("inf")},
    ],
)
def test_impossible_links_are_refused(broken):
    with pytest.raises(InvalidInstance, match="must be finite"):
        Link(**broken)


def test_a_sum_beyond_63_bits_is_refused_with_its_cause():
    graph = make_graph({"x": [], "y": ["x"]})
    with pytest.raises(InvalidInstance, match="mostly uplink times"):
        make_instance(graph, {"y": 1}, {"y": 1}, {"x": 2**61}, requests=8)


def test_impossible_numbers_of_requests_are_refused():
    graph = make_graph({"x": [], "y": ["x"]})
    for requests in (0, -1, 100_000):
        with pytest.raises(InvalidInstance, match="cannot be planned"):
            make_instance(graph, {}, {}, {}, requests=requests)


def test_a_profile_must_cover_the_graph_layer_by_layer():
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    with pytest.raises(InvalidProfile, match="no time for layer 'a'"):
        profile_of(graph, y=1.0).require_graph(graph)
    with pytest.raises(InvalidProfile, match="times layer 'zzz'"):
        profile_of(graph, a=1.0, y=1.0, zzz=1.0).require_graph(graph)
    other = make_graph({"x": [], "a": ["x"], "y": ["a", "x"]})
    with pytest.raises(InvalidProfile, match="another version"):
        profile_of(other, a=1.0, y=1.0).require_graph(graph)


@pytest.mark.parametrize("time_s", [-1e-9, float("nan"), float("inf")])
def test_impossible_times_are_refused_with_the_layer(time_s):
    graph = make_graph({"x": [], "y": ["x"]})
    with pytest.raises(InvalidProfile, match="Layer 'y' has a median time"):
        profile_of(graph, y=time_s)


def test_scaling_multiplies_every_layer_and_says_so():
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    scaled = profile_of(graph, a=1.0, y=3.0).scaled_to_total(2.0, "a published total", "slow-board")
    assert scaled.median_s == {"a": 0.5, "y": 1.5}
    assert scaled.device == "slow-board"
    assert scaled.provenance.kind is ProvenanceKind.SCALED
    assert scaled.provenance.source == "a published total"
    for factor in (0.0, -1.0, float("nan")):
        with pytest.raises(InvalidProfile, match="factor above 0"):
            scaled.scaled(factor, "nonsense")


def test_sending_and_receiving_are_work_of_both_devices_and_of_the_way_back():
    # x has 4 bytes and y 4: the edge takes 2 ms + 4 x 1 ms for either, the cloud 3 ms + 4 x 5 ms.
    graph = make_graph({"x": [], "y": ["x"]})
    profiles, link = (profile_of(graph, y=0.5), profile_of(graph, y=0.1)), Link(32e3, 64e3, overhead_s=0.0)
    work = {"edge_work": TensorWork(0.002, 0.001), "cloud_work": TensorWork(0.003, 0.005)}
    instance = CostInstance.build(graph, *profiles, link, **work)
    assert instance.send_ns == (6_000_000, 6_000_000)
    assert instance.receive_ns == (23_000_000, 23_000_000)
    assert instance.edge_ns == (0, 500_000_000)
    assert instance.cloud_ns == (0, 123_000_000)  # y is sent back
    assert instance.uplink_ns[0] == 1_000_000
    assert instance.downlink_ns[1] == 6_500_000  # and received by the edge
    assert sequential_ns(instance, instance.all_cloud) == 6_000_000 + 1_000_000 + 23_000_000 + 123_000_000 + 6_500_000
    assert sequential_ns(instance, instance.all_edge) == 500_000_000


def test_a_core_to_spare_takes_the_work_and_makes_the_tensor_later():
    graph = make_graph({"x": [], "y": ["x"]})
    profiles, link = (profile_of(graph, y=0.5), profile_of(graph, y=0.1)), Link(32e3, 64e3, overhead_s=0.0)
    work = TensorWork(0.002, 0.001, spare_core=True)
    instance = CostInstance.build(graph, *profiles, link, edge_work=work, cloud_work=work)
    assert not instance.charges_work
    assert instance.cloud_ns == (0, 100_000_000)
    assert instance.uplink_ns[0] == 1_000_000 + 2 * 2_000_000
    assert instance.downlink_ns[1] == 500_000 + 2 * 2_000_000


@pytest.mark.parametrize("wrong", [(-0.1, 0.0), (0.0, float("nan")), (float("inf"), 0.0)])
def test_impossible_processor_times_are_refused(wrong):
    with pytest.raises(InvalidInstance, match="processor time"):
        TensorWork(*wrong)


def test_work_that_crossing_costs_has_an_entry_for_each_tensor():
    one = make_instance(make_graph({"x": [], "y": ["x"]}), {"y": 1}, {"y": 1}, {"x": 1})
    assert one.send_ns == one.receive_ns == (0, 0)
    with pytest.raises(InvalidInstance, match="send_ns has 1 entries"):
        replace(one, send_ns=(1,))
    with pytest.raises(InvalidInstance, match="receive_ns has a negative entry"):
        replace(one, receive_ns=(1, -1))
