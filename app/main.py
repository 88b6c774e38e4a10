"""The page: `streamlit run app/main.py`."""

from __future__ import annotations

import sys
from pathlib import Path

# Streamlit puts this file's folder first on the path; the packages stand one above.
ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from app import cached, profiles, results, widgets  # noqa: E402
from app.state import Scenario  # noqa: E402
from decc_core.cost import CostInstance  # noqa: E402
from decc_core.errors import DeccError  # noqa: E402

LOGO = ROOT / "assets" / "logo.svg"
TIGHT = (
    ".stAppHeader{background:transparent} .stMainBlockContainer{padding:3.2rem 2rem 2rem} "
    ".stSidebar [data-testid=stVerticalBlock]{gap:.55rem} "
    ".stMain [data-testid=stVerticalBlock]{gap:.7rem}"
)


def main() -> None:
    st.set_page_config(page_title="DECC: where to cut a network", page_icon=str(LOGO), layout="wide")
    st.logo(str(LOGO), size="large")
    # Streamlit has no setting for the empty space around the page, which would push the picture off a small screen.
    st.html(f"<style>{TIGHT}</style>")
    try:
        scenario = widgets.sidebar()
        # Both pages are drawn from the same controls, so that a plan can be run as it was seen.
        pages = [
            st.Page(lambda: plan(scenario), title="Plan", icon=":material/account_tree:", default=True),
            st.Page(lambda: live_run(scenario), title="Live run", icon=":material/play_circle:", url_path="live"),
        ]
        st.navigation(pages, position="top").run()
    except DeccError as error:
        st.error(str(error))


def plan(scenario: Scenario) -> None:
    """Everything beside the controls, from the headline to the table."""
    comparison = cached.compared(instance_of(scenario))
    results.headline(scenario, comparison)
    results.body(comparison)


def live_run(scenario: Scenario) -> None:
    from app import live  # the first page waits for no gRPC

    live.view(scenario, instance_of(scenario))


def instance_of(scenario: Scenario) -> CostInstance:
    edge = profiles.profile_of(scenario.model, scenario.edge)
    cloud = profiles.profile_of(scenario.model, scenario.cloud)
    return scenario.instance(cached.graph_of(scenario.model), edge, cloud)


main()
