"""Layers are called by the modules that made them, told apart by their kind, and never by another layer's name."""

from __future__ import annotations

import torch
from torch import nn

from decc_core import library
from decc_core.models.torch.extract import extract
from decc_core.network.titles import operator_name, shortened
from decc_core.problem.constraints import named_layers
from decc_core.profiling.imports.tables import template_csv


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU()

    def forward(self, x):
        return self.relu(self.bn(self.conv(self.relu(x))) + x)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(), Block())

    def forward(self, x):
        return self.blocks(x).flatten(1)


def graph():
    return extract(Two().eval(), torch.randn(1, 3, 4, 4)).graph


def test_a_layer_is_called_after_its_module_and_its_kind_where_the_module_made_several():
    assert graph().titles == (
        "x", "blocks.0.relu", "blocks.0.conv", "blocks.0.bn", "blocks.0.add", "blocks.0.relu_2",
        "blocks.1.relu", "blocks.1.conv", "blocks.1.bn", "blocks.1.add", "blocks.1.relu_2", "view",
    )  # fmt: skip


def test_a_module_that_is_called_by_a_number_says_its_kind():
    network = extract(nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval(), torch.randn(1, 4)).graph
    assert network.titles == ("input_1", "0.linear", "1.relu")


def test_titles_of_all_built_in_networks_differ_and_are_no_other_layers_names():
    for name in library.shipped_models():
        network = library.load_graph(name)
        assert len(set(network.titles)) == len(set(network.short_titles)) == len(network.layers)
        for i, title in enumerate(network.titles):
            assert network.layer_called(title) == i
            assert network.layer_called(network.layers[i].name) == i
            assert title.endswith(network.short_titles[i])


def test_the_shortest_end_that_tells_titles_apart_begins_with_a_word():
    assert shortened(["layer1.0.conv", "layer1.1.conv", "layer2.0.conv", "head.fc", "x"]) == (
        "layer1.0.conv", "layer1.1.conv", "layer2.0.conv", "fc", "x",
    )  # fmt: skip
    assert shortened(["a.features.3", "b.features.4"]) == ("features.3", "features.4")


def test_people_may_use_titles_as_well_as_names():
    network = graph()
    by_title, by_name = named_layers(network, ["blocks.0.bn"]), named_layers(network, [network.layers[3].name])
    assert by_title == by_name == {3}
    assert b"\nblocks.0.bn,blocks.0.bn,,\n" in template_csv(network)


def test_operators_are_called_as_people_call_them():
    assert operator_name("aten._native_batch_norm_legit_no_training.default") == "batch_norm"
    assert operator_name("aten.scaled_dot_product_attention.default") == "attention"
    assert operator_name("onnx.FusedConv+Relu") == "FusedConv+Relu"
    assert operator_name("input") == "input"
