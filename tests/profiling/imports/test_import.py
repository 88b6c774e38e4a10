"""How layers are found, and the command line."""

from __future__ import annotations

import random
import re

import pytest

from decc_core import library, store
from decc_core.cli import main
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling.imports import find_profile
from decc_core.profiling.imports.mapping import aligned, aligned_first, common_length, period


def test_sequences_are_aligned_as_by_dynamic_programming():
    chosen = random.Random(1)
    for _ in range(300):
        layers = [chosen.choice("abc") for _ in range(chosen.randint(0, 9))]
        words = [chosen.choice("abcd") for _ in range(chosen.randint(0, 9))]
        found = aligned(layers, words)
        pairs = [(k, i) for k, i in enumerate(found) if i >= 0]
        assert all(words[k] == layers[i] for k, i in pairs)
        assert [i for _, i in pairs] == sorted({i for _, i in pairs})
        assert len(pairs) == common_length(layers, words) == longest(layers, words)


def longest(one: list[str], other: list[str]) -> int:
    if not one or not other:
        return 0
    if one[0] == other[0]:
        return 1 + longest(one[1:], other[1:])
    return max(longest(one[1:], other), longest(one, other[1:]))


def test_minor_words_do_not_draw_the_others_away():
    assert aligned("vvvca", "cvvv") == [-1, 0, 1, 2]
    assert aligned_first("vvvca", "cvvv", frozenset("v")) == [3, -1, -1, -1]


def test_the_period_of_repeats():
    assert [period(word) for word in ("", "a", "aaa", "abab", "ababa", "abcabc")] == [0, 1, 1, 2, 5, 3]


def test_the_command_line_imports_tells_notes_and_compares_without_importing(tmp_path, capsys):
    template, out = tmp_path / "times.csv", tmp_path / "profile.json"
    assert main(["profile", "alexnet", "--template", str(template)]) == 0
    text = template.read_text(encoding="utf-8")
    template.write_text(re.sub(r",,$", ",0.01,", text, flags=re.MULTILINE), encoding="utf-8")
    graph = tmp_path / "graph.json"
    store.save(library.load_graph("alexnet"), graph)
    assert main(["profile", str(graph), "--import", str(template), "--device", "board", "-o", str(out)]) == 0
    text = capsys.readouterr().out
    assert "alexnet on board: 230 ms" in text
    assert "- No layer has a 95th percentile" in text
    assert store.load(out, DeviceProfile).median_s == find_profile("alexnet", str(template)).median_s
    assert main(["compare", "alexnet", "--edge", str(template), "--json"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["profile", "alexnet", "--import", "nothing.csv"], "Cannot read nothing.csv"),
        (["profile", "alexnet", "--template", "times.txt"], "not 'times.txt'"),
        (["compare", "alexnet", "--edge", "nothing.json.gz"], "Cannot read nothing.json.gz"),
    ],
)
def test_mistakes_with_files_end_in_one_line(capsys, arguments, message):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
