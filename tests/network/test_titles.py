"""Layers are called by the modules that made them, told apart by their kind, and never by another layer's name."""

from __future__ import annotations

import torch
from torch import nn

from decc_core import library
from decc_core.models.torch.extract import extract
from decc_core.network.graph import Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.network.titles import labels, middle_left_out, modules_above, operator_name, shared_module, shortened
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


def test_layers_that_exporters_name_after_their_operators_are_called_by_their_kind():
    spec = (TensorSpec((1,), "float32"),)
    kinds = {
        "_native_batch_norm_legit_no_training_6": "aten._native_batch_norm_legit_no_training.default",
        "_to_copy": "aten._to_copy.default",
        "node_Conv_1293": "onnx.Conv",
        "split_with_sizes": "aten.split_with_sizes.default",
        "cat_1": "aten.cat.default",
        "fused": "onnx.Relu",
        "batch_norm_6": "onnx.Relu",
    }
    layers = [Layer("x", "input", (), spec)]
    for name, operator in kinds.items():
        layers.append(Layer(name, operator, (TensorRef(layers[-1].name),), spec))
    network = LayerGraph("g", tuple(layers), (TensorRef(layers[-1].name),))
    assert network.titles == ("x", "batch_norm_6_2", "to", "Conv_1293", "split", "cat_1", "fused", "batch_norm_6")
    assert [network.layer_called(name) for name in kinds] == list(range(1, 8))


def test_a_tensor_has_a_number_only_where_several_outputs_of_its_layer_are_needed():
    spec = TensorSpec((1,), "float32")
    layers = (
        Layer("x", "input", (), (spec,)),
        Layer("norm", "op", (TensorRef("x"),), (spec, spec, spec)),
        Layer("split", "op", (TensorRef("norm"),), (spec, spec)),
        Layer("y", "op", (TensorRef("split", 0), TensorRef("split", 1)), (spec,)),
    )
    network = LayerGraph("g", layers, (TensorRef("y"),))
    assert [network.tensor_title(i) for i in range(5)] == ["x", "norm", "split:0", "split:1", "y"]
    assert network.tensor_name(1) == "norm:0"


def test_a_run_is_called_after_the_module_that_its_layers_share():
    network = graph()
    assert network.run_title(range(1, 6)) == "blocks.0"
    assert network.run_title(range(1, 11)) == "blocks"
    assert network.run_title((3,)) == "blocks.0.bn"
    assert network.run_names(range(12)) == ("x", "view")
    assert shared_module(["network.stem.conv", "network.stem.bn"]) == "stem"
    assert shared_module(["networks.stem", "network2.head"]) == ""
    assert modules_above("network.a.b") == ["a", "a.b"]


def test_a_label_is_the_shortest_end_that_tells_what_is_shown_apart():
    titles = ["cam_front.layer1.0.conv1", "cam_rear.layer1.0.conv1", "head.fc"]
    assert labels([(title,) for title in titles], 30) == ("cam_front.layer1.0.conv1", "cam_rear.layer1.0.conv1", "fc")
    assert labels([("model.4.m.0",), ("model.6.m.0",), ("model.6.cv1",)], 20) == ("model.4.m.0", "model.6.m.0", "cv1")
    assert labels([("stem.conv", "head.fc"), ("stem.conv",)], 20) == ("conv … fc", "conv")


def test_where_room_is_short_the_middle_of_a_label_is_left_out_and_labels_still_differ():
    titles = ["cam_front.layer1.0.conv1", "cam_rear.layer1.0.conv1", "cam_left.layer1.0.conv1"]
    short = labels([(title,) for title in titles], 14)
    assert all(len(label) <= 14 and "…" in label for label in short)
    assert len(set(short)) == 3
    assert {label[-5:] for label in short} == {"conv1"}
    assert middle_left_out("inception", 9) == "inception"
    assert middle_left_out("layer1.0.conv1", 9) == "laye…onv1"
    assert labels([], 5) == ()
    assert labels([("input", "features.maxpool1")], 15) == ("input …",)
    assert labels([("inception3b.cat", "features.maxpool3")], 7) == ("cat …",)
    assert labels([("stem.long_name_1.cat", "fc"), ("head.cat", "fc")], 16) == ("long_name_1.cat", "head.cat … fc")
    assert labels([(f"image_tower.4.{i}.conv1",) for i in range(2)], 15) == ("image…4.0.conv1", "image…4.1.conv1")


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
