"""Built-in networks by name: torchvision's, and branch-rich ones of our own in which one device has several inputs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from decc_core.errors import UnknownName

if TYPE_CHECKING:
    import torch

    from decc_core.models.torch.extract import ExtractedModel

LITE = "efficientnet_lite0"
RAW_FLOAT = "-float"
"""Suffix of the variant that takes a normalised float image instead of an 8-bit one."""
MULTIVIEW = re.compile(r"multiview(\d{1,4})", re.ASCII)
MIN_VIEWS, MAX_VIEWS = 2, 24
LISTED_VIEWS = (4, 6, 12)
SEED = 0
IMAGE_SIZES = {"inception_v3": 299, "swin_v2_t": 256, "swin_v2_s": 256, "swin_v2_b": 256}
DEFAULT_IMAGE_SIZE = 224


@dataclass(frozen=True)
class ZooModel:
    """A network in evaluation mode with seeded weights, and example inputs for it."""

    name: str
    family: str
    module: torch.nn.Module
    example_inputs: tuple[torch.Tensor, ...]


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """All names; every image network also exists with the suffix `-float`, and `multiviewN` for N from 2 to 24."""
    own = ("two_tower", "siamese", *(f"multiview{views}" for views in LISTED_VIEWS))
    return (*own, LITE, *_classifiers(), *_segmenters())


def family(name: str) -> str:
    """What kind of network a name stands for."""
    base = name.removesuffix(RAW_FLOAT)
    if base in ("two_tower", "siamese") or MULTIVIEW.fullmatch(base):
        return "several inputs"
    return "segmentation" if base in _segmenters() else "classification"


def build(name: str, pretrained: bool = False) -> ZooModel:
    """Build a network by name, with seeded random weights unless pretrained ones are asked for (and downloaded)."""
    import torch

    from decc_core.models import zoo_models

    base = name.removesuffix(RAW_FLOAT)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        if views := MULTIVIEW.fullmatch(base):
            maker: Callable[[], torch.nn.Module] = _multiview(name, int(views.group(1)))
            n_images, size = int(views.group(1)), DEFAULT_IMAGE_SIZE
        elif base in ("two_tower", "siamese"):
            maker = zoo_models.TwoTower if base == "two_tower" else zoo_models.Siamese
            n_images, size = (1 if base == "two_tower" else 2), DEFAULT_IMAGE_SIZE
        elif base == LITE:
            maker, n_images, size = zoo_models.EfficientNetLite0, 1, DEFAULT_IMAGE_SIZE
        elif base in _classifiers() or base in _segmenters():
            maker = _torchvision(base, pretrained)
            n_images, size = 1, IMAGE_SIZES.get(base, DEFAULT_IMAGE_SIZE)
        else:
            raise _unknown(name)
        module = maker()
        raw_float = name.endswith(RAW_FLOAT)
        if not raw_float:
            module = zoo_models.WithImageInputs(module, n_images)
        module = module.eval().requires_grad_(False)
        inputs = [_image(size, raw_float) for _ in range(n_images)]
        if base == "two_tower":
            inputs.append(torch.randn(1, 1, *zoo_models.SPECTROGRAM_SIZE))
    return ZooModel(name, family(name), module, tuple(inputs))


def _image(size: int, raw_float: bool) -> torch.Tensor:
    import torch

    shape = (1, 3, size, size)
    return torch.randn(shape) if raw_float else torch.randint(0, 256, shape, dtype=torch.uint8)


def extracted(name: str) -> ExtractedModel:
    """A network by name, ready to run."""
    from decc_core.models.torch.extract import extract

    network = build(name)
    return extract(network.module, network.example_inputs, network.name)


def is_known(name: str) -> bool:
    """Whether a name stands for a network, or for one with too many views, which `build` then says."""
    base = name.removesuffix(RAW_FLOAT)
    return bool(MULTIVIEW.fullmatch(base)) or base in names()


def require(name: str) -> None:
    """Refuse a name that stands for no network, with those that come close to it."""
    if not is_known(name):
        raise _unknown(name)


def _unknown(name: str) -> UnknownName:
    close = difflib.get_close_matches(name, names(), n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "`decc models` lists them."
    return UnknownName(f"There is no network '{name}'; {hint}")


def _multiview(name: str, views: int) -> Callable[[], torch.nn.Module]:
    from decc_core.models import zoo_models

    if not MIN_VIEWS <= views <= MAX_VIEWS:
        raise UnknownName(f"'{name}' has {views} views; choose {MIN_VIEWS} to {MAX_VIEWS}.")
    return lambda: zoo_models.MultiView(views)


@lru_cache(maxsize=1)
def _classifiers() -> tuple[str, ...]:
    from torchvision import models

    return tuple(models.list_models(module=models))


@lru_cache(maxsize=1)
def _segmenters() -> tuple[str, ...]:
    from torchvision import models

    return tuple(models.list_models(module=models.segmentation))


def _torchvision(name: str, pretrained: bool) -> Callable[[], torch.nn.Module]:
    from decc_core.models import zoo_models

    weights: dict[str, object] = {"weights": "DEFAULT" if pretrained else None}
    if name in _segmenters():
        backbone: dict[str, object] = {} if pretrained else {"weights_backbone": None}
        return lambda: zoo_models.MainOutput(_get_model(name, weights | backbone))
    # The two Inceptions initialise by a slow truncated normal unless told not to.
    quick: dict[str, object] = (
        {"init_weights": False} if name in ("googlenet", "inception_v3") and not pretrained else {}
    )
    return lambda: _get_model(name, weights | quick)


def _get_model(name: str, arguments: dict[str, object]) -> torch.nn.Module:
    from torchvision import models

    module: torch.nn.Module = models.get_model(name, **arguments)
    return module
