"""The load curve in the background: several rates at once, told in their order."""

import threading

from app.jobs import load
from decc_core.errors import NotPossible
from decc_core.problem.link import NS_PER_S
from decc_core.streams.load import Asked, Demand, Limits, limits_of, rows_at
from tests.builders import diamond

LONG_S = 20.0
LIMITS = Limits(100.0, 1_000_000, 3_000_000, ("edge-only", "decc"))


def a_job() -> load.LoadJob:
    task = load.LoadTask(diamond(), Asked(1, 1, Demand(NS_PER_S)), "a curve")
    return load.LoadJob(task)


def ended(job: load.LoadJob) -> None:
    job.start()
    job.wait(LONG_S)
    assert job.over


def test_two_rates_are_asked_at_once_and_the_slower_first_one_is_told_first(monkeypatch):
    both, second_is_done = threading.Barrier(2, timeout=LONG_S), threading.Event()

    def answer(task, what, make, *args, memory):
        if make is limits_of:
            return LIMITS
        if make is not rows_at:
            return 1.0
        rate_hz = args[1]
        if rate_hz == job.rates_hz[0]:
            both.wait()
            assert second_is_done.wait(LONG_S)
        if rate_hz == job.rates_hz[1]:
            both.wait()
            second_is_done.set()
        return [{"rate_rps": rate_hz}]

    monkeypatch.setattr(load, "known", answer)
    job = a_job()
    ended(job)
    assert job.failure is None
    assert [row["rate_rps"] for row in job.rows] == list(job.rates_hz)
    assert job.sustained_hz == {"edge-only": 1.0, "decc": 1.0}


def test_a_curve_that_is_stopped_asks_for_no_further_rates(monkeypatch):
    asked = []

    def answer(task, what, make, *args, memory):
        if make is limits_of:
            return LIMITS
        asked.append(args[1])
        job.stop()
        return []

    monkeypatch.setattr(load, "known", answer)
    job = a_job()
    ended(job)
    assert job.failure is None
    assert not job.sustained_hz
    assert len(asked) <= load.AT_ONCE < load.RATES


def test_a_curve_whose_rate_cannot_be_simulated_ends_with_the_reason(monkeypatch):
    def answer(task, what, make, *args, memory):
        if make is limits_of:
            return LIMITS
        raise NotPossible("No plan of this network fits into memory.")

    monkeypatch.setattr(load, "known", answer)
    job = a_job()
    ended(job)
    assert job.failure == "No plan of this network fits into memory."
    assert not job.rows
    assert not job.sustained_hz
