"""Runs the code cells of a notebook in order, and prints what each would show: `python -m tests.notebook FILE`.

Stands in for a notebook server, which would be a large thing to install for this alone.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path


def code_cells(path: Path) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run(path: Path) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    for number, source in enumerate(code_cells(path), start=1):
        body = ast.parse(source).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), f"cell {number}", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
            shown = value._repr_html_() if hasattr(value, "_repr_html_") else repr(value)
            if value is not None:
                print(shown)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
