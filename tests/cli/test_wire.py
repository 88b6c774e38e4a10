"""`decc wire` on the command line: a file that can be planned with, gone on with, and a sentence for every mistake."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from decc_core import files, formats, library, store
from decc_core.cli import main
from decc_core.models.torch.extract import extract
from decc_core.problem.wire import WireProfile
from decc_core.profiling.wire import WireSettings, measure_wire


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small image network, its graph, three images, one that is none, and a folder without any."""
    torch.manual_seed(0)
    found = tmp_path_factory.mktemp("wire")
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 3)).eval()
    torch.export.save(torch.export.export(module, (torch.randn(1, 3, 16, 16),)), found / "net.pt2")
    tokens = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval()
    torch.export.save(torch.export.export(tokens, (torch.randn(1, 4),)), found / "tokens.pt2")
    for name in ("images", "damaged", "empty"):
        (found / name).mkdir()
    draw = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(draw.integers(0, 256, (20, 20, 3), np.uint8)).save(found / "images" / f"{number}.png")
    (found / "damaged" / "0.png").write_bytes(b"no image")
    return found


def run(folder, capsys, arguments: str) -> tuple[int, str, str]:
    status = main([part.replace("@", f"{folder}/") for part in arguments.split()])
    said = capsys.readouterr()
    return status, said.out.replace(f"{folder}/", "@"), said.err.replace(f"{folder}/", "@")


def test_a_file_is_written_that_a_plan_takes_and_gone_on_with(folder, capsys):
    status, out, _ = run(folder, capsys, "wire @net.pt2 --images @images --formats raw,int8+zstd --output @wire.json")
    assert status == 0
    assert "int8+zstd" in out
    first = store.load(folder / "wire.json", WireProfile)
    assert (first.samples, first.trained, set(first.codings)) == (3, True, {"raw", "int8+zstd"})
    assert "3 images (" in first.provenance.settings["inputs"]
    status, _, _ = run(folder, capsys, "wire @net.pt2 --images @images --formats raw,int4 --output @wire.json")
    assert status == 0
    second = store.load(folder / "wire.json", WireProfile)
    assert set(second.codings) == {"raw", "int8+zstd", "int4"}
    assert second.codings["raw"] == first.codings["raw"]
    assert not list(folder.glob("*.part"))
    status, out, _ = run(folder, capsys, "plan @net.pt2 --wire-profile @wire.json --wire int8+zstd --uplink-mbps 1")
    assert status == 0


def test_without_images_only_certain_sizes_are_told_and_the_command_says_so(folder, capsys):
    status, _, err = run(folder, capsys, "wire @tokens.pt2 --formats raw,int8,int8+zstd -o @random.json")
    assert status == 0
    assert "the inputs are random; give images with --images FOLDER" in err
    assert "agreement mean nothing" in err
    found = store.load(folder / "random.json", WireProfile)
    assert not found.trained
    assert "int8+zstd" not in found.codings


def test_formats_are_listed(folder, capsys):
    status, out, _ = run(folder, capsys, "wire --list")
    assert status == 0
    assert all(name in out for name in formats.NAMES)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("wire", "Name a network"),
        ("wire @net.pt2 --images @empty", "@empty holds no image"),
        ("wire @net.pt2 --images @nowhere", "Cannot read the folder @nowhere"),
        ("wire @net.pt2 --images @damaged -o @x.json", "is no readable image"),
        ("wire @tokens.pt2 --images @images -o @x.json", "takes no image; leave them out"),
        ("wire @net.pt2 --formats int9", "There is no wire format 'int9'"),
        ("wire @net.pt2 --formats ,", "--formats names no wire format"),
        ("wire @net.pt2 --images-limit 0", "0 images measure nothing; choose 1 or more."),
        ("wire @net.pt2 -o @images", "it is a folder; name a file"),
        ("wire ocr_detector", "is shipped without weights to run"),
        ("wire no_such_network", "There is no network 'no_such_network'"),
    ],
)
def test_a_mistake_ends_in_one_sentence(folder, capsys, arguments, sentence):
    status, out, err = run(folder, capsys, arguments)
    assert (status, out) == (2, "")
    assert sentence in err
    assert sum(line.startswith("decc:") for line in err.splitlines()) == 1


def test_a_file_of_another_network_and_a_damaged_one_are_refused_and_stay_as_they_are(folder, capsys):
    model = extract(nn.Linear(4, 4), (torch.randn(1, 4),), "other")
    known = measure_wire(model, model.random_inputs, WireSettings(("raw",), 1, "drawn"))
    other, cut = folder / "other.json", folder / "cut.json"
    store.save(known, other)
    before = other.read_bytes()
    cut.write_bytes(before[: len(before) // 2])
    status, _, err = run(folder, capsys, "wire @net.pt2 --images @images --formats raw -o @other.json")
    assert (status, "The wire profile is of 'other'" in err) == (2, True)
    assert other.read_bytes() == before
    status, _, err = run(folder, capsys, "wire @net.pt2 --images @images --formats raw -o @cut.json")
    assert (status, "cut.json is not JSON" in err) == (2, True)


def test_a_file_is_replaced_whole(tmp_path):
    target = tmp_path / "there" / "file"
    files.replace(target, b"one")
    files.replace(target, b"two")
    assert target.read_bytes() == b"two"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("name", library.shipped_wires())
def test_what_is_shipped_was_measured_on_trained_weights_and_fits_its_graph(name):
    profile, graph = library.load_wire_profile(name), library.load_graph(name)
    profile.require_graph(graph)
    assert profile.trained
    assert profile.samples >= 10
    assert len(profile.codings["raw"]) >= 6
    assert {"int8+zstd", "jpeg85"} <= set(profile.codings)


def test_three_networks_are_shipped_and_can_be_planned_with(capsys):
    assert set(library.shipped_wires()) == {"efficientnet_lite0", "ocr_detector", "ocr_recogniser"}
    for name in library.shipped_wires():
        assert main(["plan", name, "--wire-profile", name, "--min-agreement", "0.99", "--cloud-speedup", "4"]) == 0
        assert capsys.readouterr().out
