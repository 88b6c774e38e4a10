"""The sidebar: every control of a scenario, in plain words and with units."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten

import streamlit as st

from app.shell import models, profiles, uploads
from app.shell.choices import choose, drawn, late
from app.state import (
    BETWEEN,
    EXAMPLES,
    FACTOR_OF,
    FACTORS,
    MAX_OVERHEAD_MS,
    MAX_REQUESTS,
    NETWORK_PRESETS,
    OPENING,
    OWN,
    RATES,
    ROUND_TRIPS,
    Example,
    NetworkPreset,
    chosen_device,
    device_label,
    example_of,
    network_label,
    network_order,
)
from app.text import plain
from decc_core import library
from decc_core.problem.instance import Objective, Results
from decc_core.problem.link import WireDtype
from decc_core.problem.profile import DeviceProfile, ProvenanceKind
from decc_core.problem.scenario import CHARGED, DEFAULT_CLOUD, DEFAULT_EDGE, Scenario
from decc_core.text import duration_s, rate_text

OWN_SETTINGS = "your own settings"
SUMMARY_LETTERS = 150
"""Of a profile's origin; the Profile view has all of it."""
OBJECTIVES = {Objective.MAKESPAN.value: "makespan", Objective.THROUGHPUT.value: "throughput"}
RESULTS = {Results.EDGE.value: "come back to the edge", Results.CLOUD.value: "may stay in the cloud"}
WIRES = {WireDtype.FP32.value: "fp32 (exact)", WireDtype.FP16.value: "fp16 (half the bytes)"}


def sidebar() -> Scenario:
    """Draw all controls and return what they say."""
    for key, value in OPENING.scenario.choices().items():
        st.session_state.setdefault(key, value)
    uploads.take_finished()
    with st.sidebar:
        try:
            _examples()
            model = _network()
            _devices(model)
            _link()
            _work()
            _more()
        except Exception:
            # What was chosen may be what failed: the visitor must be able to choose again what stood there before.
            drawn()
            raise
        drawn()
    profiles.section(model)
    uploads.dialog()
    return scenario()


def scenario() -> Scenario:
    """What the controls say now."""
    return Scenario(**{key: st.session_state[key] for key in OPENING.scenario.choices()})


def _examples() -> None:
    # The box follows the controls: it shows an example only while every control stands as the example sets it.
    _follow("example", example_of(scenario()) or OWN_SETTINGS)
    st.selectbox(
        "Scenario",
        (*EXAMPLES, OWN_SETTINGS),
        format_func=lambda example: example.label if isinstance(example, Example) else example,
        key="example",
        on_change=_take_example,
        help="Sets all controls below. Each says what to expect of it; change any control afterwards.",
    )
    example: Example | str = st.session_state["example"]
    if isinstance(example, Example):
        st.caption(example.note)


def _take_example() -> None:
    example: Example | str = st.session_state["example"]
    if isinstance(example, Example) and not late("example"):
        choose(example.scenario.choices())


def _follow(key: str, value: object) -> None:
    """Let a control that sets others show how these stand."""
    if st.session_state.get(key) != value:
        choose({key: value})


def _network() -> str:
    names = [*models.own(), *network_order(library.shipped_models())]
    asked = st.session_state["model"]
    if asked not in names:
        st.session_state["model"] = OPENING.scenario.model
        st.warning(plain(f"'{asked}' is not among your networks; upload its file again."))
    chosen = st.selectbox(
        "Neural network", names, format_func=network_label, key="model", help="Extracted and measured layer by layer."
    )
    uploads.box(chosen)
    return chosen


def _devices(model: str) -> None:
    choices = profiles.devices(model)
    for role, preferred, place in (("edge", DEFAULT_EDGE, 0), ("cloud", DEFAULT_CLOUD, 1)):
        asked = str(st.session_state.get(role))
        if asked not in choices:
            st.session_state[role] = preferred if preferred in choices else choices[min(place, len(choices) - 1)]
            if asked.startswith(OWN):
                st.warning(plain(f"'{asked}' is not among your profiles of {model}; load it under Profile."))
    for role in ("edge", "cloud"):
        profile = profiles.profile_of(model, st.session_state[role])
        st.selectbox(
            f"{role.capitalize()} device",
            choices,
            key=role,
            format_func=device_label,
            on_change=_at_its_own_speed,
            args=(role,),
            help=_provenance(profile),
        )
        st.caption(plain(_summary(profile, _factor_of(role))))
    slower, faster = st.columns(2)
    with slower:
        _factor("Edge slower by", "edge_slowdown", "multiplied")
    with faster:
        _factor("Cloud faster by", "cloud_speedup", "divided")


def _at_its_own_speed(role: str) -> None:
    """A device that is chosen has its own times, and not those of a factor that was meant for another."""
    if not late(role):
        choose(chosen_device(role, st.session_state[role]))


def _factor_of(role: str) -> float:
    """What the plan multiplies the profile's times by."""
    factor = float(st.session_state[FACTOR_OF[role]])
    return factor if role == "edge" else 1 / factor


def _factor(label: str, key: str, verb: str) -> None:
    st.selectbox(
        label,
        _steps(key, FACTORS),
        key=key,
        format_func=lambda times: f"{times:g} ×",
        help=f"All times of the profile above are {verb} by this, to stand for a device that nobody has measured.",
    )


def _summary(profile: DeviceProfile, factor: float) -> str:
    """What a request takes there, before and after a factor, and where that is from."""
    source, kind = profile.provenance.source, profile.provenance.kind
    used = f"{duration_s(profile.whole_s)} → {duration_s(profile.whole_s * factor)}"
    time = f"{used if factor != 1 else duration_s(profile.whole_s)} a request"
    if kind is ProvenanceKind.ESTIMATED:
        # The source is long, and stands under Profile.
        return f"{time}, {profile.origin.split(':')[0]}"
    how = source if source.startswith(kind.value) else profile.origin
    return shorten(f"{time}, {how}", SUMMARY_LETTERS, placeholder=" …")


def _provenance(profile: DeviceProfile) -> str:
    rows = {**profile.provenance.machine, **profile.provenance.settings}
    lines = [f"- {plain(name)}: {plain(value)}" for name, value in rows.items()]
    base = "" if profile.provenance.kind is ProvenanceKind.ESTIMATED else " Base measurement:"
    return "\n".join([f"Times are {profile.provenance.kind.value}.{base}", "", *lines])


TYPED = "typed_numbers"
"""Numbers of this visit that are no steps of a control, by control: steps that are there stay there."""
MOST_TYPED = 20


def _steps(key: str, steps: Sequence[float]) -> list[float]:
    """The steps of a control, and what was typed or stood in an address."""
    typed: dict[str, list[float]] = st.session_state.setdefault(TYPED, {})
    mine, value = typed.setdefault(key, []), st.session_state[key]
    if value is not None and value not in steps and value not in mine:
        mine.append(value)
        del mine[:-MOST_TYPED]
    # Of two that look the same the page would take either for the other.
    return sorted({f"{step:g}": step for step in (*steps, *mine)}.values())


def _exactly(label: str, key: str, unit: str) -> None:
    """A box for a number that is no step of the control; it follows the control."""
    box, (low, high) = f"{key}_exactly", BETWEEN[key]
    _follow(box, st.session_state[key])
    st.number_input(f"{label} ({unit})", low, high, format="%g", key=box, on_change=_take_exactly, args=(key,))


def _take_exactly(key: str) -> None:
    value = st.session_state[f"{key}_exactly"]
    if value is not None and not late(f"{key}_exactly"):
        choose({key: float(value)})


def _link() -> None:
    st.select_slider(
        "Uplink",
        _steps("uplink_mbps", RATES),
        key="uplink_mbps",
        format_func=rate_text,
        help="Rate from the edge to the cloud; the scale is logarithmic.",
    )
    rate = st.session_state["uplink_mbps"]
    _follow("preset", next((preset for preset in NETWORK_PRESETS if preset.uplink_mbps == rate), None))
    st.pills(
        "Common uplinks",
        NETWORK_PRESETS,
        key="preset",
        format_func=lambda preset: preset.name,
        on_change=_take_preset,
        label_visibility="collapsed",
    )
    preset: NetworkPreset | None = st.session_state["preset"]
    st.caption(f"{rate_text(rate)}: {preset.source}" if preset else "no preset has this rate")
    st.select_slider(
        "Round-trip time",
        _steps("rtt_ms", ROUND_TRIPS),
        key="rtt_ms",
        format_func=lambda ms: f"{ms:g} ms",
        help="Propagation, half of it each way; it delays a message but does not occupy the link.",
    )


def _take_preset() -> None:
    preset: NetworkPreset | None = st.session_state["preset"]
    if preset is not None and not late("preset"):
        choose({"uplink_mbps": preset.uplink_mbps})


def _work() -> None:
    st.slider(
        "Requests in flight",
        1,
        MAX_REQUESTS,
        key="requests",
        help="Samples that wait on the edge at time 0; they may be cut at different points.",
    )
    st.segmented_control(
        "Plan for",
        list(OBJECTIVES),
        key="objective",
        format_func=OBJECTIVES.__getitem__,
        required=True,
        help="Makespan: when the last of these requests is back on the edge. "
        "Throughput: requests per second when the plan repeats for ever.",
    )


def _more() -> None:
    with st.expander("More: any number, downlink, number format, overheads"):
        rate, trip = st.columns(2)
        with rate:
            _exactly("Uplink", "uplink_mbps", "Mbit/s")
        with trip:
            _exactly("Round trip", "rtt_ms", "ms")
        with rate:
            _exactly("Edge slower", "edge_slowdown", "×")
        with trip:
            _exactly("Cloud faster", "cloud_speedup", "×")
        st.selectbox(
            "Downlink",
            (None, *_steps("downlink_mbps", RATES)),
            key="downlink_mbps",
            format_func=lambda rate: "as the uplink" if rate is None else rate_text(rate),
            help="Rate at which results come back.",
        )
        st.selectbox(
            "Numbers on the wire",
            list(WIRES),
            key="wire",
            format_func=WIRES.__getitem__,
            help="fp16 halves the bytes of floating-point tensors and is no longer bit-exact.",
        )
        st.selectbox(
            "Results",
            list(RESULTS),
            key="results",
            format_func=RESULTS.__getitem__,
            help="Results that may stay in the cloud take no way back; only word that they are there comes back.",
        )
        st.number_input(
            "Overhead per tensor (ms)",
            0.0,
            MAX_OVERHEAD_MS,
            step=0.05,
            format="%.2f",
            key="overhead_ms",
            help="How long each tensor occupies the link besides its bytes.",
        )
        st.caption(
            "Sending and receiving, in ms of the processor",
            help="Time in which a device computes no layer: about 0.4 ms for each tensor and 2 ms for each MB with "
            "DECC's workers, 0 where a core of its own does it. Native runs measure it.",
        )
        st.button("As DECC's workers need it", on_click=choose, args=(CHARGED,), width="stretch")
        for side in ("edge", "cloud"):
            cells = st.columns(2)
            for cell, (each, name) in zip(cells, (("tensor", "tensor_ms"), ("MB", "mb_ms")), strict=True):
                cell.number_input(
                    f"{side.capitalize()}, a {each}",
                    0.0,
                    MAX_OVERHEAD_MS,
                    step=0.1,
                    format="%.2f",
                    key=f"{side}_{name}",
                )
