"""A scenario makes one instance, and says itself in options, addresses and JSON without losing anything."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from app.shell.address import parameters, scenario_of
from app.state import FACTORS, LEFT_OUT, RATES, ROUND_TRIPS
from decc_core import library
from decc_core.cli import scenario as command_line
from decc_core.cli.parser import make_parser
from decc_core.errors import InvalidInstance, UnknownName
from decc_core.problem.constraints import UNCONSTRAINED, Constraints
from decc_core.problem.instance import Objective, Results
from decc_core.problem.link import Link
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.problem.scenario import Scenario, parsed
from tests.builders import make_graph

CHAIN = make_graph({"x": [], "a": ["x"], "b": ["a"]}, name="chain")
"""Every tensor is one float: 4 bytes."""
HERE = Provenance(ProvenanceKind.MEASURED, "made up for a test")


def profile_of(**times_s) -> DeviceProfile:
    return DeviceProfile("d", CHAIN.name, CHAIN.fingerprint, times_s, times_s, sum(times_s.values()), HERE)


EDGE, CLOUD = profile_of(a=0.3, b=0.2), profile_of(a=0.04, b=0.02)


def read_back(scenario: Scenario) -> Scenario:
    """Through the words of a command."""
    words = [word for option in scenario.options().items() for word in option]
    return command_line.scenario_of(make_parser().parse_args(["compare", scenario.model, *words]))


def test_an_instance_has_the_factors_and_the_link_of_its_scenario():
    scenario = Scenario(
        "chain", edge_slowdown=3, cloud_speedup=2, uplink_mbps=0.032, rtt_ms=20.0, overhead_ms=1.0, requests=5
    )
    instance = scenario.instance(CHAIN, EDGE, CLOUD)
    assert instance.edge_ns == (0, 900_000_000, 600_000_000)
    assert instance.cloud_ns == (0, 20_000_000, 10_000_000)
    # 32 bits at 32 kbit/s and 1 ms of overhead, and as much on the way back.
    assert instance.uplink_ns == instance.downlink_ns == (2_000_000,) * 3
    assert (instance.rtt_ns, instance.requests) == (20_000_000, 5)
    assert replace(scenario, downlink_mbps=0.016).instance(CHAIN, EDGE, CLOUD).downlink_ns == (3_000_000,) * 3
    assert replace(scenario, wire="fp16").instance(CHAIN, EDGE, CLOUD).wire_bytes == (2, 2, 2)


def test_a_factor_of_one_leaves_the_profile_and_its_origin_alone():
    assert Scenario("chain").scaled(EDGE, CLOUD) == (EDGE, CLOUD)
    edge, cloud = Scenario("chain", edge_slowdown=2.0).scaled(EDGE, CLOUD)
    assert edge.provenance.kind is ProvenanceKind.SCALED
    assert edge.provenance.source == "d, 2 times slower"
    assert edge.whole_s == 1.0
    assert cloud is CLOUD


@pytest.mark.parametrize(
    ("chosen", "constraints"),
    [
        ({}, UNCONSTRAINED),
        ({"keep_on_edge": "inputs"}, Constraints(on_edge=frozenset({1}))),
        ({"keep_on_edge": "2"}, Constraints(on_edge=frozenset({1, 2}))),
        ({"keep_on_edge": "a, x"}, Constraints(on_edge=frozenset({0, 1}))),
        ({"keep_in_cloud": "b"}, Constraints(in_cloud=frozenset({2}))),
        ({"edge_memory_mb": 0.5, "uplink_kb": 0.004}, Constraints(edge_memory_bytes=500_000, uplink_bytes=4)),
    ],
)
def test_constraints_are_chosen_by_names_counts_and_limits(chosen, constraints):
    assert Scenario("chain", **chosen).constraints(CHAIN) == constraints
    assert constraints.is_free is not bool(chosen)
    assert Scenario("chain", **chosen).instance(CHAIN, EDGE, CLOUD).constraints == constraints


@pytest.mark.parametrize(
    ("wrong", "error", "sentence"),
    [
        ({"edge_slowdown": 0.0}, InvalidInstance, "edge slowdown is 0; choose a number above 0"),
        ({"cloud_speedup": float("nan")}, InvalidInstance, "cloud speed-up is nan"),
        ({"edge_memory_mb": float("inf")}, InvalidInstance, "edge memory limit is inf"),
        ({"uplink_kb": -3.0}, InvalidInstance, "uplink limit is -3"),
        ({"wire": "fp7"}, UnknownName, "no wire format 'fp7'; choose one of fp32, fp16"),
        ({"objective": "joy"}, UnknownName, "no objective 'joy'"),
    ],
)
def test_nonsense_is_refused_when_it_is_chosen(wrong, error, sentence):
    with pytest.raises(error, match=sentence):
        Scenario("chain", **wrong)


def test_names_that_the_network_lacks_are_refused_when_they_are_looked_up():
    with pytest.raises(UnknownName, match="has no layer 'nope'"):
        Scenario("chain", keep_in_cloud="nope").constraints(CHAIN)


def test_wire_and_objective_may_be_said_in_words():
    scenario = Scenario("chain", wire="fp16", objective="throughput")
    assert scenario == Scenario("chain", wire="fp16", objective=Objective.THROUGHPUT)
    assert (scenario.choices()["wire"], scenario.choices()["objective"]) == ("fp16", "throughput")


def test_options_leave_out_what_is_not_limited_and_parameters_what_is_as_at_the_opening():
    scenario = Scenario("chain", uplink_mbps=0.1, requests=2, uplink_kb=20.0)
    options = scenario.options()
    assert options["--uplink-mbps"] == "0.1"
    assert options["--uplink-kb"] == "20"
    assert "--downlink-mbps" not in options
    assert "--model" not in options
    assert scenario.parameters(Scenario("chain")) == {"uplink_mbps": "0.1", "requests": "2", "uplink_kb": "20"}
    assert scenario.parameters(replace(scenario, downlink_mbps=5.0)) == {"downlink_mbps": "same"}
    assert parsed("downlink_mbps", "same") is None
    with pytest.raises(ValueError, match="many"):
        parsed("requests", "many")


def test_a_description_names_the_network_and_every_choice():
    described = Scenario("file.json", uplink_mbps=5.0, keep_on_edge="inputs").description(CHAIN)
    assert described["model"] == "chain"
    assert described["fingerprint"] == CHAIN.fingerprint
    assert described["layers"] == 3
    assert described["downlink_mbps"] == 5.0
    assert list(described) == [
        "model", "fingerprint", "layers", "edge", "cloud", "edge_slowdown", "cloud_speedup", "uplink_mbps",
        "downlink_mbps", "rtt_ms", "overhead_ms", "requests", "wire", "objective", "results",
        "keep_on_edge", "keep_in_cloud", "edge_memory_mb", "uplink_kb",
        "edge_tensor_ms", "edge_mb_ms", "cloud_tensor_ms", "cloud_mb_ms",
        "input_wire", "wire_profile", "min_agreement", "wire_percentile",
    ]  # fmt: skip


def test_addresses_and_commands_give_back_the_scenario_that_made_them():
    rng = random.Random(15)
    for _ in range(200):
        scenario = Scenario(
            rng.choice(library.shipped_models()),
            edge=rng.choice(("cpu-1-thread", "jetson-nano", "own: a board")),
            edge_slowdown=rng.choice(FACTORS),
            cloud_speedup=rng.choice(FACTORS),
            uplink_mbps=rng.choice(RATES),
            downlink_mbps=rng.choice((None, *RATES)),
            rtt_ms=rng.choice(ROUND_TRIPS),
            overhead_ms=rng.choice((0.1, rng.random() * 100)),
            edge_tensor_ms=rng.choice((0.0, rng.random())),
            edge_mb_ms=rng.choice((0.0, 1.75)),
            cloud_tensor_ms=rng.choice((0.0, 0.25)),
            cloud_mb_ms=rng.choice((0.0, rng.random())),
            requests=rng.randint(1, 64),
            wire=rng.choice(["fp32", "fp16"]),
            objective=rng.choice(list(Objective)),
            results=rng.choice(list(Results)),
        )
        assert scenario_of(parameters(scenario)) == (scenario, ())
        assert read_back(scenario) == scenario
        more = replace(
            scenario,
            keep_on_edge=rng.choice((None, "inputs", "3", "a,b")),
            keep_in_cloud=rng.choice((None, "b")),
            edge_memory_mb=rng.choice((None, 0.0, rng.random())),
            uplink_kb=rng.choice((None, rng.random() * 1e6)),
            wire=rng.choice(["fp32", "int8", "int4-channel,int6-clip", "1.5bits"]),
            input_wire=rng.choice((None, "raw", "jpeg85")),
            min_agreement=rng.choice((None, rng.random())),
            wire_percentile=rng.choice((50, 95)),
        )
        assert read_back(more) == more


def test_the_page_takes_constraints_from_an_address():
    scenario, refused = scenario_of({"keep_on_edge": "inputs", "requests": "3"})
    assert not refused
    assert scenario == replace(LEFT_OUT, keep_on_edge="inputs", requests=3)


def test_a_preset_gives_the_link_but_for_what_the_command_says(tmp_path):
    preset = tmp_path / "network.json"
    preset.write_text('{"uplink_mbps": 7.5, "downlink_mbps": 3, "rtt_ms": 4, "overhead_ms": 0.3}')
    given = make_parser().parse_args(["plan", "alexnet", "--network", str(preset), "--rtt", "0"])
    assert command_line.scenario_of(given).link == Link.mbps(7.5, 3, 0, 0.3)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({}, ()),
        ({"keep_on_edge": "inputs"}, ("raw inputs never leave the edge",)),
        ({"keep_on_edge": "0"}, ()),
        ({"keep_on_edge": "1"}, ("the first layer stays on the edge",)),
        ({"keep_on_edge": "1200"}, ("the first 1,200 layers stay on the edge",)),
        ({"keep_on_edge": "a"}, ("'a' stays on the edge",)),
        (
            {"keep_on_edge": "a, b,c,d,e", "keep_in_cloud": "y,z"},
            ("'a', 'b', 'c' and 2 more stay on the edge", "'y', 'z' stay in the cloud"),
        ),
        (
            {"edge_memory_mb": 64.5, "uplink_kb": 500.0},
            ("at most 64.5 MB of weights and live tensors on the edge", "at most 500 kB up per request"),
        ),
    ],
)
def test_limits_are_told_in_words(chosen, words):
    assert Scenario("g", **chosen).limits == words
