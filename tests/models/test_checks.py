"""Networks that came as data: what they say of their tensors is true, and no operator is given too short ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from decc_core.errors import UnreadableFile
from decc_core.models import portable
from decc_core.models.torch.checks import RULES, fake_outputs, require_declared
from decc_core.models.torch.extract import Call, ExtractedModel, extract, last_readers
from decc_core.models.torch.operators import find_operator, is_taken
from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from tests.fuzz.operators import finds

aten = torch.ops.aten


def one_step(operator, *arguments: object, shape: tuple[int, ...], gives: tuple[int, ...], **named) -> ExtractedModel:
    """A network of one operator, whose first argument is the input."""
    specs = [TensorSpec(gives, "float32")]
    specs += [TensorSpec((0,), "float32")] * (len(operator._schema.returns) - 1)
    layers = (
        Layer("x", INPUT, (), (TensorSpec(shape, "float32"),)),
        Layer("step", str(operator), (TensorRef("x"),), tuple(specs)),
    )
    graph = LayerGraph("one_step", layers, (TensorRef("step"),))
    calls = {"step": Call(operator, (TensorRef("x"), *arguments), named)}
    return ExtractedModel(graph, ("x",), (torch.zeros(shape),), calls, last_readers(graph))


FULL, SHORT = torch.ones(8), torch.ones(1)
IMAGE = (1, 8, 4, 4)


def lstm(*weights: torch.Tensor, hidden: int = 4, layers: int = 1) -> ExtractedModel:
    state = torch.zeros(1, 2, hidden)
    arguments = ([state, state], list(weights), True, layers, 0.0, False, False, False)
    model = one_step(aten.lstm.input, *arguments, shape=(5, 2, 3), gives=(5, 2, 4))
    states = (TensorSpec((5, 2, 4), "float32"), *[TensorSpec((1, 2, 4), "float32")] * 2)
    layers_ = (model.graph.layers[0], replace(model.graph.layers[1], outputs=states))
    return replace(model, graph=replace(model.graph, layers=layers_))


GOOD = {
    "batch norm": lambda: one_step(
        aten._native_batch_norm_legit_no_training.default, FULL, FULL, FULL, FULL, 0.1, 1e-5, shape=IMAGE, gives=IMAGE
    ),
    "attention": lambda: one_step(
        aten.scaled_dot_product_attention.default,
        torch.ones(1, 2, 5, 4),
        torch.ones(1, 2, 5, 4),
        shape=(1, 2, 6, 4),
        gives=(1, 2, 6, 4),
    ),
    "sampled image": lambda: one_step(
        aten.grid_sampler_2d.default, torch.zeros(1, 3, 3, 2), 0, 0, False, shape=(1, 2, 4, 4), gives=(1, 2, 3, 3)
    ),
    "LSTM": lambda: lstm(torch.ones(16, 3), torch.ones(16, 4), torch.ones(16), torch.ones(16)),
}
BAD = {
    "a bias of one number": lambda: one_step(
        aten._native_batch_norm_legit_no_training.default, FULL, SHORT, FULL, FULL, 0.1, 1e-5, shape=IMAGE, gives=IMAGE
    ),
    "statistics of one number": lambda: one_step(
        aten.native_batch_norm.default, FULL, FULL, SHORT, FULL, False, 0.1, 1e-5, shape=IMAGE, gives=IMAGE
    ),
    "no statistics, a short weight": lambda: one_step(
        aten._native_batch_norm_legit.no_stats, SHORT, FULL, True, 0.1, 1e-5, shape=IMAGE, gives=IMAGE
    ),
    "groups of other channels": lambda: one_step(
        aten.native_group_norm.default, None, None, 1000, 8, 16, 2, 1e-5, shape=IMAGE, gives=IMAGE
    ),
    "two values for four thousand keys": lambda: one_step(
        aten.scaled_dot_product_attention.default,
        torch.ones(1, 2, 4096, 4),
        torch.ones(1, 2, 2, 4),
        shape=(1, 2, 6, 4),
        gives=(1, 2, 6, 4),
    ),
    "an unknown interpolation": lambda: one_step(
        aten.grid_sampler_2d.default, torch.zeros(1, 3, 3, 2), 5, 7, True, shape=(1, 2, 4, 4), gives=(1, 2, 3, 3)
    ),
    "LSTM weights of one number": lambda: lstm(
        torch.ones(4, 1), torch.ones(4, 1), torch.ones(1), torch.ones(1), hidden=1000
    ),
    "more LSTM layers than weights": lambda: lstm(
        torch.ones(16, 3), torch.ones(16, 4), torch.ones(16), torch.ones(16), layers=10**6
    ),
    "a result of another shape": lambda: one_step(aten.relu.default, shape=IMAGE, gives=(1, 8, 4, 5)),
    "matrices that do not fit": lambda: one_step(aten.mm.default, torch.ones(3, 4), shape=(2, 5), gives=(2, 4)),
    "a result that depends on values": lambda: one_step(
        aten.index.Tensor, [torch.ones(4, dtype=torch.bool)], shape=(4, 2), gives=(4, 2)
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_network_that_keeps_its_word_is_taken_and_runs(name):
    model = GOOD[name]()
    require_declared(model)
    again = portable.from_data(*portable.to_data(model))
    assert [output.shape for output in again.run(again.example_inputs)]


@pytest.mark.parametrize("name", BAD)
def test_a_network_that_would_read_beyond_its_tensors_or_lies_is_refused_before_it_runs(name):
    model = BAD[name]()
    with pytest.raises(UnreadableFile, match=r"(Layer|layer) 'step'"):
        require_declared(model)
    with pytest.raises(UnreadableFile, match=r"(Layer|layer) 'step'"):
        portable.from_data(*portable.to_data(model))


def test_example_inputs_are_those_of_the_graph():
    model = one_step(aten.relu.default, shape=IMAGE, gives=IMAGE)
    with pytest.raises(UnreadableFile, match="example of input 'x'"):
        portable.from_data(*portable.to_data(replace(model, example_inputs=(torch.zeros(1),))))


def test_recurrent_networks_as_people_build_them_keep_the_rules():
    for cell in (nn.LSTM(3, 4, 2, bidirectional=True), nn.GRU(3, 4, batch_first=True), nn.RNN(3, 4, 2, bias=False)):
        require_declared(extract(cell.eval(), (torch.zeros(5, 2, 3),), "recurrent"))
    require_declared(extract(nn.LSTM(3, 8, proj_size=4).eval(), (torch.zeros(5, 2, 3),), "projected"))


def test_a_deformed_convolution_without_a_step_is_refused_before_its_kernel_divides_by_it():
    target = find_operator("torchvision.deform_conv2d.default")
    with FakeTensorMode():
        image, weight, offset = torch.empty(1, 4, 6, 6), torch.empty(6, 2, 3, 3), torch.empty(1, 18, 6, 6)
        mask, bias = torch.empty(1, 9, 6, 6), torch.empty(6)
        for stride, groups in ((0, 2), (1, 0), (1, 3)):
            given = (image, weight, offset, mask, bias, stride, stride, 1, 1, 1, 1, groups, 1, True)
            with pytest.raises(ValueError, match=r"impossible|no groups|do not make"):
                fake_outputs(Call(target, given, {}), {})


def test_every_rule_is_of_an_operator_that_is_taken():
    assert all(is_taken(name) for name in RULES)


@pytest.mark.parametrize(
    "name", ["_native_batch_norm_legit_no_training.default", "scaled_dot_product_attention.default", "lstm.input"]
)
def test_odd_arguments_between_unreadable_pages_end_no_process(name):
    ran, wrong = finds(f"aten.{name}", 0, 60)
    assert ran > 10
    assert not wrong


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (aten._fft_r2c.default, ([1, -2], 0, True)),
        (aten._fft_r2c.default, ([2], 0, True)),
        (aten._fft_r2c.default, ([0, 0], 0, True)),
        (aten._fft_r2c.default, ([1], 3, True)),
        (aten._fft_c2r.default, ([-2], 0, 1)),
        (aten._fft_c2r.default, ([1], 0, 0)),
        (aten._fft_c2r.default, ([1], 0, 12)),
    ],
)
def test_spectra_are_taken_along_dimensions_that_are_there_and_counted_from_the_front(operator, arguments):
    values = torch.zeros(4, 6, dtype=torch.complex64 if operator is aten._fft_c2r.default else torch.float32)
    with FakeTensorMode(), pytest.raises(ValueError, match=r"dimension|normalisation|numbers do not make"):
        fake_outputs(Call(operator, (values, *arguments), {}), {})


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("aten._fft_c2r.default", 1000040),
        ("aten._fft_r2c.default", 1000023),
        ("aten.pixel_unshuffle.default", 1000020),
        ("aten.pixel_unshuffle.default", 1000026),
        ("aten.linear.default", 2007970),
        ("aten.linear.default", 2019860),
        ("aten.matmul.default", 2015291),
        ("aten.slice.Tensor", 2004959),
        ("aten.im2col.default", 2004203),
        ("aten.im2col.default", 2018971),
    ],
)
def test_arguments_that_once_ended_a_process_or_broke_the_promise_are_refused(name, seed):
    assert finds(name, seed, 1) == (0, [])
