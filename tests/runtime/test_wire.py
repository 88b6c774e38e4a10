"""Tensors survive the wire bit for bit, strides included; whatever the plan does not expect is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from decc_core.errors import WireError, WorkerFailed
from decc_core.formats import NAMES, find
from decc_core.models.tensors import DTYPES
from decc_core.network.graph import TensorSpec
from decc_core.runtime.controller.outputs import Output, References, compare_outputs, is_classifier
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import Assembler, TensorChunk, TensorHead
from decc_core.runtime.wire.torch_tensors import Coded, decoded, encoded, from_bytes, there_and_back, to_bytes

SPEC = TensorSpec((2, 3), "float32")
DATA = bytes(24)
HEAD = TensorHead("float32", (2, 3), (0, 1))


def raw(tensor):
    head, data = to_bytes(tensor)
    return from_bytes(head, bytearray(data))


RAW = find("raw")
WAYS = {"raw": raw, "in a format": lambda tensor: there_and_back(tensor, RAW)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_survives(dtype, way):
    tensor = (torch.arange(24).reshape(2, 3, 4) % 2 * 3).to(DTYPES[dtype])
    back = WAYS[way](tensor)
    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.randn(4, 6).t(),
        torch.randn(2, 3, 4).permute(2, 0, 1),
        torch.tensor(3.5),
        torch.empty(0, 4),
    ],
    ids=["channels_last", "transposed", "permuted", "scalar", "empty"],
)
def test_values_shape_and_strides_survive(tensor, way):
    back = WAYS[way](tensor)
    assert torch.equal(back, tensor)
    assert back.shape == tensor.shape
    if tensor.numel():
        assert back.stride() == tensor.stride()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(1, 32, 7)[:, :, :-1],
        torch.randn(2, 12, 4).chunk(3, dim=1)[1],
        torch.randn(2, 8, 5, 6).to(memory_format=torch.channels_last)[:, 2:5, 1:],
        torch.randn(6, 8)[::2, 1::2],
    ],
    ids=["a slice", "a chunk", "a slice of channels_last", "every second one"],
)
def test_gaps_between_rows_survive_as_kernels_round_by_them(tensor, way):
    back = WAYS[way](tensor)
    assert torch.equal(back, tensor)
    assert back.stride() == tensor.stride()
    assert torch.equal(torch.nn.functional.gelu(back), torch.nn.functional.gelu(tensor))
    assert len(to_bytes(tensor)[1]) == 4 * tensor.numel(), "gaps do not travel"


def test_what_overlaps_or_lies_far_apart_arrives_dense():
    for tensor in (torch.ones(1, 3).expand(4, 3), torch.arange(9.0).unfold(0, 3, 1), torch.randn(40, 40)[::20, ::20]):
        back = raw(tensor)
        assert torch.equal(back, tensor)
        assert back.untyped_storage().nbytes() == 4 * tensor.numel()


@pytest.mark.parametrize("way", WAYS)
def test_single_elements_with_odd_strides_and_marked_conjugates_arrive(way):
    columns = torch.tensor([[1.5, 2.5]])
    assert torch.equal(WAYS[way](columns[:, 1]), torch.tensor([2.5]))
    assert torch.equal(WAYS[way](columns.unbind(1)[0]), torch.tensor([1.5]))
    marked = torch.tensor([1 + 2j, 3 - 4j]).conj()
    assert torch.equal(WAYS[way](marked), torch.tensor([1 - 2j, 3 + 4j]))
    assert torch.equal(WAYS[way](marked.imag), torch.tensor([-2.0, 4.0]))


@pytest.mark.parametrize("name", [name for name in NAMES if find(name).takes(TensorSpec((2, 3, 4, 5), "float32"))])
def test_strides_and_gaps_survive_every_format(name):
    image = torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)
    for tensor in (image, torch.rand(2, 8, 5, 6).to(memory_format=torch.channels_last)[:, 2:5, 1:]):
        back = there_and_back(tensor, find(name))
        assert back.dtype is torch.float32
        assert back.shape == tensor.shape
        assert back.stride() == tensor.stride()
        assert torch.allclose(back, tensor, atol=0.5)


def test_a_coded_head_says_what_the_tensor_was_and_how_long_the_message_is():
    head, data = encoded(torch.ones(3, 4), find("int8"))
    assert (head.dtype, head.shape, head.format, head.coded_bytes) == ("float32", (3, 4), "int8", len(data))
    assert head.raw_bytes == 48
    assert encoded(torch.ones(4), find("fp16")).head.coded_bytes == 8


def assembler():
    return Assembler("uplink from the edge worker", {(0, 5): SPEC, (1, 5): SPEC}, requests=2)


def test_chunks_in_order_make_a_tensor():
    one = assembler()
    assert one.add(TensorChunk(0, 5, 0, DATA[:10], HEAD)) is None
    head, data = one.add(TensorChunk(0, 5, 10, DATA[10:], None, 7))
    assert (head, bytes(data)) == (HEAD, DATA)


@pytest.mark.parametrize(
    ("chunks", "sentence"),
    [
        ([TensorChunk(2, 5, 0, DATA, HEAD, 0)], "Tensor 5 of request 2 .* unknown request"),
        ([TensorChunk(-1, 5, 0, DATA, HEAD, 0)], "unknown request"),
        ([TensorChunk(0, 6, 0, DATA, HEAD, 0)], "Tensor 6 of request 0 .* not sent by the plan"),
        ([TensorChunk(0, 5, 0, DATA[:20], HEAD, 0)], "truncated: 20 of 24 bytes"),
        ([TensorChunk(0, 5, 0, DATA + DATA, HEAD, 0)], "oversized"),
        ([TensorChunk(0, 5, 0, DATA, TensorHead("float64", (2, 3), (0, 1)), 0)], "wrong type: float64"),
        ([TensorChunk(0, 5, 0, DATA, TensorHead("float32", (3, 2), (0, 1)), 0)], "wrong type: float32 \\[3, 2\\]"),
        ([TensorChunk(0, 5, 0, DATA, TensorHead("float32", (2, 3), (0, 0)), 0)], "order of dimensions"),
        ([TensorChunk(0, 5, 0, DATA, TensorHead("float32", (2, 3), (0, 1), (2, 1)), 0)], "impossible strides"),
        ([TensorChunk(0, 5, 0, DATA, TensorHead("float32", (2, 3), (0, 1), (4, 0)), 0)], "impossible strides"),
        ([TensorChunk(0, 5, 0, DATA, TensorHead("float32", (2, 3), (0, 1), (4,)), 0)], "impossible strides"),
        ([TensorChunk(0, 5, 0, DATA, TensorHead("float32", (2, 3), (0, 1), (10**9, 1)), 0)], "impossible strides"),
        ([TensorChunk(0, 5, 0, DATA, TensorHead("float32", (2, 3), (1, 0), (4, 1)), 0)], "impossible strides"),
        ([TensorChunk(0, 5, 0, DATA, HEAD, 0)] * 2, "sent twice"),
        ([TensorChunk(0, 5, 0, DATA[:8], HEAD)] * 2, "sent twice"),
        ([TensorChunk(0, 5, 0, DATA[:8], HEAD), TensorChunk(0, 5, 9, DATA[9:], None, 0)], "byte 9 where byte 8"),
        ([TensorChunk(0, 5, 0, DATA, None, 0)], "without a head"),
    ],
)
def test_unexpected_chunks_are_refused_and_named(chunks, sentence):
    one = assembler()
    *before, last = chunks
    for chunk in before:
        one.add(chunk)
    with pytest.raises(WireError, match=sentence):
        one.add(last)


INT8 = find("int8")
MESSAGE = encoded(torch.arange(6.0).reshape(2, 3), INT8)


def coded_assembler():
    return Assembler("uplink from the edge worker", {(0, 5): SPEC, (0, 6): SPEC}, 1, {5: INT8})


def coded_head(**changes):
    return msgspec.structs.replace(MESSAGE.head, **changes)


def test_a_coded_tensor_comes_in_chunks_too():
    one = coded_assembler()
    assert one.add(TensorChunk(0, 5, 0, MESSAGE.data[:3], MESSAGE.head)) is None
    head, data = one.add(TensorChunk(0, 5, 3, MESSAGE.data[3:], None, 7))
    assert torch.allclose(decoded(Coded(head, data), INT8), torch.arange(6.0).reshape(2, 3), atol=0.02)


@pytest.mark.parametrize(
    ("tensor", "head", "sentence"),
    [
        (5, HEAD, "comes in the format 'raw', where int8 was agreed"),
        (5, coded_head(format="int4"), "comes in the format 'int4', where int8 was agreed"),
        (5, coded_head(format="x" * 10_000), "comes in the format 'x+…?', where int8 was agreed"),
        (6, coded_head(), "comes in the format 'int8', where raw was agreed"),
        (5, coded_head(coded_bytes=1 << 50), "claims 1125899906842624 bytes, where int8 makes .* at most"),
        (5, coded_head(coded_bytes=-1), "claims -1 bytes"),
        (5, coded_head(shape=(1 << 20, 1 << 20)), "wrong type: float32 \\[1048576, 1048576\\] instead of"),
        (5, coded_head(dtype="float64"), "wrong type: float64"),
        (5, coded_head(coded_bytes=4), "is oversized: .* bytes and more instead of 4"),
        (5, coded_head(coded_bytes=20), "is truncated: .* of 20 bytes"),
    ],
)
def test_coded_tensors_that_were_not_agreed_are_refused_before_memory_is_taken(tensor, head, sentence):
    with pytest.raises(WireError, match=sentence) as refused:
        coded_assembler().add(TensorChunk(0, tensor, 0, MESSAGE.data, head, 0))
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("name", NAMES)
def test_cut_and_damaged_messages_of_every_format_end_in_one_sentence(name):
    form, values = find(name), torch.rand(1, 3, 16, 16)
    if not form.takes(TensorSpec((1, 3, 16, 16), "float32")):
        values = (255 * values).to(torch.uint8)
    head, data = encoded(values, form)
    for damaged in (b"", data[:1], data[: len(data) // 2], data[:-1], data + b"x", data + data, b"\xff" * len(data)):
        try:
            back = decoded(Coded(head, damaged), form)
        except WireError as error:
            said = str(error)
            assert said.isprintable()
        else:
            assert (back.shape, back.dtype) == (values.shape, values.dtype)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"\xff" * 40, m.encode(m.Hello("x")), m.encode(m.ModelChunk(b"x"))[:-1], b"\x81\xa4type\xa4part"],
)
def test_malformed_messages_are_refused_with_their_sender(data):
    with pytest.raises(WireError, match="The edge worker sent a malformed message"):
        m.decode(data, TensorChunk, "edge worker")


def test_messages_survive():
    part = TensorChunk(1, 2, 3, b"abc", HEAD, 99)
    assert m.decode(m.encode(part), TensorChunk, "x") == part
    assert msgspec.structs.asdict(part)["head"] == HEAD


def output(values, dtype=torch.float32):
    head, data = to_bytes(torch.tensor(values, dtype=dtype))
    return {0: Output(head, bytes(data))}


def test_equal_outputs_are_equal_and_others_have_a_distance():
    assert compare_outputs(output([1.0, 2.0]), output([1.0, 2.0])).equal
    found = compare_outputs(output([1.0, 2.5]), output([1.0, 2.0]))
    assert (found.equal, found.max_abs, found.same_top1) == (False, 0.5, True)
    assert compare_outputs(output([3.0, 2.0]), output([1.0, 2.0])).same_top1 is False


def test_other_kernels_explain_what_is_small_beside_an_outputs_largest_value():
    reference = output([1.0, 100.0])
    assert compare_outputs(output([1.9, 100.0]), reference).explained
    assert not compare_outputs(output([2.1, 100.0]), reference).explained
    assert not compare_outputs(output([float("nan"), 100.0]), reference).explained
    assert not compare_outputs(output([0.5]), output([0.0])).explained


def test_a_classifier_gives_one_score_for_each_class_and_nothing_else():
    scores = TensorSpec((1, 1000), "float32")
    assert is_classifier([scores])
    for outputs in ([scores, scores], [TensorSpec((1, 1), "float32")], [TensorSpec((1, 9), "int64")],
                    [TensorSpec((1, 3, 8, 8), "float32")]):  # fmt: skip
        assert not is_classifier(outputs)


def test_missing_outputs_and_nan_are_infinitely_far():
    assert compare_outputs({}, output([1.0])).max_abs == float("inf")
    assert compare_outputs(output([float("nan")]), output([1.0])).max_abs == float("inf")
    assert compare_outputs(output([1.0]), output([1.0, 2.0])).max_abs == float("inf")


def test_what_the_unsplit_model_returns_is_kept_in_a_file_and_read_again():
    kept = References()
    first, second = output([1.0, 2.5]), {**output([3.0], torch.bfloat16), 7: output([4, 5], torch.int64)[0]}
    kept.keep(0, first)
    kept.keep(3, second)
    assert (kept.of(3), kept.of(0)) == (second, first)
    assert 0 in kept
    assert 1 not in kept
    kept.close()


@pytest.mark.parametrize("buffering", [0, 8192])
def test_a_disk_without_room_for_them_is_told_in_a_sentence(buffering):
    kept = References()
    kept.close()
    kept._file = Path("/dev/full").open("wb", buffering)  # noqa: SIM115
    with pytest.raises(WorkerFailed, match="cannot be kept in a file: No space left on device"):
        kept.keep(0, output([1.0]))
    assert 0 not in kept
    kept.close()


def test_bfloat16_outputs_are_compared_by_value():
    found = compare_outputs(output([1.0, 2.5], torch.bfloat16), output([1.0, 2.0], torch.bfloat16))
    assert found.max_abs == 0.5


def test_a_message_with_brackets_without_end_is_refused():
    deep = b"\x83\xa4type\xa4beat\xa4done\x01\xa1x" + b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(WireError, match="malformed"):
        m.decode(deep, m.Event, "cloud worker")
