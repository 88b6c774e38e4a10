"""The named tensors of a file of torch.save or of safetensors: what they are first, their bytes when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import safetensors
import torch

from decc_core.errors import RefusedFile, UnreadableFile
from decc_core.load.kinds import remedies
from decc_core.load.kinds.kind import Kind
from decc_core.load.kinds.safetensors_header import read_header
from decc_core.load.limits import Limits
from decc_core.load.zips.listing import LOCAL, STORED, listing
from decc_core.text import listed

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
"""Where training programs keep the weights in a checkpoint; the first that is there counts."""
DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
LONGEST_REASON = 160


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


class WeightFile(Protocol):
    specs: dict[str, Spec]
    notes: tuple[str, ...]

    def tensor(self, key: str) -> torch.Tensor: ...


def open_weights(path: Path, kind: Kind) -> WeightFile:
    return _Safetensors(path) if kind is Kind.SAFETENSORS else _TorchSave(path)


class _Safetensors:
    """Reads one tensor at a time."""

    def __init__(self, path: Path) -> None:
        self.notes: tuple[str, ...] = ()
        self.specs = {
            key: Spec(tensor.shape, DTYPES.get(tensor.dtype, tensor.dtype))
            for key, tensor in read_header(path, path.name).items()
        }
        try:
            self.file: Any = safetensors.safe_open(path, framework="pt")
        except (safetensors.SafetensorError, OSError) as error:
            raise UnreadableFile(f"The safetensors file cannot be read ({_reason(error)}); save it again.") from None

    def tensor(self, key: str) -> torch.Tensor:
        found: torch.Tensor = self.file.get_tensor(key)
        return found


class _TorchSave:
    """Maps the file where that is possible, so that only tensors which are copied come into memory."""

    def __init__(self, path: Path) -> None:
        mapped = _can_be_mapped(path)
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except Exception as error:
            # The file decides what fails in there, and how: torch has no error of its own for it.
            raise UnreadableFile(
                f"The weights cannot be read ({type(error).__name__}: {_reason(error)}); save them again with "
                "torch.save(model.state_dict(), 'weights.pt')."
            ) from None
        entries, self.notes = _unwrapped(content)
        self.tensors: dict[str, torch.Tensor] = {
            key: value for key, value in entries.items() if isinstance(key, str) and _is_plain(value)
        }
        others = [str(key) for key in entries if key not in self.tensors]
        if others:
            self.notes += (f"{len(others)} entries are no plain tensors and were left out: {listed(others)}.",)
        self.specs = {key: Spec.of(value) for key, value in self.tensors.items()}

    def tensor(self, key: str) -> torch.Tensor:
        return self.tensors[key]


def _can_be_mapped(path: Path) -> bool:
    """Archives can, if nothing in them is compressed: torch would take the packed bytes for weights."""
    with path.open("rb") as file:
        if file.read(4) != LOCAL:
            return False
        return all(entry.method == STORED for entry in listing(file, path.name, Limits.from_environment()))


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


def _reason(error: Exception) -> str:
    """The first line of a foreign error, as part of a sentence."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
    clean = "".join(char if char.isprintable() else "?" for char in first[:LONGEST_REASON])
    return clean.split(". ")[0].rstrip(".")
