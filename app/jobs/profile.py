"""Measuring a network on this machine in the background: the page looks at it, and may stop it.

A process of its own measures, so that the page stays quick, its threads do not disturb the times, and a stop is
immediate. Nothing here knows Streamlit.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.jobs.job import ProcessJob, one_at_a_time
from decc_core.errors import NotPossible
from decc_core.models.ref import NetworkRef
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling.quick import quick_profiles
from decc_core.profiling.settings import ProfileSettings

MAX_REPEATS = 200
"""Enough for steady medians, and an end in sight for whoever waits for the machine."""


@dataclass
class ProfileJob(ProcessJob):
    """One click on Measure."""

    what = "The measurement"
    model: str
    settings: ProfileSettings
    network: NetworkRef
    found: DeviceProfile | None = None
    kept_as: str | None = None
    """The name under which the page has put the profile among the visitor's own."""

    def _work(self) -> None:
        self.doing = "waiting for another measurement on this machine to end"
        with self._turn(one_at_a_time) as mine:
            if mine:
                found = self._measured()
                # Nothing is kept of a measurement that was stopped, were it at its last step.
                self.found = None if self.stopped.is_set() else found

    def _measured(self) -> DeviceProfile:
        return _measured_here(self, self.network, self.settings)


@dataclass
class QuickJob(ProcessJob):
    """One click on Measure again: the quick times of an uploaded network, on one thread and on all."""

    what = "The measurement"
    model: str
    network: NetworkRef
    found: tuple[DeviceProfile, DeviceProfile, tuple[str, ...]] | None = None

    def _work(self) -> None:
        self.doing = "waiting for another measurement on this machine to end"
        with self._turn(one_at_a_time) as mine:
            if mine:
                found = quick_profiles(lambda settings, _: _measured_here(self, self.network, settings))
                self.found = None if self.stopped.is_set() else found


def _measured_here(job: ProcessJob, network: NetworkRef, settings: ProfileSettings) -> DeviceProfile:
    # gRPC is imported here and torch only in the worker: the first plan waits for neither.
    from decc_core.runtime.controller.live import profile_here

    if job.stopped.is_set():
        raise NotPossible("The measurement was stopped.")
    job.doing = "starting a process for the measurement"
    try:
        return profile_here(network, settings, job._hear, lambda worker: job._started(worker.process.kill))
    finally:
        job._kill = None
