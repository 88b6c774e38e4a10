"""The zoo's own modules: the 8-bit image input, and networks whose branches are real inputs of one device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision import models

SPECTROGRAM_SIZE = (128, 256)
"""Mel bands and frames of the sound input of the two-tower network."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageInput(nn.Module):
    """Turns an 8-bit image into the normalised floats that the network was made for; a quarter of the bytes to send."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255)

    def forward(self, image: Tensor) -> Tensor:
        return (image.float() - self.mean) / self.std


class WithImageInputs(nn.Module):
    """A network whose first inputs are 8-bit images; further inputs pass unchanged."""

    def __init__(self, network: nn.Module, n_images: int) -> None:
        super().__init__()
        self.image_input = ImageInput(*getattr(network, "normalisation", (IMAGENET_MEAN, IMAGENET_STD)))
        self.network = network
        self.n_images = n_images

    def forward(self, *inputs: Tensor) -> Tensor:
        images = [self.image_input(image) for image in inputs[: self.n_images]]
        result: Tensor = self.network(*images, *inputs[self.n_images :])
        return result


class MainOutput(nn.Module):
    """A segmentation network without the dictionary around its output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.network(image)["out"]
        return result


def _resnet18_features() -> nn.Sequential:
    """ResNet-18 up to its global average pooling: 512 features of an image."""
    return nn.Sequential(*list(models.resnet18(weights=None).children())[:-1], nn.Flatten())


class MultiView(nn.Module):
    """A multi-view classifier after MVCNN (Su et al., ICCV 2015): shared features per view, pooled over the views."""

    def __init__(self, views: int, classes: int = 40) -> None:
        super().__init__()
        self.views = views
        self.features = _resnet18_features()
        self.classifier = nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, classes))

    def forward(self, *images: Tensor) -> Tensor:
        views = torch.stack([self.features(image) for image in images])
        result: Tensor = self.classifier(views.amax(dim=0))
        return result


class SpectrogramTower(nn.Module):
    """A VGG-like network over mel spectrograms: 512 features of a sound."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        channels = 1
        for width in (32, 64, 128, 256, 512):
            blocks += [_conv(channels, width), _conv(width, width), nn.MaxPool2d(2)]
            channels = width
        self.blocks = nn.Sequential(*blocks)

    def forward(self, spectrogram: Tensor) -> Tensor:
        result: Tensor = self.blocks(spectrogram)
        return result.mean(dim=(2, 3))


def _conv(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())


class TwoTower(nn.Module):
    """Late fusion of a camera and a microphone: one tower each, then a small head over both."""

    def __init__(self, classes: int = 50) -> None:
        super().__init__()
        self.image_tower = _resnet18_features()
        self.sound_tower = SpectrogramTower()
        self.head = nn.Sequential(nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, classes))

    def forward(self, image: Tensor, spectrogram: Tensor) -> Tensor:
        both = torch.cat([self.image_tower(image), self.sound_tower(spectrogram)], dim=1)
        result: Tensor = self.head(both)
        return result


class Siamese(nn.Module):
    """Are two images of the same thing? Shared features, then a small head over their difference."""

    def __init__(self) -> None:
        super().__init__()
        self.features = _resnet18_features()
        self.head = nn.Sequential(nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 1), nn.Sigmoid())

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        result: Tensor = self.head((self.features(first) - self.features(second)).abs())
        return result


class _SamePadding(nn.Conv2d):
    """A convolution that pads as TensorFlow does: where the stride skips a row, below and to the right alone."""

    def __init__(self, inner: int, outer: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        more = kernel - stride
        super().__init__(inner, outer, kernel, stride, 0 if stride > 1 else more // 2, groups=groups, bias=False)
        self.around = (more // 2, more - more // 2) * 2 if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.around is None else nn.functional.pad(x, self.around))


class _LiteBlock(nn.Module):
    """An inverted residual block: widen, one filter a channel, narrow again."""

    def __init__(self, inner: int, outer: int, kernel: int, stride: int, widened: int) -> None:
        super().__init__()
        wide = inner * widened
        if widened > 1:
            self._expand_conv = _SamePadding(inner, wide)
            self._bn0 = nn.BatchNorm2d(wide, eps=1e-3)
        self._depthwise_conv = _SamePadding(wide, wide, kernel, stride, groups=wide)
        self._bn1 = nn.BatchNorm2d(wide, eps=1e-3)
        self._project_conv = _SamePadding(wide, outer)
        self._bn2 = nn.BatchNorm2d(outer, eps=1e-3)
        self.widens, self.adds = widened > 1, stride == 1 and inner == outer

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = nn.functional.relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return y + x if self.adds else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0, which Google made for phones: no squeeze and excitation, ReLU6 (224 x 224, 1000 classes).

    Its parts are called as in the package `efficientnet_lite_pytorch`, whose weights therefore fit as they are.
    """

    normalisation = ((127 / 255,) * 3, (128 / 255,) * 3)
    stages = (
        (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    )  # fmt: skip
    """Blocks, kernel, stride of the first, how much they widen, channels."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SamePadding(3, 32, 3, 2)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks, inner = list[nn.Module](), 32
        for many, kernel, stride, widened, outer in self.stages:
            for place in range(many):
                blocks.append(_LiteBlock(inner, outer, kernel, 1 if place else stride, widened))
                inner = outer
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _SamePadding(320, 1280)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, image: Tensor) -> Tensor:
        x = nn.functional.relu6(self._bn0(self._conv_stem(image)))
        for block in self._blocks:
            x = block(x)
        x = nn.functional.relu6(self._bn1(self._conv_head(x)))
        result: Tensor = self._fc(x.mean(dim=(2, 3)))
        return result
