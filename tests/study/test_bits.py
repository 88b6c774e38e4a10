"""What fewer bits a value are worth."""

from __future__ import annotations

from decc_core import library
from decc_core.problem.scenario import Scenario
from decc_core.study.bits import BITS, BitsRow, at_bits, changes, with_bits


def row(bits: float, advice: str) -> BitsRow:
    return BitsRow(bits, {"edge-only": 3, "decc": 2}, 2, advice, 1.5)


def test_the_advice_changes_between_neighbours_from_many_bits_to_few():
    rows = (row(4, "split"), row(32, "on the edge"), row(8, "on the edge"), row(2, "split"))
    ((more, fewer),) = changes(rows)
    assert (more.bits, fewer.bits) == (8, 4)
    assert row(8, "split").winner == "decc"
    assert changes(rows[:1]) == ()


def test_bytes_fall_in_proportion_and_a_scenario_is_otherwise_the_same():
    scenario = Scenario("squeezenet1_1", wire="int8", rtt_ms=10.0, min_agreement=0.9)
    graph = library.load_graph("squeezenet1_1")
    edge, cloud = (library.load_profile("squeezenet1_1", device) for device in (scenario.edge, scenario.cloud))
    raw, half, few = (with_bits(scenario, bits).instance(graph, edge, cloud) for bits in (32.0, 16.0, 2.0))
    assert not raw.formats
    floats = [i for i, tensor in enumerate(graph.tensors) if tensor.spec.dtype == "float32"]
    assert all(raw.wire_bytes[i] == 2 * half.wire_bytes[i] == 16 * few.wire_bytes[i] for i in floats)
    assert half.half_rtt_ns == raw.half_rtt_ns == 5_000_000
    assert max(BITS) == 32
    found = at_bits(few, 2.0)
    assert found.objective_ns["decc"] <= min(found.objective_ns.values())
    assert found.lower_bound_ns <= found.objective_ns["decc"]
