"""A few quick passes over a network, on one thread and on all: enough for a first plan, and a doubt where they lie."""

from __future__ import annotations

from collections.abc import Callable

from decc_core.models.device import DeviceSettings
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling.settings import ProfileSettings

REPEATS, WARMUP, LONGEST_S = 3, 1, 0.7
"""A large network, or one on a busy machine, is measured in fewer passes: somebody waits for the first plan."""
ATTEMPTS = 2
"""Of which the faster counts, if the first cannot be believed."""
SLOWER, MOST_FASTER = 1.1, 4
"""How much slower several threads may be than one, and how much faster they are assumed to be where they are not."""
DOUBT = "The quick times are doubtful"

Measure = Callable[[ProfileSettings, int], DeviceProfile]
"""Measures once as asked; hears how many measurements are done."""


def quick_profiles(measure: Measure) -> tuple[DeviceProfile, DeviceProfile, tuple[str, ...]]:
    """What one thread takes, what all take, and why neither should be believed, if so.

    Where all threads seem slower than one, they are assumed to be as much faster as there are.
    """
    threads = DeviceSettings().n_threads
    asked = [
        ProfileSettings(
            f"this machine, {name}, quick", DeviceSettings(threads=n), REPEATS, WARMUP, LONGEST_S, fastest=True
        )
        for n, name in ((1, "1 thread"), (threads, f"{threads} threads"))
    ]
    edge, cloud = (measure(settings, done) for done, settings in enumerate(asked))
    for _ in range(ATTEMPTS - 1):
        if not _doubts(edge, cloud):
            break
        edge, cloud = (
            min(known, measure(settings, 1), key=lambda times: (bool(times.doubt), times.whole_s))
            for known, settings in zip((edge, cloud), asked, strict=True)
        )
    doubts = _doubts(edge, cloud)
    if threads > 1 and cloud.whole_s > SLOWER * edge.whole_s:
        faster = min(threads, MOST_FASTER)
        cloud = edge.scaled(1 / faster, f"assumed: {faster} times as fast as one thread here", cloud.device)
    return edge, cloud, doubts


def _doubts(edge: DeviceProfile, cloud: DeviceProfile) -> tuple[str, ...]:
    why = [edge.doubt or cloud.doubt] if edge.doubt or cloud.doubt else []
    if cloud.whole_s > SLOWER * edge.whole_s:
        why.append(
            f"all threads took {cloud.whole_s / edge.whole_s:.1f} times as long as one, so that the cloud's times are "
            "those of one thread, divided"
        )
    if not why:
        return ()
    return (f"{DOUBT}, as on a busy machine: {' and '.join(why)}; measure them again when it is quiet.",)
