"""decc load: a table of policies, a curve, a file, and mistakes that are told."""

from __future__ import annotations

import csv
import json
from contextlib import suppress

import pytest

from decc_core.cli import main

SMALL = ("load", "squeezenet1_1", "--cloud-speedup", "4", "--rtt-ms", "10", "--requests", "800")


def test_the_rate_that_is_sustained_is_told_for_every_policy_that_was_asked_for(capsys):
    assert main([*SMALL, "--policies", "edge-only,dads,decc"]) == 0
    said = capsys.readouterr().out
    for word in ("edge-only", "dads", "decc", "sustained, req/s", "p99", "No policy sustains more than"):
        assert word in said


def test_rates_are_looked_at_as_json_and_as_a_table_that_says_what_it_is_about(capsys, tmp_path):
    file = tmp_path / "load.csv"
    assert main([*SMALL, "--policies", "cloud-only,decc", "--rate", "2,4", "--json", "--csv", str(file)]) == 0
    out = capsys.readouterr().out
    found = json.loads(out[out.index("{") :])
    assert [(row["policy"], row["rate_rps"]) for row in found["rows"]] == [
        ("cloud-only", 2), ("decc", 2), ("cloud-only", 4), ("decc", 4)
    ]  # fmt: skip
    assert found["capacity_rps"] > 4
    assert all(row["p50_s"] >= found["least_s"] * 0.999 for row in found["rows"])
    rows = list(csv.DictReader(file.open()))
    assert len(rows) == 4
    assert {row["network"] for row in rows} == {"squeezenet1_1"}
    assert {row["arrivals"] for row in rows} == {"poisson"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--policies", "magic"], "There is no policy 'magic'"),
        (["--requests", "100"], "do not tell a 99th percentile"),
        (["--deadline-ms", "0"], "cannot be kept"),
        (["--sources", "0"], "cannot be simulated"),
        (["--rate", "0"], "rate"),
        (["--percentile", "100"], "is no percentile"),
        (["--objective", "fame"], "invalid choice"),
    ],
)
def test_mistakes_end_in_one_sentence(arguments, sentence, capsys):
    with suppress(SystemExit):
        assert main([*SMALL, *arguments]) != 0
    assert sentence in capsys.readouterr().err
