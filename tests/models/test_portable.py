"""Models travel as data: same outputs bit for bit, and nothing that is not on the list."""

from __future__ import annotations

import json
import sys
from contextlib import suppress

import pytest
import safetensors.torch
import torch
from torch import nn

from decc_core.errors import InvalidGraph, UnreadableFile, UnsupportedOperator
from decc_core.models import portable
from decc_core.models.runtimes import runtime_of
from decc_core.models.torch.extract import extract
from decc_core.models.zoo import extracted
from tests.models.test_extract import Fork as Several
from tests.models.test_extract import example
from tests.runtime.networks import fork


@pytest.mark.parametrize(
    "make",
    [
        fork,
        pytest.param(lambda: extract(Several(), example(), "several"), id="several inputs and outputs"),
        pytest.param(lambda: extracted("squeezenet1_1"), id="squeezenet1_1"),
        pytest.param(lambda: extracted("shufflenet_v2_x1_0"), id="shufflenet_v2_x1_0", marks=pytest.mark.slow),
        pytest.param(lambda: extracted("two_tower"), id="two_tower", marks=pytest.mark.slow),
    ],
)
def test_networks_survive_bit_for_bit(make):
    model = make()
    back = portable.from_data(*portable.to_data(model))
    assert back.graph == model.graph
    assert runtime_of(back).digest(back) == runtime_of(model).digest(model)
    for found, expected in zip(back.run(model.example_inputs), model.run(model.example_inputs), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["swin_t", "vit_b_16", "deeplabv3_mobilenet_v3_large", "convnext_tiny", "maxvit_t"])
def test_transformers_and_segmentation_survive_bit_for_bit(name):
    model = extracted(name)
    back = portable.from_data(*portable.to_data(model))
    for found, expected in zip(back.run(model.example_inputs), model.run(model.example_inputs), strict=True):
        assert torch.equal(found, expected)


def test_shared_weights_are_stored_once():
    shared = nn.Linear(8, 8)
    model = extract(nn.Sequential(shared, nn.ReLU(), shared), (torch.randn(1, 8),), "shared")
    stored = safetensors.torch.load(portable.to_data(model)[1])
    assert sum(tensor.numel() for tensor in stored.values()) == 64 + 8 + 8


class Sharing(nn.Module):
    """One weight, parts of it, and the same turned around and laid out otherwise: all in the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = nn.Parameter(torch.randn(4, 4))
        self.register_buffer("part", self.whole.detach()[1:3])
        self.register_buffer("turned", self.whole.detach().t())
        self.register_buffer("alias", self.whole.detach().view(2, 8))

    def forward(self, x):
        return (x @ self.whole @ self.turned)[:2] * self.part + self.alias.sum()


def test_files_hold_what_is_sent_whatever_memory_weights_share(tmp_path):
    inputs = (torch.randn(4, 4),)
    for model in (extract(Sharing(), inputs, "sharing"), fork()):
        layers, tensors = tmp_path / "layers", tmp_path / "tensors"
        portable.write(model, layers, tensors)
        assert (layers.read_bytes(), tensors.read_bytes()) == portable.to_data(model)
        back = portable.from_data(layers.read_bytes(), tensors.read_bytes())
        assert torch.equal(back.run(model.example_inputs)[0], model.run(model.example_inputs)[0])


def test_an_operator_that_is_not_on_the_list_is_refused():
    class Random(nn.Module):
        def forward(self, x):
            return x + torch.rand_like(x)

    model = extract(Random(), (torch.randn(2),), "random")
    with pytest.raises(UnsupportedOperator, match="rand_like"):
        portable.to_data(model)


def changed(change):
    layers, tensors = portable.to_data(fork())
    content = json.loads(layers)
    change(content)
    return json.dumps(content).encode(), tensors


def set_operator(name):
    def change(content):
        content["calls"]["conv2d"]["operator"] = name

    return change


@pytest.mark.parametrize(
    "name", ["aten.from_file.default", "os.system", "aten.conv2d", "aten.__class__.default", "aten.add_.Tensor", ""]
)
def test_operators_from_elsewhere_are_refused(name):
    with pytest.raises(UnsupportedOperator):
        portable.from_data(*changed(set_operator(name)))


def drop_call(content):
    del content["calls"]["relu"]


def read_other_tensor(content):
    content["calls"]["relu"]["arguments"][0] = {"tensor": ["conv2d", 0]}


def name_a_module(content):
    content["calls"]["relu"]["arguments"].append({"torch_name": "os"})


def two_at_once(content):
    content["calls"]["relu"]["arguments"].append({"integer": 1, "text": "x"})


def missing_constant(content):
    content["calls"]["relu"]["arguments"].append({"constant": "constant.99"})


def other_version(content):
    content["version"] = 99


def unknown_field(content):
    content["pickle"] = "gASVAAAA"


def rename_input(content):
    content["input_names"] = ["somebody"]


def broken_graph(content):
    content["graph"]["outputs"] = []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (drop_call, "calls are not those of its graph"),
        (read_other_tensor, "'relu' reads other tensors"),
        (name_a_module, "'os', which is no dtype"),
        (two_at_once, "both integer and text"),
        (missing_constant, "'constant.99' is missing"),
        (other_version, "version 99"),
        (unknown_field, "unknown field `pickle`"),
        (rename_input, "inputs are not those"),
        (broken_graph, "has no output"),
    ],
)
def test_malformed_models_are_refused_with_one_sentence(change, sentence):
    with pytest.raises((UnreadableFile, UnsupportedOperator, InvalidGraph), match=sentence):
        portable.from_data(*changed(change))


@pytest.mark.parametrize("depth", [480, 5_000])
def test_arguments_inside_each_other_are_read_or_refused_however_deep_they_are(depth):
    layers, tensors = changed(lambda content: content["calls"]["relu"]["arguments"].append({"text": "inmost"}))
    deep = b'{"items":[' * depth + b"{}" + b"]}" * depth
    with suppress(UnreadableFile):
        portable.from_data(layers.replace(b'{"text": "inmost"}', deep), tensors)


def test_naming_a_part_of_torch_imports_nothing():
    def lazy(content):
        content["calls"]["relu"]["arguments"].append({"torch_name": "_inductor"})

    before = set(sys.modules)
    with pytest.raises(UnreadableFile, match="'_inductor', which is no dtype"):
        portable.from_data(*changed(lazy))
    assert set(sys.modules) == before


@pytest.mark.parametrize("tensors", [b"", b"\x00" * 7, b"\xff" * 64, b"\x08" + bytes(7) + b"not json"])
def test_broken_tensors_are_refused(tensors):
    with pytest.raises(UnreadableFile, match="not safetensors"):
        portable.from_data(portable.to_data(fork())[0], tensors)


@pytest.mark.parametrize("layers", [b"", b"{}", b"[", b"\xff\xfe", b"[" * 100_000])
def test_broken_layers_are_refused(layers):
    with pytest.raises(UnreadableFile):
        portable.from_data(layers, portable.to_data(fork())[1])
