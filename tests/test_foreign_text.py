"""Names and errors that come from elsewhere, made fit to stand in a sentence."""

from __future__ import annotations

import pytest

from decc_core.text import file_name, first_line, listed, network_name, shown


@pytest.mark.parametrize(
    ("sent", "file", "network"),
    [
        ("net.pt2", "net.pt2", "net"),
        ("../../etc/passwd", "passwd", "passwd"),
        ("C:\\models\\net.v2.onnx", "net.v2.onnx", "net.v2"),
        ("a\nb\x1b[31m.pt2", "ab[31m.pt2", "ab[31m"),
        (".pt2", ".pt2", ".pt2"),
        ("", "file", "file"),
    ],
)
def test_names_are_taken_without_their_folders_and_control_characters(sent, file, network):
    assert file_name(sent) == file
    assert network_name(file) == network


def test_a_foreign_name_is_quoted_cut_and_harmless_to_a_terminal():
    assert shown("conv1") == "'conv1'"
    assert shown("a\n\x1b[31m") == "'a??[31m'"
    assert shown("x" * 81) == f"'{'x' * 80}…'"
    assert listed(["a", "b", "c"], first=2) == "'a', 'b' and 1 more"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("\n  First. Second.\nThird", "First"),
        ("Only this.", "Only this"),
        ("red \x1b[31m", "red ?[31m"),
        ("", "ValueError"),
        ("x" * 200, "x" * 160 + "…"),
    ],
)
def test_of_what_a_library_says_the_first_sentence_is_told(said, told):
    assert first_line(ValueError(said)) == told
