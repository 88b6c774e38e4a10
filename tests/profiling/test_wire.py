"""What tensors weigh and do when they are coded: against PyTorch on the whole module, with a tensor coded by hand."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import pytest
import torch
from torch import nn

from decc_core import formats, store
from decc_core.errors import InvalidInstance, InvalidProfile, UnknownName
from decc_core.models.torch.extract import extract
from decc_core.network.graph import TensorSpec
from decc_core.problem.wire import WireProfile
from decc_core.profiling import wire
from decc_core.profiling.wire import Judge, WireSettings, crossing_first, is_choice, measure_wire, relative_error
from tests.runtime.onnx_networks import onnx_fork

SAMPLES = 3


class Forked(nn.Module):
    """A stem that two branches read, one of them as it is; a classifier of five classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4 * 36, 5)

    def forward(self, image):
        return self.behind(self.stem(image))

    def behind(self, stem):
        return self.head((self.branch(stem).relu() + stem).flatten(1))


@pytest.fixture(scope="module")
def forked():
    torch.manual_seed(0)
    module = Forked().eval()
    return module, extract(module, (torch.randn(1, 3, 8, 8),), "forked")


def settings(*names: str, **more) -> WireSettings:
    return WireSettings(names, **{"samples": SAMPLES, "sampled": "drawn", **more})


def measured(model, *names: str, **more) -> WireProfile:
    return measure_wire(model, model.random_inputs, settings(*names, **more))


def tensor_called(graph, part: str) -> str:
    (name,) = (layer.name for layer in graph.layers if part in layer.name)
    return f"{name}:0"


def test_a_tensor_coded_alone_changes_the_outputs_as_in_the_whole_module(forked):
    module, model = forked
    found = measured(model, "raw", "int2").codings
    int2, spec = formats.find("int2"), TensorSpec((1, 4, 6, 6), "float32")
    errors, kept = [], []
    with torch.no_grad():
        for number in range(SAMPLES):
            stem = module.stem(model.random_inputs(number)[0])
            coded = torch.from_numpy(int2.decode(int2.encode(stem.numpy(), spec), spec).copy())
            before, after = module.behind(stem), module.behind(coded)
            errors.append(float((after - before).norm() / before.norm()))
            kept.append(bool(before.argmax() == after.argmax()))
    stem = model.graph.layers[1].name
    coding = found["int2"][f"{stem}:0"]
    assert coding.output_error == pytest.approx(fmean(errors), rel=1e-3)
    assert coding.agreement == pytest.approx(fmean(kept), abs=1e-4)
    assert coding.bytes_median == coding.bytes_p95 == int2.certain_bytes(spec)


def test_what_is_not_coded_or_coded_without_loss_changes_nothing(forked):
    found = measured(forked[1], "raw", "zstd").codings
    for tensors in found.values():
        assert len(tensors) == len(found["raw"])
        assert {(one.error, one.output_error, one.agreement) for one in tensors.values()} == {(0, 0, 1)}


def test_every_tensor_that_somebody_reads_is_measured_and_those_that_cross_come_first(forked):
    graph = forked[1].graph
    first, rest = crossing_first(graph)
    assert sorted(first + rest) == [i for i, tensor in enumerate(graph.tensors) if tensor.consumers]
    assert {graph.tensors[i].producer for i in first} >= set(graph.inputs)
    few, everything = (measured(forked[1], "raw", everything=more).codings["raw"] for more in (False, True))
    assert set(few) <= set(everything)
    assert len(everything) == len(first + rest)


def test_networks_of_onnx_runtime_are_measured_alike():
    model = onnx_fork()
    found = measured(model, "raw", "int8", "jpeg85").codings
    assert len(found["raw"]) == sum(bool(tensor.consumers) for tensor in model.graph.tensors)
    assert set(found["jpeg85"]) == {"image:0"}, "of 8 bits, and an image"
    assert "image:0" not in found["int8"], "which has no floats"
    assert all(one.output_error < 0.1 for one in found["int8"].values())
    assert max(one.output_error for one in found["int8"].values()) > 0


def test_with_random_weights_or_inputs_only_what_is_certain_is_told(forked):
    for doubt in ({"trained": False}, {"real": False}):
        found = measured(forked[1], "raw", "int4", "int4+zstd", **doubt)
        assert not found.trained
        assert set(found.codings) == {"raw", "int4"}
        assert {one.kept for tensors in found.codings.values() for one in tensors.values()} == {None}


def test_whoever_is_interrupted_loses_one_part_and_does_no_work_twice(forked, monkeypatch):
    monkeypatch.setattr(wire, "HELD_TENSORS", 2)
    model, kept = forked[1], []

    def interrupted(found: WireProfile) -> None:
        kept.append(found)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_wire(model, model.random_inputs, settings("raw", "int8"), keep=interrupted)
    known = store.from_json(store.to_json(kept[0]), WireProfile, "kept")
    assert len(known.codings["int8"]) == 2
    seen = []
    run = type(model).tensors
    monkeypatch.setattr(
        type(model), "tensors", lambda self, given, wanted: seen.append(wanted) or run(self, given, wanted)
    )
    whole = measure_wire(model, model.random_inputs, settings("raw", "int8"), known)
    every = len(whole.codings["int8"])
    assert len(seen) == SAMPLES * -(-(every - 2) // 2)
    assert {name: whole.codings["int8"][name] for name in known.codings["int8"]} == known.codings["int8"]
    seen.clear()
    assert measure_wire(model, model.random_inputs, settings("raw", "int8"), whole) == whole
    assert not seen
    more = measure_wire(model, model.random_inputs, settings("raw", "fp16"), whole)
    assert set(more.codings) == {"raw", "int8", "fp16"}


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"sampled": "others"}, "has inputs of its own"),
        ({"samples": 2}, "has a number of inputs of its own"),
        ({"trained": False}, "has weights, or inputs, that are of its own"),
        ({"judge": Judge.ERROR}, "has a judge of its own"),
    ],
)
def test_what_was_measured_otherwise_is_not_gone_on_with(forked, other, sentence):
    model = forked[1]
    known = measured(model, "raw")
    with pytest.raises(InvalidProfile, match=sentence):
        measure_wire(model, model.random_inputs, replace(settings("raw"), **other), known)


def test_a_file_of_another_network_is_refused(forked):
    known = measured(forked[1], "raw")
    other = extract(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), (torch.randn(1, 3),), "other")
    with pytest.raises(InvalidProfile, match="is of 'forked'"):
        measure_wire(other, other.random_inputs, settings("raw"), known)


def test_progress_names_what_is_measured_and_ends_at_all(forked):
    heard = []
    model = forked[1]
    measure_wire(model, model.random_inputs, settings("raw"), progress=lambda *told: heard.append(told))
    assert heard[-1][0] == heard[-1][1] > 0
    assert any(f"input {SAMPLES} of {SAMPLES}" in what for _, _, what in heard)


def test_scores_and_rows_of_probabilities_are_choices_and_maps_are_none():
    assert is_choice(torch.randn(1, 10))
    assert is_choice(torch.randn(1, 7, 10).softmax(-1))
    assert not is_choice(torch.randn(1, 7, 10))
    assert not is_choice(torch.rand(1, 1, 8, 8))
    assert not is_choice(torch.randn(1, 1))


def test_errors_are_shares_and_what_is_not_finite_on_both_sides_is_none():
    inf, nan = float("inf"), float("nan")
    assert relative_error(torch.tensor([3.0, 5.0]), torch.tensor([3.0, 4.0])) == pytest.approx(0.2)
    assert relative_error(torch.tensor([inf, nan, 1.0]), torch.tensor([inf, nan, 1.0])) == 0
    assert relative_error(torch.tensor([nan]), torch.tensor([1.0])) == wire.LARGEST_ERROR
    assert relative_error(torch.tensor([1.0]), torch.tensor([0.0])) == wire.LARGEST_ERROR


def test_decoded_values_lie_in_memory_as_the_tensor_did():
    for tensor in (torch.randn(1, 4, 5, 6).to(memory_format=torch.channels_last), torch.randn(2, 3).bfloat16().t()):
        again = wire.tensor_of(wire.values_of(tensor), tensor)
        assert again.stride() == tensor.stride()
        assert torch.equal(again, tensor)


def test_nonsense_is_refused_in_a_sentence():
    with pytest.raises(UnknownName, match="There is no wire format 'int9'"):
        settings("int9")
    with pytest.raises(InvalidInstance, match="at least one wire format"):
        settings()
    with pytest.raises(InvalidInstance, match="0 inputs cannot be measured"):
        settings("raw", samples=0)
