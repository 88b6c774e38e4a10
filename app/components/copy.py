"""A button that copies the address of the page, as it stands when it is clicked."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent
HTML = """
<div class="copy">
  <button type="button">Copy link</button>
  <input type="text" readonly hidden aria-label="The link, to be copied">
  <span role="status" aria-live="polite"></span>
</div>
"""
CSS, SCRIPT = ((HERE / name).read_text(encoding="utf-8") for name in ("copy.css", "copy.js"))


def copy_link(key: str, help: str) -> None:
    """Draw the button; `help` is shown under the pointer."""
    button = st.components.v2.component("decc_copy_link", html=HTML, css=CSS, js=SCRIPT)
    button(key=key, data={"help": help}, width="content")
