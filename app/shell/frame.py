"""The frame around all views: controls at the side, links on top, and the view that the address names."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import streamlit as st

from app.shell import address, choices, limits, models, profiles, tour, widgets
from app.text import plain
from decc_core.errors import DeccError
from decc_core.problem.instance import CostInstance
from decc_core.problem.scenario import Scenario
from decc_core.unforeseen import sentence

# Module of `app.views`, title, icon; the first one stands at the bare address.
VIEWS = (
    ("plan", "Plan", ":material/account_tree:"),
    ("network", "Network", ":material/hub:"),
    ("profile", "Profile", ":material/speed:"),
    ("sweep", "Sweep", ":material/grid_on:"),
    ("live", "Live run", ":material/play_circle:"),
    ("learn", "Learn", ":material/school:"),
)
UNDER_LIMITS = ("plan", "network", "sweep", "live")
"""Views of plans, which say what these have to keep."""
ABOUT = "Which layers of a network should run on the device, and which in the cloud?"


def draw() -> None:
    """One run of the page."""
    pages = [
        st.Page(_drawing(name), title=title, icon=icon, url_path=name, default=i == 0)
        for i, (name, title, icon) in enumerate(VIEWS)
    ]
    current = st.navigation(pages, position="hidden")
    choices.hold()
    address.take()
    links = st.container(horizontal=True, gap="small", key="views")
    try:
        scenario = widgets.sidebar()
        shown = address.show(scenario)
        # The links carry the scenario, so that a view opens, and is gone back to, as it was.
        for page in pages:
            links.page_link(page, query_params=shown)
        if current is pages[0]:
            links.caption(ABOUT, width="content")
            links.button("Two-minute tour", key="tour_begin", type="tertiary", on_click=tour.begin)
            tour.bar(pages[-1], shown)
        else:
            tour.end()
        current.run()
    except Exception as error:
        # Streamlit's own signals, to stop and to run again, are none of these.
        show_failure(error)


def show_failure(error: Exception) -> bool:
    """One sentence in the place of a view that failed; True tells Streamlit that it has nothing to add."""
    st.error(plain(str(error) if isinstance(error, DeccError) else sentence(error, "the page")))
    return True


def _drawing(name: str) -> Callable[[], None]:
    """What draws a view; its module is imported when it is first opened, so that the first page waits for nothing."""

    def draw_view() -> None:
        scenario: Scenario = widgets.scenario()
        if name in UNDER_LIMITS:
            limits.note(scenario)
        import_module(f"app.views.{name}").view(scenario, instance_of(scenario))

    draw_view.__name__ = name
    return draw_view


def instance_of(scenario: Scenario) -> CostInstance:
    edge = profiles.profile_of(scenario.model, scenario.edge)
    cloud = profiles.profile_of(scenario.model, scenario.cloud)
    return scenario.instance(models.graph_of(scenario.model), edge, cloud)
