"""A model as data, as it travels to workers and lies in files: its layers as JSON, and its tensors."""

from __future__ import annotations

from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import msgspec

from decc_core.errors import DeccError, UnreadableFile
from decc_core.models.model import Model
from decc_core.models.runtime import VERSION
from decc_core.models.runtimes import RUNTIMES, runtime_of

_BY_LAYERS = {runtime.layers_type: runtime for runtime in RUNTIMES.values()}
_LAYERS: Any = reduce(or_, _BY_LAYERS)


def to_data(model: Model) -> tuple[bytes, bytes]:
    """The model as JSON and tensors."""
    return runtime_of(model).to_data(model)


def write(model: Model, layers_file: Path, tensors_file: Path) -> None:
    """What `to_data` gives, into two files."""
    runtime_of(model).write_data(model, layers_file, tensors_file)


def from_data(layers: bytes, tensors: bytes) -> Model:
    """The model again; every malformed part is refused with one sentence, and nothing of it is executed."""
    try:
        content = msgspec.json.decode(layers, type=_LAYERS)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, DeccError):
            raise error.__cause__ from None
        raise UnreadableFile(f"The model's layers are not valid: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableFile(f"The model's layers are not JSON: {error}.") from None
    if content.version != VERSION:
        raise UnreadableFile(f"The model has version {content.version}; this program reads version {VERSION}.")
    model: Model = _BY_LAYERS[type(content)].from_data(content, tensors)
    return model
