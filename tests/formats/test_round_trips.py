"""Every format on every dtype and odd shape: lossless ones give every bit back, the others stay within their error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from decc_core import formats
from decc_core.network.graph import FLOAT_DTYPES, ITEM_BYTES, TensorSpec

SHAPES = st.one_of(
    arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5),
    st.sampled_from([(1, 3, 9, 7), (3, 5, 4), (1, 11, 3), (2, 6, 5, 3), (257,), (1, 64, 7, 1)]),
)
ORDINARY = st.floats(-1e4, 1e4, width=32)
WILD = st.one_of(ORDINARY, st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 65_520.0, -0.0]))
EVERY = [formats.find(name) for name in formats.NAMES]


def as_floats(values: np.ndarray, dtype: str) -> np.ndarray:
    """What the numbers mean, in double precision."""
    if dtype == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return values.astype(np.float64)


@st.composite
def tensors(draw, numbers=WILD) -> tuple[np.ndarray, TensorSpec]:
    shape, dtype = draw(SHAPES), draw(st.sampled_from(sorted(ITEM_BYTES)))
    spec, holds = TensorSpec(shape, dtype), formats.carrier(dtype)
    if dtype not in FLOAT_DTYPES:
        count = int(np.prod(shape, dtype=np.int64)) * holds.itemsize
        seed = draw(st.integers(0, 2**32 - 1))
        raw = np.random.default_rng(seed).integers(0, 256, count).astype(np.uint8)
        values = (raw & 1 if dtype == "bool" else raw).view(holds).reshape(shape)
    else:
        floats = draw(arrays.arrays(np.float32, shape, elements=numbers))
        with np.errstate(over="ignore"):
            bits = np.asarray(floats).view(np.uint32) >> 16
            values = bits.astype(np.uint16) if dtype == "bfloat16" else floats.astype(holds)
    return values.reshape(shape), spec


@settings(max_examples=60, deadline=None)
@given(tensors())
def test_lossless_formats_give_every_bit_back(tensor):
    values, spec = tensor
    for form in EVERY:
        if form.lossless or not form.takes(spec):
            back = form.decode(form.encode(values, spec), spec)
            assert (back.dtype, back.shape) == (values.dtype, values.shape), form.name
            assert back.tobytes() == values.tobytes(), form.name


@settings(max_examples=60, deadline=None)
@given(tensors())
def test_every_message_is_as_long_as_it_may_be_and_keeps_what_is_not_finite(tensor):
    values, spec = tensor
    for form in EVERY:
        data = form.encode(values, spec)
        assert len(data) <= form.most_bytes(spec), form.name
        back = form.decode(memoryview(data), spec)
        assert (back.dtype, back.shape) == (values.dtype, values.shape), form.name
        if spec.dtype in FLOAT_DTYPES:
            before, after = as_floats(values, spec.dtype), as_floats(back, spec.dtype)
            assert np.array_equal(np.isfinite(before), np.isfinite(after)), form.name


@settings(max_examples=80, deadline=None)
@given(tensors(ORDINARY))
def test_lossy_formats_stay_within_the_error_that_they_state(tensor):
    values, spec = tensor
    if spec.dtype not in FLOAT_DTYPES or not values.size:
        return
    before = as_floats(values, spec.dtype)
    for form in EVERY:
        data = form.encode(values, spec)
        off = np.abs(before - as_floats(form.decode(data, spec), spec.dtype)).max()
        assert off <= form.most_error(values, spec), form.name
        certain = form.certain_bytes(spec)
        assert certain is None or len(data) == certain, form.name


@pytest.mark.parametrize("name", formats.NAMES)
def test_strides_do_not_matter(name):
    form, spec = formats.find(name), TensorSpec((1, 4, 6, 5), "float32")
    laid_out = np.random.default_rng(3).standard_normal((1, 6, 5, 4)).astype(np.float32)
    turned = np.moveaxis(laid_out, -1, 1)
    assert not turned.flags.c_contiguous
    assert form.encode(turned, spec) == form.encode(np.ascontiguousarray(turned), spec)
    assert form.encode(turned[:, ::-1], spec) == form.encode(turned[:, ::-1].copy(), spec)


def test_whole_numbers_are_the_nearest_of_their_levels():
    spec = TensorSpec((5,), "float32")
    values = np.array([0, 1, 2, 3, 1.4], np.float32)
    assert formats.find("int2").decode(formats.find("int2").encode(values, spec), spec).tolist() == [0, 1, 2, 3, 1]
    # A byte that says coded, low end and step, and two bits a value.
    assert formats.find("int2").certain_bytes(spec) == 1 + 8 + 2


def test_channels_have_ranges_of_their_own():
    spec = TensorSpec((1, 2, 4, 8), "float32")
    values = np.stack([np.linspace(0, 1, 32), np.linspace(0, 1000, 32)]).astype(np.float32).reshape(spec.shape)
    errors = {}
    for name in ("int8", "int8-channel"):
        form = formats.find(name)
        errors[name] = np.abs(form.decode(form.encode(values, spec), spec) - values)[0, 0].max()
    assert errors["int8"] > 0.9
    assert errors["int8-channel"] < 0.01
    assert formats.find("int8-channel").certain_bytes(spec) == 1 + 2 * 8 + 64


def test_clipping_never_makes_the_squared_error_larger_and_drops_outliers():
    spec = TensorSpec((1, 4, 64, 64), "float32")
    values = np.random.default_rng(1).laplace(size=spec.shape).astype(np.float32)
    for bits in (8, 6, 4, 2):
        for channel in ("", "-channel"):
            off = []
            for clip in ("", "-clip"):
                form = formats.find(f"int{bits}{channel}{clip}")
                off.append(float(((form.decode(form.encode(values, spec), spec) - values) ** 2).mean()))
            assert off[1] <= 1.001 * off[0]
    assert off[1] < off[0] / 2


def test_what_repeats_is_squeezed_and_what_does_not_costs_a_byte():
    spec = TensorSpec((1, 8, 32, 32), "float32")
    dull = np.zeros(spec.shape, np.float32)
    noise = np.random.default_rng(0).integers(0, 256, spec.size_bytes, np.uint8).view(np.float32).reshape(spec.shape)
    assert len(formats.find("zstd").encode(dull, spec)) < 100
    assert len(formats.find("zstd").encode(noise, spec)) == spec.size_bytes + 1
    assert len(formats.find("range4").encode(dull, spec)) == 1 + 8 + 17 * 4


def test_only_zstd_alone_squeezes_what_is_no_float():
    spec = TensorSpec((1, 3, 20, 20), "uint8")
    assert formats.find("zstd").takes(spec)
    assert not any(formats.find(name).takes(spec) for name in ("int8", "int6+zstd", "fp16+zstd", "range4"))
    values = np.zeros(spec.shape, np.uint8)
    assert formats.find("int8+zstd").encode(values, spec) == values.tobytes()


def test_range_coding_comes_near_the_entropy():
    spec = TensorSpec((1, 16, 64, 64), "float32")
    values = np.random.default_rng(2).exponential(1.0, spec.shape).astype(np.float32)
    form = formats.find("range4")
    back = form.decode(data := form.encode(values, spec), spec)
    _, counts = np.unique(back, return_counts=True)
    share = counts / counts.sum()
    bits = float(-(share * np.log2(share)).sum())
    assert 8 * len(data) < 1.02 * bits * values.size + 8 * (1 + 8 + 68)


@pytest.mark.parametrize("shape", [(1, 3, 60, 52), (3, 60, 52), (1, 60, 52, 3), (60, 52, 1), (2, 3, 24, 16)])
def test_a_photograph_as_jpeg_is_small_and_near(shape):
    form, spec = formats.find("jpeg95"), TensorSpec(shape, "uint8")
    across = np.linspace(0, 200, int(np.prod(shape))).reshape(shape)
    values = across.astype(np.uint8)
    assert form.takes(spec)
    back = form.decode(data := form.encode(values, spec), spec)
    assert len(data) < spec.size_bytes
    assert np.abs(back.astype(int) - values).mean() < 4


@pytest.mark.parametrize(("shape", "dtype"), [((1, 3, 8, 8), "float32"), ((5, 7), "uint8"), ((0, 3, 4), "uint8")])
def test_what_is_no_image_does_not_become_a_jpeg(shape, dtype):
    assert not formats.find("jpeg85").takes(TensorSpec(shape, dtype))
