"""The one reader of files: ordinary files of bounded size, and a sentence for everything else, without waiting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from decc_core import files
from decc_core.errors import UnreadableFile


def test_an_ordinary_file_is_read_and_a_link_to_one_too(tmp_path):
    path, link = tmp_path / "a.txt", tmp_path / "b.txt"
    path.write_bytes(b"\xef\xbb\xbfhello")
    link.symlink_to(path)
    assert files.read(link, 8) == b"\xef\xbb\xbfhello"
    assert files.read(path) == b"\xef\xbb\xbfhello"
    assert files.read_text(path, 8) == "hello"


def pipe(place: Path) -> Path:
    os.mkfifo(place / "pipe")
    return place / "pipe"


def loop(place: Path) -> Path:
    (place / "loop").symlink_to(place / "loop")
    return place / "loop"


def long(place: Path) -> Path:
    (place / "long").write_bytes(bytes(11))
    return place / "long"


def no_text(place: Path) -> Path:
    (place / "text").write_bytes(b"\xff\xfe")
    return place / "text"


STRANGE = [
    (pipe, "no ordinary file"),
    (lambda place: Path("/dev/zero"), "/dev/zero: it is no ordinary file"),
    (lambda place: Path("/dev/tty"), "Cannot read"),
    (lambda place: place, "it is a folder"),
    (loop, "Too many levels"),
    (lambda place: place / "none", "No such file"),
    (lambda place: place / ("n" * 5000), "name too long"),
    (lambda place: Path("a\0b"), "Cannot read"),
    (long, "has more than 10 B, the limit"),
    (no_text, "is no UTF-8 text"),
    # Endless, although it says that it is an ordinary file of no bytes.
    (lambda place: Path("/proc/self/environ"), "has more than 10 B"),
]


@pytest.mark.parametrize(("make", "sentence"), STRANGE)
def test_whatever_a_path_leads_to_there_is_a_sentence_and_no_wait(tmp_path, make, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        files.read_text(make(tmp_path), 10, "the token file")


def test_a_file_can_be_asked_for_before_it_is_needed(tmp_path):
    files.require(long(tmp_path))
    with pytest.raises(UnreadableFile, match="no ordinary file"):
        files.require(pipe(tmp_path))


def test_what_no_file_can_be_called_stands_for_none(tmp_path):
    for name in ("n" * 5000, "a\0b", str(pipe(tmp_path)), str(tmp_path)):
        assert not files.is_file(name)
    assert files.is_file(str(long(tmp_path)))


def test_a_folder_with_too_many_files_is_refused(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.PNG").touch()
    assert [path.name for path in files.in_folder(tmp_path, (".png",), 3)] == ["0.PNG", "1.PNG", "2.PNG"]
    with pytest.raises(UnreadableFile, match="holds more than 2 files"):
        files.in_folder(tmp_path, (".png",), 2)
    with pytest.raises(UnreadableFile, match="Not a directory"):
        files.in_folder(tmp_path / "0.PNG", (".png",), 2)


def test_a_file_that_does_not_come_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LONGEST_S", -1.0)
    with pytest.raises(UnreadableFile, match="it took longer than"):
        files.read(long(tmp_path), 20)


@pytest.mark.parametrize(
    ("below", "sentence"),
    [("", "it is a folder; name a file"), ("file/plan.json", "is no folder"), ("x" * 300, "File name too long")],
)
def test_a_place_where_nothing_can_be_written_is_refused_before_the_work(tmp_path, below, sentence):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnreadableFile, match=f"^Cannot write .*{sentence}"):
        files.require_place(tmp_path / below)


def test_a_place_whose_folders_are_still_to_be_made_is_one(tmp_path):
    (tmp_path / "there.json").write_text("")
    for path in (tmp_path / "a" / "b" / "plan.json", tmp_path / "there.json", Path("/dev/null"), None):
        files.require_place(path)
    assert not (tmp_path / "a").exists()
