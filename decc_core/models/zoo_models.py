"""The zoo's own modules: the 8-bit image input, and networks whose branches are real inputs of one device."""

from __future__ import annotations

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

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1) * 255)

    def forward(self, image: Tensor) -> Tensor:
        return (image.float() - self.mean) / self.std


class WithImageInputs(nn.Module):
    """A network whose first inputs are 8-bit images; further inputs pass unchanged."""

    def __init__(self, network: nn.Module, n_images: int) -> None:
        super().__init__()
        self.image_input = ImageInput()
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
