"""An edge and a cloud worker that belong together, as their controller sees them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from decc_core.errors import WorkerFailed
from decc_core.network.work import Resource
from decc_core.problem.profile import DeviceProfile
from decc_core.runtime.controller.client import Progress, WorkerClient
from decc_core.runtime.controller.outputs import Outputs
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.transport import Address

SIDES = (Resource.EDGE, Resource.CLOUD)
POLL_S = 0.2


class WorkerPair:
    """An edge and a cloud worker that are up, and the model that they have loaded."""

    def __init__(self, edge: WorkerClient, cloud: WorkerClient, cloud_from_edge: Address | None = None) -> None:
        """`cloud_from_edge` is where the edge reaches the cloud, if not where we do."""
        self.cloud_from_edge = cloud_from_edge or cloud.address
        self.clients = {Resource.EDGE: edge, Resource.CLOUD: cloud}
        self.fingerprint = ""
        self.references: dict[Any, dict[int, Outputs]] = {}
        self.cores = _own_cores()

    def load(self, source: str | Any) -> str:
        """Give both workers a model: a zoo name, layers and tensors as `portable` writes them, or a model to write so.

        Returns its graph's fingerprint.
        """
        data = as_data(source)
        found = both(lambda client: client.load(data), self.clients)
        edge, cloud = found[Resource.EDGE], found[Resource.CLOUD]
        if edge != cloud:
            what = "graphs" if edge.fingerprint != cloud.fingerprint else "weights"
            raise WorkerFailed(
                f"The workers made different {what} of {source if isinstance(source, str) else 'the network'}: "
                "run the same versions of DECC, PyTorch and ONNX Runtime on both hosts."
            )
        self.fingerprint = str(edge.fingerprint)
        self.references.clear()
        return self.fingerprint

    def profile(
        self, side: Resource, device: m.Device, name: str, repeats: int = 30, progress: Progress | None = None
    ) -> DeviceProfile:
        """Measure the loaded model's layers on one worker; the other one rests meanwhile."""
        return self.clients[side].profile(m.ProfileModel(self.fingerprint, device, name, repeats), progress)

    def close(self) -> None:
        for client in self.clients.values():
            with suppress(Exception):
                client.close()


def load_order(source: str | Any) -> tuple[m.LoadModel, tuple[bytes, ...]]:
    """What a worker is told to load: a zoo name, or an `ExtractedModel` as data."""
    if isinstance(source, str):
        return m.LoadModel(source), ()
    from decc_core.models import portable  # needs torch, which a controller of zoo networks does not

    data = portable.to_data(source)
    return m.LoadModel(None, *map(len, data)), data


def as_data(source: str | tuple[bytes, bytes] | Any) -> str | tuple[bytes, bytes]:
    """What a worker takes: a zoo name, or layers and tensors of a model."""
    if isinstance(source, (str, tuple)):
        return source
    from decc_core.models import portable  # needs torch, which a controller of zoo networks does not

    return portable.to_data(source)


def both(call: Callable[[WorkerClient], Any], clients: dict[Resource, WorkerClient]) -> dict[Resource, Any]:
    """The same call to both workers at once; the first failure is raised when both are done."""
    found: dict[Resource, Any] = {}
    failures: list[Exception] = []

    def one(side: Resource) -> None:
        try:
            found[side] = call(clients[side])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(side,), daemon=True) for side in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(POLL_S)
    if failures:
        raise failures[0]
    return found


def _own_cores() -> dict[Resource, tuple[int, ...]]:
    """A core of its own for each local worker, where there are two."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return {Resource.EDGE: (cores[0],), Resource.CLOUD: (cores[1],)} if len(cores) > 1 else dict.fromkeys(SIDES, ())
