"""The pieces of a network as programs: they fit, they give what the whole gives, and failures leave nothing behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from decc_core import library, store
from decc_core.cli import main
from decc_core.errors import DeccError, SplitFailed
from decc_core.models.onnx import pieces as onnx_pieces
from decc_core.models.runtimes import RUNTIMES
from decc_core.models.torch.extract import extract
from decc_core.plans.pieces import SplitManifest, tensor_names
from decc_core.plans.plan import Execution, staged_plan
from decc_core.problem.instance import CostInstance, crossing_tensors
from decc_core.split import write as split_model
from decc_core.split.write import MANIFEST, README, split
from decc_core.store import SavedPlan
from tests.builders import make_graph
from tests.runtime.networks import fork, instance, profile, split_plan
from tests.runtime.onnx_networks import onnx_fork
from tests.runtime.onnx_networks import read as read_onnx

DEADLINE_S = 120
# What the README says, in a process of its own, with real inputs; the whole network runs eagerly, without extraction.
RUN_AS_DOCUMENTED = """\
import os, re, sys
import torch
from decc_core.models import zoo
built = zoo.build(sys.argv[1])
with torch.no_grad():
    whole = built.module(*built.example_inputs)
os.chdir(sys.argv[2])
code = open("README.txt").read().split("in this folder:")[1]
for cut in range(int(sys.argv[3])):
    real = code.replace('["cuts"][0]', f'["cuts"][{cut}]')
    real = re.sub("tensors = {.*", "tensors = dict(zip([t['name'] for t in split['inputs']], given))", real)
    space = {"given": built.example_inputs}
    exec(real, space)
    (found,) = space["outputs"]
    assert found.dtype == whole.dtype and found.shape == whole.shape
    assert found.contiguous().numpy().tobytes() == whole.contiguous().numpy().tobytes(), cut
"""


def run_as_documented(model: str, folder: Path, cuts: int = 1) -> None:
    arguments = [sys.executable, "-c", RUN_AS_DOCUMENTED, model, str(folder), str(cuts)]
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(arguments, cwd=root, capture_output=True, timeout=DEADLINE_S, check=False)
    assert found.returncode == 0, found.stderr.decode()


def planned(tmp_path: Path, *arguments: str) -> Path:
    path = tmp_path / "plan.json"
    assert main(["plan", *arguments, "--output", str(path)]) == 0
    return path


def saved_plan(execution: Execution = Execution.BRANCH_PIPELINED, requests: int = 1) -> SavedPlan:
    one = instance(requests)
    return SavedPlan(one.graph.name, one.graph.fingerprint, split_plan(one, execution))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The pieces of the fork, written once."""
    folder = tmp_path_factory.mktemp("fork") / "pieces"
    split(fork(), saved_plan(), folder)
    return folder


@pytest.fixture
def pieces(made, tmp_path) -> Path:
    """A folder with pieces that a test may replace."""
    return Path(shutil.copytree(made, tmp_path / "pieces"))


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("alexnet", "--keep-on-edge 8 --keep-in-cloud linear_1"),
        pytest.param("googlenet", "--keep-on-edge 60 --keep-in-cloud cat_4", marks=pytest.mark.slow),
        pytest.param("multiview4", "--cloud-speedup 4 --uplink-mbps 18.88 --rtt-ms 10", marks=pytest.mark.slow),
    ],
)
def test_pieces_of_a_saved_plan_give_what_the_whole_gives_in_a_fresh_process(capsys, tmp_path, model, arguments):
    plan, folder = planned(tmp_path, model, *arguments.split()), tmp_path / "pieces"
    assert main(["split", model, "--plan", str(plan), "--output", str(folder)]) == 0
    assert "bit for bit" in capsys.readouterr().out
    assert left_behind(folder) == [README, "cloud.pt2", "edge.pt2", MANIFEST]
    run_as_documented(model, folder)

    manifest, saved = store.load(folder / MANIFEST, SplitManifest), store.load(plan, SavedPlan)
    graph = library.load_graph(model)
    (cut,) = manifest.cuts
    crossing = crossing_tensors(graph, saved.plan.cuts[0])
    assert manifest.graph_fingerprint == graph.fingerprint
    assert {tensor.layer for tensor in cut.sent} == {graph.layers[graph.tensors[i].producer].name for i in crossing}
    assert cut.sent_bytes == sum(graph.tensors[i].spec.size_bytes for i in crossing)
    assert len(cut.edge.layers) + len(cut.cloud.layers) == len(graph.layers) - len(graph.inputs)


def test_a_plan_with_two_cuts_makes_numbered_programs_for_the_requests_that_take_them(tmp_path):
    model, one = fork(), instance(3)
    early = split_plan(one).cuts[0]
    late = one.all_edge - {len(one.graph.layers) - 1}
    plan = staged_plan(one, Execution.FRAME_PIPELINED, [early, late, early])
    manifest = split(model, SavedPlan("fork", one.graph.fingerprint, plan), tmp_path / "pieces")
    assert [cut.requests for cut in manifest.cuts] == [(0, 2), (1,)]
    assert [piece.file for piece in manifest.pieces] == ["edge-1.pt2", "cloud-1.pt2", "edge-2.pt2", "cloud-2.pt2"]
    assert store.load(tmp_path / "pieces" / MANIFEST, SplitManifest) == manifest


@pytest.mark.parametrize(("strategy", "files"), [("edge-only", ["edge.pt2"]), ("cloud-only", ["cloud.pt2"])])
def test_a_plan_that_uses_one_side_makes_one_program(tmp_path, strategy, files):
    model, one = fork(), instance()
    cut = one.all_edge if strategy == "edge-only" else one.all_cloud
    plan = staged_plan(one, Execution.CONSECUTIVE, [cut])
    manifest = split(model, SavedPlan("fork", one.graph.fingerprint, plan), tmp_path / "pieces")
    assert [piece.file for piece in manifest.pieces] == files
    assert [tensor.dtype for tensor in manifest.cuts[0].sent] == ([] if strategy == "edge-only" else ["uint8"])


class Crossed(torch.nn.Module):
    """Two inputs, of which the cloud needs one as it is, and two outputs, one from each side."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        low, high = torch.chunk(first.transpose(1, 2) * 2, 2, 1)
        return low + 1, high.reshape(2, -1) @ second


def crossed_plan() -> tuple[object, SavedPlan]:
    model = extract(Crossed(), (torch.randn(2, 3, 4), torch.randn(6, 5)), "crossed")
    graph, index = model.graph, model.graph.index
    cut = frozenset(i for i, layer in enumerate(graph.layers) if layer.is_input or i <= index["add"])
    times = dict.fromkeys(model.calls, 1e-3)
    profile = replace(
        library.load_profile("alexnet", "cpu-1-thread"),
        graph_name="crossed", graph_fingerprint=graph.fingerprint, median_s=times, p95_s=times,
    )  # fmt: skip
    one = instance().build(graph, profile, profile, instance_link())
    return model, SavedPlan("crossed", graph.fingerprint, staged_plan(one, Execution.CONSECUTIVE, [cut]))


def instance_link():
    from tests.runtime.networks import LINK

    return LINK


def test_inputs_cross_as_they_are_and_outputs_come_from_both_sides(tmp_path):
    model, saved = crossed_plan()
    manifest = split(model, saved, tmp_path / "pieces")
    (cut,) = manifest.cuts
    assert "second" in {tensor.name for tensor in cut.sent}
    assert len(manifest.outputs) == 2
    assert not set(cut.edge.gives).isdisjoint(tensor.name for tensor in manifest.outputs)
    transposed = next(tensor for tensor in cut.sent if tensor.layer != "second")
    assert transposed.dim_order != (0, 1, 2)


def test_names_of_tensors_are_python_names_and_all_different():
    graph = make_graph({"x": [], "a:b": ["x"], "a.b": ["a:b"], "class": ["a.b"], "9": ["class"], "<b>": ["9"]})
    names = tensor_names(graph)
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)


def test_what_the_readme_says_is_ten_or_twelve_lines():
    lines = {runtime.suffix: len(runtime.how_to_run.code.splitlines()) for runtime in RUNTIMES.values()}
    assert lines == {".pt2": 10, ".onnx": 12}


def test_pieces_that_differ_in_a_bit_are_refused_and_nothing_is_written(tmp_path, monkeypatch):
    exact = split_model._bytes_of
    calls = []

    def off(tensors):
        calls.append(None)
        return exact(tuple(torch.nextafter(t, t + 1) for t in tensors) if len(calls) == 1 else tensors)

    monkeypatch.setattr(split_model, "_bytes_of", off)
    with pytest.raises(SplitFailed, match="another 'linear' than the whole 'fork'; nothing was written"):
        split(fork(), saved_plan(), tmp_path / "pieces")
    assert left_behind(tmp_path) == []


def test_an_interrupted_split_leaves_nothing_behind_and_keeps_what_was_there(pieces, tmp_path):
    before = {path.name: path.read_bytes() for path in pieces.iterdir()}

    def interrupt(done: int, total: int, what: str) -> None:
        if "cloud" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        split(fork(), saved_plan(), pieces, force=True, progress=interrupt)
    assert left_behind(tmp_path) == ["pieces"]
    assert {path.name: path.read_bytes() for path in pieces.iterdir()} == before


def test_force_replaces_an_earlier_split_and_nothing_else(pieces):
    with pytest.raises(SplitFailed, match="is not empty"):
        split(fork(), saved_plan(), pieces)
    one = instance()
    whole = staged_plan(one, Execution.CONSECUTIVE, [one.all_edge])
    split(fork(), SavedPlan("fork", one.graph.fingerprint, whole), pieces, force=True)
    assert left_behind(pieces) == [README, "edge.pt2", MANIFEST]
    (pieces / "thesis.txt").write_text("mine")
    with pytest.raises(SplitFailed, match=r"holds 'thesis.txt', which is no part of a split"):
        split(fork(), saved_plan(), pieces, force=True)
    assert (pieces / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda saved: replace(saved, graph_name="other"), "is for 'other', not for 'fork'"),
        (lambda saved: replace(saved, graph_fingerprint="0" * 32), "another version of 'fork'"),
        (lambda saved: replace(saved, plan=replace(saved.plan, cuts=(frozenset({3}),))), "must be on the edge"),
        (lambda saved: replace(saved, plan=replace(saved.plan, cuts=(frozenset({0, 99}),))), "names layer 99"),
        (lambda saved: replace(saved, plan=replace(saved.plan, cuts=())), "is for 0 requests"),
    ],
    ids=["another network", "another version", "input in the cloud", "no such layer", "no request"],
)
def test_plans_that_do_not_fit_are_refused_in_a_sentence(tmp_path, change, reason):
    with pytest.raises(DeccError, match=reason):
        split(fork(), change(saved_plan()), tmp_path / "pieces")
    assert left_behind(tmp_path) == []


def test_mistakes_on_the_command_line_end_in_one_line(capsys, tmp_path):
    plan, full, file = planned(tmp_path, "alexnet"), tmp_path / "full", tmp_path / "file"
    full.mkdir()
    (full / "note").write_text("mine")
    file.write_text("mine")
    capsys.readouterr()
    for arguments, message in (
        (f"alexnet --plan {tmp_path / 'none.json'}", "Cannot read"),
        (f"googlenet --plan {plan}", "is a plan for 'alexnet', not for 'googlenet'"),
        (f"alexnet --plan {plan} -o {full}", "is not empty"),
        (f"alexnet --plan {plan} -o {full} --force", "'note', which is no part of a split"),
        (f"alexnet --plan {plan} -o {file}", "is a file"),
    ):
        assert main(["split", *arguments.split()]) == 2
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.err.count("\n") == 1
        assert captured.out == ""


def test_a_split_can_be_printed_as_json(capsys, tmp_path):
    plan = planned(tmp_path, "squeezenet1_1", "--uplink-mbps", "1000")
    capsys.readouterr()
    assert main(["split", "squeezenet1_1", "--plan", str(plan), "-o", str(tmp_path / "pieces"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bit_identical"] is True
    assert found["split"]["graph_name"] == "squeezenet1_1"


# What the README of ONNX pieces says, in a process without PyTorch, DECC or anything but ONNX Runtime.
RUN_ONNX = """\
import os, sys
import numpy
os.chdir(sys.argv[1])
code = open("README.txt").read().split("in this folder:")[1].replace("numpy.zeros", "numpy.ones")
exec(code)
numpy.save("found.npy", outputs[0])
assert "torch" not in sys.modules
"""


def onnx_cut(model, last: str) -> SavedPlan:
    """All layers of the stored order up to one of them on the edge."""
    graph = model.graph
    one = CostInstance.build(graph, profile(model, "edge"), profile(model, "cloud"), instance_link())
    cut = frozenset(range(graph.index[last] + 1)) | {*graph.inputs}
    return SavedPlan(graph.name, graph.fingerprint, staged_plan(one, Execution.CONSECUTIVE, [cut]))


def test_pieces_of_an_onnx_network_run_in_onnx_runtime_alone_and_give_what_the_whole_gives(tmp_path):
    model = onnx_fork()
    middle = model.layer_names[len(model.layer_names) // 2]
    manifest = split(model, onnx_cut(model, middle), tmp_path / "pieces")
    assert left_behind(tmp_path / "pieces") == [README, "cloud.onnx", "edge.onnx", MANIFEST]
    (cut,) = manifest.cuts
    assert cut.cloud.takes
    run = [sys.executable, "-c", RUN_ONNX, str(tmp_path / "pieces")]
    done = subprocess.run(run, capture_output=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr.decode()
    (whole,) = model.run([torch.ones_like(model.example_inputs[0])])
    assert np.load(tmp_path / "pieces" / "found.npy").tobytes() == whole.numpy().tobytes()


def test_an_onnx_input_crosses_as_it_is_and_names_that_clash_are_kept_apart(tmp_path):
    """The weight is named as DECC would name the output of the layer that reads it; the cloud needs `b` unread."""
    weight = numpy_helper.from_array(np.full((4, 4), 0.5, np.float32), "first")
    nodes = [
        helper.make_node("MatMul", ["a", "first"], ["first/out"], "first"),
        helper.make_node("Sub", ["first/out", "b"], ["y"], "second"),
    ]
    shapes = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 4]) for name in ("a", "b", "y")}
    graph = helper.make_graph(nodes, "clash", [shapes["a"], shapes["b"]], [shapes["y"]], [weight])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    model = read_onnx(proto, "clash")
    manifest = split(model, onnx_cut(model, model.layer_names[0]), tmp_path / "pieces")
    (cut,) = manifest.cuts
    assert {"b", "first"} == {tensor.name for tensor in cut.sent}


def test_onnx_pieces_that_differ_in_a_bit_are_refused_and_nothing_is_written(tmp_path, monkeypatch):
    model = onnx_fork()
    written = onnx_pieces.run_piece
    monkeypatch.setattr(onnx_pieces, "run_piece", lambda *given: [value + 1 for value in written(*given)])
    with pytest.raises(SplitFailed, match="than the whole 'onnx-fork'; nothing was written"):
        split(model, onnx_cut(model, model.layer_names[0]), tmp_path / "pieces")
    assert left_behind(tmp_path) == []
