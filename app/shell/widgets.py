"""The sidebar: every control of a scenario, in plain words and with units."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten

import streamlit as st

from app.shell import limits, models, profiles, uploads, wires
from app.shell.choices import choose, drawn, folded, follow, late
from app.state import (
    BETWEEN,
    EXAMPLES,
    FACTOR_OF,
    FACTORS,
    MAX_OVERHEAD_MS,
    MAX_REQUESTS,
    NETWORK_PRESETS,
    OPENING,
    OVERHEADS_MS,
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
    preset_of,
    title_of,
    wire_label,
)
from app.text import plain
from decc_core import formats, library
from decc_core.problem.instance import Objective, Results
from decc_core.problem.profile import DeviceProfile, ProvenanceKind
from decc_core.problem.scenario import CHARGED, DEFAULT_CLOUD, DEFAULT_EDGE, Scenario
from decc_core.problem.wire import ANY, CERTAIN, FP32, PERCENTILES, WireProfile
from decc_core.text import counted, duration_s

OWN_SETTINGS = "your own settings"
SUMMARY_LETTERS = 150
"""Of a profile's origin; the Profile view has all of it."""
OBJECTIVES = {Objective.MAKESPAN.value: "makespan", Objective.THROUGHPUT.value: "throughput"}
RESULTS = {Results.EDGE.value: "come back to the edge", Results.CLOUD.value: "may stay in the cloud"}
BYTES_OF = {PERCENTILES[0]: "median of the images", PERCENTILES[1]: "95th percentile"}


def sidebar() -> Scenario:
    """Draw all controls and return what they say."""
    opening = OPENING.scenario.choices()
    choose({key: value for key, value in opening.items() if key not in st.session_state})
    with st.sidebar:
        try:
            # Each part in a place of its own: a line more or less in one of them must not draw the controls below it
            # anew, which would take them the keyboard's focus.
            with st.container():
                _examples()
            with st.container():
                model = _network()
            with st.container():
                _devices(model)
            with st.container():
                _link()
            with st.container():
                _wire(model)
            with st.container():
                _work()
            with st.container():
                limits.section(model)
            with st.container():
                _more()
        except Exception:
            # What was chosen may be what failed: the visitor must be able to choose again what stood there before.
            drawn()
            raise
        drawn()
    uploads.dialog()
    return scenario()


def scenario() -> Scenario:
    """What the controls say now."""
    chosen = {key: st.session_state[key] for key in OPENING.scenario.choices()}
    return Scenario(**chosen, measured=wires.profile_of(chosen["model"], chosen["wire_profile"]))


def _examples() -> None:
    # The box follows the controls: it shows an example only while every control stands as the example sets it.
    follow("example", example_of(scenario()) or OWN_SETTINGS)
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


def _network() -> str:
    names, gone = [*models.own(), *network_order(library.shipped_models())], st.container()
    asked = st.session_state["model"]
    if asked not in names:
        st.session_state["model"] = OPENING.scenario.model
        gone.warning(plain(f"'{asked}' is not among your networks any more; drop its file again."))
    chosen = st.selectbox(
        "Neural network", names, format_func=network_label, key="model", help="Extracted and measured layer by layer."
    )
    uploads.box(chosen, scenario())
    return chosen


def _devices(model: str) -> None:
    choices, gone = profiles.devices(model), st.container()
    for role, preferred, place in (("edge", DEFAULT_EDGE, 0), ("cloud", DEFAULT_CLOUD, 1)):
        asked = profiles.renamed(model, str(st.session_state.get(role)))
        if asked in choices and asked != st.session_state.get(role):
            choose({role: asked})
        if asked not in choices:
            st.session_state[role] = preferred if preferred in choices else choices[min(place, len(choices) - 1)]
            if asked.startswith(OWN):
                gone.warning(plain(f"'{asked}' is not among your profiles of {title_of(model)} any more."))
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
    for label, key, verb in (
        ("Edge slower by", "edge_slowdown", "multiplied"),
        ("Cloud faster by", "cloud_speedup", "divided"),
    ):
        told = f"All times of the profile above are {verb} by this, to stand for a device that nobody has measured."
        _number(label, key, "×", FACTORS, told)


def _at_its_own_speed(role: str) -> None:
    """A device that is chosen has its own times, and not those of a factor that was meant for another."""
    if not late(role):
        choose(chosen_device(role, st.session_state[role]))


def _factor_of(role: str) -> float:
    """What the plan multiplies the profile's times by."""
    factor = float(st.session_state[FACTOR_OF[role]])
    return factor if role == "edge" else 1 / factor


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


BESIDE = (1.75, 1)
"""A slider, and the box for its number."""


def _number(label: str, key: str, unit: str, steps: Sequence[float], about: str) -> None:
    """A slider over round numbers, and a box beside it for any other; each follows the other."""
    slider, box = st.columns(BESIDE, gap="small", vertical_alignment="bottom")
    slider.select_slider(
        f"{label} ({unit})", _steps(key, steps), key=key, format_func=lambda value: f"{value:g}", help=about
    )
    with box:
        _exactly(f"{label} ({unit}), exact number", key)


def _exactly(label: str, key: str, optional: bool = False) -> None:
    """A box for a number that is no step of the control; it follows the control."""
    box, (low, high) = f"{key}_exactly", BETWEEN[key]
    follow(box, st.session_state[key])
    st.number_input(
        label,
        low,
        high,
        None if optional else "min",
        format="%g",
        key=box,
        on_change=_take_exactly,
        args=(key, optional),
        label_visibility="collapsed",
        placeholder="as up" if optional else None,
    )


def _take_exactly(key: str, optional: bool = False) -> None:
    value = st.session_state[f"{key}_exactly"]
    if (optional or value is not None) and not late(f"{key}_exactly"):
        choose({key: value})


def _link() -> None:
    _number(
        "Uplink", "uplink_mbps", "Mbit/s", RATES, "Rate from the edge to the cloud; the slider's scale is logarithmic."
    )
    rate, box = st.columns(BESIDE, gap="small", vertical_alignment="bottom")
    rate.selectbox(
        "Downlink (Mbit/s)",
        (None, *_steps("downlink_mbps", RATES)),
        key="downlink_mbps",
        format_func=lambda rate: "as the uplink" if rate is None else f"{rate:g}",
        placeholder="as the uplink",
        help="Rate at which results come back; an empty box at the right means as the uplink.",
    )
    with box:
        _exactly("Downlink (Mbit/s), exact number", "downlink_mbps", optional=True)
    _number(
        "Round trip", "rtt_ms", "ms", ROUND_TRIPS,
        "Propagation, half of it each way; it delays a message but does not occupy the link.",
    )  # fmt: skip
    _presets()


def _presets() -> None:
    """Links with a name: those that were measured, and the rates that papers use."""
    stands = preset_of(scenario())
    for key, label, presets in (
        ("preset", "Measured links", [preset for preset in NETWORK_PRESETS if preset.measured]),
        ("paper_preset", "Rates in papers", [preset for preset in NETWORK_PRESETS if not preset.measured]),
    ):
        follow(key, stands if stands in presets else None)
        st.pills(
            label,
            presets,
            key=key,
            format_func=lambda preset: preset.name,
            on_change=_take_preset,
            args=(key,),
            help="\n".join(f"- {plain(f'{preset.name}: {preset}. {preset.source}')}" for preset in presets),
        )
    # On two lines at most, which are always there: what stands below stays in its place.
    with st.container(key="preset_source"):
        if stands:
            st.caption(plain(stands.source), help=plain(f"{stands.name}, {stands}: {stands.figure}."))
        else:
            st.caption("No preset: your own link.")


def _take_preset(key: str) -> None:
    preset: NetworkPreset | None = st.session_state[key]
    if preset is not None and not late(key):
        choose(preset.choices)


def _wire(model: str) -> None:
    """How tensors travel: the format, and below what is known of formats for this network."""
    offered, gone = wires.offered(model), st.container()
    asked: str | None = st.session_state["wire_profile"]
    if asked is not None and asked not in offered:
        if asked.startswith(OWN):
            gone.warning(plain(f"'{asked}' is not among your wire profiles of {title_of(model)} any more."))
        choose({"wire_profile": None})
    profile = wires.profile_of(model, st.session_state["wire_profile"])
    if profile is None:
        # Nothing is known of what these do, or of how many bytes they take.
        unknown = {key: usual for key, usual in wires.RAW.items() if wires.needs_profile(key, st.session_state[key])}
        choose(unknown)
    measured = [name for name in profile.codings if name != formats.RAW] if profile else []
    _format(
        "Tensors travel", "wire", [FP32, *WIRES, *(name for name in measured if name not in formats.IMAGES)], profile,
        "How each tensor that crosses is coded: whole numbers of so many bits instead of floats are fewer bytes, take "
        "time to encode and to decode, and change the outputs a little. The same for every strategy.",
    )  # fmt: skip
    part = folded("Wire: inputs, accuracy", "wire_part", WIRE_PART)
    if part is None:
        wires.reading(model)
        return
    with part:
        graph = models.graph_of(model)
        specs = [tensor.spec for tensor in graph.tensors if graph.layers[tensor.producer].is_input]
        mine = [name for name in (*WIRES, *measured) if any(formats.find(name).takes(spec) for spec in specs)]
        _format(
            "Inputs travel", "input_wire", [None, formats.RAW, *mine], profile,
            "Where a request is sent whole, or nearly: an image as JPEG is much smaller, and a little different. Takes "
            "a wire profile, as its size depends on the image.",
        )  # fmt: skip
        if offered:
            st.selectbox(
                "Wire profile",
                [None, *offered],
                key="wire_profile",
                format_func=lambda name: NO_PROFILE if name is None else name.removeprefix(OWN),
                placeholder=NO_PROFILE,
                on_change=_take_wire_profile,
                args=(model,),
                help="What formats do to this network's tensors and outputs: bytes, times and agreement, measured by "
                "`decc wire` with trained weights and real images.",
            )
        if profile is not None:
            st.caption(plain(_origin(profile)))
            low, high = BETWEEN["min_agreement"]
            st.number_input(
                "Least agreement (0 to 1)", low, high, None, step=0.005, format="%g", key="min_agreement",
                placeholder="any",
                help="A tensor takes only formats that leave the best class of this share of the images as it was, "
                "each tensor coded by itself; where none does it travels as it is. For networks that are no "
                "classifiers: 1 less the error of the outputs.",
            )  # fmt: skip
            st.selectbox(
                "Bytes", list(BYTES_OF), key="wire_percentile", format_func=BYTES_OF.__getitem__,
                help="Sizes differ from image to image; the 95th percentile is what 19 of 20 need at most.",
            )  # fmt: skip
        wires.box(model)


WIRE_PART = ("input_wire", "wire_profile", "min_agreement", "wire_percentile")
NO_PROFILE = "none: certain sizes only"
WIRES = tuple(f"{base}{how}" for base in CERTAIN for how in (("",) if base == "fp16" else ("", "-channel")))
"""Formats that are offered whatever is measured: their sizes are certain."""


def _format(label: str, key: str, known: Sequence[str | None], profile: WireProfile | None, about: str) -> None:
    """A choice of wire formats; others stand there while they are chosen, as an address may name them."""
    options = list(dict.fromkeys([*known, *([ANY] if profile else []), st.session_state[key]]))
    st.selectbox(label, options, key=key, format_func=wire_label, placeholder=wire_label(None), help=about)


def _take_wire_profile(model: str) -> None:
    if not late("wire_profile"):
        choose(wires.planned_with(model, st.session_state["wire_profile"]))


def _origin(profile: WireProfile) -> str:
    """Where a wire profile's figures are from, and what they are good for."""
    origin = shorten(f"{profile.provenance.source}", SUMMARY_LETTERS, placeholder=" …")
    if not profile.trained:
        return f"{origin}. Without trained weights and real images only sizes that are certain are planned with."
    return f"{counted(profile.samples, 'sample')}, {origin}"


def _work() -> None:
    slider, box = st.columns(BESIDE, gap="small", vertical_alignment="bottom")
    slider.slider(
        "Requests in flight",
        1,
        MAX_REQUESTS,
        key="requests",
        help="Samples that wait on the edge at time 0; they may be cut at different points.",
    )
    follow("requests_exactly", st.session_state["requests"])
    box.number_input(
        "Number of requests", 1, MAX_REQUESTS, key="requests_exactly", on_change=_take_exactly, args=("requests",),
        label_visibility="collapsed",
    )  # fmt: skip
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
    part = folded("More: results, overheads", "more_part", ("results", *OVERHEADS_MS))
    if part is None:
        return
    with part:
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
