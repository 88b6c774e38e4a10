"""Files that are damaged, enormous, or of another kind."""

from __future__ import annotations

import gzip
import json
import time

import pytest

from decc_core.errors import DeccError, UnmappedTimes, UnreadableFile
from decc_core.profiling.imports import read_profile
from decc_core.profiling.imports.traces import NO_ARGS, Timed, calls, operator_of_event, operator_of_layer
from tests.builders import make_graph
from tests.profiling.imports.made import event, named_operators, one_pass, trace


def deep(depth: int) -> bytes:
    return b'{"traceEvents":' + b"[" * depth + b"]" * depth + b"}"


HOSTILE = {
    "empty": b"",
    "spaces": b"   \n ",
    "null bytes": b"\0" * 1000,
    "not UTF-8": b"layer,median_s\n\xff\xfe,1\n",
    "not UTF-8 in JSON": b'{"traceEvents":[{"name":"\xff\xfe"}]}',
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "a pickle": b"\x80\x04\x95\x10cposix\nsystem\n.",
    "half a gzip": gzip.compress(b"layer,median_s\n" * 99)[:30],
    "broken gzip": b"\x1f\x8b" + b"\x07" * 99,
    "half JSON": b'{"traceEvents": [{"name": "aten::conv2d"',
    "a number": b"42",
    "a list of numbers": b"[1, 2, 3]",
    "an empty list": b"[]",
    "an empty object": b"{}",
    "no events": b'{"traceEvents": []}',
    "events are a word": b'{"traceEvents": "none"}',
    "nested deep": deep(200_000),
    "nested deep in a list": b"[" * 200_000,
    "nested deep in arguments": b'[{"name":"a","args":' + b'{"a":' * 200_000,
    "nested deep in a profile": b'{"kind":"decc-profile","version":1,"content":' + b'{"a":' * 200_000,
    "a name is a list": trace({"ph": "X", "cat": "cpu_op", "name": [[]], "ts": 1, "dur": 1}),
    "a thread is an object": trace({"ph": "X", "cat": "cpu_op", "name": "a", "ts": 1, "dur": 1, "tid": {}}),
    "NaN": b'{"traceEvents":[{"ph":"X","cat":"cpu_op","name":"aten::relu","ts":NaN,"dur":NaN}]}',
    "huge numbers": b'{"traceEvents":[{"ph":"X","cat":"cpu_op","name":"aten::relu","ts":1e308,"dur":1e308}]}',
    "an integer of many digits": b'[{"ph":"X","cat":"cpu_op","name":"aten::relu","ts":1,"dur":' + b"9" * 5000 + b"}]",
    "negative time": trace(event("aten::relu", 0, -5)),
    "duplicate keys": b'{"traceEvents":[],"traceEvents":[{"ph":"X","ph":"M","cat":"cpu_op","cat":"Node"}]}',
    "steps that overlap": trace(*[event("ProfilerStep#1e9", 0, 9, "user_annotation")] * 9, *one_pass(1)),
    "only unknown operators": trace(event("aten::<script>alert(1)</script>", 0, 5)),
    "runs without nodes": json.dumps([event("model_run", 0, 9, "Session"), event("x", 1, 1, "Node")]).encode(),
    "arguments are a list": trace({**event("aten::conv2d", 0, 5), "args": [1, [2]]}),
    "dims are words": trace(event("aten::conv2d", 0, 5, **{"Input Dims": "x"})),
    "quotes without an end": b'layer,median_s\n"conv,1\n',
    "a very long cell": b"layer,median_s\n" + b"c" * 1_000_000 + b",1\n",
    "a very long header": b"layer," * 100_000,
    "many lines": b"layer,median_s\n" + b"x\n" * 500_000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_end_in_one_short_sentence(chain, data):
    with pytest.raises(DeccError) as error:
        read_profile(data, "<img src=x>.json", chain)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


def test_a_bomb_is_not_unpacked_beyond_the_limit(chain):
    bomb = gzip.compress(b"[" + b" " * 50_000_000, 9)
    assert len(bomb) < 100_000
    with pytest.raises(UnreadableFile, match="more than 1 MB, the limit"):
        read_profile(bomb, "bomb.json.gz", chain, limit_bytes=1_000_000)
    with pytest.raises(UnreadableFile, match="the limit for a trace"):
        read_profile(b"[" + b"{}," * 6_000_000 + b"{}]", "many.json", chain)


def test_a_hundred_thousand_events_take_a_moment(chain):
    events = [one for k in range(12_500) for one in one_pass(1000 * k)]
    data = trace(*events)
    began = time.process_time()
    found = read_profile(data, "long.json", chain)
    assert time.process_time() - began < 10
    assert found.profile.provenance.settings["repeats"] == "12499"


def test_many_passes_over_a_large_network_are_cut_short():
    graph = make_graph({"x": [], **{f"n{k}": ["x" if k == 0 else f"n{k - 1}"] for k in range(20_000)}})
    graph = named_operators(graph, {"n0": "aten.relu.default"})
    steps = [event(f"ProfilerStep#{k}", 10 * k, 9, "user_annotation") for k in range(5_000)]
    events = [event(name, 10 * k + at, 1) for k in range(5_000) for at, name in ((1, "aten::relu"), (3, "aten::huge"))]
    began = time.process_time()
    with pytest.raises(UnmappedTimes):
        read_profile(trace(*steps, *events), "large.json", graph)
    assert time.process_time() - began < 20


def test_operators_nested_without_end_are_no_recursion():
    events = [Timed("aten::a", "cpu_op", (1, 1), k, 1e6 - 2 * k, NO_ARGS) for k in range(100_000)]
    assert [call.name for call in calls(events, frozenset())] == ["aten::a"]


def test_operators_have_one_name_whoever_names_them():
    assert {operator_of_layer(name) for name in ("aten.conv2d.default", "onnx.Conv", "onnx.FusedConv+Relu")} == {"conv"}
    assert operator_of_event("aten::_softmax") == operator_of_layer("aten.softmax.int") == "softmax"
    assert operator_of_event("mine::relu") == "mine::relu"
