"""A policy that travels as numbers decides as it does at home, and nonsense is refused before it is compiled code's."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from decc_core.errors import InvalidInstance
from decc_core.streams.online import InFlight, Online
from decc_core.streams.policies import Weights
from decc_core.streams.posted import Posted
from tests.streams.test_load import MS, site

DEADLINE_NS = 60 * MS


def test_a_posted_policy_decides_as_it_does_at_home():
    here = site()
    policy = here.dispatcher(Weights(1, 1, backlog=1.0))
    posted = msgspec.msgpack.decode(msgspec.msgpack.encode(Posted.of(here, policy, DEADLINE_NS)), type=Posted)
    away, home = posted.online(), Online(here, policy, DEADLINE_NS)
    flights: list[InFlight] = []
    for number in range(12):
        now_ns = number * 3 * MS
        place = home.decide(now_ns, flights)
        assert away.decide(now_ns, flights) == place
        flights.append(InFlight(number, 0, place, now_ns))
    assert len({flight.cut for flight in flights}) > 1


def test_a_posted_pattern_repeats():
    here = site()
    online = Posted.of(here, here.jps, DEADLINE_NS).online()
    n = len(here.jps.pattern)
    assert [online.decide(k, []) for k in range(2 * n)] == [*here.jps.pattern, *here.jps.pattern]


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": (0, 99)},
        {"first": (0,)},
        {"pattern": (7,)},
        {"weights": (1.0,)},
        {"weights": (float("nan"),) * 7},
        {"prices": ()},
        {"knots": (2, 2, 2, 2)},
        {"knots": (0, 1, 1, 1)},
        {"holds": ()},
        {"period_ns": 0.0},
        {"half_rtt_ns": -1},
        {"deadline_ns": 1 << 61},
    ],
)
def test_what_does_not_fit_together_is_refused(wrong):
    here = site()
    with pytest.raises(InvalidInstance, match="does not fit together"):
        replace(Posted.of(here, here.jps, DEADLINE_NS), **wrong)
