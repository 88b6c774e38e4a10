"""Pickles where text or numbers belong."""

from __future__ import annotations

import pickle
from pathlib import Path

from tests.load.archives import zipped
from tests.load.foreign_files import Marker
from tests.load.hostile_pt2.base import CONSTANTS, NETWORK, REFUSED, WEIGHTS, Parts, packed, refused

for place in (NETWORK, WEIGHTS, CONSTANTS, "archive_format", "archive_version", "byteorder", ".data/version"):

    def pickle_in(parts: Parts, marker: Path, place: str = place) -> bytes:
        return packed(parts | {place: pickle.dumps(Marker(marker))})

    REFUSED[f"a pickle in {place}"] = pickle_in

for place in (
    "data.pkl",
    "extra/notes.txt",
    "data/weights/model.pt",
    "data/constants/model.pt",
    "data/aotinductor/model/a.so",
    "data/xl_model_weights/a",
    "models/other.json",
    "version",
    "serialized_exported_program.json",
    "data/weights/weight_0/a",
    "data/weights/weight_00",
    "code/model.py",
):

    def pickle_beside(parts: Parts, marker: Path, place: str = place) -> bytes:
        return packed(parts | {place: pickle.dumps(Marker(marker))})

    REFUSED[f"a pickle beside the rest as {place}"] = pickle_beside


@refused
def the_format_of_torch_2_7(parts, marker):
    return zipped([("version", b"8.7"), ("serialized_exported_program.json", b"{}"), ("serialized_state_dict.pt", b"")])
