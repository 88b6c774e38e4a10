"""A viewer for layered graphs: inline SVG that pans, zooms, selects and opens groups, and keeps its view."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app.figures.scene import Scene, as_data
from app.figures.style import Theme

HERE = Path(__file__).resolve().parent
HTML = """
<div class="viewer">
  <div class="stage"><div class="tip" hidden></div></div>
  <div class="legend"></div>
  <div class="tools"></div>
</div>
"""
HEIGHT = 580


def _text(name: str) -> str:
    # Streamlit takes text without a line break inside for the path of a file; these files have many.
    return (HERE / name).read_text(encoding="utf-8")


CSS, SCRIPT = _text("graph.css"), _text("graph.js")


@dataclass(frozen=True)
class Focus:
    """Marks to bring to the middle, once for every new `token`; tokens only grow."""

    ids: tuple[str, ...]
    token: int


def graph(
    scene: Scene,
    name: str,
    key: str,
    theme: Theme,
    *,
    selected: str | None = None,
    matches: Sequence[str] = (),
    requests: Sequence[int] | None = None,
    focus: Focus | None = None,
    anchor: str | None = None,
    on_pick: Callable[[str | None], None] | None = None,
    on_toggle: Callable[[str], None] | None = None,
    file: str = "graph",
    height: int = HEIGHT,
    embedded: bool = False,
) -> None:
    """Draw a scene; `name` says what is drawn, and each name has a zoom of its own that outlives reruns and views.

    `on_pick` is called with the id that was clicked, or None where nothing is; `on_toggle` with the id of the group to
    open or close. `anchor` is the group that was opened or closed last: its corner stays in place. `file` names saved
    pictures. An `embedded` graph leaves the wheel to the page around it and keeps its buttons beside the legend.

    What the pointer is on, or the keyboard, or what is selected, is told to the other pictures of the page by the event
    `decc:point`: its layers, and the `requests` that are drawn, None for all. What others tell is marked here.
    """
    drawn = as_data(scene)
    data = {
        "name": name,
        "scene": drawn,
        # The viewer draws again only when the digest is another one.
        "digest": hashlib.sha256(json.dumps(drawn).encode()).hexdigest()[:16],
        "colours": {"line": theme.line, "select": theme.bound},
        "selected": selected,
        "matches": list(matches),
        "focus": {"ids": list(focus.ids), "token": focus.token} if focus else None,
        "anchor": anchor,
        "file": file,
        "height": height,
        "embedded": embedded,
        "picks": on_pick is not None,
        "requests": None if requests is None else list(requests),
    }
    # Registered in each run, which takes microseconds: in Streamlit 1.65 a registration at import is unknown to the
    # second server of a process, as tests start them.
    viewer = st.components.v2.component("decc_graph", html=HTML, css=CSS, js=SCRIPT)
    viewer(
        key=key,
        data=data,
        height=height,
        on_picked_change=lambda: _told(key, "picked", on_pick),
        on_toggled_change=lambda: _told(key, "toggled", on_toggle),
    )


def _told(key: str, event: str, listener: Callable[[Any], None] | None) -> None:
    """Pass on what the viewer says: a trigger, which is there in this run only."""
    said = (st.session_state.get(key) or {}).get(event)
    if said is not None and listener is not None:
        listener(said.get("id"))
