"""What visitors share: an answer is found again for the same question only."""

from __future__ import annotations

from dataclasses import replace

from app.shell.cached import instance_key
from decc_core.problem.instance import CostInstance
from tests.builders import make_graph, make_instance


def instance_of(**changes: object) -> CostInstance:
    """A chain whose layers differ in what no planner sees."""
    graph = make_graph({"x": [], "y": ["x"]})
    layers = (graph.layers[0], replace(graph.layers[1], **changes))
    return make_instance(replace(graph, layers=layers), {"y": 5}, {"y": 1}, {"x": 6})


def test_the_same_question_has_the_same_key():
    assert instance_key(instance_of()) == instance_key(instance_of())


def test_networks_that_differ_in_names_of_modules_or_in_operations_share_no_picture():
    first = instance_of(module_path="mine.secret")
    assert first.graph.fingerprint == instance_of().graph.fingerprint
    assert instance_key(first) != instance_key(instance_of(module_path="yours"))
    assert instance_key(first) != instance_key(instance_of(module_path="mine.secret", flops=7))
