"""A cut as a short chain of jobs: the form in which DECC searches.

The crossing tensors of a cut, put in an order, split a request into jobs that follow each other on all resources:
the edge work that the next tensor still lacks, the tensor itself, and the cloud work that its arrival unlocks. Timing
a chain of jobs takes a few additions a job, however many layers the network has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from decc_core.kernels import codes, one_cut
from decc_core.network.arrays import Ints, Mask
from decc_core.planner.mincut import CutNetwork, as_cut
from decc_core.problem.instance import Cut, Loads

MAX_KEPT_LAYERS = 20_000_000
"""Layers of all chains that are kept, so that memory has a bound; at most MAX_KEPT chains."""
MAX_KEPT = 4096


@dataclass(frozen=True, eq=False)
class Chain:
    """A cut with the order in which its crossing tensors are made and sent.

    `jobs` has one row for each crossing tensor and one for edge work that no tensor needs: times on edge, uplink, cloud
    and downlink, links negative where nothing goes that way. `exact` says that no order and no other sequence of the
    work ends earlier.
    """

    on_edge: Mask
    order: Ints
    jobs: Ints
    makespan_ns: int
    exact: bool

    @cached_property
    def cut(self) -> Cut:
        return as_cut(self.on_edge)

    @property
    def uses_cloud(self) -> bool:
        return not self.on_edge.all()

    @cached_property
    def loads(self) -> Loads:
        return Loads(*np.maximum(self.jobs, 0).sum(axis=0).tolist())

    @cached_property
    def as_stages(self) -> Ints:
        """The same request as one job: four stages that nothing divides."""
        edge, uplink, cloud, downlink = self.loads
        nothing = codes.NOTHING
        whole = [edge, uplink, cloud, downlink] if self.uses_cloud else [edge, nothing, 0, nothing]
        return np.array([whole], np.int64)


class Chains:
    """The chains of an instance's cuts, each made once."""

    def __init__(self, network: CutNetwork) -> None:
        self.network, self.instance = network, network.instance
        self._kept: dict[bytes, Chain] = {}
        self._most = min(MAX_KEPT, max(64, MAX_KEPT_LAYERS // network.n_layers))

    def best(self, mask: Mask) -> Chain:
        """The best order found for the tensors of a cut; with few of them and one output, the best there is."""
        key = mask.tobytes()
        if key not in self._kept:
            if len(self._kept) >= self._most:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = self._made(mask)
        return self._kept[key]

    def of_cut(self, cut: Cut) -> Chain:
        return self.best(self.network.mask(cut))

    def _made(self, mask: Mask) -> Chain:
        arrays, instance = self.network.topology, self.instance
        tensors = one_cut.crossing(mask, arrays)
        returned = arrays.is_output & ~mask[arrays.producer]
        order, compared = one_cut.best_order(mask, tensors, arrays, instance.times, instance.half_rtt_ns)
        _, jobs = one_cut.jobs_of_order(mask, tensors[order], arrays, instance.times)
        return Chain(
            on_edge=mask,
            order=tensors[order],
            jobs=jobs,
            makespan_ns=int(one_cut.chain_end(jobs, instance.half_rtt_ns)),
            exact=bool(compared) and int(returned.sum()) <= 1,
        )

    def work_of_jobs(self, chain: Chain) -> tuple[list[Ints], ...]:
        """For every resource the items of each job: layers in stored order on edge and cloud, tensors on the links."""
        arrays, n_jobs = self.network.topology, len(chain.jobs)
        job_of, _ = one_cut.jobs_of_order(chain.on_edge, chain.order, arrays, self.instance.times)
        returned = np.flatnonzero(arrays.is_output & ~chain.on_edge[arrays.producer])
        edge, cloud = np.flatnonzero(chain.on_edge), np.flatnonzero(~chain.on_edge)
        return (
            _by_job(edge, job_of[edge], n_jobs),
            _by_job(chain.order, np.arange(len(chain.order)), n_jobs),
            _by_job(cloud, job_of[cloud], n_jobs),
            _by_job(returned, job_of[arrays.producer[returned]], n_jobs),
        )


def _by_job(items: Ints, jobs: Ints, n_jobs: int) -> list[Ints]:
    order = np.argsort(jobs, kind="stable")
    return np.split(items[order], np.searchsorted(jobs[order], np.arange(1, n_jobs)))
