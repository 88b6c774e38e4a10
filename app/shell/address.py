"""What a visitor looks at in the page's address: a link reproduces the page, and back and forward move through it.

The address holds the scenario, the same for all views, and what is chosen in the view that is open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.shell.choices import choose
from app.state import LEFT_OUT, OPENING, OWN, RAW_BITS, checked
from decc_core import ranges
from decc_core.planner.strategies import STRATEGIES
from decc_core.problem.scenario import Choice, Scenario, parsed
from decc_core.streams.arrivals import Process
from decc_core.streams.load import DEADLINE_FACTOR, POLICIES, Demand

SHOWN, REPLACED, VIEW, STOP, PLANNED = "address", "addresses_before", "view", "link_stopped", "planned_scenario"
"""Where a visit keeps what its address says last, what it said before, the open view, a link that stopped, and the
scenario that was planned last."""
WRONG = "said_wrongly"
"""What a link said wrongly of a view, with the address at which that was told."""
LATE_S, MOST_REPLACED = 60.0, 64
"""How long, and how many of, the addresses shown before are taken for late."""
LONGEST_TEXT = 200
"""Of what a view keeps in the address."""

PLAN_TAB, FIRST_TAB = "plan_tab", "All strategies"
"""The Plan view's tabs: the key of their widget, and what is open where the address names none."""
STRATEGY, RECOMMENDED = "shown", "recommended"
"""The strategy whose plan is drawn, and the word for whichever is best."""
PROFILE_TAB, FIRST_PROFILE_TAB, OWN_PROFILES_TAB = "profile_tabs", "Picture", "Measure, load, scale"
COLOURING, SEARCH, LAYER = "network_colouring", "network_search", "network_layer"
"""Of the Network view; the last is what is selected, with its network, whose views keep it, too."""
MAP, OVER, GRID, CELL_RATE, CELL_SLOWDOWN, BESIDE, CELL_BITS = (
    "sweep_map_kind", "sweep_over", "sweep_grid", "sweep_rate", "sweep_slowdown", "sweep_beside", "sweep_bits"
)  # fmt: skip
BEST_BASELINE, QUICK_GRID, WINNER, BY_BRANCH, EDGE_SPEED = "the best baseline", "quick", "winner", "branch", "edge"
STEP, FIRST_STEP = "learn_step", "network"
ARRIVALS, VARIATION, DEADLINE, PERCENTILE, CAMERAS, SERVERS, SIMULATED, SHARE, POLICY = (
    "load_arrivals", "load_variation", "load_deadline", "load_percentile", "load_cameras", "load_servers",
    "load_simulated", "load_share", "load_policy",
)  # fmt: skip
"""Of the Load view; the share is that of the capacity, in per cent, at which one policy is looked at closely."""
FEWEST_SIMULATED, USUALLY_SIMULATED, MOST_SIMULATED = 1_000, 4_000, 20_000
MOST_CAMERAS = 64
PERCENTILES = (90.0, 95.0, 99.0)
PLAN_PAGE = "plan_page"
"""Where a visit keeps the Plan view, for links to it."""
STUDY_NETWORKS, STUDY_FROM, STUDY_TO, STUDY_RATES, STUDY_REQUESTS = (
    "study_networks", "study_from", "study_to", "study_rates", "study_requests"
)  # fmt: skip
STUDY_EDGES, STUDY_SLOWER, STUDY_CLOUDS, STUDY_FASTER, STUDY_STRATEGIES = (
    "study_edges", "study_slower", "study_clouds", "study_faster", "study_strategies"
)  # fmt: skip


def _text(value: object) -> str:
    """What an address says for a value: as short as it can be read back exactly."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class ViewState:
    """Something that is chosen in a view: its name in the address, where the visit keeps it, and what it is at first.

    What an address says of it wrongly decides nothing that is planned: the view then shows what it shows at first.
    """

    view: str
    name: str
    key: str
    first: Callable[[Scenario], object]
    read: Callable[[str], object] = str
    known: frozenset[str] | None = None
    """What alone is worth to stand in an address; the exact solver's plan, for one, is nobody else's."""
    must_be: str = ""
    """Where something is computed from it: what it has to be. A link that says something else is told."""
    write: Callable[[Any], str] = _text


def _always(value: object) -> Callable[[Scenario], object]:
    return lambda scenario: value


def _studied(name: str, key: str, first: Callable[[Scenario], object], read: Callable[[str], object]) -> ViewState:
    """Several values of the Studies view."""

    def read_all(text: str) -> object:
        return [read(part) for part in text.split(",") if part]

    def write(values: Sequence[object]) -> str:
        return ",".join(map(_text, values))

    return ViewState("studies", name, key, first, read_all, write=write)


def _between(name: str, key: str, first: float, low: float, high: float) -> ViewState:
    """A number of the Load view; a whole one where the first one is."""
    whole = isinstance(first, int)

    def read(text: str) -> float:
        value = ranges.whole_number(text) if whole else ranges.number(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    what = f"a {'whole ' if whole else ''}number from {low:g} to {high:g}"
    return ViewState("load", name, key, _always(first), read, must_be=what)


def _one_of(name: str, key: str, first: object, among: Iterable[object]) -> ViewState:
    """A choice of the Load view."""
    by_text = {_text(value): value for value in among}

    def read(text: str) -> object:
        if text not in by_text:
            raise ValueError(text)
        return by_text[text]

    what = f"one of {', '.join(by_text)}"
    return ViewState("load", name, key, _always(first), read, frozenset(by_text), what)


VIEW_STATES = (
    ViewState("plan", "tab", PLAN_TAB, _always(FIRST_TAB)),
    ViewState("plan", "shown", STRATEGY, _always(RECOMMENDED), known=frozenset(STRATEGIES)),
    ViewState("network", "colour", COLOURING, _always(BY_BRANCH)),
    ViewState("network", "search", SEARCH, _always("")),
    ViewState("network", "layer", LAYER, _always("")),
    ViewState("profile", "tab", PROFILE_TAB, _always(FIRST_PROFILE_TAB)),
    ViewState("sweep", "map", MAP, _always(WINNER)),
    ViewState("sweep", "over", OVER, _always(BEST_BASELINE)),
    ViewState("sweep", "grid", GRID, _always(QUICK_GRID)),
    ViewState("sweep", "beside", BESIDE, _always(EDGE_SPEED)),
    ViewState("sweep", "cell_mbps", CELL_RATE, lambda scenario: scenario.uplink_mbps, ranges.number),
    ViewState("sweep", "cell_slower", CELL_SLOWDOWN, lambda scenario: scenario.edge_slowdown, ranges.number),
    ViewState("sweep", "cell_bits", CELL_BITS, _always(RAW_BITS), ranges.number),
    _one_of("arrivals", ARRIVALS, Process.POISSON, Process),
    _between("variation", VARIATION, Demand.cv, 0.1, 10.0),
    _between("deadline", DEADLINE, DEADLINE_FACTOR, 1.0, 1000.0),
    _one_of("percentile", PERCENTILE, PERCENTILES[-1], PERCENTILES),
    _between("cameras", CAMERAS, 1, 1, MOST_CAMERAS),
    _between("servers", SERVERS, 1, 1, MOST_CAMERAS),
    _between("simulated", SIMULATED, USUALLY_SIMULATED, FEWEST_SIMULATED, MOST_SIMULATED),
    _between("share", SHARE, 60, 5, 100),
    _one_of("policy", POLICY, "decc", POLICIES),
    ViewState("learn", "step", STEP, _always(FIRST_STEP)),
    _studied("networks", STUDY_NETWORKS, lambda scenario: [scenario.model], str),
    ViewState("studies", "from_mbps", STUDY_FROM, _always(1.0), ranges.number),
    ViewState("studies", "to_mbps", STUDY_TO, _always(100.0), ranges.number),
    ViewState("studies", "rates", STUDY_RATES, _always(7), ranges.whole_number),
    _studied("in_flight", STUDY_REQUESTS, _always([1, 8]), ranges.whole_number),
    _studied("edges", STUDY_EDGES, lambda scenario: [scenario.edge], str),
    _studied("slower", STUDY_SLOWER, lambda scenario: [scenario.edge_slowdown], ranges.number),
    _studied("clouds", STUDY_CLOUDS, lambda scenario: [scenario.cloud], str),
    _studied("faster", STUDY_FASTER, lambda scenario: [scenario.cloud_speedup], ranges.number),
    _studied("strategies", STUDY_STRATEGIES, _always(list(STRATEGIES)), str),
)


@dataclass(frozen=True)
class Trouble:
    """Something that a link asks for and that there is not: a sentence, what to do, and what may have been meant.

    `keys` are the settings that it concerns; what was meant is told in words, with the parameters that say it.
    """

    sentence: str
    remedy: str = ""
    keys: tuple[str, ...] = ()
    own: bool = False
    """Whether it is something of a visitor's own, which may yet be brought."""
    meant: tuple[tuple[str, Mapping[str, str | None]], ...] = ()


@dataclass(frozen=True)
class Stop:
    """A link that cannot be followed: nothing is planned, and the address stays, until the visitor chooses something.

    `scenario` is what the controls showed meanwhile, once they were drawn.
    """

    address: Mapping[str, str]
    troubles: tuple[Trouble, ...]
    scenario: Scenario | None = None


FindTroubles = Callable[[Mapping[str, str]], tuple[Trouble, ...]]


def parameters(scenario: Scenario) -> dict[str, str]:
    """What differs from what an address leaves out, as text; nothing for the opening scenario."""
    if scenario == OPENING.scenario:
        return {}
    return scenario.parameters(LEFT_OUT) or {"model": scenario.model}


def scenario_of(address: Mapping[str, str]) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario that an address describes, and a sentence for every part of it that cannot be used."""
    scenario, refused = read(address)
    return scenario, tuple(refused.values())


def read(address: Mapping[str, str]) -> tuple[Scenario, dict[str, str]]:
    """The same, with the sentences by the settings that they are of; these stand as where they are left out."""
    chosen: dict[str, Choice] = {}
    refused = {}
    for key in LEFT_OUT.choices():
        if key in address:
            try:
                chosen[key] = _offered(key, address[key])
            except ValueError as error:
                refused[key] = str(error)
    return replace(_otherwise(address), **chosen), refused  # type: ignore[arg-type]


def _otherwise(address: Mapping[str, str]) -> Scenario:
    """Where the controls stand of which an address says nothing."""
    return LEFT_OUT if any(key in address for key in LEFT_OUT.choices()) else OPENING.scenario


def _offered(key: str, text: str) -> Choice:
    try:
        value = parsed(key, text)
    except ValueError:
        raise ValueError(f"The link says {key}={text[:LONGEST_TEXT]}, which is not a number.") from None
    return checked(key, value)


def has_own(scenario: Scenario) -> bool:
    """Whether something of the visitor's own is in it."""
    return any(
        name.startswith(OWN) for name in (scenario.model, scenario.edge, scenario.cloud, scenario.wire_profile or "")
    )


def take(view: str, troubles: FindTroubles, last: Mapping[str, str]) -> None:
    """Set the controls as the address says, where it was changed by something else than the controls.

    An address that the page showed a moment ago is late, unless the browser went back or forward: a browser that does
    not have the latest yet sends the one before, in which the change just made is missing. Following it would undo
    that change.

    A visit that begins at a bare address goes on with the scenario that this browser showed last, `last`, where
    something of the visitor's own was in it: who closed a tab comes back to the bare address, and would have to put
    their work together again. Everybody else opens the scenario that has something to show.
    """
    for state in VIEW_STATES:
        if state.key in st.session_state:
            # What a view does not draw it would forget.
            st.session_state[state.key] = st.session_state[state.key]
    address = st.query_params.to_dict()
    if SHOWN not in st.session_state and not address and last and not troubles(last):
        choose(read(last)[0].choices())
        st.toast("This is where you left it. *Scenario* on the left has the examples.")
        _note("scenario", {})
    of_scenario = {key: text for key, text in address.items() if key not in _names(None)}
    if _is_new("scenario", of_scenario):
        _note("scenario", of_scenario)
        _follow(of_scenario, troubles(of_scenario))
    elif (stop := st.session_state.get(STOP)) is not None:
        left = troubles(stop.address)
        if left != stop.troubles or stop.scenario is None:
            _follow(stop.address, left)
    of_view = {key: text for key, text in address.items() if key in _names(view)}
    if _is_new("view", (view, of_view)):
        _note("view", (view, of_view))
        _take_view(view, of_view)
    st.session_state[VIEW] = view


def _follow(address: Mapping[str, str], troubles: tuple[Trouble, ...]) -> None:
    """Set the controls as an address says; of one that leads nowhere as far as it can be followed."""
    scenario, _ = read(address)
    st.session_state.pop(STOP, None)
    if troubles:
        usual = _otherwise(address).choices()
        keys = {key for trouble in troubles for key in trouble.keys}
        # Devices belong to a network.
        keys |= {"edge", "cloud"} if "model" in keys else set()
        scenario = replace(scenario, **{key: usual[key] for key in keys if key in usual})  # type: ignore[arg-type]
        st.session_state[STOP] = Stop(dict(address), troubles)
    choose(scenario.choices())


def _take_view(view: str, address: Mapping[str, str]) -> None:
    opening = OPENING.scenario.choices()
    scenario = Scenario(**{key: st.session_state.get(key, value) for key, value in opening.items()})
    wrong: list[str] = []
    for state in VIEW_STATES:
        if state.view != view:
            continue
        value: Any = state.first(scenario)
        if state.name in address:
            text = address[state.name][:LONGEST_TEXT]
            try:
                value = state.read(text)
            except ValueError:
                if state.must_be:
                    wrong.append(
                        f"The link says {state.name}={text}, which is not {state.must_be}. Here it is {_text(value)}."
                    )
        if state.key == LAYER:
            # No control, which a browser could be late with.
            st.session_state[LAYER] = (scenario.model, value)
        elif st.session_state.get(state.key, state.first(scenario)) != value:
            choose({state.key: value})
    st.session_state[WRONG] = tuple(wrong), None


def said_wrongly() -> tuple[str, ...]:
    """A sentence for everything that a link says wrongly of the open view, until something else is chosen there."""
    sentences: tuple[str, ...] = st.session_state.get(WRONG, ((), None))[0]
    return sentences


def stopped(scenario: Scenario) -> Stop | None:
    """The link that leads nowhere, for as long as the controls stand as when it was opened."""
    stop: Stop | None = st.session_state.get(STOP)
    if stop is None:
        return None
    if stop.scenario is None:
        st.session_state[STOP] = stop = replace(stop, scenario=scenario)
    if stop.scenario != scenario:
        go_on()
        return None
    return stop


def go_on() -> None:
    """Plan what the controls show, whatever the link asked for."""
    st.session_state.pop(STOP, None)


def take_instead(parameters: Mapping[str, str | None]) -> None:
    """Follow the link with other parameters than those that it has; None takes one away."""
    stop: Stop | None = st.session_state.get(STOP)
    if stop is not None:
        address: dict[str, str | None] = {**stop.address, **parameters}
        kept = {key: text for key, text in address.items() if text is not None}
        st.session_state[STOP] = replace(stop, address=kept, scenario=None)


def show(scenario: Scenario, view: str) -> dict[str, str]:
    """Let the address follow the controls and the open view; returns its parameters."""
    before: Scenario | None = st.session_state.get(PLANNED)
    for state in VIEW_STATES if before is not None else ():
        # What followed the scenario goes on to follow it; it was not chosen.
        if state.first(before) != state.first(scenario) and st.session_state.get(state.key) == state.first(before):
            del st.session_state[state.key]
    st.session_state[PLANNED] = scenario
    wanted = of(scenario, view)
    if wanted != st.query_params.to_dict():
        _tell(wanted)
    sentences, told_at = st.session_state.get(WRONG, ((), None))
    st.session_state[WRONG] = (sentences, wanted) if told_at in (None, wanted) else ((), wanted)
    _note_shown(scenario, view)
    return wanted


def follow(scenario: Scenario) -> None:
    """Let the address follow what a view has just changed in a run of its own, or found out while it was drawn."""
    view = st.session_state.get(VIEW)
    # Only what changed here: the browser may just have gone back, and its address is not to be overwritten then.
    if view is not None and STOP not in st.session_state:
        before = st.session_state.get(SHOWN, {})
        if (before.get("scenario"), before.get("view")) != (parameters(scenario), (view, _of_view(scenario, view))):
            _tell(of(scenario, view))
            _note_shown(scenario, view)


def _tell(parameters: dict[str, str]) -> None:
    """Change the address, but for one that the browser has just gone back to: nobody could go back beyond it."""
    if not _went_through_history():
        st.query_params.from_dict(parameters)


def of(scenario: Scenario, view: str) -> dict[str, str]:
    """The parameters with which a view opens as it is."""
    return parameters(scenario) | _of_view(scenario, view)


def _of_view(scenario: Scenario, view: str) -> dict[str, str]:
    found = {}
    for state in VIEW_STATES:
        value = st.session_state.get(state.key)
        if state.key == LAYER:
            model, value = value or ("", "")
            value = value if model == scenario.model else ""
        if state.view != view or value is None or value == state.first(scenario):
            continue
        text = state.write(value)
        if len(text) <= LONGEST_TEXT and (state.known is None or text in state.known):
            found[state.name] = text
    return found


def _names(view: str | None) -> set[str]:
    """What an address calls the choices of a view, or of all views."""
    return {state.name for state in VIEW_STATES if view in (None, state.view)}


def _note_shown(scenario: Scenario, view: str) -> None:
    _note("scenario", parameters(scenario))
    _note("view", (view, _of_view(scenario, view)))


def _is_new(what: str, now: object) -> bool:
    """Whether the address says of scenario or view what the page has shown neither last nor just before."""
    if now == st.session_state.get(SHOWN, {}).get(what):
        return False
    replaced = st.session_state.get(REPLACED, ())
    is_late = any((what, now) == older and time.monotonic() < until_s for older, until_s in replaced)
    return not is_late or _went_through_history()


def _note(what: str, now: object) -> None:
    """Remember what the address says, and what it said before."""
    shown: dict[str, object] = st.session_state.setdefault(SHOWN, {})
    if shown.get(what) != now:
        if what in shown:
            before = ((what, shown[what]), time.monotonic() + LATE_S)
            st.session_state[REPLACED] = (*st.session_state.get(REPLACED, ()), before)[-MOST_REPLACED:]
        shown[what] = now


def _went_through_history() -> bool:
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation
