"""Honest `.pt2` files: cleaned and read, they are the network that was exported, bit for bit."""

from __future__ import annotations

import copy
import io
import json

import pytest
import torch
import torchvision
from torch import nn
from torch.utils import _pytree as pytree

from decc_core.errors import DeccError, ExtractionFailed, UnreadableFile, UnsupportedOperator
from decc_core.load.limits import Limits
from decc_core.load.pt2.archive import PAYLOAD, clean
from decc_core.load.pt2.read import read
from decc_core.models import portable
from decc_core.models.torch.extract import extract
from tests.load import hostile_pt2 as hostile

QUICK = ["squeezenet1_1"]
SLOW = [
    "shufflenet_v2_x0_5",
    "mobilenet_v3_small",
    "googlenet",
    "densenet121",
    "swin_t",
    "efficientnet_b0",
    "deeplabv3_mobilenet_v3_large",
    "maxvit_t",
    "vit_b_16",
]
TIMM = ["ghostnet_050", "convnext_atto", "xcit_nano_12_p16_224", "mobilevit_xxs", "levit_128s"]


def read_back(content, tmp_path, name="net"):
    source, target = tmp_path / "sent.pt2", tmp_path / "clean.pt2"
    source.write_bytes(content)
    clean(source, target, Limits())
    return read(target, name)


def outputs_of(module, inputs):
    with torch.no_grad():
        return pytree.tree_leaves(module(*copy.deepcopy(inputs)))


def assert_same_network(module, inputs, tmp_path, **options):
    """The same layers as a direct extraction finds, and the outputs and weights of the module itself."""
    content = hostile.saved(module, inputs, **options)
    model = read_back(content, tmp_path)
    flat = tuple(value for value in pytree.tree_leaves(inputs) if isinstance(value, torch.Tensor))
    found, expected = model.run(flat), outputs_of(module, inputs)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    sent, kept = hostile.parts_of(content), hostile.parts_of((tmp_path / "clean.pt2").read_bytes())
    weights = [name for name in sent if PAYLOAD.fullmatch(name)]
    assert {name: kept[name] for name in weights} == {name: sent[name] for name in weights}
    assert [tuple(value.shape) for value in model.example_inputs] == [tuple(value.shape) for value in flat]
    assert [value.dtype for value in model.example_inputs] == [value.dtype for value in flat]
    back = portable.from_data(*portable.to_data(model))
    assert all(torch.equal(a, b) for a, b in zip(back.run(flat), expected, strict=True))
    return model


def torchvision_network(name):
    options = {"init_weights": True} if name == "googlenet" else {}
    if name.startswith("deeplab"):
        options["weights_backbone"] = None
    torch.manual_seed(0)
    return torchvision.models.get_model(name, weights=None, **options).eval()


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_networks_of_torchvision_come_back_bit_for_bit(name, tmp_path):
    module, inputs = torchvision_network(name), (torch.randn(1, 3, 224, 224),)
    model = assert_same_network(module, inputs, tmp_path)
    direct = extract(module, inputs, "net")
    assert model.graph.layers == direct.graph.layers, "names, module paths, weights and FLOPs of a direct extraction"
    assert model.graph.outputs == direct.graph.outputs


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_networks_of_timm_come_back_bit_for_bit(name, tmp_path):
    timm = pytest.importorskip("timm")
    module = timm.create_model(name).eval()
    inputs = (torch.randn(1, *module.default_cfg["input_size"]),)
    model = assert_same_network(module, inputs, tmp_path)
    assert model.graph.layers == extract(module, inputs, "net").graph.layers


def test_a_small_network_keeps_its_names_and_module_paths(tmp_path):
    model = assert_same_network(hostile.Honest().eval(), hostile.example(), tmp_path)
    assert model.input_names == ("image",)
    paths = {layer.operator: layer.module_path for layer in model.graph.layers}
    assert paths["aten.conv2d.default"] == "conv"
    assert paths["aten.linear.default"] == "head"
    assert set(model.graph.parameter_bytes) == {
        "conv.weight", "conv.bias", "head.weight", "head.bias", "shift", "scale",
    }  # fmt: skip


class Nested(nn.Module):
    """Takes and gives containers, a value that is no tensor, and an input that nothing reads."""

    def forward(self, first, pair, *, named, missing=None, unused=None):
        return {"a": (first + pair["b"], [pair["a"] * 2]), "b": None, "c": named.float()}


def test_containers_and_plain_values_are_flattened_into_tensors(tmp_path):
    first, pair = torch.randn(2, 3), {"a": torch.randn(4), "b": torch.randn(3)}
    named, unused = torch.randint(0, 9, (5,)), torch.randn(1)
    keywords = {"named": named, "missing": None, "unused": unused}
    model = read_back(hostile.saved(Nested(), (first, pair), kwargs=keywords), tmp_path)
    assert len(model.input_names) == 5
    assert model.input_names.count(None) == 1, "nothing reads one of them"
    found = model.run((first, pair["a"], pair["b"], named, unused))
    expected = (first + pair["b"], pair["a"] * 2, named.float())
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_example_inputs_have_the_recorded_type_and_order_in_memory(tmp_path):
    class Several(nn.Module):
        def forward(self, image, tokens, table, flags):
            return image.float().mean(), tokens + 1, table * 2, flags.logical_not()

    table = torch.randn(1, 2, 3, 4).to(memory_format=torch.channels_last)
    inputs = (torch.zeros(4, dtype=torch.uint8), torch.ones(2, dtype=torch.int64), table, torch.ones(2) > 0)
    image, tokens, drawn, flags = assert_same_network(Several(), inputs, tmp_path).example_inputs
    assert image.dtype == torch.uint8
    assert not tokens.any()
    assert not flags.any()
    assert drawn.stride() == table.stride()
    assert drawn.any()


def test_weights_that_share_their_bytes_still_do_the_same(tmp_path):
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
            self.second.weight = self.first.weight
            self.register_buffer("part", self.first.weight.detach()[1:3, 1])

        def forward(self, x):
            return self.second(self.first(x))[:, :2] + self.part

    assert_same_network(Shared().eval(), (torch.randn(1, 4),), tmp_path)


def test_weights_that_are_no_numbers_are_data(tmp_path):
    module = hostile.Honest().eval()
    with torch.no_grad():
        module.conv.weight[0, 0, 0, 0], module.head.bias[0] = float("nan"), float("inf")
    model = read_back(hostile.saved(module, hostile.example()), tmp_path)
    assert model.run(hostile.example())[0].isnan().any()


def test_numbers_without_end_in_arguments_are_kept(tmp_path):
    class Masked(nn.Module):
        def forward(self, x):
            return torch.where(x > 0, x, float("-inf")).masked_fill(x > 1, float("inf")).clamp(max=float("nan"))

    inputs = (torch.tensor([-1.0, 0.5, 2.0]),)
    model = read_back(hostile.saved(Masked(), inputs), tmp_path)
    assert torch.equal(model.run(inputs)[0].isnan(), outputs_of(Masked(), inputs)[0].isnan())


@pytest.mark.parametrize("table", [{}, None])
def test_a_program_that_was_decomposed_before_it_was_saved_is_read_too(table, tmp_path):
    program = torch.export.export(hostile.Honest().eval(), hostile.example()).run_decompositions(table)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    inputs = hostile.example()
    found = read_back(buffer.getvalue(), tmp_path).run(inputs)
    assert torch.equal(found[0], program.module()(*inputs)["scores"])


def test_html_in_module_names_stays_text(tmp_path):
    module = nn.Sequential()
    module.add_module("<b>bold</b>", nn.Linear(2, 2))
    module.add_module("**[x](javascript:y)**", nn.ReLU())
    model = assert_same_network(module.eval(), (torch.randn(1, 2),), tmp_path)
    assert model.graph.layers[1].module_path == "<b>bold</b>"


def test_a_part_that_leads_to_no_output_is_left_out(tmp_path):
    def change(found):
        graph = found["graph_module"]["graph"]
        lonely = copy.deepcopy(graph["nodes"][0])
        lonely |= {"name": "lonely", "outputs": [{"as_tensor": {"name": "lonely"}}]}
        graph["nodes"].append(lonely)
        graph["tensor_values"]["lonely"] = graph["tensor_values"]["conv2d"]

    parts = hostile.parts_of(hostile.honest())
    model = read_back(hostile.changed(parts, hostile.NETWORK, change), tmp_path)
    assert "lonely" not in model.graph.index


def test_shapes_that_the_file_lies_about_are_computed_anew(tmp_path):
    def change(found):
        found["graph_module"]["graph"]["tensor_values"]["conv2d"]["sizes"] = hostile.ints(1, 1, 1, 1)

    parts = hostile.parts_of(hostile.honest())
    model = read_back(hostile.changed(parts, hostile.NETWORK, change), tmp_path)
    assert model.graph.layers[1].outputs[0].shape == (1, 4, 6, 6)


def refusal(content, tmp_path, kind=DeccError):
    with pytest.raises(kind) as caught:
        read_back(content, tmp_path)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 600
    return text


def test_a_network_in_training_is_refused_by_its_layer(tmp_path):
    class Training(nn.Module):
        def forward(self, x):
            return nn.functional.dropout(x + 1, 0.5, True)

    said = refusal(hostile.saved(Training(), (torch.randn(3),)), tmp_path, UnsupportedOperator)
    assert "native_dropout" in said or "dropout" in said or "bernoulli" in said


def test_a_network_that_changes_its_buffers_is_refused(tmp_path):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x):
            self.count.add_(1)
            return x + self.count

    assert "changes 'count'" in refusal(hostile.saved(Counting(), (torch.randn(3),)), tmp_path, ExtractionFailed)


def test_an_output_that_depends_on_no_input_is_left_out(tmp_path):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, x, alone):
            return self.scale.exp() if alone else (x + 1, self.scale.exp())

    x = torch.randn(3)
    model = read_back(hostile.saved(Scaled(), (x, False)), tmp_path)
    assert (model.left_out, len(model.graph.outputs)) == (("exp",), 1)
    assert torch.equal(model.run((x,))[0], x + 1)
    assert "No output of" in refusal(hostile.saved(Scaled(), (x, True)), tmp_path, ExtractionFailed)


def test_arguments_that_no_operator_takes_are_one_sentence(tmp_path):
    def change(found):
        found["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = {"as_string": "no tensor"}

    parts = hostile.parts_of(hostile.honest())
    said = refusal(hostile.changed(parts, hostile.NETWORK, change), tmp_path, ExtractionFailed)
    assert "conv2d" in said, "the operator that refused it"


def test_control_flow_is_refused_with_the_reason(tmp_path):
    class Branching(nn.Module):
        def forward(self, x):
            return torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (x,))

    said = refusal(hostile.saved(Branching(), (torch.randn(3),)), tmp_path, UnreadableFile)
    assert "control flow" in said


class Blocks(nn.Module):
    """Computes in blocks that switch something off, as attention often does."""

    def forward(self, x):
        with torch.autocast("cpu", enabled=False):
            y = x @ x
        with torch.no_grad():
            return y + x.sigmoid()


def test_blocks_that_switch_something_off_are_refused_with_the_call_that_dissolves_them(tmp_path):
    inputs = (torch.randn(3, 3),)
    said = refusal(hostile.saved(Blocks(), inputs), tmp_path, UnreadableFile)
    assert "run_decompositions({})" in said
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(Blocks(), inputs).run_decompositions({}), buffer)
    assert torch.equal(read_back(buffer.getvalue(), tmp_path).run(inputs)[0], outputs_of(Blocks(), inputs)[0])


def test_a_rectangular_identity_is_a_constant(tmp_path):
    class Projected(nn.Module):
        def forward(self, x):
            return x @ torch.eye(3, 5)

    model = assert_same_network(Projected(), (torch.randn(2, 3),), tmp_path)
    assert [layer.operator for layer in model.graph.layers] == ["input", "aten.matmul.default"]


def test_writing_into_a_part_of_a_tensor_becomes_layers_without_side_effects(tmp_path):
    class Filling(nn.Module):
        def forward(self, x):
            y = x + 1
            y[:, 1:].copy_(x[:, :-1])
            y[:, 0] = x.sum()
            y[0, 1:].zero_()
            return y

    assert_same_network(Filling(), (torch.randn(2, 3),), tmp_path)


def test_weights_on_the_gpu_are_read_on_the_cpu(tmp_path):
    parts = hostile.parts_of(hostile.honest())
    for name in (hostile.NETWORK, hostile.WEIGHTS, hostile.CONSTANTS):
        parts[name] = parts[name].replace(b'{"type": "cpu", "index": null}', b'{"type": "cuda", "index": 0}')
        assert json.loads(parts[name])
    model, inputs = read_back(hostile.packed(parts), tmp_path), hostile.example()
    assert torch.equal(model.run(inputs)[0], outputs_of(hostile.Honest().eval(), inputs)[0])
