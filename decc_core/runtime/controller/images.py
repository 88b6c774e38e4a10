"""Images from a folder as inputs of a network."""

from __future__ import annotations

import io
import warnings
from functools import lru_cache
from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from decc_core import files
from decc_core.errors import UnreadableFile
from decc_core.network.graph import LayerGraph, TensorSpec
from decc_core.runtime.wire.assembly import TensorChunk, TensorHead, chunks_of
from decc_core.text import first_line, shown

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif")
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")
"""What these suffixes stand for; Pillow knows others, some of which start programs."""
MAX_FILES, MAX_IMAGE_BYTES = 100_000, 200_000_000
MAX_PIXELS = 64_000_000
"""Of one image, which takes up to eight bytes for each of them while it is unpacked."""
KEPT_IMAGES = 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, for networks that take normalised floats."""


def image_files(folder: Path) -> list[Path]:
    """The images of a folder, by name; refuses a folder without any."""
    found = files.in_folder(folder, SUFFIXES, MAX_FILES)
    if not found:
        raise UnreadableFile(f"{folder} holds no image ({', '.join(SUFFIXES)}).")
    return found


def image_inputs(graph: LayerGraph, folder: Path, requests: int, seed: int) -> tuple[TensorChunk, ...]:
    """Inputs of all requests: every image input takes the next image of the folder, over and over.

    Images are resized to the network's size; inputs that are no images are random, drawn with the seed.
    """
    specs = [graph.layers[i].outputs[0] for i in graph.inputs]
    if not any(map(_is_image, specs)):
        raise UnreadableFile(f"'{graph.name}' takes no image; leave the folder out.")
    generator, images = np.random.default_rng(seed % 2**63), cycle(image_files(folder))
    pixels = lru_cache(maxsize=KEPT_IMAGES)(_pixels)
    chunks: list[TensorChunk] = []
    for request in range(requests):
        for position, spec in enumerate(specs):
            data = pixels(next(images), spec) if _is_image(spec) else _random(spec, generator)
            chunks += chunks_of(
                request, position, TensorHead(spec.dtype, spec.shape, tuple(range(len(spec.shape)))), data
            )
    return tuple(chunks)


def _is_image(spec: TensorSpec) -> bool:
    return len(spec.shape) == 4 and spec.shape[:2] == (1, 3) and spec.dtype in ("uint8", "float32")


def _pixels(path: Path, spec: TensorSpec) -> bytes:
    content = files.read(path, MAX_IMAGE_BYTES, "the image")
    resized = _resized(content, (spec.shape[3], spec.shape[2]), path.name)
    pixels = np.asarray(resized, np.uint8).transpose(2, 0, 1)
    if spec.dtype == "uint8":
        return bytes(pixels.tobytes())
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)
    normal = (pixels / np.float32(255) - mean[:, None, None]) / std[:, None, None]
    return bytes(normal.astype(np.float32).tobytes())


def _resized(content: bytes, size: tuple[int, int], name: str) -> Image.Image:
    """The image in that size; how many pixels it has is told by its first bytes, before any is unpacked."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise _too_large(name)
                # A JPEG is unpacked no larger than it is needed.
                image.draft("RGB", size)
                return image.convert("RGB").resize(size)
    except UnreadableFile:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(name) from None
    except Exception as error:
        # The file decides what fails in there, and how: Pillow raises whatever its parts do.
        why = f"it is none of {', '.join(FORMATS)}" if isinstance(error, UnidentifiedImageError) else first_line(error)
        raise UnreadableFile(f"{shown(name)} is no readable image ({why}); take it out or save it anew.") from None


def _too_large(name: str) -> UnreadableFile:
    return UnreadableFile(f"{shown(name)} has more than {MAX_PIXELS / 1e6:g} million pixels; make it smaller.")


def _random(spec: TensorSpec, generator: np.random.Generator) -> bytes:
    if spec.dtype != "float32":
        return bytes(spec.size_bytes)
    return generator.standard_normal(spec.shape, np.float32).tobytes()
