"""Weights that somebody sent, put into a network that DECC knows by name; run in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from decc_core.load.kinds.kind import Kind
from decc_core.load.weights.files import WeightFile, open_weights
from decc_core.load.weights.fit import fit, plain_network, specs_of
from decc_core.models import zoo
from decc_core.models.torch.extract import ExtractedModel, extract
from decc_core.models.zoo import ZooModel
from decc_core.text import counted, listed

TRANSFORMED = frozenset({"googlenet", "inception_v3"})
OTHER_COLOURS = (
    "If these are torchvision's ImageNet weights, its classes will be off: they were made for transform_input=True, "
    "which shifts the colours of the image first and which this network does not do; its times are the same."
)


def read(path: Path, kind: Kind, architecture: str) -> tuple[ExtractedModel, tuple[str, ...]]:
    """The zoo's network of that name with the file's weights, and notes on what was done to fit them.

    Its graph is the zoo's, so that profiles of the zoo's network fit. Raises RefusedFile, listing the keys, where the
    weights are of another network.
    """
    model, notes = with_weights(path, kind, architecture)
    return extract(model.module, model.example_inputs, architecture), notes


def with_weights(path: Path, kind: Kind, architecture: str) -> tuple[ZooModel, tuple[str, ...]]:
    """The network before its layers are taken out; see `read`."""
    model = zoo.build(architecture)
    network = plain_network(model.module)
    file = open_weights(path, kind)
    fitted = fit(file.specs, specs_of(network), architecture)
    broken = _fill(network, file, fitted.keys)
    notes = [*file.notes, *fitted.notes]
    if broken:
        notes.append(f"Not all values are finite numbers in {counted(len(broken), 'tensor')} ({listed(broken)}).")
    if architecture.removesuffix(zoo.RAW_FLOAT) in TRANSFORMED:
        notes.append(OTHER_COLOURS)
    return model, tuple(notes)


def _fill(network: torch.nn.Module, file: WeightFile, keys: Mapping[str, str]) -> list[str]:
    """Copy every tensor bit by bit; returns the keys of those that hold values which are no numbers."""
    broken = []
    own = network.state_dict()
    with torch.no_grad():
        for key, stored in keys.items():
            value = file.tensor(stored)
            own[key].copy_(value)
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                broken.append(stored)
    return broken
