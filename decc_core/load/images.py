"""Images as the pixels that a network takes: of a few kinds, of bounded size, resized to the network's."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

from decc_core.errors import UnreadableFile
from decc_core.network.graph import TensorSpec
from decc_core.text import first_line, shown

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif")
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")
"""What these suffixes stand for; Pillow knows others, some of which start programs."""
MAX_IMAGE_BYTES = 200_000_000
MAX_PIXELS = 64_000_000
"""Of one image, which takes up to eight bytes for each of them while it is unpacked."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, for networks that take normalised floats."""


def is_image(spec: TensorSpec) -> bool:
    """Whether an input of a network is one image."""
    return len(spec.shape) == 4 and spec.shape[:2] == (1, 3) and spec.dtype in ("uint8", "float32")


def image_pixels(content: bytes, spec: TensorSpec, name: str) -> bytes:
    """The content of an image file as the bytes of an input; `name` is what a sentence calls the file."""
    resized = _resized(content, (spec.shape[3], spec.shape[2]), name)
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
