"""How tensors travel: which format each takes, what it costs, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decc_core import store
from decc_core.errors import InvalidInstance, InvalidProfile, UnknownName, UnreadableFile
from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.problem.instance import CostInstance, coding_times_ns, loads
from decc_core.problem.link import Link, TensorWork
from decc_core.problem.profile import Provenance, ProvenanceKind
from decc_core.problem.scenario import Scenario
from decc_core.problem.wire import TensorCoding, Wire, WireProfile, bits_of, tensor_name
from tests.builders import two_profiles

MADE = Provenance(ProvenanceKind.MEASURED, "made up for a test")
LINK = Link(uplink_bps=8e6, downlink_bps=8e6, overhead_s=0.0)
"""A byte in a microsecond."""


def network() -> LayerGraph:
    """An image of 3 x 10 x 10 bytes; a, b and y with 1000, 500 and 10 floats."""
    specs = {"image": ((1, 3, 10, 10), "uint8"), "a": ((1, 10, 10, 10), "float32"), "b": ((500,), "float32")}
    specs["y"] = ((10,), "float32")
    layers, before = [], ()
    for name, (shape, dtype) in specs.items():
        layers.append(Layer(name, "op" if before else INPUT, before, (TensorSpec(shape, dtype),)))
        before = (TensorRef(name),)
    return LayerGraph("chain", tuple(layers), before)


GRAPH = network()
EDGE, CLOUD = two_profiles(GRAPH, dict.fromkeys("aby", 0.010), dict.fromkeys("aby", 0.001))


def coding(size: int, encode_ms: float = 1.0, decode_ms: float = 0.5, **more: float) -> TensorCoding:
    return TensorCoding(size, 2 * size, encode_ms / 1e3, decode_ms / 1e3, **more)


def measured(trained: bool = True) -> WireProfile:
    codings = {
        "int8+zstd": {"a:0": coding(600, agreement=1.0), "b:0": coding(300, agreement=0.99)},
        "int4+zstd": {"a:0": coding(300, agreement=0.9), "b:0": coding(100, agreement=0.995)},
        "jpeg85": {"image:0": coding(60, agreement=0.98)},
    }
    return WireProfile("chain", GRAPH.fingerprint, "here", MADE, 40, trained, codings)


def instance(wire: Wire, **more: object) -> CostInstance:
    return CostInstance.build(GRAPH, EDGE, CLOUD, LINK, wire=wire, **more)


@pytest.mark.parametrize("name", ["fp32", "raw"])
def test_raw_tensors_give_the_instance_that_there_was_before_there_were_formats(name):
    found = instance(Wire(name))
    assert found == instance(Wire())
    assert found.wire_bytes == (300, 4000, 2000, 40)
    assert found.uplink_ns == (300_000, 4_000_000, 2_000_000, 40_000)
    assert (found.formats, found.charges_work) == ((), False)


def test_a_format_of_no_time_and_raw_bytes_changes_nothing_but_its_name():
    sizes = {tensor_name(GRAPH, i): tensor.spec.size_bytes for i, tensor in enumerate(GRAPH.tensors)}
    same = {name: TensorCoding(size, size, 0.0, 0.0) for name, size in sizes.items()}
    found = instance(Wire("zstd", profile=replace(measured(), codings={"zstd": same})))
    assert set(found.formats) == {"zstd"}
    assert replace(found, formats=()) == instance(Wire())


def test_half_floats_halve_only_floats_both_ways_and_cost_no_work():
    found = instance(Wire("fp16"))
    assert found.wire_bytes == (300, 2000, 1000, 20)
    assert found.downlink_ns[3] == 20_000
    assert found.result_format == "fp16"
    assert not found.charges_work


def test_encoding_is_work_of_the_producer_and_decoding_of_the_first_consumer():
    found = instance(Wire("int8+zstd", profile=measured(), edge_factor=2.0, cloud_factor=0.1))
    assert found.formats == ("raw", "int8+zstd", "int8+zstd", "raw")
    assert found.wire_bytes == (300, 600, 300, 40)
    assert found.send_ns == found.encode_ns == (0, 2_000_000, 2_000_000, 0)
    assert found.receive_ns == found.decode_ns == (0, 50_000, 50_000, 0)
    cut = frozenset({0, 1})
    # 10 + 2 ms on the edge, 0.6 to send, 0.05 + 1 + 1 in the cloud, 0.04 back: results travel as they are.
    assert loads(found, cut) == (12_000_000, 600_000, 2_050_000, 40_000)
    encode, decode = coding_times_ns(found, cut)
    assert (encode.tolist(), decode.tolist()) == ([0, 2_000_000, 0, 0], [0, 0, 50_000, 0])


def test_coding_adds_to_what_sending_costs_and_a_core_to_spare_makes_both_a_delay():
    wire = Wire("int8+zstd", profile=measured())
    busy = instance(wire, edge_work=TensorWork.ms(0.25, 1.0), cloud_work=TensorWork.ms(0.5, 0.0))
    assert busy.send_ns[1] == 1_000_000 + 250_000 + 600
    assert busy.receive_ns[1] == 500_000 + 500_000
    spare = instance(wire, edge_work=TensorWork(0.0, 0.0, spare_core=True))
    assert (spare.send_ns[1], spare.receive_ns[1], spare.uplink_ns[1]) == (0, 500_000, 600_000 + 1_000_000)


def test_each_tensor_takes_the_cheapest_format_that_keeps_the_agreement():
    any_ = Wire("any", profile=measured())
    # Raw takes 0.3, 4 and 2 ms; coding takes 1.5, and then 0.06 for the image, 0.6 or 0.3 for a, 0.3 or 0.1 for b.
    assert instance(any_).formats == ("raw", "int4+zstd", "int4+zstd", "raw")
    assert instance(replace(any_, min_agreement=0.95)).formats == ("raw", "int8+zstd", "int4+zstd", "raw")
    assert instance(replace(any_, min_agreement=1.0)).formats == ("raw", "int8+zstd", "raw", "raw")
    # With ten times the coding time raw is the cheapest again.
    assert instance(replace(any_, edge_factor=10.0)).formats == ()


def test_one_format_is_taken_where_it_was_asked_for_and_the_inputs_may_have_another():
    wire = Wire("raw", "jpeg85", measured())
    assert instance(wire).formats == ("jpeg85", "raw", "raw", "raw")
    assert instance(replace(wire, min_agreement=0.99)).formats == ()
    both = instance(Wire("int4+zstd", "jpeg85", measured()))
    assert both.formats == ("jpeg85", "int4+zstd", "int4+zstd", "raw")


def test_of_the_bytes_the_median_is_planned_with_or_the_95th_percentile():
    wire = Wire("int8+zstd", profile=measured())
    assert instance(wire).wire_bytes[1] == 600
    assert instance(replace(wire, percentile=95)).wire_bytes[1] == 1200


def test_where_nothing_was_measured_sizes_are_certain_and_times_are_usual_ones():
    found = instance(Wire("int8"))
    assert found.formats == ("raw", "int8", "int8", "int8")
    assert found.wire_bytes == (300, 1009, 509, 19)
    # 0.6 and 0.2 ms for a million raw bytes, of which a has 4000.
    assert (found.encode_ns[1], found.decode_ns[1]) == (2400, 800)


def test_a_supposed_format_has_so_many_bits_a_value():
    found = instance(Wire("1.5bits"))
    assert found.wire_bytes == (300, 188, 94, 2)
    assert instance(Wire("32bits")).formats == ()
    assert [bits_of(name) for name in ("4bits", "0.25bits", "0bits", "65bits", "int8", "-1bits")] == [
        *(4.0, 0.25), *[None] * 4
    ]  # fmt: skip


def test_without_trained_weights_only_what_is_certain_is_planned_with():
    wire = Wire("int8+zstd", profile=measured(trained=False))
    assert instance(wire).formats == ()
    assert instance(replace(wire, format="int8,int8+zstd")).formats == ("raw", "int8", "int8", "int8")


def test_where_the_network_is_no_classifier_the_outputs_error_counts():
    kept = [
        TensorCoding(1, 1, 0, 0, output_error=error, agreement=share).kept
        for error, share in ((0.02, None), (0.5, 0.99), (None, None), (7.0, None))
    ]
    assert kept == [0.98, 0.99, None, 0.0]


@pytest.mark.parametrize(
    ("wire", "sentence"),
    [
        (lambda: Wire("int9"), "no wire format 'int9'"),
        (lambda: Wire("int8,"), "no wire format ''"),
        (lambda: Wire("int8", percentile=90), "percentile is 90; choose one of 50, 95"),
        (lambda: Wire("int8", min_agreement=1.2), "least agreement is 1.2; choose a number from 0 to 1"),
        (lambda: instance(Wire("any")), "takes a wire profile"),
        (lambda: instance(Wire("int8+zstd")), "How many bytes int8.zstd needs depends on the values"),
        (lambda: instance(Wire("jpeg85")), "How many bytes jpeg85 needs"),
        (lambda: instance(Wire("int8", min_agreement=0.9)), "What int8 does to the accuracy is not known"),
        (lambda: instance(Wire("4bits", min_agreement=0.9)), "What 4bits does to the accuracy is not known"),
        (lambda: TensorCoding(-1, 0, 0.0, 0.0), "has -1 bytes"),
        (lambda: TensorCoding(1, 1, float("nan"), 0.0), "time to encode is nan"),
        (lambda: TensorCoding(1, 1, 0.0, 0.0, agreement=1.5), "agreement is 1.5"),
        (lambda: replace(measured(), wire_version=99), "measured with version 99"),
        (lambda: replace(measured(), codings={"fp32": {}}), "calls a format 'fp32'; it is called 'raw'"),
        (lambda: replace(measured(), codings={"zip": {}}), "no wire format 'zip'"),
        (lambda: instance(Wire("any", profile=replace(measured(), graph_fingerprint="other"))), "wire profile is of"),
        (
            lambda: instance(Wire("any", profile=replace(measured(), codings={"zstd": {"z:0": coding(1)}}))),
            "has a tensor 'z:0', which 'chain' lacks",
        ),
    ],
)
def test_nonsense_is_refused_in_a_sentence(wire, sentence):
    with pytest.raises((InvalidInstance, InvalidProfile, UnknownName), match=sentence):
        wire()


def test_a_lossy_format_without_a_profile_leaves_a_doubt():
    assert "What 'int4' does to the accuracy is not known" in Wire("raw,int4").doubt
    assert "'2bits'" in Wire("2bits").doubt
    for wire in (Wire(), Wire("fp16"), Wire("zstd"), Wire("int4+zstd", profile=measured())):
        assert wire.doubt == ""


def test_a_wire_profile_survives_its_file(tmp_path):
    file = tmp_path / "wire.json"
    store.save(measured(), file)
    assert store.load(file, WireProfile) == measured()
    assert store.load_any(file) == measured()
    file.write_text(file.read_text().replace('"agreement": 1.0', '"agreement": 7'))
    with pytest.raises(InvalidProfile, match="agreement is 7"):
        store.load(file, WireProfile)
    file.write_text("{}")
    with pytest.raises(UnreadableFile):
        store.load(file, WireProfile)


def test_a_scenario_scales_coding_like_layers():
    scenario = Scenario("chain", edge_slowdown=3.0, cloud_speedup=2.0, wire="int8+zstd", measured=measured())
    found = scenario.instance(GRAPH, EDGE, CLOUD)
    assert (found.encode_ns[1], found.decode_ns[1]) == (3_000_000, 250_000)
    assert "measured" not in scenario.choices()


def test_a_device_that_is_slower_than_where_coding_was_measured_codes_more_slowly_and_a_faster_one_no_faster():
    # The made-up profiles take a second each.
    slow = Scenario("chain", edge_slowdown=3.0, wire="int8+zstd", measured=replace(measured(), whole_s=0.25))
    assert slow.instance(GRAPH, EDGE, CLOUD).encode_ns[1] == 12_000_000
    fast = replace(slow, measured=replace(measured(), whole_s=4.0))
    assert fast.instance(GRAPH, EDGE, CLOUD).encode_ns[1] == 3_000_000
