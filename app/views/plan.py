"""The Plan view: headline, branch graph and Gantt chart of one plan; below, in tabs, what else may be asked of it."""

from __future__ import annotations

from html import escape
from importlib import import_module

import streamlit as st

from app.components.gantt import gantt_chart
from app.components.graph import graph
from app.figures.branch_graph import CutGroup, cut_groups
from app.figures.branch_scene import branch_scene
from app.glossary import STRATEGIES, explained
from app.jobs.reach import ReachJob
from app.shell import answers, cached, profiles, uploads, visit
from app.shell.address import FIRST_TAB, PLAN_TAB, RECOMMENDED, STRATEGY
from app.shell.page import theme
from app.state import title_of
from app.views import plan_proof
from decc_core.planner.strategies import BASELINES
from decc_core.printed.names import stem
from decc_core.problem.instance import CostInstance, Objective, Results, crossing_tensors
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.study.compare import Comparison, Outcome
from decc_core.study.explain import explain
from decc_core.study.verdict import Verdict, doubts, verdict
from decc_core.text import bytes_text, duration, figure, gain_text, gap_text, ranges_text, rate_text

TABS = {
    FIRST_TAB: ("plan_table", "strategies"),
    "Why this cut": ("plan_why", "why"),
    "What if": ("plan_what_if", "what_if"),
    "Two plans": ("plan_pairs", "two_plans"),
    "What is sent": ("plan_table", "sent"),
    "Wire": ("plan_wire", "wire"),
    "Bound and proof": ("plan_proof", "proof"),
    "Mix or overlap": ("plan_pairs", "ablation"),
    "Trade-offs": ("plan_trade_offs", "trade_offs"),
    "Take along": ("plan_files", "take_along"),
}
"""What stands below the pictures, by module and function; only the open tab is imported and computed."""


def view(scenario: Scenario, instance: CostInstance) -> None:
    """Everything beside the controls, from the headline to the tabs."""
    comparison = plan_proof.with_proof(cached.compared(instance))
    uploads.doubt(scenario.model)
    found = headline(scenario, comparison)
    outcome = _chosen(comparison, found.recommended)
    _branch_graph(comparison.instance, outcome)
    _gantt(comparison, outcome)
    _strategies_in_words()
    tabs = st.tabs(list(TABS), key=PLAN_TAB, on_change="rerun")
    for tab, (module, function) in zip(tabs, TABS.values(), strict=True):
        if tab.open:
            with tab:
                getattr(import_module(f"app.views.{module}"), function)(comparison, outcome)


def headline(scenario: Scenario, comparison: Comparison) -> Verdict:
    """The answer first: what to do and how far that holds, how good the plan is, and why."""
    rival = comparison.best_baseline.strategy if comparison.has_baseline else ""
    many = f"{scenario.requests} requests" if scenario.requests > 1 else "one request"
    edge, cloud = (profiles.profile_of(scenario.model, device) for device in (scenario.edge, scenario.cloud))
    found = verdict(comparison)
    # Planned before anything is drawn: what it shows meanwhile must not move the headline.
    doubt = doubts(found, scenario, edge, cloud, cached.compared)
    asked = [f"{title_of(scenario.model)}, {many}, {rate_text(scenario.uplink_mbps)} up: {QUESTION}"]
    if found.way_back >= LONG_BACK and scenario.results is Results.EDGE:
        asked.append(
            f"Results are on their way back for {100 * found.way_back:.0f} % of the time; they may stay there (More)."
        )
    asked += [doubt] if doubt else []
    long = " decc-long" if len(str(found)) > LONG_VERDICT else ""
    with st.container(key="headline"):
        st.html(
            f"<h3 class='decc-verdict{long}'>{escape(str(found))}</h3>"
            f"<p class='decc-asked{' decc-doubt' if doubt else ''}'>{explained(' '.join(asked))}</p>"
        )
    with st.container(key="reach"):
        _reach(scenario, comparison, found, (edge, cloud))
    with st.container(horizontal=True, gap="small", key="tiles"):
        taken = found.recommended
        if comparison.instance.objective is Objective.MAKESPAN:
            st.metric(f"{taken.strategy} makespan", duration(taken.schedule.makespan_ns), border=True, help=MAKESPAN)
        else:
            rate = figure("throughput_rps", taken.throughput_rps)
            st.metric(f"{taken.strategy}, requests/s", rate, border=True, help=THROUGHPUT)
        for title, over in (
            ("gain over DADS", "dads-dsl"),
            ("gain over single cut", "single-cut"),
            (f"gain over best ({rival})" if rival else "gain over best", rival),
        ):
            # Under limits a baseline may have no plan.
            gain = gain_text(comparison.gain(over)) if comparison.has(over) else "–"
            st.metric(title, gain, border=True, help=GAINS[title.split(" (")[0]])
        st.metric("gap to bound", gap_text(taken.gap), border=True, help=GAP)
    # On so many lines as the page reserves; the rest unfolds under the pointer, by a tap or by a key.
    page, reason = f":root{{--page:{theme().page}}}", explained(explain(comparison))
    st.html(f"<style>{page}</style><details class='decc-reason'><summary>{reason}</summary></details>")
    return found


def _reach(
    scenario: Scenario, comparison: Comparison, found: Verdict, pair: tuple[DeviceProfile, DeviceProfile]
) -> None:
    """How far the verdict holds: a line that is there at once, and filled when it is known."""
    instance, job = comparison.instance, st.session_state.get(REACH)
    key = f"{cached.instance_key(instance)} {scenario.downlink_mbps}"
    # One that was given up, as the visitor was elsewhere, has found nothing.
    if not isinstance(job, ReachJob) or job.key != key or (job.stopped.is_set() and not job.found):
        if job is not None:
            job.stop()
        job = ReachJob(scenario, instance.graph, *pair, found.advice, key, cached.owner_of(instance.graph))
        st.session_state[REACH] = job
        if not job.over:
            visit.begin(job)
    if job.over:
        st.html(f"<p class='decc-reach'>{escape(job.found)}&nbsp;</p>")
    else:
        # The page's script asks for it and fills it in.
        st.html(f"<p class='decc-reach' data-answer='{answers.show(job)}'>Looking how far this holds …</p>")


QUESTION = "layer by layer, device or cloud?"
"""What the page is, in the line that tells what was asked."""
LONG_VERDICT = 78
"""Letters of a verdict that the page's width takes in large type; what is longer is written smaller."""
LONG_BACK = 0.25
"""A way back of this share of the time is worth the question whether results have to come back."""
REACH = "reach_job"

MAKESPAN = "Time until the last result is back on the edge, with the recommended plan."
THROUGHPUT = "Requests per second when the plan repeats for ever."
GAINS = {
    "gain over DADS": "How many times better decc is than DADS for light load (one min cut, consecutive requests).",
    "gain over single cut": "How many times better decc is than the best single cut for all requests, pipelined.",
    "gain over best": f"How many times better decc is than the best of the {len(BASELINES)} baselines; 1.00× means "
    "that one is just as good.",
}
GAP = "Distance of the recommended plan from a bound that no plan can beat; 0 % proves it optimal."


def _chosen(comparison: Comparison, recommended: Outcome) -> Outcome:
    """The strategy whose plan is drawn: at first the recommended one."""
    names = [RECOMMENDED, *(outcome.strategy for outcome in comparison.outcomes)]
    if st.session_state.get(STRATEGY) not in names:
        # The exact solver's plan belongs to one scenario; the next one may have none. An address may say anything.
        st.session_state[STRATEGY] = RECOMMENDED
    chosen = st.segmented_control(
        "Plan shown",
        names,
        key=STRATEGY,
        required=True,
        label_visibility="collapsed",
    )
    return recommended if chosen in (None, RECOMMENDED) else comparison.of(chosen)


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
        requests=group.requests if len(groups) > 1 else None,
        file=stem(instance.graph.name, outcome.strategy, "cut"),
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
    name, file = f"plan-{network.fingerprint[:12]}", stem(network.name, outcome.strategy, "schedule")
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
    notes = "".join(f"<dt>{escape(name)}</dt><dd>{escape(note)}</dd>" for name, note in STRATEGIES.items())
    with st.container(key="notes"):
        st.html(f"<dl class='decc-strategies'>{notes}</dl>")
