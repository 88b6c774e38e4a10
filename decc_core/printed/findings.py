"""Tables of a study as text for a terminal, as CSV for programs, and as LaTeX for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from decc_core.pictures import text_table
from decc_core.printed.table import Value, as_csv
from decc_core.study.findings import Kind, Table
from decc_core.text import printable

NARROW = 8
"""More columns than this need the width of both columns of a paper."""
SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': r"\textquotedbl{}",
    "|": r"\textbar{}",
    "×": r"$\times$",
    "−": r"$-$",
    "–": "--",
    "∞": r"$\infty$",
    "µ": r"$\mu$",
    "≈": r"$\approx$",
}
"""What LaTeX would take for its own, or has in no text font."""
LATIN = 0x250
"""Letters up to here every LaTeX can write."""


def as_text(table: Table) -> str:
    """The table under its title, as wide as it needs."""
    left = sum(1 for _ in _leading_texts(table))
    rows = [[printable(cell) for cell in row] for row in table.texts]
    lines = text_table([column.title for column in table.columns], rows, left=max(1, left))
    return f"{table.title}\n{table.note}\n\n{lines}\n"


def _leading_texts(table: Table) -> Sequence[str]:
    found = []
    for column in table.columns:
        if column.kind is not Kind.TEXT:
            break
        found.append(column.key)
    return found


def rows_of(table: Table) -> list[dict[str, Value]]:
    """Rows by the columns' keys, for programs; what is unknown is empty."""
    keys = [column.key for column in table.columns]
    return [
        {key: None if isinstance(cell, float) and cell != cell else cell for key, cell in zip(keys, row, strict=True)}
        for row in table.rows
    ]


def table_csv(table: Table, about: Mapping[str, Value]) -> str:
    """The table with units in its heads, and in every row what it is about."""
    return as_csv(rows_of(table), about)


def escaped(text: str) -> str:
    """The text as LaTeX prints it, whatever it is; letters that no LaTeX has are question marks."""
    return "".join(SIGNS.get(char, char if ord(char) < LATIN else "?") for char in printable(text))


def as_latex(table: Table, columns: int = 1) -> str:
    """The table for `booktabs`, as a float of one column of a paper, or of both."""
    wide = "*" if columns == 2 or len(table.columns) > NARROW else ""
    sides = "".join("l" if column.kind is Kind.TEXT else "r" for column in table.columns)
    lines = [" & ".join(map(escaped, row)) + r" \\" for row in table.texts]
    return "\n".join(
        [
            rf"\begin{{table{wide}}}",
            r"  \centering\footnotesize",
            rf"  \caption{{{escaped(table.title)}. {escaped(table.note)}}}",
            rf"  \label{{tab:{''.join(char if char.isalnum() else '-' for char in table.name)}}}",
            rf"  \begin{{tabular}}{{@{{}}{sides}@{{}}}}",
            r"    \toprule",
            "    " + " & ".join(escaped(column.title) for column in table.columns) + r" \\",
            r"    \midrule",
            *(f"    {line}" for line in lines),
            r"    \bottomrule",
            r"  \end{tabular}",
            rf"\end{{table{wide}}}",
            "",
        ]
    )
