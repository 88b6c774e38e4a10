"""What crosses at every depth, on networks small enough to count on paper."""

from __future__ import annotations

from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.study.depth import Coded, coded, depths_of, offered, wire_lines


def layer(name: str, *reads: str, values: int = 1) -> Layer:
    return Layer(name, "op" if reads else INPUT, tuple(map(TensorRef, reads)), (TensorSpec((values,), "float32"),))


def skip() -> LayerGraph:
    """x -> a -> b -> c, and c reads a, too."""
    return LayerGraph(
        "skip",
        (layer("x", values=10), layer("a", "x", values=8), layer("b", "a", values=4), layer("c", "b", "a")),
        (TensorRef("c"),),
    )


def test_a_tensor_crosses_from_its_producer_to_its_last_reader():
    depths = depths_of(skip())
    assert len(depths) == 3
    assert depths.crossing == (1, 1, 2)
    assert depths.last_layer == (0, 1, 2)


def test_bytes_of_all_tensors_that_cross_add_up_and_the_lowest_agreement_counts():
    (line,) = wire_lines(depths_of(skip()), [Coded("int8", (10, 8, 4, 1), (1.0, 0.9, 0.95, None))])
    assert line.size_bytes == (10, 8, 12)
    assert line.agreement == (1.0, 0.9, 0.9)


def test_a_format_that_codes_inputs_alone_has_bytes_where_nothing_else_crosses():
    jpeg, raw = wire_lines(
        depths_of(skip()),
        [Coded("jpeg", (3, None, None, None), (None,) * 4), Coded("raw", (40, 32, 16, 4), (1.0,) * 4)],
    )
    assert jpeg.size_bytes == (3, None, None)
    assert jpeg.agreement == (None, None, None)
    assert raw.size_bytes == (40, 32, 48)


def test_several_inputs_are_all_there_at_depth_0_wherever_they_stand_in_the_order():
    graph = LayerGraph(
        "two",
        (layer("x"), layer("a", "x"), layer("y", values=5), layer("b", "y", values=2), layer("c", "a", "b")),
        (TensorRef("c"),),
    )
    (line,) = wire_lines(depths_of(graph), [Coded("raw", (4, 4, 20, 8, 4), (1.0,) * 5)])
    # x and y; a and y; a and b.
    assert line.size_bytes == (24, 24, 12)


def test_formats_without_a_profile_have_certain_bytes_and_no_agreement():
    found = coded(skip(), "int8", None, 50)
    raw = (40, 32, 16, 4)
    # A byte a value, and beside them scale and offset of the tensor.
    assert all(size is not None and n // 4 < size <= n // 4 + 32 for size, n in zip(found.size_bytes, raw, strict=True))
    # A single value travels as it is.
    assert found.agreement == (None, None, None, 1.0)
    assert coded(skip(), "raw", None, 50).agreement == (1.0,) * 4
    assert offered(skip(), None)[:3] == ("raw", "fp16", "int8")
