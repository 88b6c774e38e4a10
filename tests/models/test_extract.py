"""Extraction: small modules with known answers, and outputs recomputed bit for bit layer by layer."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

from decc_core.errors import ExtractionFailed, UnknownName
from decc_core.models import zoo
from decc_core.models.torch.extract import ExtractedModel, extract
from decc_core.network.branches import split_branches
from decc_core.network.graph import TensorRef

MAX_PARAMETERS = 300e6
"""Larger networks are left out of the whole-zoo proof: they need more memory than an ordinary machine has."""


class Fork(nn.Module):
    """Two inputs, a split with one unused part, a constant, in-place work, and a dictionary of outputs."""

    def forward(self, first, second, ignored):
        mask = torch.arange(4.0) > 1
        left, _, right = torch.split(first, 2, dim=1)
        left = left.clone().mul_(2).relu_()
        return {"sum": left + right[:, :2], "masked": torch.where(mask, second, -second)}


def example():
    return torch.randn(1, 6), torch.randn(1, 4), torch.randn(3)


def assert_same(module, inputs, name="net"):
    extracted = extract(module, inputs, name)
    with torch.no_grad():
        expected = [value for value in pytree.tree_leaves(module(*inputs)) if isinstance(value, torch.Tensor)]
    found = extracted.run(inputs)
    assert len(found) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    return extracted


def test_a_small_module_with_several_inputs_and_outputs_is_recomputed_bit_for_bit():
    graph = assert_same(Fork(), example()).graph
    assert len(graph.inputs) == 2, "the input that nothing reads is no layer"
    assert len(graph.outputs) == 2


def test_a_getitem_stays_with_its_producer():
    graph = extract(Fork(), example(), "fork").graph
    split = next(layer for layer in graph.layers if "split" in layer.operator)
    assert len(split.outputs) == 3
    assert {t.output for t in graph.tensors if t.producer == graph.index[split.name]} == {0, 2}
    assert not any("getitem" in layer.operator for layer in graph.layers)


def test_what_depends_on_no_input_is_a_constant():
    graph = extract(Fork(), example(), "fork").graph
    assert not any("arange" in layer.operator for layer in graph.layers)


def test_nothing_works_in_place():
    graph = extract(Fork(), example(), "fork").graph
    assert not any(layer.operator.split(".")[1].endswith("_") for layer in graph.layers if not layer.is_input)


def test_shared_weights_are_counted_once():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4, bias=False)

        def forward(self, x):
            return self.linear(self.linear(x))

    graph = extract(Shared(), (torch.randn(1, 4),), "shared").graph
    assert graph.parameter_bytes == {"linear.weight": 64}
    assert sum(layer.flops for layer in graph.layers) == 2 * 2 * 16


def test_an_output_that_is_an_input_and_one_returned_twice_are_kept():
    class Same(nn.Module):
        def forward(self, x):
            y = x + 1
            return y, y

    model = extract(Same(), (torch.randn(2),), "same")
    assert model.graph.outputs == (TensorRef(model.graph.layers[-1].name, 0),) * 2
    assert len(model.run((torch.randn(2),))) == 2


def test_a_constant_output_is_left_out_with_a_warning():
    class Constant(nn.Module):
        def forward(self, x):
            return x + 1, torch.ones(3)

    with pytest.warns(UserWarning, match="'ones' of 'constant' depends on no input, and is left out"):
        model = extract(Constant(), (torch.randn(2),), "constant")
    assert [ref.layer for ref in model.graph.outputs] == ["add"]


def test_control_flow_on_values_is_refused_in_one_sentence():
    class Detector(nn.Module):
        def forward(self, x):
            return x[x > 0].sum() if x.sum() > 0 else x

    with pytest.raises(ExtractionFailed, match="depend on the values of the input") as caught:
        extract(Detector(), (torch.randn(4),), "detector")
    assert "\n" not in str(caught.value)


def test_inputs_that_do_not_fit_are_refused_in_one_sentence():
    with pytest.raises(ExtractionFailed, match="cannot be exported") as caught:
        extract(nn.Linear(4, 4), (torch.randn(1, 5),), "linear")
    assert "\n" not in str(caught.value)
    with pytest.raises(ExtractionFailed, match="example inputs that are tensors"):
        extract(nn.Linear(4, 4), (), "linear")
    with pytest.raises(ExtractionFailed, match="takes 1 inputs; 2 are given"):
        extract(nn.Linear(4, 4), (torch.randn(1, 4),), "linear").run((torch.randn(1, 4), torch.randn(1, 4)))


@cache
def recomputed(name: str) -> ExtractedModel:
    built = zoo.build(name)
    return assert_same(built.module, built.example_inputs, name)


@pytest.mark.parametrize("name", ["squeezenet1_1", "multiview2"])
def test_zoo_networks_are_recomputed_bit_for_bit(name):
    assert recomputed(name).calls


def test_an_image_network_starts_with_8_bit_pixels_unless_asked_otherwise():
    asked = zoo.build("squeezenet1_1-float")
    otherwise = extract(asked.module, asked.example_inputs, "squeezenet1_1-float")
    for model, dtype in ((recomputed("squeezenet1_1"), "uint8"), (otherwise, "float32")):
        graph = model.graph
        assert graph.layers[graph.inputs[0]].outputs[0].dtype == dtype


def test_the_views_of_a_multi_view_network_are_branches():
    graph = recomputed("multiview2").graph
    assert len(graph.inputs) == 2
    assert len(split_branches(graph).segments[0].branches) == 2


def test_unknown_networks_are_refused_with_a_suggestion():
    with pytest.raises(UnknownName, match="did you mean googlenet"):
        zoo.build("gogglenet")
    with pytest.raises(UnknownName, match="choose 2 to 24"):
        zoo.build("multiview99")


def test_building_leaves_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    zoo.build("squeezenet1_1")
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names())
def test_the_whole_zoo_is_recomputed_bit_for_bit(name):
    built = zoo.build(name)
    if sum(parameter.numel() for parameter in built.module.parameters()) > MAX_PARAMETERS:
        pytest.skip(f"{name} has more than {MAX_PARAMETERS:.0f} parameters")
    extracted = assert_same(built.module, built.example_inputs, name)
    split_branches(extracted.graph)
