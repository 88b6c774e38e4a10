"""The Learn view: what a plan may do, step by step, on a network small enough to follow by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import pandas as pd
import streamlit as st

from app.components.gantt import SMALL, gantt_chart
from app.figures.diamond import diamond, plain_kb, plain_ms
from app.figures.gantt import gantt
from app.figures.load_curve import draw_queue
from app.glossary import STRATEGIES, WORDS
from app.shell import cached
from app.shell.address import STEP
from app.shell.choices import choose
from app.shell.page import PLOT_CONFIG, theme
from decc_core.planner.analysis import Analysis
from decc_core.planner.strategies import BASELINES
from decc_core.planner.strategies.ablated import overlap_only
from decc_core.plans.plan import Execution, Plan, staged_plan
from decc_core.plans.schedule import schedule
from decc_core.problem.instance import CostInstance, Cut, crossing_tensors, loads, sequential_ns
from decc_core.problem.link import NS_PER_S
from decc_core.problem.scenario import Scenario
from decc_core.streams.arrivals import Process, arrivals
from decc_core.streams.load import Demand, Load, LoadPoint, usual_deadline_ns
from decc_core.streams.policies import Site
from decc_core.study.compare import Comparison, ratio
from decc_core.study.explain import explain
from decc_core.study.lesson import all_cuts, cut_of, lesson
from decc_core.text import gain_text, gap_text

SLOWER_LINK = 10
MIXED_REQUESTS = 4
SLOW_MS, FAST_MS, QUEUED = 120, 100, 40
STREAM_LINK, LESSON_PERCENTILE = 2, 90
LESSON_RATES = (0.5, 4.0, 8.0, 12.0)
LESSON_REQUESTS = 2_000


@dataclass(frozen=True)
class LessonStep:
    """One idea: its short name for the stepper, its title, and what draws it."""

    name: str
    title: str
    draw: Callable[[], None]


def view(scenario: Scenario, instance: CostInstance) -> None:
    """The stepper, one step, and below it the words and the sources; the sidebar's scenario has no part in it."""
    st.subheader("Learn: what a plan may do", anchor=False)
    st.caption(
        "A made-up network with round numbers, planned by the same program as the real ones: every number and every "
        "bar below is computed. The controls on the left do not matter here."
    )
    names = [step.name for step in STEPS]
    if st.session_state.get(STEP) not in names:
        # An address may say anything.
        st.session_state[STEP] = names[0]
    at = names.index(st.session_state[STEP])
    last = at == len(STEPS) - 1
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="learn_steps"):
        st.button("Back", key="learn_back", on_click=_go, args=(-1,), disabled=at == 0, width="content")
        st.segmented_control(
            "Step", names, key=STEP, required=True, label_visibility="collapsed", persist_state="session"
        )
        st.button("Next", key="learn_next", on_click=_go, args=(1,), disabled=last, width="content", type="primary")
    step = STEPS[at]
    st.markdown(f"#### {at + 1} of {len(STEPS)}: {step.title}")
    step.draw()
    st.divider()
    with st.expander("The words"):
        table = pd.DataFrame([*{**WORDS, **STRATEGIES}.items()], columns=["word", "meaning"])
        st.dataframe(table, hide_index=True, height="content", key="learn_words")
    with st.expander("What is from the paper, and what is ours"):
        st.markdown(SOURCES)


def _go(by: int) -> None:
    names = [step.name for step in STEPS]
    at = names.index(st.session_state.get(STEP) or names[0])
    choose({STEP: names[min(max(at + by, 0), len(names) - 1)]})


# What the steps show, computed by the core.


def compared(requests: int, slower_link: float = 1.0) -> Comparison:
    return cached.compared(lesson(requests, slower_link))


def split() -> Cut:
    """The cut that most steps follow: a and b on the edge, c and d in the cloud."""
    return cut_of(lesson().graph, "a", "b")


def staged(execution: Execution, requests: int) -> Plan:
    """All requests cut alike, executed in whole stages."""
    return staged_plan(lesson(requests), execution, [split()] * requests)


def overlapped(requests: int) -> Plan:
    """The same cut, but every layer and tensor starts as soon as it can."""
    return replace(staged(Execution.FRAME_PIPELINED, requests), execution=Execution.BRANCH_PIPELINED)


def uniform(requests: int) -> Plan:
    """The best plan in which all requests have one cut, branches overlapping."""
    instance = lesson(requests)
    alike = [outcome.plan for outcome in compared(requests).outcomes if len(set(outcome.plan.cuts)) == 1]
    return min(overlap_only(Analysis(instance), alike), key=lambda plan: schedule(instance, plan).makespan_ns)


def makespan_ns(instance: CostInstance, plan: Plan) -> int:
    return schedule(instance, plan).makespan_ns


@lru_cache(maxsize=1)
def streaming() -> Load:
    """Requests that arrive by chance at the small network; chosen and simulated by the same program as real ones.

    Its link is slow enough for the edge alone to be the fastest.
    """
    site = Site(Analysis(lesson(slower_link=STREAM_LINK)))
    return Load(site, Demand(usual_deadline_ns(site), percentile=LESSON_PERCENTILE, requests=LESSON_REQUESTS))


@lru_cache(maxsize=2)
def arriving(every_ms: int) -> LoadPoint:
    """Requests one after the other at equal distances, everything on the edge."""
    site = streaming().site
    policy, stream = site.baseline("edge-only"), arrivals(Process.CONSTANT, 1000 / every_ms, QUEUED)
    return LoadPoint("edge-only", 1000 / every_ms, site.serve(policy, stream, streaming().demand.deadline_ns), policy)


@lru_cache(maxsize=16)
def at_rate(policy: str, rate_hz: float) -> LoadPoint:
    return streaming().point(policy, rate_hz)


def _kept_ms(point: LoadPoint) -> str:
    """The latency that most requests keep, or that the queues grow."""
    found = point.served.percentile_ns(LESSON_PERCENTILE)
    return "grows" if found is None or point.served.grows else f"{found / 1e6:.0f}"


# The steps.


def _network() -> None:
    instance = lesson()
    edge, cloud = sum(instance.edge_ns), sum(instance.cloud_ns)
    sent = sequential_ns(instance, instance.all_cloud)
    _diamond(instance, instance.all_edge)
    st.markdown(
        f"A neural network is a set of **layers**; each arrow is a **tensor**, the numbers that one layer hands to the "
        f"next. Here `b` and `c` both need `a`, but not each other: they are two **branches**. The small device next "
        f"to the camera, the **edge**, needs {plain_ms(edge)} for all four layers. The **cloud** needs only "
        f"{plain_ms(cloud)}, but the picture ({plain_kb(instance.wire_bytes[0])}) has to get there first, and the "
        f"result has to come back: {plain_ms(sent)} in all. Is there something better than both?"
    )


def _cuts() -> None:
    instance = lesson()
    cuts = all_cuts(instance.graph)
    names = [cut_name(instance, cut) for cut in cuts]
    chosen = st.segmented_control(
        "On the edge",
        names,
        default=names[cuts.index(split())],
        key="learn_cut",
        required=True,
        persist_state="session",
    )
    cut = cuts[names.index(chosen or names[0])]
    _diamond(instance, cut)
    work = loads(instance, cut)
    best = min(cuts, key=lambda cut: (sequential_ns(instance, cut), -len(cut)))
    sent = [instance.graph.tensor_title(i) for i in crossing_tensors(instance.graph, cut)]
    crossing = (
        f"The tensor{'s' if len(sent) > 1 else ''} of {' and '.join(f'`{name}`' for name in sent)} "
        f"cross{'' if len(sent) > 1 else 'es'} the uplink, each once, however many layers read it."
        if sent
        else "Nothing crosses."
    )
    st.markdown(
        f"A **cut** says which layers run on the edge (blue); the others run in the cloud (green), and what "
        f"the cloud needs from the edge are the **crossing tensors** (orange). {crossing} Done one after the other "
        f"this takes {_sum(work)}. Try the others: the best of the {len(cuts)} cuts done so is "
        f"**{cut_name(instance, best)}** with {plain_ms(sequential_ns(instance, best))}. The next steps keep the cut "
        f"**{cut_name(instance, split())}**, which looks worse at first."
    )


def _consecutive() -> None:
    instance = lesson()
    plan = staged(Execution.CONSECUTIVE, 1)
    _gantt(instance, plan)
    work = loads(instance, split())
    st.markdown(
        f"**Consecutive** execution: first all edge work, then the uplink, then the cloud, then the result comes back: "
        f"{_sum(work)}. Each of the four **resources** waits while another one works; the cloud idles for "
        f"{plain_ms(work.edge_ns + work.uplink_ns)} before it may begin. Most published schemes work like this."
    )


def _frames() -> None:
    instance = lesson(2)
    slow, fast = staged(Execution.CONSECUTIVE, 2), staged(Execution.FRAME_PIPELINED, 2)
    until = makespan_ns(instance, slow)
    _gantt(instance, slow, "Consecutive", until)
    _gantt(instance, fast, "Frame-pipelined", until)
    pipelined_ns = makespan_ns(instance, fast)
    st.markdown(
        f"Two **requests** (two pictures) wait. Consecutively they take {plain_ms(until)}. **Frame-pipelined**, the "
        f"edge begins the second request while the first is still on its way: {plain_ms(pipelined_ns)}, "
        f"{_times(until, pipelined_ns)} as fast. Each request by itself still takes its "
        f"{plain_ms(sequential_ns(instance, split()))}: one camera with one picture gains nothing."
    )


def _branches() -> None:
    instance = lesson()
    slow, fast = staged(Execution.CONSECUTIVE, 1), overlapped(1)
    until = makespan_ns(instance, slow)
    _gantt(instance, slow, "Consecutive", until)
    _gantt(instance, fast, "Branch-pipelined", until)
    pipelined_ns = makespan_ns(instance, fast)
    rival = compared(1).best_baseline
    st.markdown(
        f"**Branch-pipelined**, the unit is the layer and not the request. The tensor of `a` leaves as soon as it is "
        f"there; while the edge computes branch `b`, the cloud already computes branch `c`. The very same cut now "
        f"takes {plain_ms(pipelined_ns)} instead of {plain_ms(until)}, within **one** request. That is "
        f"{_times(rival.objective_ns, pipelined_ns)} as fast as the best of the {len(BASELINES)} baselines "
        f"({rival.strategy}, {plain_ms(rival.objective_ns)}), none of which overlaps anything within a request. This "
        "is the idea of DECC."
    )


def _mixes() -> None:
    instance = lesson(MIXED_REQUESTS)
    comparison = compared(MIXED_REQUESTS)
    alike, mixed, jps = uniform(MIXED_REQUESTS), comparison.of("decc").plan, comparison.of("jps")
    until = makespan_ns(instance, alike)
    _gantt(instance, alike, f"All requests cut alike ({_cuts_text(instance, alike)})", until)
    _gantt(instance, mixed, f"DECC's mix ({_cuts_text(instance, mixed)})", until)
    mixed_ns = makespan_ns(instance, mixed)
    st.markdown(
        f"With {MIXED_REQUESTS} requests in flight they need not be cut alike: some may leave early and load the "
        f"cloud, others may stay long and load the edge, so that all resources are busy. The best plan with one cut "
        f"for all takes {plain_ms(until)}; the mix takes {plain_ms(mixed_ns)}, {_times(until, mixed_ns)} as fast. JPS, "
        f"a baseline, mixes cuts, too, but in whole stages: {plain_ms(jps.objective_ns)}."
    )


def _bound() -> None:
    comparison = compared(MIXED_REQUESTS)
    single = compared(1).of("decc")
    decc = comparison.of("decc")
    _gantt(comparison.instance, decc.plan, None, None, comparison.lower_bound_ns)
    rival = comparison.best_baseline
    st.markdown(
        f"How good is that? A **lower bound** is a time that no plan whatever can beat: computed from the work that is "
        f"certain, not by trying plans. Here it is {plain_ms(comparison.lower_bound_ns)}, and DECC's plan takes "
        f"{plain_ms(decc.objective_ns)}: the **gap** is {gap_text(decc.gap)}, so nobody will find a noticeably better "
        f"one. The best baseline, {rival.strategy}, takes {plain_ms(rival.objective_ns)}: a gap of "
        f"{gap_text(rival.gap)}. For one request bound and plan are {plain_ms(single.lower_bound_ns)} and "
        f"{plain_ms(single.objective_ns)}: a gap of {gap_text(single.gap)}, which proves that plan optimal."
    )


def _useless() -> None:
    comparison = compared(1, SLOWER_LINK)
    decc = comparison.of("decc")
    _diamond(comparison.instance, decc.plan.cuts[0])
    rows = [
        {"strategy": outcome.strategy, "executed": outcome.execution.value, "time (ms)": outcome.objective_ns / 1e6}
        for outcome in comparison.outcomes
    ]
    st.markdown(
        f"The same network over a link that is {SLOWER_LINK} times slower. {explain(comparison)} A good planner says "
        "so: DECC starts from the plans of all baselines and is never worse than any, but it cannot make a link "
        "faster. Open **Sweep** above to see where the answer changes for a real network, or **Plan** for its plan."
    )
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", key="learn_table", width="content")


def _queue() -> None:
    points = {every_ms: arriving(every_ms) for every_ms in (SLOW_MS, FAST_MS)}
    found = {every_ms: point.closely() for every_ms, point in points.items()}
    most, rows = max(int(one.in_system.max()) for one in found.values()), []
    st.markdown("**Requests in the system**, everything on the edge")
    for (every_ms, one), column in zip(found.items(), st.columns(2), strict=True):
        latency = points[every_ms].served.latency_ns
        column.caption(f"A request every {every_ms} ms")
        column.plotly_chart(
            draw_queue(one, theme(), most=most), key=f"learn_queue_{every_ms}", theme=None, config=PLOT_CONFIG
        )
        rows.append((every_ms, latency[0], latency[9], latency[-1]))
    (slow, _, _, slow_last), (fast, first, tenth, last) = rows
    alone = lesson().edge_ns
    st.markdown(
        f"So far all requests were there at once. A camera sends them one by one. Everything on the edge, a request "
        f"takes {plain_ms(sum(alone))}. If one comes every {slow} ms, the edge is busy {sum(alone) / slow / 1e4:.0f} "
        f"% of the time, and the {QUEUED}th is finished as soon as the first: after {plain_ms(slow_last)}. If one "
        f"comes every {fast} ms, each finds a longer **queue** than the one before: the first takes "
        f"{plain_ms(first)}, the tenth {plain_ms(tenth)}, the {QUEUED}th {plain_ms(last)}, and so on for ever: the "
        f"queue **grows**. The rate up to which it does not is the **capacity** of this cut: "
        f"{NS_PER_S / sum(alone):.1f} requests/s. No policy whatever sustains more than "
        f"{Site(Analysis(lesson())).capacity_hz:.1f} requests/s with these two machines and this link."
    )


def _load() -> None:
    load, rows = streaming(), []
    instance = load.site.instance
    for rate_hz in LESSON_RATES:
        fixed, decc = at_rate("single-cut", rate_hz), at_rate("decc", rate_hz)
        alone = at_rate("edge-only", rate_hz)
        rows.append(
            {
                "requests/s": rate_hz,
                "best fixed cut": cut_name(instance, fixed.chosen.menu.cuts[0]),
                "everything on the edge (ms)": _kept_ms(alone),
                "the best fixed cut (ms)": _kept_ms(fixed),
                "decc (ms)": _kept_ms(decc),
            }
        )
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", key="learn_load")
    low, high = rows[0], rows[-1]
    st.markdown(
        f"Now requests come by chance, and sometimes several at once, over a link {STREAM_LINK} times slower. The "
        f"table has the latency that {LESSON_PERCENTILE} % of them keep; none where a queue **grows**. At "
        f"{low['requests/s']:g} requests/s hardly anybody waits, and **{low['best fixed cut']}** is the best for all. "
        f"At {high['requests/s']:g} requests/s it is **{high['best fixed cut']}**, because others have to wait less: "
        f"**the best cut depends on the load**, and no fixed one is good at every load. DECC decides when a request "
        f"arrives: it sees what waits on edge, uplink and cloud, and takes the cut that costs this request, those "
        f"that wait, and those that come later least. Open **Load** above to see what that gains for a real network."
    )


STEPS = (
    LessonStep("network", "a small network and two machines", _network),
    LessonStep("cut", "where to cut, and what has to cross", _cuts),
    LessonStep("consecutive", "one thing after the other", _consecutive),
    LessonStep("frames", "two requests overlap in whole stages", _frames),
    LessonStep("branches", "branches overlap within one request", _branches),
    LessonStep("mixing", "not every request has to be cut alike", _mixes),
    LessonStep("bound", "how good can any plan be?", _bound),
    LessonStep("no split", "when no split helps", _useless),
    LessonStep("queue", "requests that keep arriving, and a queue that grows", _queue),
    LessonStep("load", "why the best cut depends on the load", _load),
)


# Pieces of the steps.


def cut_name(instance: CostInstance, cut: Cut) -> str:
    """Which layers are on the edge, in words."""
    graph = instance.graph
    names = [graph.titles[i] for i, layer in enumerate(graph.layers) if i in cut and not layer.is_input]
    if len(names) == len(instance.graph.layers) - len(instance.graph.inputs):
        return "everything on the edge"
    return f"{', '.join(names)} on the edge" if names else "nothing on the edge"


def _cuts_text(instance: CostInstance, plan: Plan) -> str:
    counts = Counter(cut_name(instance, cut) for cut in plan.cuts)
    return "; ".join(f"{count} with {name}" if len(counts) > 1 else name for name, count in counts.items())


def _sum(work: tuple[int, ...]) -> str:
    """The four parts and their sum."""
    parts = zip(work, ("edge", "uplink", "cloud", "downlink"), strict=True)
    return f"{' + '.join(f'{time / 1e6:g} ({name})' for time, name in parts)} = **{plain_ms(sum(work))}**"


def _times(slower_ns: int, faster_ns: int) -> str:
    return gain_text(ratio(slower_ns, faster_ns))


def _diamond(instance: CostInstance, cut: Cut) -> None:
    st.plotly_chart(diamond(instance, cut, theme()), key="learn_diamond", theme=None, config=PLOT_CONFIG)


def _gantt(
    instance: CostInstance, plan: Plan, title: str | None = None, until: int | None = None, bound: int | None = None
) -> None:
    timing = schedule(instance, plan)
    if title:
        st.markdown(f"**{title}**: {plain_ms(timing.makespan_ns)}")
    chart = gantt(instance, timing, bound_ns=bound, until_ns=until, named=True)
    name = f"learn-{st.session_state.get(STEP)}"
    gantt_chart(chart, name, f"learn_gantt_{title}", theme(), file=f"lesson-{title or 'plan'}", height=SMALL)


SOURCES = (
    "**From the paper.** *DECC: Delay-Aware Edge-Cloud Collaboration for Accelerating DNN Inference* (Zhuang "
    "et al., IEEE Transactions on Emerging Topics in Computing 13(2):438-450, doi 10.1109/TETC.2024.3404551). "
    "Only its abstract is public. It says that earlier schemes cut a network in two parts that run one after "
    "the other, and that DECC divides it into independent branches, selects the optimal partition point of "
    "each, and pipelines the branches over edge, uplink and cloud.\n\n"
    "**Ours.** Everything beyond that sentence: the cost model, the search for cuts and sequences, the mixes "
    "of cuts over requests, the lower bounds, this lesson, and the runs on real processes. Where it differs "
    "from what the authors did, the difference is ours."
)
