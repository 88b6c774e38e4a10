"""Tables of a study for terminals, programs and papers, with hostile names in them."""

from __future__ import annotations

import csv
import io
import re

from decc_core.printed.findings import as_latex, as_text, escaped, table_csv
from decc_core.study.findings import Column, Kind, Table

HOSTILE = "50 % of_{net} & \\input{x} #1 ~^ $a$ <b> \x1b[31m\n图"
TABLE = Table(
    "gain-decc",
    "How many times better",
    "Means.",
    (
        Column("network", "network"),
        Column("points", "number", Kind.COUNT),
        Column("gain_over_jps", "over jps", Kind.GAIN),
        Column("gap_fraction", "gap", Kind.SHARE),
    ),
    ((HOSTILE, 1200, 1.5, 0.031), ("b", 3, float("nan"), None)),
)


def test_text_has_columns_under_each_other_and_nothing_that_a_terminal_acts_on():
    text = as_text(TABLE)
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines[:2] == ["How many times better", "Means."]
    assert re.search(r"1,200 +1\.500× +3\.10 %$", lines[4])
    assert lines[5].split() == ["b", "3", "–", "–"]


def test_csv_has_numbers_as_they_are_and_what_the_table_is_about_in_every_row():
    rows = list(csv.DictReader(io.StringIO(table_csv(TABLE, {"study": "s"}))))
    assert rows[0] == {
        "network": HOSTILE, "points": "1200", "gain_over_jps": "1.5", "gap_fraction": "0.031", "study": "s"
    }  # fmt: skip
    assert rows[1]["gain_over_jps"] == ""


def test_latex_is_balanced_and_a_name_is_nothing_but_text():
    text = as_latex(TABLE)
    assert text.count("{") == text.count("}")
    assert re.findall(r"\\begin\{(.*?)\}", text) == list(reversed(re.findall(r"\\end\{(.*?)\}", text)))
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    assert r"\input" not in text
    assert text.isascii()
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 2
    # As many unescaped ampersands as there are columns, less one; and no comment that swallows the rest.
    assert all(len(re.findall(r"(?<!\\)&", line)) == 3 for line in rows)
    assert not re.search(r"(?<!\\)[%#]", body)
    assert len(re.findall(r"(?<!\\)\$", body)) % 2 == 0


def test_every_sign_of_latex_is_escaped_once():
    assert escaped("a_b%c") == r"a\_b\%c"
    assert escaped("\\") == r"\textbackslash{}"
    assert escaped("1.5× − 图 é") == r"1.5$\times$ $-$ ? é"


def test_a_table_of_both_columns_is_one_for_them():
    assert r"\begin{table}" in as_latex(TABLE, 1)
    assert r"\begin{table*}" in as_latex(TABLE, 2)
