"""Layers on a GPU, where this machine has one: a CPU edge and a GPU cloud run plans together."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from decc_core.models.device import DeviceSettings
from decc_core.models.ref import NetworkRef
from decc_core.models.torch.extract import extract
from decc_core.network.work import Resource
from decc_core.problem.profile import ProvenanceKind
from decc_core.profiling.profiler import profile
from decc_core.profiling.settings import ProfileSettings
from decc_core.runtime.controller.live import local_workers
from decc_core.runtime.controller.report import RunSettings, Speed
from decc_core.runtime.wire.pacing import LinkShape
from tests.runtime.networks import LINK, fork, instance, split_plan
from tests.runtime.test_live import check_trace

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use")

GPU = DeviceSettings(threads=1, accelerator="cuda")
CONVOLUTIONS_IN_TF32 = 1e-2


@pytest.mark.parametrize("speed", Speed)
def test_a_cpu_edge_and_a_gpu_cloud_run_a_plan_together(speed):
    one = instance(requests=3)
    plan = split_plan(one)
    with local_workers() as workers:
        workers.load(NetworkRef.of(fork()))
        report = workers.run(one, plan, RunSettings(LinkShape.of(LINK), speed, cloud_device=GPU))
    assert report.failure is None
    assert not report.unfinished
    assert report.max_abs_diff < CONVOLUTIONS_IN_TF32
    check_trace(plan, report)


def test_a_worker_measures_on_its_gpu():
    with local_workers() as workers:
        workers.load(NetworkRef.of(fork()))
        measured = workers.profile(Resource.CLOUD, ProfileSettings("gpu", GPU, repeats=3))
    assert measured.provenance.kind is ProvenanceKind.MEASURED
    assert measured.provenance.settings["accelerator"] == "cuda"
    assert torch.cuda.get_device_name() in measured.provenance.source
    assert set(measured.median_s) == set(fork().layer_names)


def test_layers_on_a_gpu_are_timed_until_they_are_done_not_until_they_are_started():
    """Products of large matrices: starting one takes microseconds, computing it milliseconds."""

    class Products(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.mm(torch.mm(x, x), x)

    model = extract(Products(), (torch.randn(8192, 8192),), "products")
    measured = profile(model, replace(ProfileSettings("gpu", GPU, repeats=3), warmup=2))
    assert min(measured.median_s.values()) > 1e-3
