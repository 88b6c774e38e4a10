"""Images as inputs of a network: those of a folder, or pixels that were read before."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import count
from pathlib import Path

import numpy as np

from decc_core import files
from decc_core.errors import UnreadableFile
from decc_core.load.images import MAX_IMAGE_BYTES, SUFFIXES, image_pixels, is_image
from decc_core.network.graph import LayerGraph, TensorSpec
from decc_core.runtime.wire.assembly import TensorChunk, TensorHead, chunks_of

MAX_FILES = 100_000
KEPT_IMAGES = 64


def image_files(folder: Path) -> list[Path]:
    """The images of a folder, by name; refuses a folder without any."""
    found = files.in_folder(folder, SUFFIXES, MAX_FILES)
    if not found:
        raise UnreadableFile(f"{folder} holds no image ({', '.join(SUFFIXES)}).")
    return found


def image_specs(graph: LayerGraph) -> tuple[TensorSpec, ...]:
    """What images a network takes, each kind once; refuses one that takes none."""
    specs = [graph.layers[i].outputs[0] for i in graph.inputs]
    found = tuple(dict.fromkeys(spec for spec in specs if is_image(spec)))
    if not found:
        raise UnreadableFile(f"'{graph.name}' takes no image; leave them out.")
    return found


def image_inputs(graph: LayerGraph, folder: Path, requests: int, seed: int) -> tuple[TensorChunk, ...]:
    """Inputs of all requests from the images of a folder, as `inputs_of` has them."""
    image_specs(graph)
    paths = image_files(folder)

    @lru_cache(maxsize=KEPT_IMAGES)
    def pixels(place: int, spec: TensorSpec) -> bytes:
        return image_pixels(files.read(paths[place], MAX_IMAGE_BYTES, "the image"), spec, paths[place].name)

    return inputs_of(graph, len(paths), pixels, requests, seed)


def inputs_of(
    graph: LayerGraph, images: int, pixels: Callable[[int, TensorSpec], bytes], requests: int, seed: int
) -> tuple[TensorChunk, ...]:
    """Inputs of all requests: every image input takes the next of so many images, over and over.

    `pixels` gives an image, by its number, in a network's size; inputs that are no images are random, drawn with the
    seed.
    """
    specs = [graph.layers[i].outputs[0] for i in graph.inputs]
    generator, places = np.random.default_rng(seed % 2**63), count()
    chunks: list[TensorChunk] = []
    for request in range(requests):
        for position, spec in enumerate(specs):
            data = pixels(next(places) % images, spec) if is_image(spec) else _random(spec, generator)
            chunks += chunks_of(
                request, position, TensorHead(spec.dtype, spec.shape, tuple(range(len(spec.shape)))), data
            )
    return tuple(chunks)


def _random(spec: TensorSpec, generator: np.random.Generator) -> bytes:
    if spec.dtype != "float32":
        return bytes(spec.size_bytes)
    return generator.standard_normal(spec.shape, np.float32).tobytes()
