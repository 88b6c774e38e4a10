"""The sidebar: every control of a scenario, in plain words and with units."""

from __future__ import annotations

import streamlit as st

from app import cached, profiles
from app.state import EXAMPLES, Example, Scenario
from app.units import rate_text, time_text
from decc_core import library
from decc_core.cost import Objective, WireDtype
from decc_core.profile import DeviceProfile

RATES_MBPS = (
    0.1, 0.13, 0.2, 0.3, 0.5, 0.75, 1.1, 1.5, 2.0, 3.0, 4.0, 5.85, 8.0, 10.0, 14.0, 18.88, 25.0, 35.0, 50.0, 75.0,
    100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 1000.0,
)  # fmt: skip
FACTORS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 8.0, 10.0, 15.0, 20.0, 50.0, 100.0)
RTTS_MS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 150.0, 300.0)
MAX_REQUESTS = 64
SAME_AS_UPLINK = "as the uplink"


def sidebar() -> Scenario:
    """Draw all controls and return what they say."""
    for key, value in EXAMPLES[0].scenario.controls().items():
        st.session_state.setdefault(key, value)
    with st.sidebar:
        st.selectbox(
            "Start from an example",
            EXAMPLES,
            format_func=lambda example: example.label,
            key="example",
            on_change=_take_example,
            index=0,
        )
        model = st.selectbox("Network", library.shipped_models(), key="model", help="Networks with measured profiles.")
        _link()
        _devices(model)
        _work()
    profiles.section(model)
    return _scenario()


def _take_example() -> None:
    example: Example = st.session_state["example"]
    st.session_state.update(example.scenario.controls())


def _link() -> None:
    st.select_slider(
        "Uplink",
        RATES_MBPS,
        key="uplink_mbps",
        format_func=rate_text,
        help="Rate from the edge to the cloud, on a logarithmic scale.",
    )
    presets = {
        preset["name"]: preset for preset in cached.networks() if preset["name"] in ("CAT1", "3G", "4G", "Wi-Fi")
    }
    for column, (name, preset) in zip(st.columns(len(presets)), presets.items(), strict=True):
        column.button(
            name,
            key=f"preset_{name}",
            width="stretch",
            help=f"{rate_text(preset['uplink_mbps'])} ({preset['source']})",
            on_click=st.session_state.update,
            args=({"uplink_mbps": preset["uplink_mbps"]},),
        )
    st.select_slider(
        "Round-trip time", RTTS_MS, key="rtt_ms", format_func=lambda ms: f"{ms:g} ms", help="Half of it each way."
    )


def _devices(model: str) -> None:
    choices = profiles.devices(model)
    for role, preferred in (("edge", library.DEFAULT_EDGE), ("cloud", library.DEFAULT_CLOUD)):
        if st.session_state.get(role) not in choices:
            st.session_state[role] = preferred if preferred in choices else choices[0]
    st.selectbox("Edge device", choices, key="edge")
    _provenance(profiles.profile_of(model, st.session_state["edge"]))
    st.select_slider("Edge slowdown", FACTORS, key="edge_slowdown", format_func=lambda k: f"{k:g}×")
    st.selectbox("Cloud device", choices, key="cloud")
    _provenance(profiles.profile_of(model, st.session_state["cloud"]))
    st.select_slider("Cloud speed-up", FACTORS, key="cloud_speedup", format_func=lambda k: f"{k:g}×")


def _provenance(found: DeviceProfile) -> None:
    st.caption(f"{time_text(found.whole_s)} a request, **{found.provenance.kind.value}**: {found.provenance.source}.")


def _work() -> None:
    st.slider("Requests in flight", 1, MAX_REQUESTS, key="requests", help="Samples that are all there at time 0.")
    st.segmented_control(
        "Optimise for",
        [objective.value for objective in Objective],
        key="objective",
        required=True,
        help="Makespan: when the last of these requests is back. Throughput: requests per second for ever.",
    )
    with st.expander("More"):
        st.selectbox(
            "Downlink",
            (None, *RATES_MBPS),
            key="downlink_mbps",
            format_func=lambda rate: SAME_AS_UPLINK if rate is None else rate_text(rate),
        )
        st.segmented_control(
            "Numbers on the wire",
            [wire.value for wire in WireDtype],
            key="wire",
            required=True,
            help="fp16 halves the bytes of floating-point tensors.",
        )
        st.number_input(
            "Overhead per tensor (ms)",
            0.0,
            100.0,
            step=0.1,
            key="overhead_ms",
            help="Time on the link beside the bytes.",
        )


def _scenario() -> Scenario:
    return Scenario(**{key: st.session_state[key] for key in Scenario().controls()})
