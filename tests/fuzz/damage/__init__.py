"""Small damage to real files, made where a format's reader looks: fields and trees first, bytes as well.

Every mutator takes the file and a seeded `Random`, and gives another file; the same seed gives the same damage.
"""

from tests.fuzz.damage.containers import (
    frames,
    in_gzip,
    in_messages,
    in_pair,
    in_safetensors,
    in_zip,
    pair,
    parted,
    unframed,
)
from tests.fuzz.damage.pickles import in_pickle
from tests.fuzz.damage.protobuf import in_protobuf
from tests.fuzz.damage.raw import LONGEST, Mutator, either, of_bytes
from tests.fuzz.damage.tables import in_table
from tests.fuzz.damage.trees import in_json, in_trace

__all__ = [
    "LONGEST", "Mutator", "either", "frames", "in_gzip", "in_json", "in_messages", "in_pair", "in_pickle",
    "in_protobuf", "in_safetensors", "in_table", "in_trace", "in_zip", "of_bytes", "pair", "parted", "unframed",
]  # fmt: skip
