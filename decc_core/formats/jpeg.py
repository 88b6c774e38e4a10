"""JPEG for inputs that are images of 8 bits: what cameras send, and what coded features have to compete with."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from decc_core.formats.format import Format, Values
from decc_core.network.graph import TensorSpec

COLOURS = {1: "L", 3: "RGB"}
LONGEST = 65_500
"""Pixels of a side that JPEG has room for."""
END = b"\xff\xd9"
MOST_PIXELS = 1 << 26


class Jpeg(Format):
    """Images of one or three colours, height and width before or behind them; several lie below each other."""

    lossless = False

    def __init__(self, quality: int) -> None:
        self.quality = quality
        self.name = f"jpeg{quality}"

    def takes(self, spec: TensorSpec) -> bool:
        layout = _layout(spec)
        if layout is None:
            return False
        height, width, _, _ = layout
        return 0 < height <= LONGEST and 0 < width <= LONGEST and height * width <= MOST_PIXELS

    def certain_bytes(self, spec: TensorSpec) -> int | None:
        return None if self.takes(spec) else spec.size_bytes

    def _coded(self, values: Values, spec: TensorSpec) -> bytes | None:
        height, width, colours, last = _known(spec)
        pixels = values if last else np.moveaxis(values, -3, -1)
        image = Image.fromarray(pixels.reshape((height, width) if colours == 1 else (height, width, colours)))
        written = io.BytesIO()
        image.save(written, "JPEG", quality=self.quality)
        return written.getvalue()

    def _values(self, data: memoryview, spec: TensorSpec) -> Values:
        height, width, colours, last = _known(spec)
        if data[-len(END) :] != END:
            raise self._damaged(spec, "the picture does not end with the message")
        try:
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                if image.size != (width, height) or image.mode != COLOURS[colours]:
                    raise self._damaged(
                        spec, f"it holds {image.width} x {image.height} pixels of mode {image.mode[:20]}"
                    )
                pixels = np.array(image)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            # The file decides what fails in there, and how.
            raise self._damaged(spec, "it holds no whole JPEG picture") from None
        if last:
            return pixels.reshape(spec.shape)
        channels_last = (*spec.shape[:-3], spec.shape[-2], spec.shape[-1], colours)
        return np.ascontiguousarray(np.moveaxis(pixels.reshape(channels_last), -1, -3))


def _layout(spec: TensorSpec) -> tuple[int, int, int, bool] | None:
    """Height of all images together, width, colours, and whether these come last; None of what is no image."""
    if spec.dtype != "uint8" or len(spec.shape) not in (3, 4):
        return None
    several = spec.shape[0] if len(spec.shape) == 4 else 1
    a, b, c = spec.shape[-3:]
    if a in COLOURS:
        return several * b, c, a, False
    return (several * a, b, c, True) if c in COLOURS else None


def _known(spec: TensorSpec) -> tuple[int, int, int, bool]:
    layout = _layout(spec)
    assert layout is not None
    return layout
