"""Hostile `.pt2` files: none runs code, none takes long, and each is refused with one sentence or disarmed."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
import torch

from decc_core.errors import DeccError, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.pt2 import archive as pt2_archive
from decc_core.load.pt2.archive import clean
from decc_core.load.pt2.read import read
from tests.load import hostile_pt2 as hostile


@pytest.fixture(scope="module")
def parts():
    return hostile.parts_of(hostile.honest())


def written(tmp_path, content):
    path = tmp_path / "sent.pt2"
    path.write_bytes(content)
    return path


def assert_one_sentence(error):
    text = str(error)
    assert text.isprintable()
    assert len(text) < 500
    assert text.endswith((".", ")."))
    assert "Exception" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_a_hostile_file_is_refused_with_one_sentence_and_runs_nothing(name, parts, tmp_path):
    marker, target = tmp_path / "marker", tmp_path / "clean.pt2"
    path = written(tmp_path, hostile.REFUSED[name](dict(parts), marker))
    started_s = time.perf_counter()
    with pytest.raises(UnreadableFile) as caught:
        clean(path, target, Limits())
    assert time.perf_counter() - started_s < 5
    assert_one_sentence(caught.value)
    assert "cannot be read (" not in str(caught.value), "only the last net caught it"
    assert not marker.exists()
    assert not target.exists()


@pytest.mark.parametrize("name", hostile.DISARMED)
def test_what_could_run_is_left_out_of_the_clean_file(name, parts, tmp_path):
    marker, target = tmp_path / "marker", tmp_path / "clean.pt2"
    clean(written(tmp_path, hostile.DISARMED[name](dict(parts), marker)), target, Limits())
    model = read(target, "net")
    assert not marker.exists()
    honest = hostile.Honest().eval()
    (image,) = hostile.example()
    with torch.no_grad():
        assert torch.equal(model.run((image,))[0], honest(image)["scores"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "pickled sample inputs",
        "pickled weights",
        "an opaque constant",
        "a shape that is code",
        "guards that are code",
        "a layer name that is code",
    ],
)
def test_the_corpus_is_real_as_torch_itself_would_run_it(name, parts, tmp_path):
    marker = tmp_path / "marker"
    make = (hostile.REFUSED | hostile.DISARMED)[name]
    path = written(tmp_path, make(dict(parts), marker))
    code = "import sys, torch; torch.export.load(sys.argv[1]).module()(torch.zeros(1, 3, 8, 8))"
    subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=False, timeout=120)
    assert marker.exists()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("entries", 3),
        ("unpacked_bytes", 1000),
        ("parameter_bytes", 100),
        ("tensor_bytes", 100),
        ("layers", 2),
    ],
)
def test_a_limit_that_is_hit_is_named_with_its_setting(setting, value, tmp_path):
    with pytest.raises(UnreadableFile, match=f"DECC_MAX_{setting.upper()}") as caught:
        clean(written(tmp_path, hostile.honest()), tmp_path / "clean.pt2", Limits(**{setting: value}))
    assert_one_sentence(caught.value)


def test_a_file_of_an_older_torch_says_so(parts, tmp_path):
    error = said_about(hostile.REFUSED["the format of torch 2 7"](parts, tmp_path), tmp_path)
    assert "an older torch" in str(error)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UnreadableFile, match="cannot be opened"):
        clean(tmp_path / "nowhere.pt2", tmp_path / "clean.pt2", Limits())


def said_about(content, tmp_path):
    """What the refusal says; nothing when the file is taken."""
    try:
        clean(written(tmp_path, content), tmp_path / "clean.pt2", Limits())
    except DeccError as error:
        return error
    return None


def test_the_clean_file_holds_nothing_but_what_was_checked(tmp_path):
    target = tmp_path / "clean.pt2"
    clean(written(tmp_path, hostile.honest()), target, Limits())
    cleaned = hostile.parts_of(target.read_bytes())
    assert cleaned[hostile.SAMPLES] == b""
    for word in (b"stack_trace", b"torch_fn", os.fsencode(__file__), b"tests", b"dropout_1;"):
        assert word not in cleaned[hostile.NETWORK]
    weights = [name for name in hostile.parts_of(hostile.honest()) if pt2_archive.PAYLOAD.fullmatch(name)]
    assert set(cleaned) == {*pt2_archive.REQUIRED, hostile.SAMPLES, "byteorder", ".data/version", *weights}
