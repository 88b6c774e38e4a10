"""What a visitor of a page under test has of their own."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from app.shell.workspaces import Workspace


def own(page: AppTest) -> Workspace:
    """The workspace of the page's visit."""
    return page.session_state["visit"].workspace
