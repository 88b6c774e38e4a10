"""Weights in files beside an ONNX file: taken where the file that is named lies there and is what it should be."""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest

from decc_core.errors import DeccError, NeedsFiles, RefusedFile, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.onnx import file as onnx_file
from decc_core.load.process import loader
from decc_core.load.process.loader import load_file
from decc_core.models import portable
from tests.load.hostile_onnx import add_weight, external, small
from tests.runtime.onnx_networks import fork_proto

NUMBERS = np.arange(4, dtype=np.float32)


def placed(name="w.bin", **entries):
    """The network of one weight, with what it says of the place of its numbers."""
    proto = external(name)
    for key, value in entries.items():
        proto.graph.initializer[0].external_data.add(key=key, value=str(value))
    return proto


def read(proto, folder, names=("w.bin",), limits=None):
    file = folder / "network.onnx"
    file.write_bytes(proto.SerializeToString())
    return onnx_file.read(file, "network", limits or Limits(), beside={name: folder / name for name in names})


def weight_of(found):
    return onnx.numpy_helper.to_array(onnx.load_model_from_string(found.content).graph.initializer[0]).ravel().tolist()


def test_a_weight_is_read_from_its_place(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"\xff" * 64 + NUMBERS.tobytes() + b"\xff" * 8)
    found, _ = read(placed(offset=64, length=16), tmp_path)
    assert weight_of(found) == [0, 1, 2, 3]


def test_offset_and_length_may_be_left_out(tmp_path):
    (tmp_path / "w.bin").write_bytes(NUMBERS.tobytes())
    assert weight_of(read(placed(), tmp_path)[0]) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"offset": 16}, "ends before it"),
        ({"offset": 1 << 60}, "ends before it|impossible place"),
        ({"offset": -4}, "impossible place"),
        ({"offset": "1e1"}, "impossible place"),
        ({"offset": "٣"}, "impossible place"),
        ({"length": 12}, "with another size"),
        ({"length": 1 << 40}, "with another size"),
    ],
)
def test_places_that_cannot_be_are_refused(tmp_path, entries, sentence):
    (tmp_path / "w.bin").write_bytes(NUMBERS.tobytes())
    with pytest.raises(UnreadableFile, match=sentence):
        read(placed(**entries), tmp_path)


def test_many_weights_of_the_same_bytes_count_each(tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(4096))
    proto = placed()
    del proto.graph.initializer[0].dims[:]
    proto.graph.initializer[0].dims.extend([1024])
    for i in range(300):
        proto.graph.initializer.add().CopyFrom(proto.graph.initializer[0])
        proto.graph.initializer[-1].name = f"w{i}"
    with pytest.raises(UnreadableFile, match="DECC_MAX_PARAMETER_BYTES"):
        read(proto, tmp_path, limits=Limits(parameter_bytes=1 << 20))


def test_a_weight_that_is_here_and_there_is_refused(tmp_path):
    (tmp_path / "w.bin").write_bytes(NUMBERS.tobytes())
    proto = placed()
    proto.graph.initializer[0].raw_data = NUMBERS.tobytes()
    with pytest.raises(UnreadableFile, match=r"kept in 'w\.bin' with another size"):
        read(proto, tmp_path)


@pytest.mark.parametrize(
    "name", ["../w.bin", "/tmp/w.bin", "sub/w.bin", "..", ".", "a\\w.bin", "c:w.bin", "w\n.bin", "x" * 300]
)
def test_names_that_lead_elsewhere_are_refused_before_anything_is_asked_for(tmp_path, name):
    with pytest.raises(RefusedFile, match="only files of its own folder") as refused:
        read(placed(name), tmp_path, (name,))
    assert not isinstance(refused.value, NeedsFiles)


def test_links_and_pipes_are_not_read_even_where_they_are_given(tmp_path):
    (tmp_path / "there").write_bytes(NUMBERS.tobytes())
    (tmp_path / "w.bin").symlink_to("there")
    with pytest.raises(DeccError, match=r"Cannot read 'w\.bin'"):
        read(placed(), tmp_path)
    (tmp_path / "w.bin").unlink()
    os.mkfifo(tmp_path / "w.bin")
    with pytest.raises(DeccError, match="no ordinary file"):
        read(placed(), tmp_path)


def stored_apart(folder, name="fork.onnx"):
    """The fork, with its weights in a file beside it, as ONNX itself writes them."""
    onnx.save(fork_proto(), folder / name, save_as_external_data=True, location=f"{name}.data", size_threshold=0)
    return folder / name


def test_the_reading_process_gets_the_files_of_the_folder(tmp_path):
    file = stored_apart(tmp_path)
    whole = tmp_path / "whole.onnx"
    whole.write_bytes(fork_proto().SerializeToString())
    apart, together = (
        portable.from_data(*load_file(path, tmp_path / path.stem, name="fork.onnx", measured=False).data())
        for path in (file, whole)
    )
    assert apart.content == together.content


def test_the_files_may_be_given_by_name_and_only_those_are_read_then(tmp_path):
    file = stored_apart(tmp_path)
    (tmp_path / "fork.onnx.data").rename(tmp_path / "elsewhere")
    beside = {"fork.onnx.data": tmp_path / "elsewhere"}
    assert load_file(file, tmp_path / "read", beside=beside, measured=False).graph.layers
    stored_apart(tmp_path)
    with pytest.raises(RefusedFile, match=r"'fork\.onnx\.data', which is not there"):
        load_file(file, tmp_path / "read", beside={}, measured=False)


def test_what_lies_there_must_be_an_ordinary_file(tmp_path):
    file = stored_apart(tmp_path)
    data = tmp_path / "fork.onnx.data"
    data.rename(tmp_path / "elsewhere")
    with pytest.raises(RefusedFile, match=r"'fork\.onnx\.data', which is not there; put both into one folder"):
        load_file(file, tmp_path / "read", measured=False)
    data.symlink_to("elsewhere")
    with pytest.raises(RefusedFile, match="which is a link"):
        load_file(file, tmp_path / "read", measured=False)
    data.unlink()
    os.mkfifo(data)
    with pytest.raises(RefusedFile, match="a device"):
        load_file(file, tmp_path / "read", measured=False)
    assert not list((tmp_path / "read").iterdir())


def test_all_files_together_are_bounded(tmp_path):
    file = stored_apart(tmp_path)
    limit = file.stat().st_size + (tmp_path / "fork.onnx.data").stat().st_size - 1
    with pytest.raises(UnreadableFile, match="DECC_MAX_FILE_BYTES"):
        load_file(file, tmp_path / "read", limits=Limits(file_bytes=limit), measured=False)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "etc/passwd", ".."])
def test_a_reader_that_a_file_has_taken_over_can_ask_for_nothing_else(tmp_path, monkeypatch, name):
    says = f"import json; print(json.dumps(dict(type='lacks', sentence='', names=[{name!r}])), flush=True); input()"
    real = loader.subprocess.Popen
    started = []

    def stand_in(command, **options):
        started.append(command)
        return real([command[0], "-c", says], **options)

    monkeypatch.setattr(loader.subprocess, "Popen", stand_in)
    file = tmp_path / "in" / "network.onnx"
    file.parent.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    file.write_bytes(add_weight(small()).SerializeToString())
    with pytest.raises(RefusedFile, match="only files of its own folder"):
        load_file(file, tmp_path / "read")
    assert len(started) == 1


def test_a_reader_asks_once(tmp_path, monkeypatch):
    says = "import json; print(json.dumps(dict(type='lacks', sentence='', names=['w.bin'])), flush=True); input()"
    real = loader.subprocess.Popen
    monkeypatch.setattr(
        loader.subprocess, "Popen", lambda command, **options: real([command[0], "-c", says], **options)
    )
    (tmp_path / "w.bin").write_bytes(NUMBERS.tobytes())
    (tmp_path / "network.onnx").write_bytes(b"x")
    with pytest.raises(UnreadableFile, match="broke off"):
        load_file(tmp_path / "network.onnx", tmp_path / "read")
