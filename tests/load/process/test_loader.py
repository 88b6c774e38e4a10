"""A file becomes a network by way of a process of its own, whatever happens to that process."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from PIL import Image

from decc_core import library
from decc_core.errors import NeedsArchitecture, UnmappedTimes, UnreadableFile
from decc_core.load.images import image_pixels
from decc_core.load.kinds.kind import Kind
from decc_core.load.limits import Limits
from decc_core.load.process import loader
from decc_core.load.process import messages as m
from decc_core.load.process.loader import load_file, read_images, read_times
from decc_core.models import portable
from decc_core.network.graph import TensorSpec
from decc_core.profiling.imports import read_profile, template_csv

PROMPT_S = 30


class Towers(torch.nn.Module):
    """Two inputs, one convolution each, joined."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(3, 4, 5, padding=1)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.left(x).relu(), self.right(y).sigmoid()], dim=1)


@pytest.fixture(scope="module")
def towers():
    torch.manual_seed(0)
    return Towers().eval(), (torch.randn(1, 3, 16, 16), torch.randn(1, 3, 16, 16))


@pytest.fixture(scope="module")
def pt2(towers, tmp_path_factory):
    file = tmp_path_factory.mktemp("pt2") / "towers.pt2"
    torch.export.save(torch.export.export(*towers), file)
    return file


def test_a_pt2_file_becomes_a_graph_profiles_and_what_workers_take(pt2, towers, tmp_path):
    heard = []
    before = Path.cwd(), dict(os.environ)
    (tmp_path / "notes.txt").write_text("mine")
    loaded = load_file(pt2, tmp_path, progress=lambda done, total, what: heard.append((done, total)))
    assert loaded.kind is Kind.PT2
    assert loaded.name == "towers"
    assert [layer.operator for layer in loaded.graph.layers].count("aten.conv2d.default") == 2
    assert loaded.edge is not None
    assert loaded.cloud is not None
    assert set(loaded.edge.median_s) == {layer.name for layer in loaded.graph.layers if not layer.is_input}
    assert heard == sorted(heard)
    module, inputs = towers
    again = portable.from_data(*loaded.data())
    assert torch.equal(again.run(inputs)[0], module(*inputs))
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", *m.WRITTEN}, "nobody else's file is touched"
    assert (Path.cwd(), dict(os.environ)) == before, "nothing of this process has changed"


def test_weights_without_a_network_ask_for_one(towers, tmp_path):
    file = tmp_path / "weights.pt"
    torch.save(towers[0].state_dict(), file)
    with pytest.raises(NeedsArchitecture, match=r"weights\.pt holds weights without a network"):
        load_file(file, tmp_path / "read")


def test_a_file_beyond_the_limit_is_refused_before_a_process_starts(pt2, tmp_path, monkeypatch):
    monkeypatch.setattr(loader.subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    with pytest.raises(UnreadableFile, match="DECC_MAX_FILE_BYTES"):
        load_file(pt2, tmp_path / "read", limits=Limits(file_bytes=10))


def stand_in(monkeypatch, script):
    """Let a script of ours be the process that reads."""
    real = loader.subprocess.Popen
    monkeypatch.setattr(
        loader.subprocess, "Popen", lambda _, **options: real([sys.executable, "-c", script], **options)
    )


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import os; os.kill(os.getpid(), 11)", "was ended by signal 11"),
        ("pass", "ended with status 0"),
        ("print('{]', flush=True); input()", "broke off"),
        ('print(\'{"type":"progress","x":\' + \'[\' * 60_000, flush=True); input()', "broke off"),
        ("print('x' * 10_000_000, flush=True); input()", "broke off"),
        ('print(\'{"type":"read","kind":"pt2","notes":[]}\', flush=True)', "is not there"),
    ],
)
def test_a_reader_that_dies_or_talks_nonsense_ends_in_a_sentence(pt2, tmp_path, monkeypatch, script, says):
    stand_in(monkeypatch, script)
    with pytest.raises(UnreadableFile, match=says):
        load_file(pt2, tmp_path / "read")


SAYS_THAT_IT_READ = """
import json, os
for name in ("graph.json", "layers.json", "tensors.bin", "edge.json", "cloud.json"):
    open(name, "w").write("{}")
%s
print(json.dumps({"type": "read", "kind": "pt2", "notes": []}), flush=True)
"""


@pytest.mark.parametrize(
    ("trick", "says"),
    [
        ("pass", "does not fit together"),
        ("os.remove('layers.json'); os.symlink('/etc/passwd', 'layers.json')", "something else than a network"),
        ("os.remove('graph.json'); os.mkfifo('graph.json')", "something else than a network"),
        ("os.truncate('graph.json', 1 << 40)", "something else than a network"),
        ("os.mkdir('more'); os.symlink('/etc', 'more/etc'); os.symlink('/etc', 'etc')", "does not fit together"),
    ],
)
def test_a_reader_that_a_file_has_taken_over_can_only_be_refused(pt2, tmp_path, monkeypatch, trick, says):
    stand_in(monkeypatch, SAYS_THAT_IT_READ % trick)
    with pytest.raises(UnreadableFile, match=says):
        load_file(pt2, tmp_path / "read")
    assert not list((tmp_path / "read").iterdir())
    assert Path("/etc/passwd").exists()


def test_what_the_reader_has_started_ends_with_it(pt2, tmp_path, monkeypatch):
    stand_in(monkeypatch, "import subprocess, sys; subprocess.Popen(['sleep', '600']); print(0, flush=True); input()")
    leaders = []
    with pytest.raises(UnreadableFile, match="broke off"):
        load_file(pt2, tmp_path / "read", started=lambda kill: leaders.append(kill.args[0].pid))
    deadline = time.monotonic() + PROMPT_S
    while group_is_there(leaders[0]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not group_is_there(leaders[0])


def group_is_there(leader):
    """Whether a process of the group lives; a dead one that nobody asked about counts as gone."""
    states = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, group = status.read_text().rpartition(")")[2].split()[:3]
            states.append((int(group), state))
    return any(group == leader and state != "Z" for group, state in states)


def test_a_reader_that_takes_too_long_is_ended(pt2, tmp_path, monkeypatch):
    stand_in(monkeypatch, "import time; time.sleep(600)")
    began, killed = time.monotonic(), []
    with pytest.raises(UnreadableFile, match=r"longer than 1 s.*DECC_MAX_TIME_S"):
        load_file(pt2, tmp_path / "read", limits=Limits(time_s=1), started=killed.append)
    assert time.monotonic() - began < PROMPT_S


def test_a_reader_that_is_killed_from_outside_ends_at_once(pt2, tmp_path, monkeypatch):
    stand_in(monkeypatch, "import time; time.sleep(600)")
    with pytest.raises(UnreadableFile, match="signal 15"):
        load_file(pt2, tmp_path / "read", started=lambda kill: threading.Timer(0.5, kill).start())


def test_the_reader_gets_none_of_our_secrets(pt2, tmp_path, monkeypatch):
    monkeypatch.setenv("DECC_TOKEN", "secret")
    told = tmp_path / "told"
    stand_in(monkeypatch, f"import os; open({str(told)!r}, 'w').write(' '.join(os.environ))")
    with pytest.raises(UnreadableFile):
        load_file(pt2, tmp_path / "read")
    assert "PYTHONPATH" in told.read_text()
    assert "DECC_TOKEN" not in told.read_text()


def test_a_missing_file_is_told_in_a_sentence(tmp_path):
    with pytest.raises(UnreadableFile, match="No such file"):
        load_file(tmp_path / "none.pt2", tmp_path / "read")


def test_where_all_locks_are_asked_for_and_one_is_missing_nothing_is_read(tmp_path, monkeypatch, towers):
    """Without unshare and Landlock, as on a system that lacks them, in the process that reads alone."""
    module, inputs = towers
    torch.export.save(torch.export.export(module, inputs), tmp_path / "net.pt2")
    monkeypatch.setenv("DECC_SANDBOX", "required")
    assert load_file(tmp_path / "net.pt2", tmp_path / "taken", measured=False).graph.layers
    (tmp_path / "sitecustomize.py").write_text(
        "import ctypes\nctypes.CDLL = lambda *_, **__: (_ for _ in ()).throw(OSError('none'))\n"
    )
    monkeypatch.setattr(loader, "ROOT", f"{tmp_path}:{loader.ROOT}")
    with pytest.raises(UnreadableFile, match="was not read"):
        load_file(tmp_path / "net.pt2", tmp_path / "refused", measured=False)
    assert not list((tmp_path / "refused").iterdir())


def test_times_are_read_by_a_process_of_its_own_and_told_as_they_are():
    graph = library.load_graph("alexnet")
    table = template_csv(graph).replace(b",,\n", b",0.001,\n")
    found, before = read_times(table, "board.csv", graph), set(Path(tempfile.gettempdir()).iterdir())
    assert found == read_profile(table, "board.csv", graph)
    read_times(table, "board.csv", graph)
    assert set(Path(tempfile.gettempdir()).iterdir()) == before, "nothing is left"


def test_layers_whose_times_do_not_fit_are_told_one_by_one():
    graph = library.load_graph("googlenet")
    rows = "".join(f"no such layer {i},0.001\n" for i in range(600))
    with pytest.raises(UnmappedTimes) as caught:
        read_times(f"layer,median_s\n{rows}".encode(), "board.csv", graph)
    with pytest.raises(UnmappedTimes) as plain:
        read_profile(f"layer,median_s\n{rows}".encode(), "board.csv", graph)
    assert (str(caught.value), caught.value.problems) == (str(plain.value), plain.value.problems)
    assert len(caught.value.problems) > 100


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import os; os.kill(os.getpid(), 11)", "was ended by signal 11"),
        ('print(\'{"type":"times","notes":[],"problems":[]}\', flush=True)', "is not there"),
        ('print(\'{"type":"read","kind":"pt2","notes":[]}\', flush=True)', "broke off"),
        (
            'import os; os.mkfifo(\'times.json\')\nprint(\'{"type":"times","notes":[],"problems":[]}\', flush=True)',
            "something else than times",
        ),
        (
            "open('times.json', 'w').write('{}')\n"
            'print(\'{"type":"times","notes":[],"problems":[]}\', flush=True)',
            "does not fit together",
        ),
    ],
)
def test_a_reader_of_times_that_dies_or_lies_ends_in_a_sentence(monkeypatch, script, says):
    stand_in(monkeypatch, script)
    with pytest.raises(UnreadableFile, match=says):
        read_times(b"layer,median_s\n", "board.csv", library.load_graph("alexnet"))


def test_times_that_take_too_long_are_given_up(monkeypatch):
    stand_in(monkeypatch, "import time; time.sleep(60)")
    with pytest.raises(UnreadableFile, match="takes longer than 1 s"):
        read_times(b"layer,median_s\n", "board.csv", library.load_graph("alexnet"), Limits(time_s=1))


SPECS = (TensorSpec((1, 3, 8, 8), "uint8"), TensorSpec((1, 3, 4, 6), "float32"))
DONE = 'print(\'{"type":"images","notes":[]}\', flush=True)'


def png(colour: tuple[int, int, int]) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (20, 10), colour).save(content, "PNG")
    return content.getvalue()


def test_images_become_pixels_in_a_process_of_its_own():
    sent, heard = {"red.png": png((200, 10, 10)), "../b.png": png((10, 10, 200))}, []
    before = set(Path(tempfile.gettempdir()).iterdir())
    found = read_images(sent, SPECS, progress=lambda done, total, what: heard.append((done, total, what)))
    assert found == tuple(tuple(image_pixels(sent[name], spec, name) for spec in SPECS) for name in sent)
    assert [(done, total) for done, total, what in heard if "reading" in what] == [(0, 2), (1, 2)]
    assert set(Path(tempfile.gettempdir()).iterdir()) == before, "nothing is left"


def test_an_image_that_is_none_or_too_long_is_named(monkeypatch):
    with pytest.raises(UnreadableFile, match=r"'notes\.png' is no readable image"):
        read_images({"red.png": png((1, 2, 3)), "notes.png": b"PNG, or so it says"}, SPECS)
    monkeypatch.setattr("decc_core.load.images.MAX_IMAGE_BYTES", 10)
    with pytest.raises(UnreadableFile, match=r"'red\.png' has more than"):
        read_images({"red.png": png((1, 2, 3))}, SPECS)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import os; os.kill(os.getpid(), 11)", "was ended by signal 11"),
        (DONE, "is not there"),
        (f"import os; os.symlink('/etc/passwd', 'pixels.bin')\n{DONE}", "something else than pixels"),
        (f"open('pixels.bin', 'wb').write(bytes(3))\n{DONE}", "something else than pixels"),
        ('print(\'{"type":"times","notes":[],"problems":[]}\', flush=True)', "broke off"),
    ],
)
def test_a_reader_of_images_that_dies_or_lies_ends_in_a_sentence(monkeypatch, script, says):
    stand_in(monkeypatch, script)
    with pytest.raises(UnreadableFile, match=says):
        read_images({"red.png": png((1, 2, 3))}, SPECS)
