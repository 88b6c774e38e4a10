"""The bound, the gap to it, and the exact solver that closes it in the background."""

from __future__ import annotations

import streamlit as st

from app.figures.bars import TITLES
from app.figures.proof import Known, draw_proof, proof_rows
from app.jobs.proof import ProofJob
from app.shell import cached, visit
from app.shell.page import PLOT_CONFIG, theme
from app.text import plain
from decc_core.problem.link import NS_PER_S
from decc_core.study.compare import Comparison, Outcome, with_exact
from decc_core.text import duration, duration_s, gap_text

JOBS = "proofs"
"""Where a visit keeps its proofs, by instance."""
LIMITS_S = (10, 30, 60, 120, 300)
REFRESH_S = 1.0


def _jobs() -> dict[str, ProofJob]:
    jobs: dict[str, ProofJob] = st.session_state.setdefault(JOBS, {})
    return jobs


def _job(comparison: Comparison) -> ProofJob | None:
    return _jobs().get(cached.instance_key(comparison.instance)) if _jobs() else None


def with_proof(comparison: Comparison) -> Comparison:
    """The comparison with what the visitor's own proof of this scenario found, if there was one."""
    job = _job(comparison)
    return with_exact(comparison, job.result, job.took_s) if job is not None and job.result is not None else comparison


def proof(comparison: Comparison, outcome: Outcome) -> None:
    """Bound and gap in words, and the solver's button or progress."""
    job = _job(comparison)
    best = comparison.best
    cells = st.columns(3)
    cells[0].metric(f"best plan ({best.strategy})", duration(best.objective_ns), border=True)
    cells[1].metric("proven lower bound", duration(comparison.lower_bound_ns), border=True)
    cells[2].metric("gap", gap_text(best.gap), border=True)
    st.markdown(_in_words(comparison))
    if job is not None and not job.over:
        _progress(job, comparison)
        return
    if job is not None:
        _outcome(job, comparison)
        if job.points:
            _chart(job, comparison, job.took_s)
    _start(comparison, again=job is not None)


def _in_words(comparison: Comparison) -> str:
    """What the bound means, and what it does not."""
    measure, best = TITLES[comparison.instance.objective], comparison.best
    if best.gap == 0:
        return (
            f"**Proven optimal.** No plan of this scenario, whatever its cuts and order of work, can have a {measure} "
            f"below the bound of {duration(comparison.lower_bound_ns)}, and this one reaches it."
        )
    return (
        f"No plan of this scenario, whatever its cuts and order of work, can have a {measure} below the bound of "
        f"{duration(comparison.lower_bound_ns)}. The best plan found is {gap_text(best.gap)} above it; the optimum "
        "lies somewhere in between. The exact solver looks for better plans and for a higher bound at once, and may "
        "close the gap: quickly for small networks and few requests, not within minutes for large ones."
    )


def _start(comparison: Comparison, again: bool) -> None:
    left, right, _ = st.columns((2.4, 1, 1.6), vertical_alignment="bottom")
    limit = left.segmented_control(
        "Time limit",
        LIMITS_S,
        default=30,
        format_func=lambda limit_s: f"{limit_s} s" if limit_s < 60 else f"{limit_s // 60} min",
        key="proof_limit",
        required=True,
        persist_state="session",
        help="The solver stops earlier where it reaches the optimum. It runs on the machine that serves this page.",
    )
    proven = comparison.best.gap == 0
    if right.button(
        "Prove it again" if again else "Prove it",
        key="prove",
        type="primary",
        width="stretch",
        disabled=proven,
        help="There is nothing left to prove." if proven else "Starts CP-SAT from decc's plan; the page stays usable.",
    ):
        warm = comparison.best.plan if comparison.best.strategy == "exact" else comparison.of("decc").plan
        job = ProofJob(comparison.instance, warm, float(limit or LIMITS_S[0]))
        for other in _jobs().values():
            if not other.over:
                other.stop()
        _jobs()[cached.instance_key(comparison.instance)] = job
        visit.begin(job)
        st.rerun()


@st.fragment(run_every=REFRESH_S)
def _progress(job: ProofJob, comparison: Comparison) -> None:
    if job.over:
        st.rerun()
    if job.stopped.is_set():
        job.stop()
    elapsed = job.elapsed_s
    waiting = job.began_s is None
    doing = "waiting for another visitor's proof to end" if waiting else f"{elapsed:.0f} s of {job.limit_s:.0f} s"
    if job.stopped.is_set():
        doing += ", stopping"
    bar, button = st.columns((4, 1), vertical_alignment="center")
    bar.progress(min(1.0, elapsed / job.limit_s), f"The exact solver is at work: {doing}")
    button.button("Stop", key="proof_stop", on_click=job.stop, width="stretch", disabled=job.stopped.is_set())
    _chart(job, comparison, elapsed)


def _rows(job: ProofJob, comparison: Comparison, elapsed_s: float) -> tuple[Known, ...]:
    start_bound_ns = cached.compared(comparison.instance).lower_bound_ns
    points = [(point.elapsed_s, point.best_s, point.bound_s) for point in job.points]
    return proof_rows(points, comparison.of("decc").objective_ns, start_bound_ns, elapsed_s)


def finished(comparison: Comparison) -> tuple[Known, ...]:
    """How this scenario's proof went on, if there was one and it is over."""
    job = _job(comparison)
    if job is None or not job.over or not job.points:
        return ()
    return _rows(job, comparison, job.took_s)


def _chart(job: ProofJob, comparison: Comparison, elapsed_s: float) -> None:
    rows = _rows(job, comparison, elapsed_s)
    best_ns, bound_ns = (round(value * NS_PER_S) for value in (rows[-1].best_s, rows[-1].bound_s))
    so_far = "" if job.over else " so far"
    st.caption(f"Best plan{so_far} {duration(best_ns)}, bound{so_far} {duration(bound_ns)}.")
    figure = draw_proof(rows, TITLES[comparison.instance.objective], theme())
    st.plotly_chart(figure, key="proof_chart", theme=None, config=PLOT_CONFIG)


def _outcome(job: ProofJob, comparison: Comparison) -> None:
    """What the last proof of this scenario came to."""
    if job.failure is not None:
        st.error(plain(job.failure))
    elif job.result is None:
        st.info("The proof was stopped before it began.")
    elif job.result.optimal:
        st.success(f"The exact solver proved the optimum in {duration_s(job.took_s)}. Its plan is the row 'exact'.")
    else:
        gained = comparison.of("decc").objective_ns - comparison.of("exact").objective_ns
        better = f"a plan that is {duration(gained)} shorter" if gained > 0 else "no better plan than decc's"
        st.info(
            f"After {duration_s(job.took_s)} the exact solver had {better}, and proved a bound of "
            f"{duration(job.result.lower_bound_ns)}. Its plan is the row 'exact'. More time may close the gap."
        )
