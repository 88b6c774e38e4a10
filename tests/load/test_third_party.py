"""Networks that others wrote come back from their files: the outputs, a plan, and a live run that splits them.

Each architecture of timm is exported, read by the locked-down process, planned, and run on two local workers.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import onnxruntime
import pytest
import torch

from decc_core.load.process.loader import load_file
from decc_core.models import portable
from decc_core.models.model import Model
from decc_core.models.onnx.model import OnnxModel
from decc_core.models.ref import NetworkRef
from decc_core.planner.strategies import solve
from decc_core.plans.check import check_plan
from decc_core.problem.constraints import Constraints, first_layers
from decc_core.problem.instance import CostInstance
from decc_core.problem.link import Link
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.runtime.controller.live import local_workers
from decc_core.runtime.controller.report import RunSettings
from decc_core.runtime.wire.pacing import LinkShape

timm = pytest.importorskip("timm")

QUICK = ("test_coatnet",)
SLOW = (
    # Convolutions.
    "resnet10t", "res2net50_26w_4s", "resnest14d", "skresnet18", "densenet121", "dla34", "dpn48b", "hrnet_w18_small",
    "regnety_002", "repvgg_a0", "ese_vovnet19b_dw", "efficientnet_lite0", "mobilenetv3_small_050", "ghostnet_050",
    "tinynet_e", "lcnet_050", "mnasnet_small", "convnext_atto", "inception_next_atto", "nf_regnet_b0",
    # Attention.
    "deit_tiny_patch16_224", "pit_ti_224", "crossvit_tiny_240", "xcit_nano_12_p8_224", "swin_tiny_patch4_window7_224",
    "mvitv2_tiny",
    # Both, or neither.
    "levit_128s", "coat_lite_tiny", "mobilevit_xxs", "edgenext_xx_small", "efficientvit_b0", "bat_resnext26ts",
    "poolformer_s12", "mixer_s32_224", "resmlp_12_224", "gmlp_ti16_224",
)  # fmt: skip
UNDER_AUTOCAST = ("efficientvit_b0",)
"""Computes attention in a block that a `.pt2` file keeps as a network of its own, unless it is told to dissolve it."""
LINK = Link(uplink_bps=100e6, downlink_bps=100e6, rtt_s=0.002)
DEVICE_S = 0.05
REQUESTS = 2
CLOSE = 1e-3
"""ONNX Runtime's kernels sum in another order than PyTorch's."""


@dataclass(frozen=True)
class Sent:
    """A network, an image for it, the file that it was exported to, and what was read from that file."""

    module: torch.nn.Module
    image: torch.Tensor
    file: Path
    data: tuple[bytes, bytes]
    model: Model

    def by_the_module(self) -> torch.Tensor:
        with torch.no_grad():
            return self.module(self.image)

    def by_onnx_runtime(self) -> torch.Tensor:
        """Of the file as it was sent, optimised as far as our reader does it."""
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        session = onnxruntime.InferenceSession(self.file.read_bytes(), options, ["CPUExecutionProvider"])
        return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: self.image.numpy()})[0])


@pytest.fixture(scope="module")
def workers():
    with local_workers() as pair:
        yield pair


@pytest.fixture(scope="module", params=["pt2", "onnx"])
def kind(request):
    return request.param


@pytest.fixture(scope="module", params=[*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def sent(request, kind, tmp_path_factory):
    module, image = network(request.param)
    folder = tmp_path_factory.mktemp("sent")
    file = folder / f"{request.param}.{kind}"
    export(request.param, module, image, file)
    data = load_file(file, folder / "read", measured=False).data()
    yield Sent(module, image, file, data, portable.from_data(*data))
    for one in folder.rglob("*"):
        if one.is_file():
            one.unlink()


def network(name):
    """A network in which every weight counts: timm begins many at 0 or 1, where they would hide what goes wrong."""
    torch.manual_seed(0)
    module = timm.create_model(name, pretrained=False).eval()
    with torch.no_grad():
        for weight in module.parameters():
            if weight.min() == weight.max():
                weight.add_(0.1 * torch.randn(weight.shape))
        for part in module.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean.copy_(0.1 * torch.randn(part.running_mean.shape))
                part.running_var.copy_(0.5 + torch.rand(part.running_var.shape))
    return module, torch.randn(1, *module.default_cfg["input_size"])


def export(name, module, image, file):
    """As a person would do it."""
    if file.suffix == ".pt2":
        program = torch.export.export(module, (image,))
        torch.export.save(program.run_decompositions({}) if name in UNDER_AUTOCAST else program, file)
        return
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (image,), file, dynamo=True, external_data=False, verbose=False)


def test_a_third_party_network_computes_what_it_computed_where_it_was_exported(sent):
    expected = sent.by_the_module()
    assert expected.std() > 0
    if isinstance(sent.model, OnnxModel):
        (found,) = replace(sent.model, threads=1).run((sent.image,))
        assert torch.equal(found, sent.by_onnx_runtime()), "bit for bit as ONNX Runtime computes the file"
        assert (found - expected).abs().max() <= CLOSE * expected.abs().max()
    else:
        (found,) = sent.model.run((sent.image,))
        assert torch.equal(found, expected), "bit for bit as the module"


def test_a_live_run_that_splits_a_third_party_network_gives_the_outputs_of_the_whole(sent, workers):
    one = split_in_the_middle(sent.model)
    plan = solve(one, "decc").plan
    check_plan(one, plan)
    workers.load(NetworkRef("sent", sent.data))
    report = workers.run(one, plan, RunSettings(LinkShape.of(LINK), dilation=1.0))
    assert report.failure is None
    assert report.outputs_equal, "bit for bit"


def split_in_the_middle(model):
    """Two requests whose first layers must run on the edge and whose last ones in the cloud, a third of all each."""
    graph, layers = model.graph, len(model.graph.layers)
    constraints = Constraints(first_layers(graph, layers // 3), frozenset(range(layers - layers // 3, layers)))
    edge, cloud = (profile(model, side) for side in ("edge", "cloud"))
    return CostInstance.build(graph, edge, cloud, LINK, REQUESTS, constraints=constraints)


def profile(model, device):
    """As if all layers took equally long."""
    graph = model.graph
    times = dict.fromkeys(model.layer_names, DEVICE_S / len(model.layer_names))
    made_up = Provenance(ProvenanceKind.SCALED, "made up for a test")
    return DeviceProfile(device, graph.name, graph.fingerprint, times, times, DEVICE_S, made_up)
