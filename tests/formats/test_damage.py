"""Messages that were cut off, damaged or made to harm: one sentence, and no more memory than the tensor needs."""

from __future__ import annotations

import io
import random
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
import zstandard
from PIL import Image

from decc_core import formats
from decc_core.errors import UnknownName, WireError
from decc_core.network.graph import TensorSpec

FLOATS = TensorSpec((1, 6, 12, 10), "float32")
PICTURE = TensorSpec((1, 3, 24, 20), "uint8")
CASES = [(name, PICTURE if name in formats.IMAGES else FLOATS) for name in formats.NAMES]


def message(name: str, spec: TensorSpec) -> bytes:
    rng = np.random.default_rng(7)
    if spec.dtype == "uint8":
        values = np.linspace(0, 255, spec.n_elements).astype(np.uint8)
    else:
        values = np.maximum(rng.standard_normal(spec.n_elements), 0).astype(np.float32)
    return formats.find(name).encode(values.reshape(spec.shape), spec)


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_a_message_cut_off_anywhere_is_refused_in_a_sentence(name, spec):
    data, form = message(name, spec), formats.find(name)
    for length in {0, 1, 2, 9, len(data) // 2, len(data) - 5, len(data) - 1}:
        with pytest.raises(
            WireError, match=rf"A tensor of shape .* cannot be decoded as {form.name.replace('+', '.')}"
        ):
            form.decode(data[:length], spec)
    with pytest.raises(WireError, match="cannot be decoded"):
        form.decode(data + b"more", spec)


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_damaged_bytes_give_a_tensor_of_the_shape_or_a_sentence(name, spec):
    rng, data, form = random.Random(4), message(name, spec), formats.find(name)
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        with suppress(WireError):
            values = form.decode(damaged, spec)
            assert (values.shape, values.dtype) == (spec.shape, formats.carrier(spec.dtype))


def test_a_bomb_is_refused_before_it_is_unpacked():
    spec = TensorSpec((4, 4), "float32")
    bomb = bytes([formats.CODED]) + zstandard.ZstdCompressor().compress(bytes(300_000_000))
    assert len(bomb) > spec.size_bytes
    # Long enough for the message, and with the size left out.
    stream = zstandard.ZstdCompressor().compressobj()
    unsized = bytes([formats.CODED]) + stream.compress(bytes(10_000_000)) + stream.flush()
    large = TensorSpec((40, 100, 100), "float32")
    tracemalloc.start()
    for data, one in ((bomb, spec), (bomb, large), (unsized, large)):
        with pytest.raises(WireError, match=r"bytes and must (have|hold)"):
            formats.find("zstd").decode(data, one)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * large.size_bytes


def test_a_picture_of_another_size_is_refused_before_it_is_decoded():
    written = io.BytesIO()
    Image.new("RGB", (4000, 4000)).save(written, "JPEG", quality=5)
    wide = TensorSpec((1, 3, 600, 600), "uint8")
    with pytest.raises(WireError, match="4000 x 4000 pixels"):
        formats.find("jpeg85").decode(bytes([formats.CODED]) + written.getvalue(), wide)
    written = io.BytesIO()
    Image.new("RGB", (20, 24)).save(written, "PNG")
    with pytest.raises(WireError, match="no whole JPEG picture"):
        formats.find("jpeg85").decode(bytes([formats.CODED]) + written.getvalue() + b"\xff\xd9", PICTURE)


def test_counts_that_do_not_add_up_are_refused_before_anything_is_made():
    form, spec = formats.find("range2"), TensorSpec((64,), "float32")
    head = np.array([(0.0, 1.0)], [("low", "<f4"), ("step", "<f4")]).tobytes()
    for counts in ((64, 1, 0, 0), (2**32 - 1, 2**32 - 1, 0, 0), (0, 0, 0, 0)):
        with pytest.raises(WireError, match=r"it counts \d+ values and must have 64"):
            form.decode(bytes([formats.CODED]) + head + np.array((*counts, 0), "<u4").tobytes(), spec)


def test_ranges_that_are_not_finite_are_refused():
    form, spec = formats.find("int8"), TensorSpec((64,), "float32")
    bad = np.array([(np.nan, 1.0)], [("low", "<f4"), ("step", "<f4")]).tobytes()
    with pytest.raises(WireError, match="not finite"):
        form.decode(bytes([formats.CODED]) + bad + bytes(64), spec)


def test_a_tensor_of_another_shape_is_not_coded():
    with pytest.raises(WireError, match="is to be coded as one of"):
        formats.find("int8").encode(np.zeros((3,), np.float32), FLOATS)


def test_unknown_names_are_refused_with_those_that_there_are():
    with pytest.raises(UnknownName, match=r"no wire format 'int9'; choose one of fp32, fp16, int8"):
        formats.find("int9")
    assert formats.find("fp32") is formats.find("raw")
