"""The tour: two minutes over the Plan view, one part after the other, and on to Learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st
from streamlit.navigation.page import StreamlitPage

KEY = "tour"
"""Where a visit keeps at which stop it is; nothing is there while nobody is shown around."""


@dataclass(frozen=True)
class Stop:
    """One part of the page, by a selector, and what is to be seen there."""

    selector: str
    title: str
    text: str


STOPS = (
    Stop(
        ".stSidebar",
        "The question",
        "A neural network, a weak device beside the camera (the **edge**), a strong machine behind a network (the "
        "**cloud**): which layers should run where? The controls at the left say which network, devices and link. "
        "Change any of them, and everything follows.",
    ),
    Stop(
        ".decc-verdict",
        "The answer",
        "Whether a split is worth it, over which device alone, and what it sends. Below it: how far that holds where "
        "the link or the edge is another one. The simplest plan that is as good as the best one is recommended.",
    ),
    Stop(
        ".st-key-branches",
        "Where the network is cut",
        "The network, from its inputs at the left to its outputs at the right. **Squares** run on the edge, **discs** "
        "in the cloud, and each coloured line between them is a tensor that crosses the uplink. Lanes beside each "
        "other do not wait for one another: these **branches** are cut apart from each other.",
    ),
    Stop(
        ".st-key-gantt",
        "Who works when",
        "The same plan in time. While the edge still computes one branch, another is on the uplink, and a third in the "
        "cloud: that is the idea of DECC. Outlined is what decides how long it takes; no plan whatever can end left of "
        "the dashed line.",
    ),
    Stop(
        ".st-key-plan_tab,.stMain .stTabs",
        "Ask further",
        "All strategies side by side, why the cut is where it is, what happens if you move it, what is sent, and "
        "everything to take along: a report, figures, the two pieces of the network as programs.",
    ),
    Stop(
        ".st-key-views",
        "Go on",
        "**Network** shows every layer, **Profile** what each takes on both devices, **Sweep** where the answer "
        "changes, **Live run** runs the plan on two processes. **Learn** explains in eight small steps how it works, "
        "on a network of four layers.",
    ),
)


def begin() -> None:
    """Show the first stop."""
    st.session_state[KEY] = 0


def end() -> None:
    """Nobody is shown around any more."""
    st.session_state.pop(KEY, None)


def bar(learn: StreamlitPage, parameters: Mapping[str, str]) -> None:
    """The stop at which the visit is: what is said, where it goes on, and a frame around what is spoken of."""
    at = st.session_state.get(KEY)
    if at is None:
        return
    stop, last = STOPS[at], at == len(STOPS) - 1
    with st.container(key="tour_bar", border=True):
        said, back, onward, leave = st.columns((7, 1, 1, 1), vertical_alignment="center")
        said.markdown(f"**{at + 1} of {len(STOPS)}: {stop.title}.** {stop.text}")
        back.button("Back", key="tour_back", on_click=_go, args=(at - 1,), disabled=at == 0, width="stretch")
        if last:
            onward.page_link(learn, label="Learn", query_params=parameters)
        else:
            onward.button("Next", key="tour_next", type="primary", width="stretch", on_click=_go, args=(at + 1,))
        leave.button("End", key="tour_end", on_click=end, width="stretch")
    st.html(
        f"<style>{STYLE} {stop.selector}{{outline:3px solid #E69F00;outline-offset:3px;border-radius:6px}}</style>"
        f"<script>document.querySelector('{stop.selector}')?.scrollIntoView({{block: 'center'}})</script>",
        unsafe_allow_javascript=True,
    )


STYLE = (
    "[data-testid=stLayoutWrapper]:has(> .st-key-tour_bar){position:sticky;top:.5rem;z-index:20;"
    "background:var(--page,canvas)}"
)


def _go(at: int) -> None:
    st.session_state[KEY] = at
