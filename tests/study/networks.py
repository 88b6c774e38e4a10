"""A network whose plans one works out on paper."""

from __future__ import annotations

from decc_core.plans.plan import Plan
from decc_core.plans.schedule import objective_ns, schedule
from decc_core.problem.instance import CostInstance
from tests.builders import make_graph, make_instance

DIAMOND = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
X, A, B, Y = range(4)


def diamond(**more) -> CostInstance:
    """Both branches on the edge (2 and 3 ns), sent in 4 and 5 ns, joined in the cloud in 1 ns, back in 2 ns."""
    cloud = {"a": 1, "b": 1, "y": 1}
    return make_instance(DIAMOND, {"a": 2, "b": 3, "y": 9}, cloud, {"x": 6, "a": 4, "b": 5}, downlink=2, **more)


def value(instance: CostInstance, plan: Plan) -> int:
    return objective_ns(instance, plan, schedule(instance, plan))
