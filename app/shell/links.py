"""A link that asks for something that there is not: it stops, and the page says what is missing and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

import streamlit as st

from app.shell import address, models, profiles, wires
from app.shell.address import Stop, Trouble
from app.state import OPENING, OWN, device_label, title_of
from app.text import plain
from decc_core import library
from decc_core.problem.scenario import Scenario
from decc_core.text import listed, shown

CLOSE = 0.75
"""How much a parameter resembles the name of a setting that it is taken for a misspelt one; others are others' own."""
MOST_TOLD, MOST_LETTERS = 6, 40
KEPT_FOR_YOU = "What you had of your own is kept for an hour after you were last here."
HOW_TO_HAVE_IT = (
    "open the workspace file of whoever sent you the link, under *Your own model* at the left; the link then goes on "
    "by itself"
)


def troubles(parameters: Mapping[str, str]) -> tuple[Trouble, ...]:
    """Everything that a link asks for and that there is not."""
    scenario, refused = address.read(parameters)
    found = [_refused(key, parameters[key], refused[key]) for key in refused]
    found += _unknown(parameters)
    if "model" not in refused:
        if scenario.model.startswith(OWN) and scenario.model not in models.own():
            found.append(_no_network(scenario.model))
        else:
            found += [*_devices(scenario, parameters), *_wire(scenario)]
    return tuple(found)


def _refused(key: str, text: str, sentence: str) -> Trouble:
    if key != "model":
        return Trouble(sentence, "Set it at the left.", (key,))
    close = _close(text, library.shipped_models())
    return Trouble(
        f"The link asks for the network {shown(text)}, and the page has none of that name.",
        "Choose one at the left, or drop a file of your own there.",
        ("model",),
        meant=tuple((title_of(name), {"model": name}) for name in close),
    )


def _unknown(parameters: Mapping[str, str]) -> list[Trouble]:
    """Parameters that are called nearly as a setting is."""
    known = list(OPENING.scenario.choices())
    found = []
    for name, text in parameters.items():
        close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=CLOSE) if name not in known else []
        if close and close[0] not in parameters:
            meant = {close[0]: text, name: None}
            found.append(
                Trouble(
                    f"The link says {name[:MOST_LETTERS]}={text[:MOST_LETTERS]}, and no setting is called so.",
                    "Set at the left what was meant.",
                    meant=((f"{close[0]}={text[:MOST_LETTERS]}", meant),),
                )
            )
    return found


def _no_network(model: str) -> Trouble:
    name = shown(model.removeprefix(OWN))
    return Trouble(
        f"The link plans {name}, a network of somebody's own that this browser does not have.",
        f"Drop its file under *Your own model* at the left, or {HOW_TO_HAVE_IT}. {KEPT_FOR_YOU}",
        ("model",),
        own=True,
    )


def _devices(scenario: Scenario, parameters: Mapping[str, str]) -> Iterable[Trouble]:
    choices = profiles.devices(scenario.model)
    for role in ("edge", "cloud"):
        asked = str(getattr(scenario, role))
        if role not in parameters or asked in choices or profiles.renamed(scenario.model, asked) in choices:
            continue
        network = title_of(scenario.model)
        if asked.startswith(OWN):
            yield Trouble(
                f"The link's {role} device is {shown(asked.removeprefix(OWN))}, a profile of somebody's own of "
                f"{network} that this browser does not have.",
                f"Load its file under *Profile*, or {HOW_TO_HAVE_IT}; or choose a device at the left. {KEPT_FOR_YOU}",
                (role,),
                own=True,
            )
            continue
        elsewhere = [model for model in library.shipped_models() if asked in library.shipped_devices(model)]
        told = ", ".join(elsewhere[:MOST_TOLD]) + (
            f" and {len(elsewhere) - MOST_TOLD} more" if elsewhere[MOST_TOLD:] else ""
        )
        there = f"; it was measured for {told}" if elsewhere else ""
        yield Trouble(
            f"The link's {role} device is {shown(asked)}, and {network} has no times of it{there}.",
            "Choose a device at the left; most of them are estimated for every network.",
            (role,),
            meant=tuple((device_label(name), {role: name}) for name in _close(asked, choices)),
        )


def _wire(scenario: Scenario) -> Iterable[Trouble]:
    asked, network = scenario.wire_profile, title_of(scenario.model)
    keys = ("wire_profile", *wires.RAW)
    if asked is None:
        chosen = ((key, getattr(scenario, key)) for key in wires.RAW)
        unknown = [f"{key}={value}" for key, value in chosen if wires.needs_profile(key, value)]
        if unknown:
            yield Trouble(
                f"The link says {listed(unknown)}, which means something with a wire profile only, and names none.",
                "Choose under *Wire* at the left how tensors travel.",
                keys,
            )
        return
    known = wires.offered(scenario.model)
    if asked in known:
        return
    if asked.startswith(OWN):
        yield Trouble(
            f"The link plans with {shown(asked.removeprefix(OWN))}, a wire profile of somebody's own of {network} that "
            "this browser does not have.",
            f"Load its file under *Wire* at the left, or {HOW_TO_HAVE_IT}; or choose there how tensors travel. "
            f"{KEPT_FOR_YOU}",
            keys,
            own=True,
        )
        return
    yield Trouble(
        f"The link asks for the wire profile {shown(asked)}, and {network} has none of that name.",
        "Choose under *Wire* at the left how tensors travel.",
        keys,
        meant=tuple((name.removeprefix(OWN), {"wire_profile": name}) for name in _close(asked, known)),
    )


def _close(text: str, names: Iterable[str]) -> list[str]:
    """What a misspelt name may mean, as the commands tell it; a beginning of names stands for them as well."""
    names = list(names)
    begun = [name for name in names if len(text) > 2 and name.startswith(text.lower())]
    return list(dict.fromkeys([*begun, *difflib.get_close_matches(text.lower(), names, n=3)]))[:3]


def waits_for_profile(stop: Stop) -> bool:
    """Whether what a link lacks is a profile, which the Profile view takes."""
    return any(trouble.own and {"edge", "cloud"} & {*trouble.keys} for trouble in stop.troubles)


def explain(stop: Stop) -> None:
    """The main area of a link that stopped."""
    st.subheader("This link asks for something that is not here", anchor=False)
    for i, trouble in enumerate(stop.troubles):
        with st.container(border=True):
            st.markdown(f"**{plain(trouble.sentence)}**")
            if trouble.meant:
                with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                    st.markdown("Did you mean", width="content")
                    for j, (words, meant) in enumerate(trouble.meant):
                        st.button(plain(words), key=f"meant_{i}_{j}", on_click=address.take_instead, args=(meant,))
            st.markdown(trouble.remedy)
    st.caption("Nothing is planned, and the address stays as it is, until you choose something.")
    st.button(
        "Plan what the controls at the left show",
        key="link_go_on",
        on_click=address.go_on,
        help="The rest of the link, with the usual values for what is not here.",
    )
