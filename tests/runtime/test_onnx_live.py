"""ONNX networks on real workers: every strategy and execution gives, bit for bit, the outputs of the whole."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from decc_core.errors import WorkerFailed
from decc_core.models.device import ONE_THREAD, DeviceSettings
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource
from decc_core.planner.strategies import STRATEGIES, solve
from decc_core.plans.plan import Execution, staged_plan
from decc_core.problem.instance import CostInstance
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.profiling.settings import ProfileSettings
from decc_core.runtime.controller.report import RunSettings, Speed
from decc_core.runtime.wire.pacing import LinkShape
from tests.runtime.networks import LINK, fork, profile
from tests.runtime.onnx_networks import fork_proto, onnx_fork, read
from tests.runtime.test_live import SETTINGS, check_trace


def instance(requests: int) -> CostInstance:
    model = onnx_fork()
    return CostInstance.build(model.graph, profile(model, "edge"), profile(model, "cloud"), LINK, requests)


@pytest.fixture(scope="module")
def onnx_workers(workers):
    workers.load(NetworkRef.of(onnx_fork()))
    yield workers
    workers.load(NetworkRef.of(fork()))


@pytest.mark.parametrize("requests", [1, 3])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_returns_the_outputs_of_the_whole(onnx_workers, strategy, requests):
    one = instance(requests)
    plan = solve(one, strategy).plan
    report = onnx_workers.run(one, plan, SETTINGS)
    assert report.failure is None
    assert report.outputs_equal
    check_trace(plan, report)


@pytest.mark.parametrize("execution", Execution)
def test_every_execution_returns_the_outputs_of_the_whole(onnx_workers, execution):
    one = instance(3)
    index = one.graph.index
    cut = frozenset(range(index["/stem/Conv"] + 1)) | {index["/right/right.0/Conv"]}
    plan = staged_plan(one, execution, [cut] * 3)
    report = onnx_workers.run(one, plan, SETTINGS)
    assert report.outputs_equal
    check_trace(plan, report)


def test_tensors_without_elements_and_of_unsigned_numbers_are_sent(onnx_workers):
    """The first step of a decoder: a past of no rows; and what 16 bits are between two layers."""
    steps = [
        helper.make_node("Relu", ["past"], ["none"], "none"),
        helper.make_node("Cast", ["now"], ["number"], "number", to=TensorProto.UINT16),
        helper.make_node("Cast", ["number"], ["float"], "float", to=TensorProto.FLOAT),
        helper.make_node("Concat", ["none", "float"], ["y"], "concat", axis=0),
    ]
    past, now, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, 4])
        for name, rows in (("past", 0), ("now", 2), ("y", 2))
    )
    opsets = [helper.make_opsetid("", 17)]
    graph = helper.make_graph(steps, "steps", [past, now], [y])
    model = read(helper.make_model(graph, opset_imports=opsets, ir_version=8), "steps")
    assert [layer.outputs[0].dtype for layer in model.graph.layers].count("uint16") == 1
    times = dict.fromkeys(model.layer_names, 1e-4)
    made_up = Provenance(ProvenanceKind.SCALED, "made up for a test")
    edge, cloud = (
        DeviceProfile(side, "steps", model.graph.fingerprint, times, times, sum(times.values()), made_up)
        for side in ("edge", "cloud")
    )
    one = CostInstance.build(model.graph, edge, cloud, LINK, 1)
    onnx_workers.load(NetworkRef.of(model))
    try:
        for cut in range(2, len(model.graph.layers)):
            plan = staged_plan(one, Execution.CONSECUTIVE, [frozenset(range(cut))])
            assert onnx_workers.run(one, plan, SETTINGS).outputs_equal
    finally:
        onnx_workers.load(NetworkRef.of(onnx_fork()))


def test_layers_of_an_emulated_segment_share_its_time_as_their_profile_says(onnx_workers):
    one = instance(1)
    report = onnx_workers.run(one, solve(one, "edge-only").plan, SETTINGS)
    spans = report.trace.spans[Resource.EDGE]
    took = [span.end_ns - span.start_ns for span in spans if span.work.item not in one.graph.inputs]
    # All layers of the test's profile take equally long.
    assert max(took) - min(took) <= 2
    # Deadlines count from the run's start, so that a late start shortens the spans, and never the end.
    assert spans[-1].end_ns >= 0.98 * sum(one.edge_ns)


def test_a_native_run_gives_every_layer_a_part_of_its_segment(onnx_workers):
    one = instance(2)
    plan = solve(one, "edge-only").plan
    report = onnx_workers.run(one, plan, RunSettings(LinkShape.of(LINK), speed=Speed.NATIVE))
    assert report.outputs_equal
    check_trace(plan, report)


def test_the_workers_whole_run_is_onnx_runtimes_own_run_of_the_file(onnx_workers):
    one = instance(1)
    report = onnx_workers.run(one, solve(one, "decc").plan, SETTINGS)
    found = next(iter(report.outputs[0].values())).array()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(fork_proto().SerializeToString(), options, ["CPUExecutionProvider"])
    image = onnx_fork().random_inputs(SETTINGS.seed)[0].numpy()
    assert np.array_equal(found, session.run(None, {"image": image})[0])


def test_a_worker_profiles_the_nodes(onnx_workers):
    found = onnx_workers.profile(Resource.EDGE, ProfileSettings("here", ONE_THREAD, 3))
    found.require_graph(onnx_fork().graph)
    assert found.provenance.settings["runtime"].startswith("ONNX Runtime 1.")


def test_a_memory_format_that_the_runtime_does_not_have_is_refused(onnx_workers):
    with pytest.raises(WorkerFailed, match="only the number of threads"):
        onnx_workers.profile(Resource.EDGE, ProfileSettings("here", DeviceSettings(1, "channels_last"), 3))
