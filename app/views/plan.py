"""The Plan view: headline, branch graph and Gantt chart of one plan; below, in tabs, what else may be asked of it."""

from __future__ import annotations

from html import escape
from importlib import import_module

import streamlit as st

from app.components.gantt import gantt_chart
from app.components.graph import graph
from app.figures.branch_graph import CutGroup, cut_groups
from app.figures.branch_scene import branch_scene
from app.shell import cached, profiles, uploads
from app.shell.address import FIRST_TAB, PLAN_TAB
from app.shell.page import theme
from app.state import STRATEGY_NOTES, title_of
from app.text import plain
from app.views import plan_proof
from decc_core.planner.strategies import BASELINES
from decc_core.problem.instance import CostInstance, Objective, crossing_tensors
from decc_core.problem.scenario import Scenario
from decc_core.study.compare import Comparison, Outcome
from decc_core.study.explain import explain
from decc_core.study.verdict import doubts, verdict
from decc_core.text import bytes_text, duration, gain_text, gap_text, ranges_text, rate_text

BEST = "best"
"""The strategy selector's first entry, which follows whatever strategy wins."""

TABS = {
    FIRST_TAB: ("plan_table", "strategies"),
    "Why this cut": ("plan_why", "why"),
    "What if": ("plan_what_if", "what_if"),
    "Two plans": ("plan_pairs", "two_plans"),
    "What is sent": ("plan_table", "sent"),
    "Bound and proof": ("plan_proof", "proof"),
    "Mix or overlap": ("plan_pairs", "ablation"),
    "Take along": ("plan_files", "take_along"),
}
"""What stands below the pictures, by module and function; only the open tab is imported and computed."""


def view(scenario: Scenario, instance: CostInstance) -> None:
    """Everything beside the controls, from the headline to the tabs."""
    comparison = plan_proof.with_proof(cached.compared(instance))
    if doubt := uploads.doubt(scenario.model):
        st.warning(plain(doubt))
    headline(scenario, comparison)
    outcome = _chosen(comparison)
    _branch_graph(comparison.instance, outcome)
    _gantt(comparison, outcome)
    _strategies_in_words()
    tabs = st.tabs(list(TABS), key=PLAN_TAB, on_change="rerun")
    for tab, (module, function) in zip(tabs, TABS.values(), strict=True):
        if tab.open:
            with tab:
                getattr(import_module(f"app.views.{module}"), function)(comparison, outcome)


def headline(scenario: Scenario, comparison: Comparison) -> None:
    """The answer first: how good the plan is, and why."""
    best, rival = comparison.best, comparison.best_baseline.strategy
    many = f"{scenario.requests} requests" if scenario.requests > 1 else "one request"
    edge, cloud = (profiles.profile_of(scenario.model, device) for device in (scenario.edge, scenario.cloud))
    found = verdict(comparison)
    # Planned before anything is drawn: what it shows meanwhile must not move the headline.
    doubt = doubts(found, scenario, edge, cloud, cached.compared)
    asked = [f"{title_of(scenario.model)}, {many}, {rate_text(scenario.uplink_mbps)} up"]
    if found.recommended.objective_ns != best.objective_ns and found.advice in ("split", "share"):
        asked.append(f"The plan is that of {found.recommended.strategy}: within 0.5 % of the best, and simpler")
    more = ". ".join([*asked, doubt]) if doubt else ". ".join(asked)
    st.html(
        f"<h3 class='decc-verdict'>{escape(str(found))}</h3>"
        f"<p class='decc-asked{' decc-doubt' if doubt else ''}'>{escape(more)}</p>"
    )
    with st.container(horizontal=True, gap="small", key="tiles"):
        if comparison.instance.objective is Objective.MAKESPAN:
            st.metric(f"{best.strategy} makespan", duration(best.schedule.makespan_ns), border=True, help=MAKESPAN)
        else:
            st.metric(f"{best.strategy}, requests/s", f"{best.throughput_rps:.3g}", border=True, help=THROUGHPUT)
        for title, over in (
            ("gain over DADS", "dads-dsl"),
            ("gain over single cut", "single-cut"),
            (f"gain over best ({rival})", rival),
        ):
            st.metric(title, gain_text(comparison.gain(over)), border=True, help=GAINS[title.split(" (")[0]])
        st.metric("gap to bound", gap_text(comparison.of("decc").gap), border=True, help=GAP)
    # On so many lines as the page reserves; the rest unfolds under the pointer, by a tap or by a key.
    page, reason = f":root{{--page:{theme().page}}}", escape(explain(comparison))
    st.html(f"<style>{page}</style><details class='decc-reason'><summary>{reason}</summary></details>")


MAKESPAN = "Time until the last result is back on the edge. Where several strategies tie, the simplest is named."
THROUGHPUT = "Requests per second when the plan repeats for ever."
GAINS = {
    "gain over DADS": "How many times better decc is than DADS for light load (one min cut, consecutive requests).",
    "gain over single cut": "How many times better decc is than the best single cut for all requests, pipelined.",
    "gain over best": f"How many times better decc is than the best of the {len(BASELINES)} baselines; 1.00× means "
    "that one is just as good.",
}
GAP = "Distance of decc's plan from a bound that no plan can beat; 0 % proves it optimal."


def _chosen(comparison: Comparison) -> Outcome:
    """The strategy whose plan is drawn: at first the best one."""
    names = [BEST, *(outcome.strategy for outcome in comparison.outcomes)]
    if st.session_state.get("shown", BEST) not in names:
        # The exact solver's plan belongs to one scenario; the next one may have none.
        st.session_state["shown"] = BEST
    chosen = st.segmented_control(
        "Plan shown",
        names,
        default=BEST,
        format_func=lambda name: f"best: {comparison.best.strategy}" if name == BEST else name,
        key="shown",
        required=True,
        label_visibility="collapsed",
    )
    return comparison.best if chosen in (None, BEST) else comparison.of(chosen)


def _branch_graph(instance: CostInstance, outcome: Outcome) -> None:
    groups = cut_groups(outcome.plan)
    # This row is always there and always as high, so that the graph below it stays where it is.
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="groups"):
        group = _group(outcome, groups)
        st.caption(_cut_text(instance, group))
    picture = cached.picture(instance, group.cut)
    graph(
        branch_scene(picture),
        f"plan-{instance.graph.fingerprint[:12]}",
        "branches",
        theme(),
        file=f"{instance.graph.name}-{outcome.strategy}-cut",
        height=_graph_height(instance),
        embedded=True,
    )


GRAPH_HEIGHT = 310
ONE_LANE, A_LANE = 170, 47
"""Height of the graph of a chain, and of each lane more, until it is as high as any."""


def _graph_height(instance: CostInstance) -> int:
    """A matter of the network, so that another cut of it moves nothing."""
    return min(GRAPH_HEIGHT, round(ONE_LANE + A_LANE * cached.lanes(instance)))


def _group(outcome: Outcome, groups: tuple[CutGroup, ...]) -> CutGroup:
    """The requests whose cut is drawn: those that the visitor chose, where several cuts are in the plan."""
    if len(groups) == 1:
        return groups[0]

    def name(place: int) -> str:
        requests = groups[place].requests
        numbers = ranges_text([request + 1 for request in requests])
        numbers = numbers if len(numbers) <= GROUP_LETTERS else numbers[: GROUP_LETTERS - 1] + "…"
        return f"{'requests' if len(requests) > 1 else 'request'} {numbers}"

    # A plan with other cuts has other groups: its key is its own, and the first group is shown.
    place = st.segmented_control(
        "Requests with the same cut",
        range(len(groups)),
        default=0,
        format_func=name,
        key=f"cut_{outcome.strategy}_{hash(outcome.plan.cuts)}",
        required=True,
        label_visibility="collapsed",
        width="content",
    )
    return groups[place or 0]


GROUP_LETTERS = 16


def _cut_text(instance: CostInstance, group: CutGroup) -> str:
    """How many layers are on either side of the cut that is drawn, and what crosses it."""
    on_edge, layers = len(group.cut), len(instance.graph)
    crossing = crossing_tensors(instance.graph, group.cut)
    size = bytes_text(sum(instance.wire_bytes[tensor] for tensor in crossing))
    time = duration(sum(instance.uplink_ns[tensor] for tensor in crossing))
    many = f"{len(crossing)} tensors cross" if len(crossing) > 1 else "1 tensor crosses"
    sent = f"{many}: {size}, {time} on the uplink" if crossing else "nothing crosses"
    return f"{on_edge} of {layers} layers on the edge; {sent}"


def _gantt(comparison: Comparison, outcome: Outcome) -> None:
    network = comparison.instance.graph
    numbered = ", numbered by request" if comparison.instance.requests > 1 else ""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="gantt_title"
    ):
        st.markdown(f"**Schedule of {outcome.strategy}** ({outcome.execution.value}){numbered}", width="content")
        critical = st.toggle(
            "Critical path and idle time", True, key="critical", persist_state="session", help=CRITICAL, width="content"
        )
    chart, path = cached.chart(comparison, outcome, critical)
    name, file = f"plan-{network.fingerprint[:12]}", f"{network.name}-{outcome.strategy}-schedule"
    gantt_chart(chart, name, "gantt", theme(), file=file)
    if path:
        st.caption(path)


CRITICAL = (
    "Outlined: the critical path, work that follows without a pause from time 0 to the last result. Only where it gets "
    "shorter does the plan get quicker. Dotted: how it goes on to another row; slanted, it waits for propagation. "
    "Hatched: a device or link that has nothing to do."
)


def _strategies_in_words() -> None:
    """What the page's script shows as the hint of a button that names a strategy; buttons of a group have none."""
    notes = "".join(f"<dt>{escape(name)}</dt><dd>{escape(note)}</dd>" for name, note in STRATEGY_NOTES.items())
    with st.container(key="notes"):
        st.html(f"<dl class='decc-strategies'>{notes}</dl>")
