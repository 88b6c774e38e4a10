"""The honest file that every hostile one is made from, its parts, and where hostile ones are registered."""

from __future__ import annotations

import functools
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.load.archives import zipped
from tests.load.foreign_files import Marker

ROOT = "net"
NETWORK = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
Parts = dict[str, bytes]
Maker = Callable[[Parts, Path], bytes]
REFUSED: dict[str, Maker] = {}
DISARMED: dict[str, Maker] = {}


class Honest(nn.Module):
    """In-place work, dropout, a buffer that is not saved, and a weight whose storage is larger than itself."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 2)
        self.register_buffer("shift", torch.ones(4), persistent=False)
        self.scale = torch.ones(2, 2)[1]

    def forward(self, image):
        held = torch.relu_(self.conv(image)).mean((2, 3)) + self.shift
        return {"scores": self.head(nn.functional.dropout(held, 0.5, self.training)) * self.scale}


def example() -> tuple[torch.Tensor, ...]:
    return (torch.randn(1, 3, 8, 8),)


@functools.cache
def honest() -> bytes:
    """What `torch.export.save` writes."""
    return saved(Honest().eval(), example())


def saved(module: nn.Module, inputs: tuple[Any, ...], **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(module.eval(), inputs, **options), buffer)
    return buffer.getvalue()


def parts_of(archive: bytes) -> Parts:
    with zipfile.ZipFile(io.BytesIO(archive)) as read:
        return {name.partition("/")[2]: read.read(name) for name in read.namelist()}


def packed(parts: Parts, root: str = ROOT) -> bytes:
    return zipped([(f"{root}/{name}", content) for name, content in parts.items()])


def source_code(marker: Path) -> str:
    """An expression that creates the marker file when it is evaluated."""
    return f"__import__('pathlib').Path('{marker}').touch()"


def pickled(marker: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save((Marker(marker),), buffer)
    return buffer.getvalue()


def refused(make: Maker) -> Maker:
    REFUSED[make.__name__.replace("_", " ")] = make
    return make


def disarmed(make: Maker) -> Maker:
    DISARMED[make.__name__.replace("_", " ")] = make
    return make


def changed(parts: Parts, name: str, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The honest archive with one JSON part changed."""
    content = json.loads(parts[name])
    change(content)
    return packed(parts | {name: json.dumps(content).encode()})


def differs(name: str, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> None:
    """Register a file whose network differs in one thing; `change` gets the graph and the module around it."""

    def make(parts: Parts, marker: Path) -> bytes:
        return changed(parts, NETWORK, lambda found: change(found["graph_module"]["graph"], found["graph_module"]))

    REFUSED[name] = make


def ints(*values: int) -> list[dict[str, int]]:
    return [{"as_int": value} for value in values]
