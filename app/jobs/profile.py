"""Measuring a network on this machine in the background: the page looks at it, and may stop it.

A process of its own measures, so that the page stays quick, its threads do not disturb the times, and a stop is
immediate. Nothing here knows Streamlit.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from app.jobs.job import ProcessJob, one_at_a_time
from app.jobs.upload import OwnModel, for_workers
from app.state import title_of
from decc_core.problem.profile import DeviceProfile

MAX_REPEATS = 200
"""Enough for steady medians, and an end in sight for whoever waits for the machine."""


@dataclass(frozen=True)
class MeasureSettings:
    """How a visitor wants a network measured."""

    device: str = "this-machine"
    threads: int = 1
    memory_format: str = "contiguous"
    onednn: bool = True
    repeats: int = 30


@dataclass
class ProfileJob(ProcessJob):
    """One click on Measure."""

    what = "The measurement"
    model: str
    settings: MeasureSettings
    source: str | OwnModel
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
        # gRPC is imported here and torch only in the worker: the first plan waits for neither.
        from decc_core.network.work import Resource
        from decc_core.runtime.controller.client import WorkerClient
        from decc_core.runtime.wire.messages import Device, ProfileModel
        from decc_core.runtime.wire.processes import LocalWorker

        self.doing = "starting a process for the measurement"
        process = LocalWorker.start(Resource.EDGE)
        try:
            self._started(process.process.kill)
            process.wait_ready()
            with closing(WorkerClient(Resource.EDGE, process.address, process.security, process)) as client:
                self.doing = f"building {title_of(self.model)}"
                loaded = client.load(for_workers(self.source))
                asked = self.settings
                device = Device(asked.threads, asked.memory_format, asked.onednn)
                order = ProfileModel(loaded.fingerprint, device, asked.device, asked.repeats)
                return client.profile(order, self._hear)
        finally:
            self._kill = None
            process.stop()
