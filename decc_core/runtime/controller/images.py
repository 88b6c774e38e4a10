"""Images from a folder as inputs of a network."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from decc_core.errors import UnreadableFile
from decc_core.network.graph import LayerGraph, TensorSpec
from decc_core.runtime.wire.assembly import TensorChunk, TensorHead, chunks_of

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, for networks that take normalised floats."""


def image_inputs(graph: LayerGraph, folder: Path, requests: int, seed: int) -> tuple[TensorChunk, ...]:
    """Inputs of all requests: every image input takes the next image of the folder, over and over.

    Images are resized to the network's size; inputs that are no images are random, drawn with the seed.
    """
    specs = [graph.layers[i].outputs[0] for i in graph.inputs]
    if not any(map(_is_image, specs)):
        raise UnreadableFile(f"'{graph.name}' takes no image; leave the folder out.")
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise UnreadableFile(f"Cannot read the folder {folder}: {error.strerror}.") from None
    if not files:
        raise UnreadableFile(f"{folder} holds no image ({', '.join(SUFFIXES)}).")

    generator, images = np.random.default_rng(seed), cycle(files)
    chunks: list[TensorChunk] = []
    for request in range(requests):
        for position, spec in enumerate(specs):
            data = _pixels(next(images), spec) if _is_image(spec) else _random(spec, generator)
            chunks += chunks_of(
                request, position, TensorHead(spec.dtype, spec.shape, tuple(range(len(spec.shape)))), data
            )
    return tuple(chunks)


def _is_image(spec: TensorSpec) -> bool:
    return len(spec.shape) == 4 and spec.shape[:2] == (1, 3) and spec.dtype in ("uint8", "float32")


def _pixels(path: Path, spec: TensorSpec) -> bytes:
    try:
        with Image.open(path) as image:
            resized = image.convert("RGB").resize((spec.shape[3], spec.shape[2]))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UnreadableFile(f"{path.name} is no readable image: {error}.") from None
    pixels = np.asarray(resized, np.uint8).transpose(2, 0, 1)
    if spec.dtype == "uint8":
        return bytes(pixels.tobytes())
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)
    normal = (pixels / np.float32(255) - mean[:, None, None]) / std[:, None, None]
    return bytes(normal.astype(np.float32).tobytes())


def _random(spec: TensorSpec, generator: np.random.Generator) -> bytes:
    if spec.dtype != "float32":
        return bytes(spec.size_bytes)
    return generator.standard_normal(spec.shape, np.float32).tobytes()
