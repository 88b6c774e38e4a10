"""A small network with two branches for live tests, and instances in which edge, uplink and cloud all have work."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import nn

from decc_core.models.model import Model
from decc_core.models.torch.extract import ExtractedModel, extract
from decc_core.plans.plan import Execution, staged_plan
from decc_core.problem.instance import CostInstance
from decc_core.problem.link import Link
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.problem.wire import RAW_WIRE, Wire

LINK = Link(uplink_bps=8e6, downlink_bps=8e6, rtt_s=0.004)
LAYER_S = {"edge": 0.004, "cloud": 0.002}


class Fork(nn.Module):
    """One stem, two branches of two convolutions, one head; 8-bit image in, four scores out."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.left = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
        self.right = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1))
        self.head = nn.Linear(16, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        stem = self.stem(image.float() / 255)
        both = torch.cat([self.left(stem), self.right(stem)], 1)
        return self.head(both.mean((2, 3)))


@lru_cache(maxsize=1)
def fork() -> ExtractedModel:
    torch.manual_seed(0)
    return extract(Fork().eval(), (torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8),), "fork")


def profile(model: Model, device: str, factor: float = 1.0) -> DeviceProfile:
    times = dict.fromkeys(model.layer_names, LAYER_S[device] * factor)
    provenance = Provenance(ProvenanceKind.SCALED, "made up for a test")
    graph = model.graph
    return DeviceProfile(device, graph.name, graph.fingerprint, times, times, sum(times.values()), provenance)


def instance(requests: int = 1, link: Link = LINK, factor: float = 1.0, wire: Wire = RAW_WIRE) -> CostInstance:
    model = fork()
    return CostInstance.build(
        model.graph, profile(model, "edge", factor), profile(model, "cloud", factor), link, requests, wire
    )


def split_plan(one: CostInstance, execution: Execution = Execution.BRANCH_PIPELINED):
    """The stem on the edge and everything else in the cloud, for every request."""
    names = one.graph.index
    cut = frozenset(i for i in range(len(one.graph.layers)) if i <= names["conv2d"])
    return staged_plan(one, execution, [cut] * one.requests)
