"""An independent judge of plans and their schedules: it shares no code with what makes and times them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from decc_core.errors import InvalidSchedule
from decc_core.kernels import judging
from decc_core.network.arrays import Ints
from decc_core.network.graph import LayerGraph
from decc_core.plans.plan import Execution, Plan, item_name
from decc_core.plans.schedule import Schedule
from decc_core.problem.instance import RESOURCES, CostInstance
from decc_core.text import counted


class References(NamedTuple):
    """What the layers read and the model returns, as they say it themselves.

    One entry for each input of each layer: who reads it, who makes it, and as which tensor; and for each output of the
    model who makes it, and as which tensor.
    """

    reader: Ints
    source: Ints
    tensor: Ints
    output_source: Ints
    output_tensor: Ints


@lru_cache(maxsize=8)
def _references(graph: LayerGraph) -> References:
    number = {(tensor.producer, tensor.output): i for i, tensor in enumerate(graph.tensors)}
    position = {layer.name: i for i, layer in enumerate(graph.layers)}
    read = [
        (reader, position[ref.layer], number[position[ref.layer], ref.output])
        for reader, layer in enumerate(graph.layers)
        for ref in layer.inputs
    ]
    returned = [(position[ref.layer], number[position[ref.layer], ref.output]) for ref in dict.fromkeys(graph.outputs)]
    reader, source, tensor = np.array(read, np.int64).reshape(-1, 3).T.copy()
    output_source, output_tensor = np.array(returned, np.int64).T.copy()
    return References(reader, source, tensor, output_source, output_tensor)


def check_schedule(instance: CostInstance, plan: Plan, timing: Schedule) -> None:
    """Raise `InvalidSchedule` unless serial resources could have run the plan exactly so.

    Checked from the layers' own references: every layer runs once, on its side; resources do one thing at a time, in
    the plan's sequence; every crossing tensor is sent once and arrives half an RTT later, before it is read, and who
    makes it and who first reads it take the longer for it; every output computed in the cloud comes back; stages and
    requests wait as the plan's execution says. Linear in the work.
    """
    graph, work = instance.graph, plan.work
    if not len(plan.cuts) == len(timing.results) == instance.requests:
        raise InvalidSchedule(
            f"There are {counted(instance.requests, 'request')}, {counted(len(plan.cuts), 'cut')} and "
            f"{counted(len(timing.results), 'result')}."
        )
    if timing.sequences is not plan.sequences:
        for resource in RESOURCES:
            if timing.sequences[resource] != plan.sequences[resource]:
                raise InvalidSchedule(f"The {resource.value} does not follow the plan's sequence.")
    if not len(timing.starts) == len(timing.ends) == len(work.item):
        raise InvalidSchedule("The schedule does not time all work, and nothing else.")
    kinds = {cut: i for i, cut in enumerate(dict.fromkeys(plan.cuts))}
    on_edge = np.zeros((len(kinds), len(graph.layers)), np.bool_)
    for cut, i in kinds.items():
        layers = np.fromiter(cut, np.int64, len(cut))
        if not np.all((layers >= 0) & (layers < len(graph.layers))):
            raise InvalidSchedule(f"The cut of request {plan.cuts.index(cut)} names a layer that is not there.")
        on_edge[i, layers] = True
    verdict = judging.judge(
        work,
        timing.starts,
        timing.ends,
        timing.results,
        on_edge,
        np.array([kinds[cut] for cut in plan.cuts]),
        instance.times.by_resource,
        (instance.times.send_ns, instance.times.receive_ns),
        instance.half_rtt_ns,
        plan.execution is not Execution.BRANCH_PIPELINED,
        plan.execution is Execution.CONSECUTIVE,
        _references(graph),
    )
    if verdict[0] != judging.SOUND:
        raise InvalidSchedule(_sentence(graph, timing, *verdict))


def _sentence(graph: LayerGraph, timing: Schedule, trouble: int, request: int, place: int, culprit: int) -> str:
    resource, references = RESOURCES[place], _references(graph)
    if trouble == judging.UNKNOWN_WORK:
        return f"The {resource.value} works on {item_name(graph, resource, culprit)} of request {request}: not there."
    if trouble == judging.NOT_SERIAL:
        return f"The {resource.value} starts '{item_name(graph, resource, culprit)}' before its last work is over."
    if trouble == judging.TOO_EARLY:
        return f"Request {request} starts before the request before it is back."
    reads = output = ""
    if trouble in judging.OF_REFERENCES:
        reads = f"'{graph.titles[references.source[culprit]]}' -> '{graph.titles[references.reader[culprit]]}'"
    elif trouble in judging.OF_OUTPUTS:
        output = f"'{graph.titles[references.output_source[culprit]]}'"
    kind = "layer" if resource.computes else "tensor"
    return (
        f"Request {request} "
        + {
            judging.LAYER_TWICE: f"runs layer {culprit} twice",
            judging.WRONG_SIDE: f"runs layer {culprit} on a wrong side",
            judging.WRONG_TIME: f"gives {kind} {culprit} a wrong time",
            judging.LAYER_MISSING: "does not run every layer",
            judging.TENSOR_TWICE: f"sends tensor {culprit} twice over the {resource.value}",
            judging.BROKEN: f"breaks {reads}",
            judging.BACKWARDS: f"lets the cloud feed the edge: {reads}",
            judging.NEVER_SENT: f"never sends the tensor of {reads}",
            judging.SENT_EARLY: f"sends {reads} before it is made",
            judging.READ_EARLY: f"reads {reads} before it arrives",
            judging.SENT_IN_VAIN: "sends tensors that nobody in the cloud needs, or misses some",
            judging.NOT_RETURNED: f"never returns output {output}",
            judging.RETURNED_EARLY: f"returns {output} too early",
            judging.RETURNED_IN_VAIN: "returns what is no output of the cloud",
            judging.WRONG_RESULT: f"claims its result at {timing.results[request]} ns, not at {culprit} ns",
            judging.STAGE_EARLY: f"starts its {resource.value} stage too early",
        }[trouble]
        + "."
    )
