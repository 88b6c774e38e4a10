"""The frame around all views: controls at the side, links on top, and the view that the address names."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.components.copy import copy_link
from app.shell import address, bring, choices, limits, links, models, profiles, tour, uploads, visit, widgets
from app.text import plain
from decc_core.errors import DeccError
from decc_core.problem.instance import CostInstance
from decc_core.problem.scenario import Scenario
from decc_core.text import counted
from decc_core.unforeseen import sentence

# Module of `app.views`, title, icon; the first one stands at the bare address.
VIEWS = (
    ("plan", "Plan", ":material/account_tree:"),
    ("network", "Network", ":material/hub:"),
    ("profile", "Profile", ":material/speed:"),
    ("sweep", "Sweep", ":material/grid_on:"),
    ("load", "Load", ":material/stacked_line_chart:"),
    ("studies", "Studies", ":material/table_chart:"),
    ("live", "Live run", ":material/play_circle:"),
    ("learn", "Learn", ":material/school:"),
)
UNDER_LIMITS = ("plan", "network", "sweep", "load", "studies", "live")
"""Views of plans, which say what these have to keep."""


def draw() -> None:
    """One run of the page."""
    pages = {
        name: st.Page(_drawing(name), title=title, icon=icon, url_path=name, default=i == 0)
        for i, (name, title, icon) in enumerate(VIEWS)
    }
    _go_where_asked()
    current = st.navigation(list(pages.values()), position="hidden")
    st.session_state[address.PLAN_PAGE] = pages[VIEWS[0][0]]
    view = current.url_path or VIEWS[0][0]
    choices.hold()
    # What has come meanwhile may be what a link waits for.
    uploads.take_finished()
    bring.take_opened()
    address.take(view, links.troubles, visit.workspace().last)
    row = st.container(horizontal=True, vertical_alignment="center", gap="small", key="views")
    try:
        scenario = widgets.sidebar()
        stop = address.stopped(scenario)
        if stop is None:
            address.show(scenario, view)
            visit.workspace().last = address.parameters(scenario) if address.has_own(scenario) else {}
        for name, page in pages.items():
            # The links carry the scenario, so that a view opens, and is gone back to, as it was.
            row.page_link(page, query_params=dict(stop.address) if stop else address.of(scenario, name))
        _to_own_profiles(pages["profile"], scenario, stop)
        with row:
            copy_link("copy_link", COPY_OWN if address.has_own(scenario) else COPY)
        if view == VIEWS[0][0] and stop is None:
            row.button("Two-minute tour", key="tour_begin", type="tertiary", on_click=tour.begin)
            tour.bar(pages["learn"], address.of(scenario, "learn"))
        else:
            tour.end()
        if stop is not None:
            links.explain(stop)
        if stop is not None and not (view == "profile" and links.waits_for_profile(stop)):
            return
        current.run()
        address.follow(widgets.scenario())
    except Exception as error:
        # Streamlit's own signals, to stop and to run again, are none of these.
        show_failure(error)


def _go_where_asked() -> None:
    """Have the navigation open the view that this run was asked for.

    Streamlit keeps that for the visit, not for the run. A run that was given up, because the visitor left for another
    view, may yet begin once more (a part that looked whether something is over found that it is), and takes the new
    run back to the view that was left.
    """
    context = get_script_run_ctx()
    if context is not None and context.page_script_hash != context.pages_manager.main_script_hash:
        context.pages_manager.set_script_intent(context.page_script_hash, "")


COPY = "Copies the address of what you see: whoever opens it sees the same."
COPY_OWN = (
    "Copies the address of what you see. A network or profile of your own is in it by name only: whoever opens the "
    "link needs your workspace file, too, which is saved under Your own model at the left."
)


def _to_own_profiles(page: st.Page, scenario: Scenario, stop: address.Stop | None) -> None:
    """The way from the sidebar to where profiles of one's own are made."""
    opened = address.parameters(scenario) | {"tab": address.OWN_PROFILES_TAB}
    many = len(profiles.own(scenario.model))
    with st.sidebar:
        st.page_link(
            page,
            # Short enough for the sidebar, and without the name of a view, which is for the links on top.
            label="Measure, load or scale times",
            query_params=dict(stop.address) if stop else opened,
            help=f"You have {counted(many, 'profile')} of this network of your own." if many else None,
        )


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
        for told in address.said_wrongly():
            st.warning(plain(told))
        import_module(f"app.views.{name}").view(scenario, instance_of(scenario))

    draw_view.__name__ = name
    return draw_view


def instance_of(scenario: Scenario) -> CostInstance:
    edge = profiles.profile_of(scenario.model, scenario.edge)
    cloud = profiles.profile_of(scenario.model, scenario.cloud)
    return scenario.instance(models.graph_of(scenario.model), edge, cloud)
