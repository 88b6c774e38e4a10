"""Networks that others wrote, through the whole product: `python -m benchmarks.outside [--packages NAME ...]`.

Each network of a package that is installed (timm, transformers, ultralytics, segmentation_models_pytorch, open_clip) is
built with random weights, exported with `torch.export` as a person would, read from its `.pt2` file by the locked-down
process, compared with the module, planned for one request, split into files, and run on two worker processes with a cut
in its middle. Nothing of it is on a list of ours: `pip install transformers ultralytics segmentation-models-pytorch
open_clip_torch timm` brings what is missing, and what is not there is left out. `onnx` stands for the 2,000 test models
of that package, whose recorded inputs are run and compared with ONNX Runtime.

The closing line has, of the networks that `torch.export` exports: how many there were, the share that is taken with the
module's outputs, split and run to the same bits, how many gave something else (wrong) or failed without a sentence
(faults), and the longest planning time in seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib
import io
import json
import logging
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from torch.utils import _pytree as pytree

from benchmarks import outside_onnx
from decc_core.errors import DeccError
from decc_core.load.process.loader import load_file
from decc_core.models import portable
from decc_core.models.model import Model
from decc_core.models.ref import NetworkRef
from decc_core.planner.strategies import solve
from decc_core.problem.constraints import Constraints, first_layers
from decc_core.problem.instance import CostInstance
from decc_core.problem.link import Link
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.runtime.controller.live import Workers, local_workers
from decc_core.runtime.controller.report import RunSettings
from decc_core.runtime.wire.pacing import LinkShape
from decc_core.split.write import split
from decc_core.store import SavedPlan

LINK = Link(uplink_bps=100e6, downlink_bps=100e6, rtt_s=0.002)
EDGE_S, CLOUD_S = 0.1, 0.025
CLOSE = 1e-4
"""Of the largest value: attention has kernels outside an export that round otherwise."""
Built = tuple[torch.nn.Module, tuple[Any, ...], dict[str, Any]]
"""A network, and the inputs that it is exported with, by position and by name."""


class Outcome(StrEnum):
    RIGHT = "taken, and right"
    REFUSED = "refused"
    WRONG = "WRONG"
    FAULT = "FAULT"
    NOT_EXPORTED = "not exported by torch"


@dataclass(frozen=True)
class Row:
    """What became of one network."""

    package: str
    network: str
    outcome: Outcome
    why: str = ""
    layers: int = 0
    plan_s: float = 0.0


# -- networks --


def timm_networks() -> Iterator[tuple[str, Callable[[], Built]]]:
    timm = importlib.import_module("timm")
    names = (
        "resnet10t", "convnext_atto", "ghostnet_050", "mobilenetv3_small_050", "regnety_002", "densenet121", "dla34",
        "deit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "mobilevit_xxs", "mixer_s32_224", "poolformer_s12",
    )  # fmt: skip

    def build(name: str) -> Built:
        module = timm.create_model(name, pretrained=False)
        return module, (torch.randn(1, *module.default_cfg["input_size"]),), {}

    yield from ((name, lambda name=name: build(name)) for name in names)


SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 100,
    "d_model": 32, "max_position_embeddings": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "dim": 32, "n_layers": 2,
    "n_heads": 4, "hidden_dim": 64, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "ffn_dim": 64,
    "word_embed_proj_dim": 32, "num_key_value_heads": 4, "head_dim": 8, "embedding_size": 32, "true_hidden_size": 32,
    "intra_bottleneck_size": 32, "num_layers": 2, "num_heads": 4, "d_ff": 64, "d_kv": 8, "image_size": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
"""Sizes of every family's configuration, under each family's names; a family takes those that it knows."""
TEXT = (
    "Bert", "Roberta", "DistilBert", "Albert", "Electra", "MobileBert", "DebertaV2", "MPNet", "XLMRoberta", "Camembert",
    "OPT", "Llama", "Mistral", "Qwen2", "Phi", "Phi3", "Gemma", "GPT2", "GPTNeoX", "Bloom", "Falcon", "StableLm",
)  # fmt: skip
IMAGES = (
    "ViT",
    "DeiT",
    "Swin",
    "Segformer",
    "Dinov2",
    "Beit",
    "MobileViT",
    "ConvNext",
    "ResNet",
    "PoolFormer",
    "Levit",
)
SOUND = ("Wav2Vec2", "Hubert", "WavLM")


def transformers_networks() -> Iterator[tuple[str, Callable[[], Built]]]:
    hf = importlib.import_module("transformers")

    def configured(family: str, **more: Any) -> Any:
        config = getattr(hf, f"{family}Config")
        known = config()
        own = {name for name in {**SMALL, **more} if hasattr(known, name)}
        own -= {name for name in own if isinstance(getattr(config, name, None), property)}
        return config(**{name: value for name, value in {**SMALL, **more}.items() if name in own})

    def model(family: str, suffix: str = "Model", **more: Any) -> torch.nn.Module:
        module: torch.nn.Module = getattr(hf, family + suffix)(configured(family, **more))
        return module

    ids = torch.arange(12)[None] % 90 + 3
    mask = (ids < 12).long()

    def text(family: str) -> Built:
        # A cache of keys and values is no tensor; whoever exports a decoder asks for none.
        more = {"use_cache": False} if hasattr(getattr(hf, f"{family}Config")(), "use_cache") else {}
        return model(family), (), {"input_ids": ids, "attention_mask": mask, **more}

    def clip() -> Built:
        config = hf.CLIPConfig(
            text_config={**SMALL, "eos_token_id": 99}, vision_config={**SMALL, "patch_size": 16}, projection_dim=16
        )
        images = torch.randn(1, 3, 64, 64)
        return hf.CLIPModel(config), (), {"input_ids": ids, "pixel_values": images, "attention_mask": mask}

    for family in TEXT:
        yield family, lambda family=family: text(family)
    for family in IMAGES:
        size = {"image_size": 224} if family in ("Levit", "Swin") else {}
        more = {} if family in ("Swin", "Segformer", "MobileViT", "ConvNext", "ResNet", "PoolFormer", "Levit") else size
        pixels = torch.randn(1, 3, 224 if family in ("Levit", "Swin", "MobileViT") else 64, 224 if size else 64)
        if family == "MobileViT":
            pixels = torch.randn(1, 3, 256, 256)

        def image(family: str = family, more: Any = more, pixels: torch.Tensor = pixels) -> Built:
            plain = family in ("Swin", "Segformer", "MobileViT", "ConvNext", "ResNet", "PoolFormer", "Levit")
            module = getattr(hf, f"{family}Model")(getattr(hf, f"{family}Config")()) if plain else model(family, **more)
            return module, (), {"pixel_values": pixels}

        yield family, image
    sizes = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    for family in SOUND:
        yield family, lambda family=family: (model(family, **sizes), (), {"input_values": torch.randn(1, 2000)})
    yield "CLIP", clip
    yield "T5Encoder", lambda: (hf.T5EncoderModel(configured("T5")), (), {"input_ids": ids, "attention_mask": mask})
    yield (
        "WhisperEncoder",
        lambda: (
            hf.models.whisper.modeling_whisper.WhisperEncoder(configured("Whisper", max_source_positions=50)),
            (torch.randn(1, 80, 100),),
            {},
        ),
    )


def ultralytics_networks() -> Iterator[tuple[str, Callable[[], Built]]]:
    yolo = importlib.import_module("ultralytics").YOLO
    for name in ("yolov5n", "yolov8n", "yolov8n-seg", "yolov8n-pose", "yolov8n-cls", "yolo11n", "yolo12n", "yolov10n"):
        yield (
            name,
            lambda name=name: (yolo(f"{name}.yaml", verbose=False).model.float(), (torch.randn(1, 3, 128, 128),), {}),
        )


def segmentation_networks() -> Iterator[tuple[str, Callable[[], Built]]]:
    smp = importlib.import_module("segmentation_models_pytorch")
    for name in ("Unet", "UnetPlusPlus", "DeepLabV3Plus", "FPN", "PSPNet", "Linknet", "MAnet", "PAN"):
        yield (
            name,
            lambda name=name: (getattr(smp, name)("resnet18", encoder_weights=None), (torch.randn(1, 3, 64, 64),), {}),
        )


def open_clip_networks() -> Iterator[tuple[str, Callable[[], Built]]]:
    clip = importlib.import_module("open_clip")

    def build(name: str) -> Built:
        return clip.create_model(name), (torch.randn(1, 3, 224, 224), torch.arange(77)[None]), {}

    yield from ((name, lambda name=name: build(name)) for name in ("ViT-S-32-alt",))


PACKAGES: dict[str, Callable[[], Iterator[tuple[str, Callable[[], Built]]]]] = {
    "timm": timm_networks,
    "transformers": transformers_networks,
    "ultralytics": ultralytics_networks,
    "segmentation_models_pytorch": segmentation_networks,
    "open_clip": open_clip_networks,
}


ONNX = "onnx"


# -- what becomes of them --


def examined(package: str, name: str, build: Callable[[], Built], workers: Workers, place: Path) -> Row:
    """One network, through everything."""
    file, row = place / "net.pt2", Row(package, name, Outcome.FAULT)
    file.unlink(missing_ok=True)
    try:
        torch.manual_seed(0)
        module, inputs, named = build()
        module.eval()
        with torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
            # Before: an export may leave tensors without values behind in the module.
            told = module(*copy.deepcopy(inputs), **copy.deepcopy(named))
            torch.export.save(torch.export.export(module, inputs, named), file)
    except Exception as error:
        return replace(row, outcome=Outcome.NOT_EXPORTED, why=f"{type(error).__name__}: {str(error).splitlines()[:1]}")
    with tempfile.TemporaryDirectory(dir=place) as folder:
        try:
            loaded = load_file(file, Path(folder) / "read", measured=False)
            model = portable.from_data(*loaded.data())
        except DeccError as error:
            return replace(row, outcome=Outcome.REFUSED, why=str(error))
        row = replace(row, layers=len(model.graph.layers))
        try:
            left_out = sum("left out" in note for note in loaded.notes)
            if why := _difference(told, (inputs, named), model, left_out):
                return replace(row, outcome=Outcome.WRONG, why=why)
            row = replace(row, plan_s=_planned(model))
            instance = instance_of(model, requests=2, thirds=True)
            plan = solve(instance, "decc").plan
            split(model, SavedPlan(model.graph.name, model.graph.fingerprint, plan, "decc"), Path(folder) / "pieces")
            workers.load(NetworkRef("sent", loaded.data()))
            report = workers.run(instance, plan, RunSettings(LinkShape.of(LINK), dilation=1.0))
        except Exception as error:
            return replace(row, why=f"{type(error).__name__}: {error}")
    if report.failure or not report.outputs_equal:
        return replace(row, outcome=Outcome.WRONG, why=report.failure or report.outputs_text)
    return replace(row, outcome=Outcome.RIGHT)


def _difference(told: Any, inputs: Any, model: Model, left_out: int) -> str:
    """What the file's network gives otherwise than the module did; empty where it gives the same."""
    expected = [value for value in pytree.tree_leaves(told) if isinstance(value, torch.Tensor)]
    given = [value for value in pytree.tree_leaves(inputs) if isinstance(value, torch.Tensor)]
    found = model.run(given)
    if len(found) + left_out != len(expected):
        return f"{len(found)} outputs, and {left_out} left out, instead of {len(expected)}"
    first = 0
    for one in found:
        # Which outputs were left out is not told: constants between those that are there are passed over.
        apart = [_apart(one, other) for other in expected[first : first + left_out + 1]]
        close = next((i for i, why in enumerate(apart) if not why), None)
        if close is None:
            return apart[0]
        first, left_out = first + close + 1, left_out - close
    return ""


def _apart(one: torch.Tensor, other: torch.Tensor) -> str:
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{one.dtype} {tuple(one.shape)} instead of {other.dtype} {tuple(other.shape)}"
    apart = float((one.double() - other.double()).abs().nan_to_num().max()) if one.numel() else 0.0
    largest = float(other.double().abs().nan_to_num().max()) if one.numel() else 0.0
    return f"differs by {apart:g}" if apart > CLOSE * max(1.0, largest) else ""


def instance_of(model: Model, requests: int, thirds: bool = False) -> CostInstance:
    """All layers take equally long; with `thirds` the first must run on the edge, and the last in the cloud."""
    graph, layers = model.graph, len(model.graph.layers)
    last = frozenset(range(layers - layers // 3, layers)) - set(graph.inputs)
    computing = layers - len(graph.inputs)
    kept = Constraints(first_layers(graph, computing // 3) - last, last) if thirds else Constraints()
    edge, cloud = (_even(model, device, time_s) for device, time_s in (("edge", EDGE_S), ("cloud", CLOUD_S)))
    return CostInstance.build(graph, edge, cloud, LINK, requests, constraints=kept)


def _even(model: Model, device: str, time_s: float) -> DeviceProfile:
    times = dict.fromkeys(model.layer_names, time_s / len(model.layer_names))
    made_up = Provenance(ProvenanceKind.SCALED, "all layers alike")
    return DeviceProfile(device, model.graph.name, model.graph.fingerprint, times, times, time_s, made_up)


def _planned(model: Model) -> float:
    """Seconds to the plan of one request."""
    instance = instance_of(model, requests=1)
    began = time.perf_counter()
    solve(instance, "decc")
    return time.perf_counter() - began


def networks(packages: Sequence[str], only: str) -> Iterator[tuple[str, str, Callable[[], Built]]]:
    for package in packages:
        if package == ONNX:
            continue
        try:
            found = list(PACKAGES[package]())
        except ImportError as error:
            print(f"{package} is left out: {error}", flush=True)
            continue
        yield from ((package, name, build) for name, build in found if only in name)


def closing_line(rows: Sequence[Row]) -> str:
    exported = [row for row in rows if row.outcome is not Outcome.NOT_EXPORTED]
    counts = Counter(row.outcome for row in exported)
    return (
        f"networks={len(exported)} right={counts[Outcome.RIGHT] / max(1, len(exported)):.3f} "
        f"refused={counts[Outcome.REFUSED]} wrong={counts[Outcome.WRONG]} faults={counts[Outcome.FAULT]} "
        f"longest_plan_s={max((row.plan_s for row in rows), default=0.0):.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--packages", nargs="*", choices=[*PACKAGES, ONNX], default=[*PACKAGES, ONNX])
    parser.add_argument("--only", default="", help="only networks with this in their names")
    parser.add_argument("--output", type=Path, help="JSON file for the rows")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as place, local_workers() as workers:
        for package, name, build in networks(options.packages, options.only):
            row = examined(package, name, build, workers, Path(place))
            rows.append(row)
            why = (
                f": {' '.join(row.why.split())[:300]}"
                if row.why
                else f", {row.layers} layers, planned in {row.plan_s:.2f} s"
            )
            print(f"{package} {name}: {row.outcome}{why}", flush=True)
            if options.output:
                options.output.write_text(json.dumps([asdict(one) for one in rows], indent=1))
    models = list(track(outside_onnx.rows(options.only), ONNX, transient=True)) if ONNX in options.packages else []
    if models:
        print(f"\n{outside_onnx.report(models)}\n")
    print(closing_line(rows), outside_onnx.closing_line(models) if models else "")


if __name__ == "__main__":
    main()
