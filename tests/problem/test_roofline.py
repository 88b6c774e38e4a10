"""Estimates of what layers take, on paper and against what others published."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from decc_core import library
from decc_core.errors import DeccError
from decc_core.models.torch.extract import extract
from decc_core.network.graph import Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.problem.profile import ProvenanceKind
from decc_core.problem.roofline import Device, Engine, LayerWork, Pace, WorkKind, estimate, works_of

PLAIN = Engine("plain", {WorkKind.GROUPED: Pace(rate=0.5, overhead=2)}, 8.0, frozenset({WorkKind.NORM}))
BOARD = Device("board", "A board", PLAIN, 1e9, 1e8, 1e-3, 0.1, 0.3, 4, "made up")
"""A GFLOP/s, 100 MB/s, and a millisecond to start a layer."""


@pytest.mark.parametrize(
    ("work", "ms"),
    [
        (LayerWork(WorkKind.CONVOLUTION, flops=50_000_000, moved_bytes=1_000_000), 50 + 1),
        (LayerWork(WorkKind.CONVOLUTION, flops=50_000_000, moved_bytes=1_000_000, width=8), 100 + 1),
        (LayerWork(WorkKind.CONVOLUTION, flops=5_000_000, moved_bytes=1_000_000), 10 + 1),
        (LayerWork(WorkKind.GROUPED, flops=50_000_000, moved_bytes=1_000_000), 100 + 2),
        (LayerWork(WorkKind.MOVING, flops=0, moved_bytes=2_000_000), 20 + 1),
        (LayerWork(WorkKind.VIEW, flops=0, moved_bytes=2_000_000), 1),
        (LayerWork(WorkKind.NORM, flops=0, moved_bytes=2_000_000), 0),
    ],
)
def test_a_layer_takes_the_longer_of_computing_and_moving_and_the_time_to_start_it(work, ms):
    assert BOARD.seconds(work) == pytest.approx(ms / 1e3)


class Kinds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.pointwise, self.square = (
            nn.Conv2d(3, 8, 3),
            nn.Conv2d(8, 32, 1),
            nn.Conv2d(32, 32, 3, padding=1),
        )
        self.strided, self.grouped = nn.Conv2d(32, 32, 3, stride=2), nn.Conv2d(32, 32, 3, groups=32)
        self.norm, self.last = nn.BatchNorm2d(32), nn.Linear(32, 3)

    def forward(self, x):
        x = torch.relu(self.norm(self.grouped(self.strided(self.square(self.pointwise(self.image(x)))))))
        return self.last(torch.max_pool2d(x, 2).mean((2, 3)) * 2)


def test_kinds_of_work_are_told_apart():
    model = extract(Kinds().eval(), (torch.zeros(1, 3, 14, 14),), "kinds")
    kinds = [work.kind for work in works_of(model.graph).values()]
    convolution, square, grouped = WorkKind.CONVOLUTION, WorkKind.WINOGRAD, WorkKind.GROUPED
    pooling, moving = WorkKind.POOLING, WorkKind.MOVING
    assert kinds == [
        *(WorkKind.STEM, convolution, square, convolution, grouped, WorkKind.NORM, WorkKind.ACTIVATION),
        *(pooling, moving, moving, WorkKind.PRODUCT),
    ]


def test_moved_bytes_are_inputs_weights_and_outputs():
    image, features = TensorSpec((1, 2, 4, 4), "float32"), TensorSpec((1, 8, 4, 4), "float32")
    layers = (
        Layer("x", "input", (), (image,)),
        Layer("c", "onnx.Conv", (TensorRef("x"),), (features,), flops=2 * 2 * 8 * 16, parameters=("w",)),
    )
    graph = LayerGraph("small", layers, (TensorRef("c"),), {"w": 64})
    assert works_of(graph)["c"] == LayerWork(WorkKind.STEM, 512, 128 + 64 + 512, width=2)


def test_an_estimate_says_that_it_is_one_and_how_far_off_it_may_be():
    graph = library.load_graph("squeezenet1_1")
    profile = estimate(graph, BOARD)
    profile.require_graph(graph)
    assert profile.whole_s == pytest.approx(profile.total_s)
    assert profile.provenance.kind is ProvenanceKind.ESTIMATED
    assert profile.origin == "estimated within 30 %: made up"
    twice = profile.scaled(2, "times 2")
    assert (twice.provenance.kind, twice.error) == (ProvenanceKind.ESTIMATED, 0.3)


def test_every_device_of_the_catalogue_estimates_every_network_that_is_shipped():
    assert len(library.catalogue()) >= 14
    for network in library.shipped_models():
        graph = library.load_graph(network)
        for name, device in library.catalogue().items():
            profile = library.load_profile(network, name)
            profile.require_graph(graph)
            assert 0 < profile.whole_s < 60
            assert 0 < device.median_error <= device.error < 1.5


def test_estimates_are_near_what_was_published():
    rows = json.loads(library.DEVICES_FILE.read_text())["devices"]
    ratios = sorted(
        library.load_profile(network, name).whole_s * 1e3 / total_ms
        for name, row in rows.items()
        for network, total_ms in row["published_ms"].items()
        if network in library.shipped_models()
    )
    assert len(ratios) > 80
    # Four of five within the median error's double; none is another kind of number.
    assert sum(0.6 < ratio < 1.6 for ratio in ratios) > 0.8 * len(ratios)
    assert 0.9 < ratios[len(ratios) // 2] < 1.1


@pytest.mark.parametrize("bad", [{"flops_per_s": 0.0}, {"bytes_per_s": -1.0}, {"overhead_s": -1.0}, {"error": 0.05}])
def test_a_device_that_computes_nothing_is_refused(bad):
    given = {"flops_per_s": 1e9, "bytes_per_s": 1e9, "overhead_s": 0.0, "error": 0.3, **bad}
    with pytest.raises(DeccError):
        Device("d", "D", PLAIN, median_error=0.1, fitted_to=0, source="made up", **given)
