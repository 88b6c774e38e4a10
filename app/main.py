"""The page: `streamlit run app/main.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

# Streamlit puts this file's folder first on the path; the packages stand one above.
ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from app import address, cached, profiles, widgets  # noqa: E402
from app.state import Scenario  # noqa: E402
from app.text import plain  # noqa: E402
from decc_core.cost import CostInstance  # noqa: E402
from decc_core.errors import DeccError  # noqa: E402

LOGO = ROOT / "assets" / "logo.svg"
TIGHT = (
    # The header lies over the links to the views; only its buttons take clicks.
    ".stAppHeader{background:transparent} .stAppHeader,.stAppHeader div{pointer-events:none!important} "
    ".stAppHeader button,.stAppHeader button *{pointer-events:auto!important} "
    ".stMainBlockContainer{padding:1.1rem 2rem 2rem} "
    ".stSidebar [data-testid=stVerticalBlock]{gap:.55rem} "
    ".stMain [data-testid=stVerticalBlock]{gap:.7rem}"
)
# Module of `app.views`, title, icon; the first one stands at the bare address.
VIEWS = (
    ("plan", "Plan", ":material/account_tree:"),
    ("network", "Network", ":material/hub:"),
    ("profile", "Profile", ":material/speed:"),
    ("sweep", "Sweep", ":material/grid_on:"),
    ("live", "Live run", ":material/play_circle:"),
    ("learn", "Learn", ":material/school:"),
)


def main() -> None:
    st.set_page_config(page_title="DECC: where to cut a network", page_icon=str(LOGO), layout="wide")
    st.logo(str(LOGO), size="large")
    # Streamlit has no setting for the empty space around the page, which would push the picture off a small screen.
    st.html(f"<style>{TIGHT}</style>")
    pages = [
        st.Page(_drawing(name), title=title, icon=icon, url_path=name, default=i == 0)
        for i, (name, title, icon) in enumerate(VIEWS)
    ]
    current = st.navigation(pages, position="hidden")
    address.take()
    with st.container(horizontal=True, gap="small", key="views"):
        links = [st.empty() for _ in pages]
    try:
        scenario = widgets.sidebar()
        address.show(scenario)
        # The links carry the scenario, so that a view opens, and is gone back to, as it was.
        for link, page in zip(links, pages, strict=True):
            link.page_link(page, query_params=address.parameters(scenario))
        current.run()
    except DeccError as error:
        st.error(plain(str(error)))


def _drawing(name: str) -> Callable[[], None]:
    """What draws a view; its module is imported when it is first opened, so that the first page waits for nothing."""

    def draw() -> None:
        scenario: Scenario = widgets.scenario()
        import_module(f"app.views.{name}").view(scenario, instance_of(scenario))

    draw.__name__ = name
    return draw


def instance_of(scenario: Scenario) -> CostInstance:
    edge = profiles.profile_of(scenario.model, scenario.edge)
    cloud = profiles.profile_of(scenario.model, scenario.cloud)
    return scenario.instance(cached.graph_of(scenario.model), edge, cloud)


main()
