"""Measuring in the background."""

from __future__ import annotations

import time

from app.jobs.profile import ProfileJob
from decc_core.models.device import ONE_THREAD
from decc_core.models.ref import NetworkRef
from decc_core.profiling.settings import ProfileSettings

DEADLINE_S = 60


def test_a_measurement_that_is_stopped_ends_at_once_and_keeps_nothing():
    job = ProfileJob("squeezenet1_1", ProfileSettings(runs_on=ONE_THREAD, repeats=200), NetworkRef("squeezenet1_1"))
    job.start()
    deadline = time.monotonic() + DEADLINE_S
    while job._kill is None and time.monotonic() < deadline:
        time.sleep(0.05)
    job.stop()
    while not job.over and time.monotonic() < deadline:
        time.sleep(0.05)
    assert job.over
    assert job.found is None
    assert job.failure is None


def test_a_network_that_cannot_be_built_is_told_in_a_sentence():
    job = ProfileJob("nosuchnet", ProfileSettings(runs_on=ONE_THREAD), NetworkRef("nosuchnet"))
    job._run()
    assert job.over
    assert "nosuchnet" in job.failure
