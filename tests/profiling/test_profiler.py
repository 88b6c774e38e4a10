"""The profiler covers every layer, calibrates to the whole, and leaves PyTorch as it was. No timing is asserted."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest
import torch
from torch import nn

from decc_core.errors import InvalidProfile
from decc_core.models.device import DeviceSettings
from decc_core.models.torch.extract import extract
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.profiling.profiler import profile
from decc_core.profiling.settings import ProfileSettings


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))
    return extract(module, (torch.randn(1, 3, 8, 8),), "small")


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_every_layer_has_a_time_and_the_sum_is_the_whole(small, memory_format):
    found = profile(small, ProfileSettings("here", DeviceSettings(1, memory_format), repeats=5))
    found.require_graph(small.graph)
    assert found.total_s == pytest.approx(found.whole_s)
    assert all(found.p95_s[name] >= time_s > 0 for name, time_s in found.median_s.items())


def test_provenance_describes_machine_and_settings(small):
    found = profile(small, ProfileSettings("here", DeviceSettings(1, onednn=False), repeats=2)).provenance
    assert found.kind is ProvenanceKind.MEASURED
    assert found.settings["threads"] == "1"
    assert found.settings["onednn"] == "off"
    assert {"processor", "cores", "memory", "torch"} <= found.machine.keys()


def test_pytorch_is_left_as_it_was(small):
    before = torch.get_num_threads(), torch.backends.mkldnn.enabled, torch.is_grad_enabled()
    profile(small, ProfileSettings("here", DeviceSettings(threads=1, onednn=False), repeats=1, warmup=0))
    assert (torch.get_num_threads(), torch.backends.mkldnn.enabled, torch.is_grad_enabled()) == before


def test_progress_counts_up_to_the_end(small):
    calls = []
    profile(small, ProfileSettings(repeats=2, warmup=1), lambda *call: calls.append(call))
    assert [call[:2] for call in calls] == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(("requests", "rests"), [(1, 10), (4, 3), (100, 1)])
def test_as_in_a_run_the_device_rests_and_no_pass_has_the_input_of_the_one_before(small, monkeypatch, requests, rests):
    slept, seen = [], []
    here, sleep = threading.get_ident(), time.sleep
    # Other tests' threads sleep on: they would spin, and fill the memory with what they wanted.
    monkeypatch.setattr(
        "decc_core.profiling.profiler.time.sleep",
        lambda seconds: slept.append(seconds) if threading.get_ident() == here else sleep(seconds),
    )
    load = type(small).load_inputs
    monkeypatch.setattr(type(small), "load_inputs", lambda self, inputs: seen.append(inputs[0]) or load(self, inputs))
    found = profile(small, ProfileSettings(repeats=4, warmup=1, requests_in_a_run=requests))
    assert found.provenance.settings["passes"] == f"rows of {requests} after a rest, on changing inputs"
    assert slept == [0.05] * rests
    assert len(seen) == 10
    assert all(not torch.equal(one, other) for one, other in pairwise(seen))


@pytest.mark.parametrize("wrong", [0, -1, 10**6])
def test_impossible_numbers_of_requests_are_refused(wrong):
    with pytest.raises(InvalidProfile, match="A run has no"):
        ProfileSettings(requests_in_a_run=wrong)


def test_passes_end_when_the_time_is_over_and_the_last_one_counts(small):
    calls = []
    found = profile(small, ProfileSettings(repeats=50, warmup=2, longest_s=0.0), lambda *call: calls.append(call))
    assert [call[2] for call in calls] == ["warming up", "done"]
    assert found.provenance.settings["repeats"] == "1"
    assert found.total_s == pytest.approx(found.whole_s)


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"memory_format": "diagonal"}, {"accelerator": "tpu"}])
def test_impossible_devices_are_refused(wrong):
    with pytest.raises(InvalidProfile):
        DeviceSettings(**wrong)


def test_impossible_numbers_of_repeats_are_refused():
    with pytest.raises(InvalidProfile):
        ProfileSettings(repeats=0)


@pytest.mark.parametrize(("calibration", "doubted"), [(1.0, ""), (1.4, ""), (0.6, ""), (3.0, "3.0"), (0.25, "4.0")])
def test_layers_that_do_not_add_up_to_the_whole_are_doubted(calibration, doubted):
    made = Provenance(ProvenanceKind.MEASURED, "made up for a test")
    found = DeviceProfile("d", "net", "f", {"a": 1.0}, {"a": 1.0}, 1.0, made, calibration).doubt
    assert found == (f"the layers one by one and the whole network differ {doubted} times" if doubted else "")


def test_the_fastest_of_a_few_passes_count_where_that_is_asked_for(small):
    found = profile(small, ProfileSettings("here", DeviceSettings(1), repeats=3, warmup=1, fastest=True))
    assert found.total_s == pytest.approx(found.whole_s)
    assert all(found.p95_s[name] >= time_s > 0 for name, time_s in found.median_s.items())
