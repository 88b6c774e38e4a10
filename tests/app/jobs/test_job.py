"""Work in the background of a visit: it ends as it should, whatever happens to it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from app.jobs.job import MOST_WAITING, Job, ProcessJob

DEADLINE_S = 10
LOCK = threading.Lock()


@dataclass
class Waiting(Job):
    """A job that needs the lock, and notes whether it got it."""

    what = "The wait"
    worked: list[bool] = field(default_factory=list)

    def _work(self) -> None:
        with self._turn(LOCK) as mine:
            self.worked.append(mine)


@dataclass
class Broken(Job):
    """A job that fails in a way that nobody has thought of."""

    what = "The job"

    def _work(self) -> None:
        raise KeyError("x")


def ended(job: Job) -> Job:
    deadline = time.monotonic() + DEADLINE_S
    while not job.over and time.monotonic() < deadline:
        time.sleep(0.01)
    assert job.over
    return job


def test_a_job_that_is_stopped_while_another_ones_turn_lasts_ends_at_once():
    job = Waiting()
    with LOCK:
        job.start()
        job.stop()
        ended(job)
    assert (job.worked, job.failure) == ([False], None)


def test_a_job_that_waits_has_its_turn_and_gives_the_lock_back():
    job = Waiting()
    with LOCK:
        job.start()
    assert ended(job).worked == [True]
    assert LOCK.acquire(timeout=DEADLINE_S)
    LOCK.release()


def test_a_failure_is_told_in_a_sentence_unless_the_job_was_stopped():
    job, stopped = Broken(), Broken()
    job.start()
    stopped.stop()
    stopped.start()
    assert "The job broke off" in ended(job).failure
    assert ended(stopped).failure is None


def test_a_process_that_comes_after_the_stop_is_killed():
    job, killed = ProcessJob(), []
    job.stop()
    job._started(lambda: killed.append(True))
    assert killed == [True]


def test_nobody_waits_behind_more_than_a_few():
    jobs = [Waiting() for _ in range(MOST_WAITING + 1)]
    with LOCK:
        for job in jobs:
            job.start()
        deadline = time.monotonic() + DEADLINE_S
        while not any(job.over for job in jobs) and time.monotonic() < deadline:
            time.sleep(0.01)
        refused = [job for job in jobs if job.over]
        assert len(refused) == 1
        assert "try again in a few minutes" in refused[0].failure
    assert all(ended(job).worked == [True] for job in jobs if job is not refused[0])


def test_a_job_that_goes_on_for_ever_is_ended_with_a_sentence(monkeypatch):
    monkeypatch.setattr(Waiting, "longest_s", 0.1)
    job = Waiting()
    with LOCK:
        job.start()
        assert "took longer than" in ended(job).failure
