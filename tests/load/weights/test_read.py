"""Weights from a file, in a known network: bit by bit, under the zoo's fingerprint, or refused with what differs."""

from __future__ import annotations

import zipfile

import pytest
import safetensors.torch
import torch

from decc_core import library
from decc_core.errors import RefusedFile, UnknownName, UnreadableFile
from decc_core.load.kinds.detect import kind_of
from decc_core.load.kinds.kind import Kind
from decc_core.load.limits import Limits
from decc_core.load.weights import read as weights
from decc_core.load.weights.fit import plain_network
from decc_core.models import zoo
from tests.load.foreign_files import Marker, safetensors_bytes

NETWORK = "squeezenet1_1"
"""Small, without batch norms; `BATCHED` has them."""
BATCHED = "shufflenet_v2_x0_5"


def other_weights(name: str) -> dict[str, torch.Tensor]:
    """Weights that are not the zoo's own: every bit pattern of a float that a seed gives, NaN left out."""
    network = plain_network(zoo.build(name).module)
    draw = torch.Generator().manual_seed(7)
    return {
        key: torch.rand(value.shape, generator=draw) if value.is_floating_point() else value.clone() + 3
        for key, value in network.state_dict().items()
    }


@pytest.fixture(scope="module")
def tensors():
    return other_weights(NETWORK)


@pytest.fixture(scope="module")
def batched():
    return other_weights(BATCHED)


@pytest.fixture
def write(tmp_path):
    """A file of weights and its kind, which is told as it is for an upload."""

    def written(content: object, safe: bool = False, **options: object):
        path = tmp_path / ("w.safetensors" if safe else "w.pt")
        if safe:
            safetensors.torch.save_file(content, path)
        else:
            torch.save(content, path, **options)
        return path, kind_of(path, path.name, Limits())

    return written


def assert_holds(model, tensors):
    """Every tensor stands in the network under its key, bit by bit."""
    own = plain_network(model.module).state_dict()
    assert all(bytes_of(own[key]) == bytes_of(value) for key, value in tensors.items())


def bytes_of(tensor):
    return tensor.contiguous().numpy().tobytes()


def refusal(path, kind, name, error=RefusedFile):
    with pytest.raises(error) as caught:
        weights.with_weights(path, kind, name)
    message = str(caught.value)
    assert message.endswith(".")
    assert ". " not in message
    return caught.value


@pytest.mark.parametrize("how", ["torch.save", "legacy", "safetensors"])
def test_weights_of_every_format_arrive_bit_by_bit(write, tensors, how):
    options = {"_use_new_zipfile_serialization": False} if how == "legacy" else {}
    model, notes = weights.with_weights(*write(tensors, how == "safetensors", **options), NETWORK)
    assert notes == ()
    assert_holds(model, tensors)


@pytest.mark.parametrize("name", ["resnet18", pytest.param("googlenet", marks=pytest.mark.slow)])
def test_the_model_is_the_network_of_the_zoo_with_these_weights_and_shipped_profiles_fit(write, name):
    tensors = other_weights(name)
    model, _ = weights.read(*write(tensors), name)
    graph = library.load_graph(name)
    assert model.graph.fingerprint == graph.fingerprint
    assert model.graph.name == graph.name
    for device in library.shipped_devices(name):
        library.load_profile(name, device).require_graph(model.graph)
    held = [value for call in model.calls.values() for value in (*call.args, *call.kwargs.values())]
    found = {bytes_of(value) for value in held if isinstance(value, torch.Tensor)}
    assert found >= {bytes_of(value) for key, value in tensors.items() if read_by_a_layer(key)}
    network = zoo.build(name)
    plain_network(network.module).load_state_dict(tensors)
    assert torch.equal(model.run(network.example_inputs)[0], network.module(*network.example_inputs))


def read_by_a_layer(key):
    return not key.startswith("aux") and not key.endswith("num_batches_tracked")


@pytest.mark.parametrize("name", ["siamese", "lraspp_mobilenet_v3_large", f"{NETWORK}-float"])
def test_networks_inside_wrappers_are_found(write, name):
    tensors = other_weights(name)
    model, notes = weights.with_weights(*write(tensors), name)
    assert notes == ()
    assert_holds(model, tensors)


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
def test_a_checkpoint_around_the_weights_is_opened_visibly(write, tensors, wrapper):
    path, kind = write({"epoch": 3, wrapper: tensors, "optimizer": {"lr": 0.1}})
    _, notes = weights.with_weights(path, kind, NETWORK)
    assert notes == (f"The weights are the entry '{wrapper}' of a checkpoint; left out: 'epoch', 'optimizer'.",)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model."])
def test_a_prefix_of_a_wrapper_is_taken_off_visibly(write, tensors, prefix):
    path, kind = write({prefix + key: value for key, value in tensors.items()}, safe=True)
    model, notes = weights.with_weights(path, kind, NETWORK)
    assert notes == (f"Every key begins with '{prefix}', which was taken off.",)
    assert_holds(model, tensors)


def test_weights_of_the_zoo_module_itself_fit(write):
    path, kind = write(zoo.build(NETWORK).module.state_dict())
    _, notes = weights.with_weights(path, kind, NETWORK)
    assert "'network.'" in notes[0]
    assert "'image_input.mean'" in notes[1]


def test_counters_may_be_missing_and_extra_buffers_present(write, batched):
    kept = {key: value for key, value in batched.items() if "num_batches_tracked" not in key}
    path, kind = write({**kept, "total_ops": torch.zeros(1), "conv1.total_ops": torch.zeros(1)})
    _, notes = weights.with_weights(path, kind, BATCHED)
    assert notes[0].startswith(f"Missing, but read by no layer: {len(batched) - len(kept)} tensors (")
    assert notes[1] == "Left out, as no layer reads them: 2 tensors ('total_ops', 'conv1.total_ops')."


def test_heads_for_training_may_be_missing_and_colours_are_noted(write):
    found = {key: value for key, value in other_weights("googlenet").items() if not key.startswith("aux")}
    path, kind = write(found)
    _, notes = weights.with_weights(path, kind, "googlenet")
    assert notes[0].startswith("Missing, but read by no layer: ")
    assert "('aux1." in notes[0]
    assert "transform_input" in notes[1]


def test_values_that_are_no_numbers_are_kept_and_noted(write, tensors):
    key = "features.0.weight"
    odd = tensors[key].clone()
    odd.view(torch.int32).view(-1)[0] = 0x7FC12345  # a NaN with a payload
    path, kind = write({**tensors, key: odd})
    model, notes = weights.with_weights(path, kind, NETWORK)
    assert notes == (f"Not all values are finite numbers in 1 tensor ('{key}').",)
    assert_holds(model, {key: odd})


def test_weights_in_another_memory_layout_are_the_same_numbers(write, tensors):
    turned = {
        key: value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value
        for key, value in tensors.items()
    }
    path, kind = write(turned)
    model, _ = weights.with_weights(path, kind, NETWORK)
    assert_holds(model, tensors)


def test_all_that_does_not_fit_is_counted_and_the_first_named(write, tensors):
    changed = {key: value for key, value in tensors.items() if not key.startswith("features.3.")}
    changed |= {"extra.weight": torch.ones(1), "features.0.weight": torch.ones(2, 3)}
    error = refusal(*write(changed), NETWORK)
    assert "6 of 52 tensors missing ('features.3.squeeze.weight'," in str(error)
    assert "and 1 more" in str(error)
    assert "1 unexpected ('extra.weight')" in str(error)
    assert "1 of another shape or dtype ('features.0.weight' is float32 2x3, not float32 64x3x3x3)" in str(error)
    assert "torch.export" in error.remedy


def test_another_dtype_is_refused_with_what_to_do(write, tensors):
    error = refusal(*write({key: value.half() for key, value in tensors.items()}), NETWORK)
    assert "float16" in str(error)
    assert "model.float()" in str(error)
    assert error.remedy == ""


def test_another_number_of_classes_is_recognised(write, tensors):
    changed = {**tensors, "classifier.1.weight": torch.ones(10, 512, 1, 1), "classifier.1.bias": torch.ones(10)}
    assert "another number of classes" in str(refusal(*write(changed), NETWORK))


def test_a_network_of_the_family_that_fits_is_suggested(write):
    error = refusal(*write(other_weights("squeezenet1_0")), NETWORK)
    assert "they fit 'squeezenet1_0'" in str(error)
    assert error.remedy == ""


def test_an_unknown_network_is_refused_with_close_names(write, tensors):
    path, kind = write(tensors)
    with pytest.raises(UnknownName, match="did you mean"):
        weights.with_weights(path, kind, "squeezenet1_2")


def test_dictionaries_without_tensors_and_single_tensors_are_refused(write):
    assert "one Tensor" in str(refusal(*write(torch.ones(2)), NETWORK))
    assert "entries: 'optimizer'" in str(refusal(*write({"optimizer": {"m": torch.ones(1)}}), NETWORK))


def test_a_shape_that_no_memory_holds_is_refused_before_anything_is_allocated(tmp_path, tensors):
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors_bytes({"w": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}, b""))
    refusal(path, Kind.SAFETENSORS, NETWORK, UnreadableFile)
    expanded = torch.ones(1).expand(1 << 40)
    torch.save({**tensors, "features.0.bias": expanded}, tmp_path / "w.pt")
    assert "is float32 1099511627776, not float32 64" in str(refusal(tmp_path / "w.pt", Kind.STATE_DICT, NETWORK))


def test_a_damaged_file_is_refused(write, tensors, tmp_path):
    path, kind = write(tensors)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    refusal(path, kind, NETWORK, UnreadableFile)
    path.write_bytes(b"\x80\x02}q\x00.")
    refusal(path, kind, NETWORK, UnreadableFile)


def test_an_archive_that_was_compressed_again_gives_the_same_weights(write, tensors, tmp_path):
    path, _ = write(tensors)
    packed = tmp_path / "packed.pt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    model, _ = weights.with_weights(packed, kind_of(packed, "packed.pt", Limits()), NETWORK)
    assert_holds(model, tensors)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_payload_does_not_run_even_where_the_kind_was_not_asked(write, tensors, tmp_path, legacy):
    marker, path = tmp_path / "marker", tmp_path / "w.pt"
    torch.save({**tensors, "x": Marker(marker)}, path, _use_new_zipfile_serialization=not legacy)
    refusal(path, Kind.STATE_DICT, NETWORK, UnreadableFile)
    assert not marker.exists()
