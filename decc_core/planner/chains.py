"""A cut as a short chain of jobs: the form in which DECC searches.

The crossing tensors of a cut, put in an order, split a request into jobs that follow each other on all resources:
the edge work that the next tensor still lacks, the tensor itself, and the cloud work that its arrival unlocks. Timing
a chain of jobs takes a few additions a job, however many layers the network has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from decc_core import kernels
from decc_core.network.arrays import Ints, as_mask, topology
from decc_core.network.work import Resource, Work
from decc_core.plans.plan import Execution, Plan
from decc_core.problem.instance import RESOURCES, CostInstance, Cut, Loads, crossing_tensors, loads, returned_tensors


@dataclass(frozen=True, eq=False)
class Shape:
    """A cut with the order in which its crossing tensors are made and sent.

    `jobs` has one row for each crossing tensor and one for edge work that no tensor needs: times on edge, uplink, cloud
    and downlink, links negative where nothing goes that way; `job_of` tells the job of each layer. `exact` says that
    no order and no other sequence of the work ends earlier.
    """

    instance: CostInstance
    cut: Cut
    order: tuple[int, ...]
    job_of: Ints
    jobs: Ints
    makespan_ns: int
    exact: bool

    @cached_property
    def loads(self) -> Loads:
        return loads(self.instance, self.cut)

    @cached_property
    def work_of_jobs(self) -> dict[Resource, tuple[tuple[int, ...], ...]]:
        """The work of every job on every resource."""
        graph = self.instance.graph
        found: dict[Resource, list[list[int]]] = {resource: [[] for _ in self.jobs] for resource in RESOURCES}
        for layer, job in enumerate(self.job_of.tolist()):
            found[Resource.EDGE if layer in self.cut else Resource.CLOUD][job].append(layer)
        for job, tensor in enumerate(self.order):
            found[Resource.UPLINK][job].append(tensor)
        for tensor in returned_tensors(graph, self.cut):
            found[Resource.DOWNLINK][int(self.job_of[graph.tensors[tensor].producer])].append(tensor)
        return {resource: tuple(tuple(items) for items in jobs) for resource, jobs in found.items()}


@lru_cache(maxsize=4096)
def best_shape(instance: CostInstance, cut: Cut) -> Shape:
    """The best order found for the crossing tensors of a cut; with few of them and one output, the best there is."""
    graph = topology(instance.graph)
    mask = as_mask(graph.n_layers, cut)
    tensors = np.array(crossing_tensors(instance.graph, cut), np.int64)
    of_graph = (*instance.arrays, *graph.flow)
    order, compared = kernels.best_order(mask, tensors, *of_graph, instance.half_rtt_ns)
    job_of, jobs = kernels.jobs_of_order(np.arange(graph.n_layers), mask, tensors[order], *of_graph)
    return Shape(
        instance=instance,
        cut=cut,
        order=tuple(tensors[order].tolist()),
        job_of=job_of,
        jobs=jobs,
        makespan_ns=int(kernels.chain_end(jobs, instance.half_rtt_ns)),
        exact=bool(compared) and len(returned_tensors(instance.graph, cut)) <= 1,
    )


def one_request_plan(instance: CostInstance, shape: Shape) -> Plan:
    """The branch-pipelined plan of one request."""
    sequences = {
        resource: tuple(Work(0, item) for items in shape.work_of_jobs[resource] for item in items)
        for resource in RESOURCES
    }
    return Plan(Execution.BRANCH_PIPELINED, (shape.cut,), sequences)
