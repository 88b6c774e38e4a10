"""Model files on the command line: what is decided is said, and what does not fit ends in the sentence that helps."""

from __future__ import annotations

import json
import tempfile

import onnx
import pytest
import torch
from torch import nn

from decc_core import store
from decc_core.cli import main
from decc_core.network.graph import LayerGraph
from tests.runtime.onnx_networks import fork_proto


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pt2 file, an ONNX file with an open batch, weights, a pickled module, and a graph and a plan of the first."""
    torch.manual_seed(0)
    found = tmp_path_factory.mktemp("files")
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    torch.export.save(torch.export.export(module, (torch.randn(1, 4),)), found / "net.pt2")
    (found / "fork.onnx").write_bytes(fork_proto("batch").SerializeToString())
    torch.save(module.state_dict(), found / "weights.pt")
    torch.save(module, found / "pickled.pt")
    assert main(["extract", str(found / "net.pt2"), "-o", str(found / "net.json")]) == 0
    assert main(["plan", str(found / "net.pt2"), "-o", str(found / "plan.json")]) == 0
    return found


@pytest.fixture(autouse=True)
def nothing_left(tmp_path, monkeypatch):
    """Temporary files go into a folder that is empty in the end."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield
    assert list(place.iterdir()) == []


def run(folder, capsys, arguments: str) -> str:
    """What a command says in its error, and that this is all."""
    assert main([part.replace("@", f"{folder}/") for part in arguments.split()]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.replace(f"{folder}/", "@")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("extract @weights.pt", "name the built-in network that they are for. As in: decc extract googlenet --weights"),
        ("extract @net.pt2 --weights @weights.pt", "is a file and has weights of its own"),
        (
            "extract @net.pt2 --dimension n=2",
            "No input has an open dimension 'n'; all sizes are fixed, so leave it out.",
        ),
        ("extract @fork.onnx --dimension n=2", "No input has an open dimension 'n'; open are 'batch'."),
        ("extract @fork.onnx --dimension batch", "--dimension batch is not understood; write NAME=SIZE"),
        (
            "extract @fork.onnx --dimension batch=-1",
            "is not understood; write NAME=SIZE, as in: length=128, or INPUT:AXIS",
        ),
        ("extract @net.json", "is a graph, without weights to run; name the network or the file that it is of."),
        ("profile @net.json", "is a graph, without weights to run"),
        ("plan @net.json", "name two profiles of it with --edge FILE and --cloud FILE"),
        ("split @net.json --plan @plan.json", "is a graph, without weights to run"),
        ("run --plan @plan.json", "is a plan of 'net', which is not shipped; name its file, too"),
        ("run @fork.onnx --plan @plan.json", "as another file or version of DECC has it"),
        ("plan @", "is a folder; name a file in it."),
    ],
)
def test_a_mistake_with_a_file_ends_in_one_line_that_says_what_to_do(folder, capsys, arguments, sentence):
    said = run(folder, capsys, arguments)
    assert sentence in said
    assert sum(not line.startswith("note:") for line in said.splitlines()) == 1


def test_a_refused_file_comes_with_lines_to_copy(folder, capsys):
    said = run(folder, capsys, "plan @pickled.pt")
    assert "is a pickled PyTorch module, which is not taken" in said.splitlines()[0]
    assert '    torch.export.save(program, "model.pt2")' in said.splitlines()


def test_a_plan_of_a_file_says_that_its_times_are_quick_measurements(folder, capsys):
    assert main(["plan", str(folder / "fork.onnx"), "--requests", "2"]) == 0
    said = capsys.readouterr()
    assert "note: Dimension 'batch' of input 'image' is open; set to 1." in said.err
    assert "note: times of edge and cloud are from a few quick passes on this machine" in said.err
    assert "layers on the edge" in said.out


def test_weights_beside_a_network_are_read_from_its_folder(folder, capsys, tmp_path):
    onnx.save(onnx.load(folder / "fork.onnx"), tmp_path / "fork.onnx", save_as_external_data=True, location="fork.data",
              size_threshold=0)  # fmt: skip
    made = [tmp_path / f"{name}.json" for name in ("together", "apart")]
    for place, graph in zip((folder, tmp_path), made, strict=True):
        assert main(["extract", str(place / "fork.onnx"), "-o", str(graph)]) == 0
    assert made[0].read_bytes() == made[1].read_bytes()
    (tmp_path / "fork.data").unlink()
    capsys.readouterr()
    said = run(tmp_path, capsys, "extract @fork.onnx")
    assert "keeps weights in 'fork.data', which is not there; put both into one folder" in said


def test_a_dimension_is_given_by_input_and_axis_and_may_be_0(capsys, tmp_path):
    inputs = [onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in
              (("past", [1, "n=past", 4]), ("now", [1, None, 4]))]  # fmt: skip
    joined = onnx.helper.make_node("Concat", ["past", "now"], ["y"], axis=1)
    graph = onnx.helper.make_graph([joined], "g", inputs, [onnx.helper.make_tensor_value_info("y", 1, None)])
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8),
        tmp_path / "g.onnx",
    )
    sizes = ["--dimension", "n=past=0", "--dimension", "now:1=3"]
    assert main(["extract", str(tmp_path / "g.onnx"), *sizes, "-o", str(tmp_path / "graph.json")]) == 0
    found = store.load(tmp_path / "graph.json", LayerGraph)
    assert [layer.outputs[0].shape for layer in found.layers] == [(1, 0, 4), (1, 3, 4), (1, 3, 4)]


def test_other_weights_of_a_shipped_network_take_its_sample_profiles(capsys, tmp_path):
    from torchvision import models

    torch.save(models.squeezenet1_1(weights=None).state_dict(), tmp_path / "weights.pt")
    assert main(["plan", "squeezenet1_1", "--weights", str(tmp_path / "weights.pt"), "--json"]) == 0
    said = capsys.readouterr()
    # Where it takes long, how far it is.
    assert all(line.startswith("Reading weights.pt: ") for line in said.err.splitlines())
    assert main(["plan", "squeezenet1_1", "--json"]) == 0
    same = json.loads(capsys.readouterr().out)["outcome"]["makespan_s"]
    assert json.loads(said.out)["outcome"]["makespan_s"] == same


def test_an_onnx_file_is_split_into_onnx_files(folder, capsys, tmp_path):
    plan, pieces = tmp_path / "plan.json", tmp_path / "pieces"
    file = str(folder / "fork.onnx")
    assert main(["plan", file, "--strategy", "cloud-only", "-o", str(plan)]) == 0
    assert main(["split", file, "--plan", str(plan), "-o", str(pieces)]) == 0
    assert "bit for bit" in capsys.readouterr().out
    assert [piece.file for piece in store.load_any(pieces / "split.json").pieces] == ["cloud.onnx"]


@pytest.mark.parametrize(
    "command",
    [
        ["extract", "no-such-network", "-o"],
        ["plan", "no-such-network", "-o"],
        ["profile", "no-such-network", "-o"],
        ["run", "no-such-network", "--trace"],
        ["link", "no-such-host:1", "-o"],
    ],
    ids=lambda command: command[0],
)
def test_a_file_that_cannot_be_written_is_told_before_anything_else_is_done(capsys, tmp_path, command):
    assert main([*command, str(tmp_path)]) == 2
    assert "it is a folder; name a file" in capsys.readouterr().err
