"""Tensors survive the wire bit for bit, strides included; whatever the plan does not expect is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from decc_core.errors import WireError, WorkerFailed
from decc_core.models.tensors import DTYPES
from decc_core.network.graph import TensorSpec
from decc_core.problem.link import WireDtype
from decc_core.runtime.controller.outputs import Output, References, compare_outputs
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import Assembler, TensorChunk, TensorHead, wire_spec
from decc_core.runtime.wire.torch_tensors import from_bytes, to_bytes

SPEC = TensorSpec((2, 3), "float32")
DATA = bytes(24)
HEAD = TensorHead("float32", (2, 3), (0, 1))


def there_and_back(tensor, wire=WireDtype.FP32):
    head, data = to_bytes(tensor, wire)
    return from_bytes(head, bytearray(data), str(tensor.dtype).removeprefix("torch."))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_survives(dtype):
    tensor = (torch.arange(24).reshape(2, 3, 4) % 2 * 3).to(DTYPES[dtype])
    back = there_and_back(tensor)
    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor)


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
def test_values_shape_and_strides_survive(tensor):
    back = there_and_back(tensor)
    assert torch.equal(back, tensor)
    assert back.shape == tensor.shape
    if tensor.numel():
        assert back.stride() == tensor.stride()


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
def test_gaps_between_rows_survive_as_kernels_round_by_them(tensor):
    back = there_and_back(tensor)
    assert torch.equal(back, tensor)
    assert back.stride() == tensor.stride()
    assert torch.equal(torch.nn.functional.gelu(back), torch.nn.functional.gelu(tensor))
    assert len(to_bytes(tensor)[1]) == 4 * tensor.numel(), "gaps do not travel"


def test_what_overlaps_or_lies_far_apart_arrives_dense():
    for tensor in (torch.ones(1, 3).expand(4, 3), torch.arange(9.0).unfold(0, 3, 1), torch.randn(40, 40)[::20, ::20]):
        back = there_and_back(tensor)
        assert torch.equal(back, tensor)
        assert back.untyped_storage().nbytes() == 4 * tensor.numel()


def test_single_elements_with_odd_strides_and_marked_conjugates_arrive():
    columns = torch.tensor([[1.5, 2.5]])
    assert torch.equal(there_and_back(columns[:, 1]), torch.tensor([2.5]))
    assert torch.equal(there_and_back(columns.unbind(1)[0]), torch.tensor([1.5]))
    marked = torch.tensor([1 + 2j, 3 - 4j]).conj()
    assert torch.equal(there_and_back(marked), torch.tensor([1 - 2j, 3 + 4j]))
    assert torch.equal(there_and_back(marked.imag), torch.tensor([-2.0, 4.0]))


def test_half_precision_halves_the_bytes_and_leaves_integers_alone():
    head, data = to_bytes(torch.ones(4), WireDtype.FP16)
    assert (head.dtype, len(data)) == ("float16", 8)
    assert to_bytes(torch.ones(4, dtype=torch.int32), WireDtype.FP16)[0].dtype == "int32"
    assert wire_spec(TensorSpec((4,), "float32"), WireDtype.FP16).dtype == "float16"
    assert torch.equal(there_and_back(torch.ones(4), WireDtype.FP16), torch.ones(4))


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
