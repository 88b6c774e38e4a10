"""A page that is one file: no script, no request to any host, light and dark, printable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from decc_core import __version__

FONT = "'Source Sans', 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
"""Of the page around figures, and of the app."""


@dataclass(frozen=True)
class Theme:
    """Neutral colours: text, muted text, lines of a graph, grid lines, the page behind, and the bound's line."""

    text: str
    muted: str
    line: str
    grid: str
    page: str
    bound: str


LIGHT = Theme(text="#1B2733", muted="#5B6877", line="#A9B4C0", grid="#E6EAEF", page="#FFFFFF", bound="#B5291C")
DARK = Theme(text="#E6EBF1", muted="#9AA7B5", line="#56626F", grid="#28313C", page="#11161D", bound="#FF8A70")


def page(title: str, parts: Iterable[str]) -> str:
    """The whole file; `parts` are HTML, the title is text."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="generator" content="DECC {__version__}">'
        f"<style>{_style()}</style></head>\n<body><main>\n{''.join(parts)}</main></body></html>\n"
    )


def section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{content}</section>\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], head: bool = True, marked: int | None = None) -> str:
    """Cells are text; without a head it is a list of facts, and one row may stand out."""
    first = f"<thead><tr>{''.join(f'<th>{escape(column)}</th>' for column in columns)}</tr></thead>" if head else ""
    body = "".join(
        f"<tr{' class=best' if i == marked else ''}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n"
        for i, row in enumerate(rows)
    )
    kind = "numbers" if head else "facts"
    return f'<div class="scroll"><table class="{kind}">{first}<tbody>{body}</tbody></table></div>\n'


def _style() -> str:
    return (
        f":root{{color-scheme:light dark;{_variables(LIGHT)}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}"
        f"@media print{{:root{{{_variables(LIGHT)}color-scheme:light}}section,svg,tr{{break-inside:avoid}}"
        "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}"
        f"body{{margin:0;background:var(--page);color:var(--text);font:15px/1.5 {FONT}}}" + LAYOUT
    )


def _variables(theme: Theme) -> str:
    names = ("text", "muted", "line", "grid", "page", "bound")
    return "".join(f"--{name}:{getattr(theme, name)};" for name in names)


LAYOUT = (
    "main{max-width:1080px;margin:0 auto;padding:24px 20px 48px}"
    "h1{font-size:1.7rem;line-height:1.2;margin:.2em 0 .7em}h2{font-size:1.2rem;margin:1.8em 0 .5em}"
    "h3{font-size:1rem;margin:1.2em 0 .3em}"
    ".tiles{display:flex;flex-wrap:wrap;gap:10px}.tiles div{flex:1 1 150px;border:1px solid var(--grid);"
    "border-radius:6px;padding:8px 12px}.tiles span{display:block;color:var(--muted);font-size:.85rem}"
    ".tiles b{font-size:1.4rem;font-weight:600}.lead{font-size:1.05rem}"
    ".note{color:var(--muted);font-size:.9rem}.legend span{margin-right:1.4em}"
    ".paper{background:#FFFFFF;border-radius:6px;padding:6px;margin:.4em 0;max-width:760px}"
    ".legend i{font-style:normal;margin-right:.3em}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.88rem;margin:.4em 0}"
    "th,td{text-align:left;padding:4px 10px 4px 0;border-bottom:1px solid var(--grid);vertical-align:top}"
    "th{color:var(--muted);font-weight:500}.numbers td{font-variant-numeric:tabular-nums;white-space:nowrap}"
    ".facts td:first-child{color:var(--muted);white-space:nowrap;width:11em}.facts td{overflow-wrap:anywhere}"
    ".best td{font-weight:600;background:rgba(0,114,178,.14)}"
    "pre{border:1px solid var(--grid);border-radius:6px;padding:10px;white-space:pre-wrap;overflow-wrap:anywhere}"
    "svg{width:100%;height:auto;font-size:13px;font-family:inherit}svg .muted{fill:var(--muted)}"
    "svg .grid{stroke:var(--grid);stroke-opacity:1}svg .line{stroke:var(--line);stroke-width:1.2}"
    "svg .bar{stroke:var(--page);stroke-width:.6}"
    "svg line.bound{stroke:var(--bound);stroke-width:2;stroke-dasharray:6 4}svg text.bound{fill:var(--bound)}"
)
