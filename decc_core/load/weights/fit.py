"""Which tensor of a file goes where in a network, and a clear refusal where the two do not belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from decc_core import library
from decc_core.errors import RefusedFile
from decc_core.load.kinds import remedies
from decc_core.load.weights.files import Spec
from decc_core.models import zoo
from decc_core.models.zoo_models import MainOutput, WithImageInputs
from decc_core.text import counted, listed, shown

PREFIXES = ("module.", "_orig_mod.", "model.", "network.")
"""What DataParallel, torch.compile, Lightning and the zoo's own wrappers put before every key."""
TRAINING_HEADS = frozenset({"aux1", "aux2", "AuxLogits", "aux_classifier"})
"""They serve training alone: whether a file has them makes no difference to what the network computes."""
COUNTER = "num_batches_tracked"
EXTRA_BUFFERS = frozenset({COUNTER, "total_ops", "total_params", "position_ids", "attn_mask"})
"""What some programs add to a network, and no layer of the zoo's reads."""
IMAGE_INPUT = "image_input."
FIRST_SHAPES = 3


@dataclass(frozen=True)
class Fit:
    """For every key of the network that is in the file, the file's key; and notes on what is not one to one."""

    keys: dict[str, str]
    notes: tuple[str, ...]


def plain_network(module: torch.nn.Module) -> torch.nn.Module:
    """The network inside the zoo's wrappers: the one whose keys torchvision's files have."""
    while isinstance(module, (WithImageInputs, MainOutput)):
        module = module.network
    return module


def specs_of(network: torch.nn.Module) -> dict[str, Spec]:
    return {key: Spec.of(value) for key, value in network.state_dict().items()}


def fit(stored: Mapping[str, Spec], own: Mapping[str, Spec], architecture: str) -> Fit:
    """Match the file's tensors with the network's; raises RefusedFile with all that does not match."""
    prefix = _prefix(stored, own)
    key_of = {key.removeprefix(prefix): key for key in stored}
    misfit = _Misfit.between({key: stored[full] for key, full in key_of.items()}, own)
    if misfit:
        advice, remedy = misfit.advice(architecture)
        raise RefusedFile(f"{misfit.sentence(architecture)}{advice}.", remedy)
    notes = [f"Every key begins with '{prefix}', which was taken off."] if prefix else []
    if missing := [key for key in own if key not in key_of]:
        notes.append(f"Missing, but read by no layer: {counted(len(missing), 'tensor')} ({listed(missing)}).")
    if unexpected := [key for key in key_of if key not in own]:
        notes.append(f"Left out, as no layer reads them: {counted(len(unexpected), 'tensor')} ({listed(unexpected)}).")
    return Fit({key: key_of[key] for key in own if key in key_of}, tuple(notes))


def _prefix(stored: Mapping[str, Spec], own: Mapping[str, Spec]) -> str:
    """What wrappers put before every key, outermost first; nothing where keys fit as they are."""
    prefix = ""
    while True:
        keys = [key for key in stored if IMAGE_INPUT not in key]
        if not keys or any(key.removeprefix(prefix) in own for key in keys):
            return prefix
        longer = (prefix + wrapper for wrapper in PREFIXES)
        inner = next((start for start in longer if all(key.startswith(start) for key in keys)), None)
        if inner is None:
            return prefix
        prefix = inner


@dataclass(frozen=True)
class _Misfit:
    """What is different between the tensors of a file, with plain keys, and those of a network."""

    stored: Mapping[str, Spec]
    own: Mapping[str, Spec]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong: tuple[str, ...]

    @classmethod
    def between(cls, stored: Mapping[str, Spec], own: Mapping[str, Spec]) -> _Misfit:
        return cls(
            stored,
            own,
            tuple(key for key in own if key not in stored and not _may_be_missing(key)),
            tuple(key for key in stored if key not in own and not _may_be_extra(key)),
            tuple(key for key in own if key in stored and stored[key] != own[key]),
        )

    def __len__(self) -> int:
        """Differences; without any, the tensors fit."""
        return len(self.missing) + len(self.unexpected) + len(self.wrong)

    def sentence(self, architecture: str) -> str:
        differences = []
        if self.missing:
            differences.append(f"{len(self.missing)} of {len(self.own)} tensors missing ({listed(self.missing)})")
        if self.unexpected:
            differences.append(f"{len(self.unexpected)} unexpected ({listed(self.unexpected)})")
        if self.wrong:
            first = [f"{shown(key)} is {self.stored[key]}, not {self.own[key]}" for key in self.wrong[:FIRST_SHAPES]]
            differences.append(f"{len(self.wrong)} of another shape or dtype ({', '.join(first)})")
        return f"The weights do not fit '{architecture}': {', '.join(differences)}"

    def advice(self, architecture: str) -> tuple[str, str]:
        """The end of the sentence, and lines that make a file which is taken, where that is what to do."""
        better = _better(self, architecture)
        if better:
            return f"; they fit '{better}'", ""
        if self.wrong and all(self.stored[key].dtype != self.own[key].dtype for key in self.wrong):
            return "; save them in the network's dtype, with model.float() first", ""
        if self._is_another_head():
            what = "; it looks like the same network with another number of classes, which has to come as a pt2 file"
            return what, remedies.PT2
        return "", remedies.PT2

    def _is_another_head(self) -> bool:
        """All keys fit, and the few that have another shape differ in the number of outputs alone."""
        pairs = [(self.stored[key], self.own[key]) for key in self.wrong]
        return 0 < len(pairs) == len(self) and all(
            a.dtype == b.dtype and len(a.shape) == len(b.shape) and a.shape[1:] == b.shape[1:] for a, b in pairs
        )


def _may_be_missing(key: str) -> bool:
    return _is_for_training(key) or key.endswith(f".{COUNTER}")


def _may_be_extra(key: str) -> bool:
    return _is_for_training(key) or key.rsplit(".", 1)[-1] in EXTRA_BUFFERS or IMAGE_INPUT in key


def _is_for_training(key: str) -> bool:
    return key.split(".")[0] in TRAINING_HEADS


def _better(misfit: _Misfit, architecture: str) -> str | None:
    """Another network that the weights fit entirely: tried without memory, in about 0.2 s each."""
    base = architecture.removesuffix(zoo.RAW_FLOAT)
    family = [name for name in zoo.names() if _family(name) == _family(base)]
    for name in dict.fromkeys((*family, *library.shipped_models())):
        if name == base:
            continue
        try:
            with torch.device("meta"):
                own = specs_of(plain_network(zoo.build(name).module))
        except NotImplementedError:
            continue  # Its constructor computes with numbers, which are not there.
        if not _Misfit.between(misfit.stored, own):
            return name
    return None


def _family(name: str) -> str:
    """The first letters, by which ResNets, ResNeXts and wide ResNets are one family."""
    return name.removeprefix("wide_")[:5]
