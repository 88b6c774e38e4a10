"""The named tensors of a file of torch.save or of safetensors: what they are first, their bytes when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch

from decc_core.errors import RefusedFile, UnreadableFile
from decc_core.load import zips
from decc_core.load.kinds import remedies
from decc_core.load.kinds.kind import Kind
from decc_core.load.limits import Limits
from decc_core.text import first_line, listed

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
"""Where training programs keep the weights in a checkpoint; the first that is there counts."""
DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


@dataclass(frozen=True)
class Spec:
    """Shape and dtype of a tensor, of the file or of the network."""

    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype} {'x'.join(map(str, self.shape)) or 'scalar'}"

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Spec:
        return cls(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


@dataclass(frozen=True)
class WeightFile:
    """What a file holds: which tensors, what its user should know of them, and how to get one of them."""

    specs: dict[str, Spec]
    notes: tuple[str, ...]
    tensor: Callable[[str], torch.Tensor]


def open_weights(path: Path, kind: Kind) -> WeightFile:
    return _safetensors(path) if kind is Kind.SAFETENSORS else _torch_save(path)


def _safetensors(path: Path) -> WeightFile:
    """Reads one tensor at a time."""
    try:
        file: Any = safetensors.safe_open(path, framework="pt")
        stored = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
        specs = {
            key: Spec(tuple(tensor.get_shape()), DTYPES.get(tensor.get_dtype(), tensor.get_dtype()))
            for key, tensor in stored.items()
        }
    except (safetensors.SafetensorError, OSError) as error:
        raise UnreadableFile(f"The safetensors file cannot be read ({first_line(error)}); save it again.") from None
    return WeightFile(specs, (), file.get_tensor)


def _torch_save(path: Path) -> WeightFile:
    """Maps the file where that is possible, so that only tensors which are copied come into memory."""
    mapped = _can_be_mapped(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:
        # The file decides what fails in there, and how: torch has no error of its own for it.
        raise UnreadableFile(
            f"The weights cannot be read ({type(error).__name__}: {first_line(error)}); save them again with "
            "torch.save(model.state_dict(), 'weights.pt')."
        ) from None
    entries, notes = _unwrapped(content)
    tensors = {key: value for key, value in entries.items() if isinstance(key, str) and _is_plain(value)}
    if others := [str(key) for key in entries if key not in tensors]:
        notes += (f"{len(others)} entries are no plain tensors and were left out: {listed(others)}.",)
    return WeightFile({key: Spec.of(value) for key, value in tensors.items()}, notes, tensors.__getitem__)


def _can_be_mapped(path: Path) -> bool:
    """Archives can, if nothing in them is compressed: torch would take the packed bytes for weights."""
    with path.open("rb") as file:
        if file.read(len(zips.BEGINNING)) != zips.BEGINNING:
            return False
        archive = zips.opened(file, Limits.from_environment())
    return all(part.method == zips.STORED for part in archive.parts.values())


def _unwrapped(content: Any) -> tuple[Mapping[Any, Any], tuple[str, ...]]:
    """The dictionary of tensors, which may be one entry of a checkpoint."""
    if not isinstance(content, dict):
        raise RefusedFile(
            f"The file holds one {type(content).__name__} and no dictionary of named tensors.", remedies.WEIGHTS
        )
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), dict):
            left = [str(key) for key in content if key != wrapper]
            rest = f"; left out: {listed(left)}" if left else ""
            return content[wrapper], (f"The weights are the entry '{wrapper}' of a checkpoint{rest}.",)
    if not any(_is_plain(value) for value in content.values()):
        names = listed([str(key) for key in content]) or "none"
        raise RefusedFile(f"The file holds a dictionary without named tensors (entries: {names}).", remedies.WEIGHTS)
    return content, ()


def _is_plain(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout is torch.strided and value.device.type == "cpu"
