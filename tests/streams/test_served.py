"""What became of requests, told in numbers that are counted on paper."""

from __future__ import annotations

import numpy as np

from decc_core.streams.arrivals import Arrivals
from decc_core.streams.served import REFUSED, Served


def served(times, finishes, taken=None, **more) -> Served:
    count = len(times)
    arrivals = Arrivals(np.array(times), np.zeros(count, np.int64))
    places = np.array(taken or [0] * count)
    return Served(arrivals, places, np.array(finishes), np.zeros((count, 4), np.int64), **more)


def over_time(one: Served) -> list[tuple[int, int]]:
    moments, there = one.in_system_over_time()
    return list(zip(moments.tolist(), there.tolist(), strict=True))


def test_requests_in_the_system_are_counted_from_each_coming_and_going_to_the_next():
    alone = served([0, 120, 240], [110, 230, 350])
    assert over_time(alone) == [(0, 1), (110, 0), (120, 1), (230, 0), (240, 1)]
    queued = served([0, 100, 200], [110, 220, 330])
    assert over_time(queued) == [(0, 1), (100, 2), (110, 1), (200, 2)]


def test_who_goes_when_another_comes_leaves_the_number_as_it_is():
    assert over_time(served([0, 100], [100, 200])) == [(0, 1), (100, 1)]


def test_who_is_refused_or_finished_at_once_is_never_in_the_system():
    assert over_time(served([0, 10, 20, 30], [40, 10, 1 << 60, 50], taken=[0, 0, REFUSED, 0])) == [(0, 1), (30, 2)]


def test_of_a_run_that_was_given_up_nothing_is_told():
    assert over_time(served([0, 10], [5, 15], given_up_after=1)) == []
