"""Files are told by their content: four kinds are taken, all others refused with a sentence and a remedy."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import time
import zipfile

import onnx
import pytest
import safetensors.torch
import torch

from decc_core import cli
from decc_core.cli import models
from decc_core.errors import RefusedFile, UnreadableFile
from decc_core.load.kinds import pickles, remedies
from decc_core.load.kinds.detect import kind_of
from decc_core.load.kinds.kind import Kind, extension_note
from decc_core.load.limits import Limits
from tests.load.archives import zipped
from tests.load.foreign_files import FOREIGN, Marker, Small, field, safetensors_bytes, saved

LIMITS = Limits()


@pytest.fixture
def kind(tmp_path):
    """The kind of some bytes under a name; made anew for each, as uploads are."""

    def told(content: bytes, name: str = "net.bin", limits: Limits = LIMITS) -> Kind:
        path = tmp_path / "upload"
        path.write_bytes(content)
        return kind_of(path, name, limits)

    return told


def refusal(kind, content, name="net.bin", error=RefusedFile, **options):
    with pytest.raises(error) as caught:
        kind(content, name, **options)
    message = str(caught.value)
    assert message.endswith(".")
    assert ". " not in message, "one sentence"
    assert "\n" not in message
    return caught.value


@pytest.mark.parametrize("name", FOREIGN)
def test_a_kind_that_is_not_taken_is_refused_with_one_sentence_and_a_remedy(kind, name):
    content, says = FOREIGN[name]
    error = refusal(kind, content, name)
    assert name in str(error)
    assert says in str(error)
    assert error.remedy.endswith("\n")


@pytest.mark.parametrize("remedy", [remedies.PT2, remedies.ORIGINAL])
def test_the_lines_of_the_remedy_make_a_pt2_file_that_is_taken(tmp_path, monkeypatch, remedy):
    monkeypatch.chdir(tmp_path)
    exec(remedy, {"model": Small(), "example_inputs": (torch.randn(2, 3),)})
    assert kind_of(tmp_path / "model.pt2", "model.pt2", LIMITS) is Kind.PT2


def test_the_lines_of_the_remedy_make_an_onnx_file_that_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(remedies.ONNX, {"model": Small(), "example_inputs": (torch.randn(2, 3),)})
    assert kind_of(tmp_path / "model.onnx", "model.onnx", LIMITS) is Kind.ONNX
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"], "one file, with the weights in it"


def test_the_lines_of_the_remedy_make_a_weights_file_that_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(remedies.WEIGHTS, {"model": Small()})
    assert kind_of(tmp_path / "weights.pt", "weights.pt", LIMITS) is Kind.STATE_DICT


def small_onnx():
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value("x", 1, [1])], [value("y", 1, [1])]
    )
    return onnx.helper.make_model(graph)


@pytest.mark.parametrize(
    ("file", "write", "remedy"),
    [
        ("model.onnxtxt", lambda path: path.write_text(onnx.printer.to_text(small_onnx())), remedies.ONNX_FROM_TEXT),
        ("model.pbtxt", lambda path: onnx.save(small_onnx(), path, format="textproto"), remedies.ONNX_FROM_PBTXT),
        ("model.json", lambda path: onnx.save(small_onnx(), path, format="json"), remedies.ONNX_FROM_JSON),
    ],
)
def test_onnx_as_text_is_refused_and_its_remedy_makes_a_file_that_is_taken(tmp_path, monkeypatch, file, write, remedy):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / file)
    with pytest.raises(RefusedFile, match="ONNX as") as caught:
        kind_of(tmp_path / file, file, LIMITS)
    assert caught.value.remedy == remedy
    exec(remedy, {})
    assert kind_of(tmp_path / "model.onnx", "model.onnx", LIMITS) is Kind.ONNX


def test_onnx_is_told_by_its_fields(kind):
    content = small_onnx().SerializeToString()
    assert kind(content) is Kind.ONNX
    refusal(kind, content[:-3], error=UnreadableFile)
    refusal(kind, field(1, 8) + field(2, b"pytorch"))


def test_weights_are_told_in_every_format(kind):
    tensors = Small().state_dict()
    assert kind(saved(tensors)) is Kind.STATE_DICT
    assert kind(saved({"epoch": 3, "state_dict": tensors})) is Kind.STATE_DICT
    assert kind(saved(dict(Small().named_parameters()))) is Kind.STATE_DICT
    assert kind(saved(tensors, _use_new_zipfile_serialization=False)) is Kind.STATE_DICT
    assert kind(safetensors.torch.save(dict(tensors))) is Kind.SAFETENSORS


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickled_module_is_refused_with_what_it_asks_for(kind, tmp_path, legacy):
    content = saved(Small(), _use_new_zipfile_serialization=not legacy)
    message = str(refusal(kind, content, "net.pt"))
    assert "a pickled PyTorch module" in message
    assert "'tests.load.foreign_files.Small'" in message
    assert "'torch.nn.modules.linear.Linear'" in message


@pytest.mark.parametrize("protocol", range(6))
def test_a_payload_in_a_plain_pickle_is_named_and_not_run(kind, tmp_path, protocol):
    marker = tmp_path / "marker"
    message = str(refusal(kind, pickle.dumps(Marker(marker), protocol), "net.pkl"))
    assert "open" in message
    assert not marker.exists()
    pickle.loads(pickle.dumps(Marker(marker), protocol))
    assert marker.exists(), "the payload is live"


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrap", [lambda marker: marker, lambda marker: {"w": torch.ones(2), "payload": marker}])
def test_a_payload_in_a_checkpoint_is_named_and_not_run(kind, tmp_path, legacy, wrap):
    marker = tmp_path / "marker"
    content = saved(wrap(Marker(marker)), _use_new_zipfile_serialization=not legacy)
    assert "open" in str(refusal(kind, content, "weights.pt"))
    assert not marker.exists()


def test_no_more_than_five_globals_are_named_and_long_ones_are_cut(kind):
    content = b"\x80\x02" + b"".join(b"cmodule%d\n%s\n" % (i, b"x" * 300) for i in range(9)) + b"."
    message = str(refusal(kind, content))
    assert "and 4 more" in message
    assert len(message) < 800


def test_a_pickle_that_never_ends_is_given_up(kind):
    started = time.perf_counter()
    refusal(kind, b"\x80\x02cos\nsystem\n" + b"N" * 40_000_000)
    assert time.perf_counter() - started < 30, "a few seconds on an ordinary machine"


def test_hostile_names_do_not_reach_a_terminal_and_never_stand_in_code(kind):
    name = "\x1b[31mred\n# heading\u202e" + "x" * 500 + ".onnx"
    error = refusal(kind, b"\x89PNG" + bytes(9), name)
    assert all(char.isprintable() for char in str(error))
    assert len(str(error)) < 300
    assert "red" not in error.remedy


def test_an_extension_that_says_otherwise_is_mentioned(kind):
    assert "although its name ends in .onnx" in str(refusal(kind, b"\x89PNG" + bytes(9), "net.onnx"))
    assert extension_note(Kind.PT2, "net.onnx") == (
        "'net.onnx' is a pt2 file of torch.export, although its name ends in .onnx."
    )
    assert extension_note(Kind.PT2, "net.pt2") is None
    assert extension_note(Kind.SAFETENSORS, "net.bin") is None
    assert extension_note(Kind.STATE_DICT, "net") is None


def test_empty_missing_and_special_files_and_folders_are_refused(kind, tmp_path):
    refusal(kind, b"", error=UnreadableFile)
    with pytest.raises(UnreadableFile, match="No such file"):
        kind_of(tmp_path / "missing", "missing", LIMITS)
    with pytest.raises(RefusedFile, match="a folder"):
        kind_of(tmp_path, "folder", LIMITS)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(RefusedFile, match="SavedModel"):
        kind_of(tmp_path, "folder", LIMITS)


def test_a_limit_that_is_hit_is_named_with_its_setting(kind):
    content = saved(Small().state_dict())
    error = refusal(kind, content, limits=Limits(parameter_bytes=30), error=UnreadableFile)
    assert "more than 3e-05 MB of weights, which is the limit; DECC_MAX_PARAMETER_BYTES=" in str(error)
    error = refusal(kind, content, limits=Limits(entries=3), error=UnreadableFile)
    assert "more than 3 parts, which is the limit; DECC_MAX_ENTRIES=" in str(error)


def test_damaged_archives_are_refused(kind):
    content = saved(Small().state_dict())
    for cut in (5, 100, len(content) // 2, len(content) - 10):
        refusal(kind, content[:cut], error=UnreadableFile)
    refusal(kind, content[:4] + bytes(100) + content[104:], error=UnreadableFile)
    twice = zipped({"a/data.pkl": b"1", "a/date.pkl": b"2"}).replace(b"date", b"data")
    assert "twice" in str(refusal(kind, twice, error=UnreadableFile))


def test_a_compressed_bomb_as_the_objects_of_a_checkpoint_costs_nothing(kind):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(pickles.MAX_BYTES + 1))
    refusal(kind, file.getvalue(), error=UnreadableFile)


@pytest.mark.parametrize(
    ("tensors", "data"),
    [
        ({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"),
        ({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
        ({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"12345678"),
        ({"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, b"12345678"),
        ({"w": {"dtype": "F32", "shape": [1 << 62], "data_offsets": [0, 4]}}, b"1234"),
        ({"w": {"dtype": "F32", "shape": [1 << 70], "data_offsets": [0, 4]}}, b"1234"),
        ({"w": {"dtype": "F32", "shape": [9] * 1000, "data_offsets": [0, 4]}}, b"1234"),
        ({"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"),
        ({"w": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        ({"w": [1, 2]}, b""),
        ({"v": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
          "w": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}}, b"123"),
    ],
)  # fmt: skip
def test_safetensors_that_lie_are_refused(kind, tensors, data):
    refusal(kind, safetensors_bytes(tensors, data), error=UnreadableFile)


def test_broken_safetensors_headers_are_refused(kind):
    refusal(kind, struct.pack("<Q", 1000) + b"{}", error=UnreadableFile)
    refusal(kind, struct.pack("<Q", 20_000) + b"{" + b"[" * 19_999, error=UnreadableFile)
    refusal(kind, struct.pack("<Q", 4) + b'{"\xff}', error=UnreadableFile)


def test_the_remedy_goes_with_the_error_and_stands_below_the_sentence_on_the_command_line(monkeypatch, capsys):
    error = pickle.loads(pickle.dumps(RefusedFile("It is text.", remedy="first\nsecond\n")))

    def refuse(*_):
        raise error

    monkeypatch.setattr(models, "list_models", refuse)
    assert cli.main(["models"]) == 2
    assert capsys.readouterr().err == "decc: It is text.\n    first\n    second\n"


def test_telling_kinds_needs_no_torch():
    code = "import decc_core.load.kinds.detect, sys; assert not {'torch', 'onnx', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
