"""Files as people's exports are: many operators, open sizes, numbers out of buffers, odd containers and names."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from decc_core.errors import UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.pt2.archive import clean
from decc_core.load.pt2.operators import is_exported
from decc_core.load.pt2.read import read
from decc_core.load.pt2.sizes import Sizes
from decc_core.models.torch.operators import every_operator, find_operator, is_taken
from tests.load import hostile_pt2 as hostile
from tests.load.pt2.test_read import assert_same_network, outputs_of, read_back

X, IDS = torch.linspace(-2, 2, 8)[None], torch.arange(6)[None]


class Net(nn.Module):
    """One call, with the parts that it needs."""

    def __init__(self, call: Callable[..., object], **parts: nn.Module | torch.Tensor) -> None:
        super().__init__()
        self.call = call
        for name, part in parts.items():
            if isinstance(part, nn.Module):
                self.add_module(name, part)
            else:
                self.register_buffer(name, part)

    def forward(self, *inputs):
        return self.call(self, *inputs)


def linear():
    torch.manual_seed(0)
    return nn.Linear(8, 4)


OPERATORS: dict[str, tuple[Callable[..., object], dict[str, nn.Module | torch.Tensor], tuple[torch.Tensor, ...]]] = {
    "and": (lambda s, x: x.masked_fill((x > 0) & (x < 1), 0), {}, (X,)),
    "or with a number": (lambda s, x, m: (m | 1) ^ 2, {}, (X, IDS)),
    "shifts": (lambda s, i: (i << 2) >> 1, {}, (IDS,)),
    "differences": (lambda s, x: torch.diff(x, prepend=x[:, :1]), {}, (X,)),
    "weight norm": (lambda s, x: s.a(x), {"a": nn.utils.parametrizations.weight_norm(linear())}, (X,)),
    "an LSTM cell": (lambda s, x: s.a(x)[0], {"a": nn.LSTMCell(8, 4)}, (X,)),
    "a GRU cell": (lambda s, x: s.a(x), {"a": nn.GRUCell(8, 4)}, (X,)),
    "a plain cell": (lambda s, x: s.a(x), {"a": nn.RNNCell(8, 4)}, (X,)),
    "a spectrogram": (
        lambda s, x: torch.stft(x, 64, 16, window=s.w, return_complex=True).abs(),
        {"w": torch.hann_window(64)},
        (torch.linspace(0, 50, 512).sin()[None],),
    ),
    "buckets": (lambda s, x: torch.bucketize(x, s.b), {"b": torch.linspace(-1, 1, 9)}, (X,)),
    "a loss": (lambda s, x: F.cross_entropy(s.a(x), torch.tensor([1])), {"a": linear()}, (X,)),
    "distances": (lambda s, x: torch.cdist(s.a(x), s.c).argmin(-1), {"a": linear(), "c": torch.randn(5, 4)}, (X,)),
    "unpooling": (
        lambda s, x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2),
        {},
        (torch.arange(192.0).reshape(1, 3, 8, 8),),
    ),
    "an inverse": (lambda s, x: torch.linalg.inv(x.t() @ x + torch.eye(8)), {}, (X,)),
    "copies by index": (
        lambda s, x: torch.zeros(1, 4, 4).index_copy(1, torch.tensor([2]), s.a(x)[None]),
        {"a": linear()},
        (X,),
    ),
    "deformed convolution": (
        lambda s, x, o: s.a(x, o),
        {"a": torchvision.ops.DeformConv2d(3, 4, 3, padding=1)},
        (torch.arange(192.0).reshape(1, 3, 8, 8).cos(), torch.linspace(-3, 3, 18 * 64).reshape(1, 18, 8, 8)),
    ),
    "quantiles": (lambda s, x: torch.quantile(x, 0.5, dim=1), {}, (X,)),
    "a conjugate": (lambda s, x: torch.fft.fft(x).conj(), {}, (X,)),
    "a window of sums": (lambda s, x: x.unfold(1, 3, 1).nansum(-1), {}, (X,)),
    "one head of keys and values for all queries": (
        lambda s, q, k: F.scaled_dot_product_attention(q, k, k.flip(2)),
        {},
        (torch.linspace(-1, 1, 48).reshape(1, 3, 4, 4), torch.linspace(0, 3, 20).reshape(1, 1, 5, 4)),
    ),
    "memory that is written before it is read": (
        lambda s, x: torch.empty_like(x).fill_(2.0) + x.new_empty(1, 8).copy_(x) * torch.empty(8).zero_(),
        {},
        (X,),
    ),
    "in place": (lambda s, x: (x + 1).pow_(2).clamp_(max=3).transpose_(0, 1), {}, (X,)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_a_pure_operator_is_taken_and_gives_what_the_module_gives(name, tmp_path):
    call, parts, inputs = OPERATORS[name]
    assert_same_network(Net(call, **parts), inputs, tmp_path)


def test_what_is_taken_has_no_effect_and_no_chance():
    names = every_operator()
    assert len(names) > 600
    for name in names:
        schema = find_operator(name)._schema
        assert not schema.is_mutable or name in ("aten.batch_norm.default",)
        assert {str(value.type) for value in schema.returns} <= {"Tensor", "List[Tensor]"}
        assert not any("Generator" in str(argument.type) for argument in schema.arguments)


REFUSED = """
aten.from_file.default aten.rand.default aten.dropout.default aten.empty.memory_format aten.as_strided.default
aten.set_.source_Tensor aten.resize_.default aten.add.out aten._reshape_alias.default aten._unsafe_index.Tensor
aten.segment_reduce.default torchvision.roi_align.default aten.ctc_loss.IntList aten.linalg_lu_solve.default
aten.nonzero.default aten.embedding_bag.padding_idx
aten.convolution_backward.default aten.tensor.default aten.__class__.default aten.relu.__class__
aten.nowhere.default aten.relu torch.relu.default os.system.default
"""


@pytest.mark.parametrize("name", REFUSED.split())
def test_what_could_read_more_than_its_tensors_or_does_more_than_give_tensors_is_not_taken(name):
    assert not is_taken(name)
    if "dropout" not in name:
        assert not is_exported(name)


def test_a_refusal_names_every_operator_that_is_not_taken_once(tmp_path):
    def call(module, x):
        return torch.bernoulli(torch.rand_like(x)) + torch.rand_like(x) + torch.randn_like(x)

    with pytest.raises(UnreadableFile, match=r"not supported: .*Export it with torch\.onnx\.export") as refusal:
        read_back(hostile.saved(Net(call), (X,)), tmp_path)
    assert str(refusal.value).count("rand_like") == 1


def sized(tmp_path, module, inputs, shapes, **sizes):
    """A network with open sizes, read with some chosen."""
    source, target, chosen = tmp_path / "sent.pt2", tmp_path / "clean.pt2", Sizes(**sizes)
    source.write_bytes(hostile.saved(module, inputs, dynamic_shapes=shapes))
    clean(source, target, Limits(), chosen)
    return read(target, "net"), chosen.notes


BATCH, LENGTH = torch.export.Dim("batch", max=64), torch.export.Dim("length", min=2, max=512)


class Attention(nn.Module):
    """Computes with its sizes: products, parts and shapes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(50, 16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, ids, mask):
        x = self.embedding(ids)
        y, _ = self.attention(x, x, x, key_padding_mask=mask)
        some = y.flatten(1)[:, : ids.shape[1] * 2]
        return y.reshape(ids.shape[0], -1, 8).mean(1), some / ids.shape[1], ids.shape[0] * 2


@pytest.mark.parametrize(("batch", "length"), [(1, 2), (1, 9), (4, 7)])
def test_open_sizes_are_set_and_all_that_is_computed_of_them_follows(batch, length, tmp_path):
    module = Attention().eval()
    inputs = torch.randint(0, 50, (3, 8)), torch.zeros(3, 8, dtype=torch.bool)
    shapes = ({0: BATCH, 1: LENGTH}, {0: BATCH, 1: LENGTH})
    model, notes = sized(tmp_path, module, inputs, shapes, batch=batch, named={"mask:1": length})
    assert notes == [
        f"Dimension 0 of input 'ids' is open; set to {batch}.",
        f"Dimension 1 of input 'mask' is open; set to {length}, as asked for.",
    ]
    given = torch.randint(0, 50, (batch, length)), torch.zeros(batch, length, dtype=torch.bool)
    expected = outputs_of(module, given)[:2]
    assert [value.shape for value in model.example_inputs] == [(batch, length)] * 2
    # Outside an export attention has a kernel of its own, which rounds otherwise.
    torch.testing.assert_close(model.run(given), tuple(expected))


def test_an_open_batch_needs_no_word(tmp_path):
    model, notes = sized(tmp_path, nn.Sequential(nn.Linear(8, 4), nn.ReLU()), (X.repeat(4, 1),), ({0: BATCH},))
    assert model.example_inputs[0].shape == (1, 8)
    assert notes == ["Dimension 0 of input 'input' is open; set to 1."]


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({}, r"Dimension 1 of input 'ids' is open; give its size \(on the command line: --dimension ids:1=SIZE\)"),
        ({"ids:2": 4}, "No input has an open dimension 'ids:2'; open are 'ids:0', 'ids:1', 'mask:0', 'mask:1'"),
        ({"ids:1": 4, "mask:1": 5}, "Dimension 'mask:1' is of one size with another, and got a different one"),
    ],
)
def test_sizes_that_are_missing_or_misspelt_are_named(named, says, tmp_path):
    inputs = torch.randint(0, 50, (3, 8)), torch.zeros(3, 8, dtype=torch.bool)
    shapes = ({0: BATCH, 1: LENGTH}, {0: BATCH, 1: LENGTH})
    with pytest.raises(UnreadableFile, match=says):
        sized(tmp_path, Attention(), inputs, shapes, named=named)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Add(Symbol('s0', positive=True, integer=True), Integer(-1))", 6),
        ("Mul(Rational(1, 2), Add(Symbol('s0'), Integer(1)))", 4),
        ("FloorDiv(Symbol('s0'), Integer(2))", 3),
        ("CeilDiv(Symbol('s0'), Integer(2))", 4),
        ("PythonMod(Symbol('s0'), Integer(4))", 3),
        ("Mod(Integer(-7), Integer(4))", 1),
        ("ModularIndexing(Integer(23), Integer(3), Integer(4))", 3),
        ("Pow(Symbol('s0'), Integer(2))", 49),
        ("Mul(Integer(14), Pow(Symbol('s0'), Integer(-1)))", 2),
        ("Max(Integer(1), Min(Symbol('s0'), Integer(3)))", 3),
        ("TruncToInt(IntTrueDiv(Symbol('s0'), Integer(2)))", 3),
        ("CeilToInt(IntTrueDiv(Symbol('s0'), Integer(2)))", 4),
        ("RoundToInt(FloatTrueDiv(ToFloat(Symbol('s0')), Float('2.5', precision=53)))", 3),
        ("OpaqueUnaryFn_sqrt(Add(Symbol('s0'), Integer(2)))", 3.0),
        ("Integer(-1)", -1),
    ],
)
def test_expressions_of_sizes_are_worked_out_as_on_paper(text, value):
    found = Sizes(symbols={"s0": 7}).value(text, "Layer 'x'")
    assert (found, type(found)) == (value, type(value))


def test_a_number_out_of_a_buffer_is_a_constant(tmp_path):
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)
            self.register_buffer("strides", torch.tensor([8.0, 16.0]))
            self.register_buffer("rows", torch.tensor([[2], [5]]))

        def forward(self, x):
            y = self.conv(x).flatten(2)
            grid = torch.full((1, y.shape[2]), self.strides.flip(0)[0].item() / 2, dtype=x.dtype)
            rows = self.rows[1, 0].item()
            torch._check(rows >= 0)
            torch._check(rows <= 64)
            return y * grid, y[:, :, :rows]

    model = assert_same_network(Head().eval(), (torch.randn(1, 3, 8, 8),), tmp_path)
    assert [tensor.spec.shape for tensor in model.graph.tensors if tensor.is_output] == [(1, 4, 64), (1, 4, 5)]


def test_a_number_out_of_weights_whose_layers_do_not_fit_is_one_sentence(tmp_path):
    module = Net(lambda s, x: x * s.a[1].item(), a=torch.tensor([1.0, 2.0]))

    def far(found):
        select = next(node for node in found["graph_module"]["graph"]["nodes"] if "select" in node["target"])
        next(given for given in select["inputs"] if given["name"] == "index")["arg"] = {"as_int": 9}

    content = hostile.changed(hostile.parts_of(hostile.saved(module, (X,))), hostile.NETWORK, far)
    with pytest.raises(UnreadableFile, match="takes a number out of weights that cannot be worked out"):
        read_back(content, tmp_path)


def test_odd_values_of_expressions_are_plain_numbers_or_refused():
    assert Sizes().value("Mul(Rational(1, 3), Integer(1))", "Layer 'x'") == 1 / 3
    with pytest.raises(UnreadableFile, match="no real number"):
        Sizes().value("Pow(Integer(-1), Float('0.5'))", "Layer 'x'")


def test_a_number_out_of_an_input_is_refused(tmp_path):
    def call(module, x):
        return torch.full((3,), x.sum().item()) * x[0, 0]

    with pytest.raises(UnreadableFile, match="turns a tensor that depends on the inputs into a number"):
        read_back(hostile.saved(Net(call), (X,)), tmp_path)


@dataclass
class Output:
    """As ModelOutput is: a class that somebody registered."""

    logits: torch.Tensor
    hidden: torch.Tensor


torch.export.register_dataclass(Output, serialized_type_name="tests.Output")


def test_outputs_in_classes_of_their_own_are_taken_as_their_tensors(tmp_path):
    a = linear()
    model = read_back(hostile.saved(Net(lambda s, x: Output(s.a(x), s.a(x).relu()), a=a), (X,)), tmp_path)
    assert all(torch.equal(one, other) for one, other in zip(model.run((X,)), (a(X), a(X).relu()), strict=True))
    model = read_back(hostile.saved(Net(lambda s, x: s.a(x).max(dim=1), a=a), (X,)), tmp_path)
    assert all(torch.equal(one, other) for one, other in zip(model.run((X,)), a(X).max(dim=1), strict=True))


def test_a_tensor_that_is_given_twice_stays_two_outputs(tmp_path):
    model = assert_same_network(Net(lambda s, x: (h := s.a(x), h.relu(), h), a=linear()), (X,), tmp_path)
    assert [ref.layer for ref in model.graph.outputs] == ["linear", "relu", "linear"]


def test_modules_with_names_of_pythons_own_words_are_taken(tmp_path):
    heads = nn.ModuleDict({"class": linear(), "box": linear(), "lambda": linear()})
    inputs = (X,)
    module = Net(lambda s, x: [head(x) for head in s.heads.values()], heads=heads)
    model = read_back(hostile.saved(module, inputs), tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(model.run(inputs), outputs_of(module, inputs), strict=True))
    assert "heads.class_.weight" in model.graph.parameter_bytes


def test_whole_numbers_are_one_where_the_network_fails_on_zeros(tmp_path):
    def call(module, ids):
        return 12 // ids

    model = read_back(hostile.saved(Net(call), (torch.tensor([3, 4]),)), tmp_path)
    assert torch.equal(model.example_inputs[0], torch.ones(2, dtype=torch.int64))
    assert torch.equal(model.run((torch.tensor([3, 5]),))[0], torch.tensor([4, 2]))
    fine = read_back(hostile.saved(Net(lambda s, ids: ids + 1), (torch.tensor([3, 4]),)), tmp_path)
    assert torch.equal(fine.example_inputs[0], torch.zeros(2, dtype=torch.int64))


def test_numbers_without_end_come_out_of_buffers_too(tmp_path):
    model = assert_same_network(
        Net(lambda s, x: x.masked_fill(x > 0, s.low.item()), low=torch.tensor(-math.inf)), (X,), tmp_path
    )
    assert math.isinf(float(model.run((X,))[0].min()))
