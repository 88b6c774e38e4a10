"""The kinds of files that are taken, and what is said of those that are not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from decc_core.errors import RefusedFile
from decc_core.load.kinds import remedies
from decc_core.text import shown


class Kind(StrEnum):
    """What a file that is taken holds."""

    PT2 = "pt2"
    ONNX = "onnx"
    SAFETENSORS = "safetensors"
    STATE_DICT = "state_dict"


WORDS = {
    Kind.PT2: "a pt2 file of torch.export",
    Kind.ONNX: "an ONNX network",
    Kind.SAFETENSORS: "weights in safetensors",
    Kind.STATE_DICT: "weights of torch.save",
}
EXTENSIONS = {
    ".pt2": Kind.PT2,
    ".onnx": Kind.ONNX,
    ".safetensors": Kind.SAFETENSORS,
    ".pt": Kind.STATE_DICT,
    ".pth": Kind.STATE_DICT,
    ".ckpt": Kind.STATE_DICT,
    ".bin": Kind.STATE_DICT,
}
VAGUE = frozenset({".bin", ".ckpt", ".pt", ".pth"})
"""Extensions that many kinds have, so that none of them contradicts."""


def extension_note(kind: Kind, name: str) -> str | None:
    """That a file's name promises another kind than it holds, if it does; its content decides."""
    suffix = PurePosixPath(name).suffix.lower()
    if EXTENSIONS.get(suffix, kind) is kind or (suffix in VAGUE and kind is not Kind.ONNX):
        return None
    return f"{shown(name)} is {WORDS[kind]}, although its name ends in {suffix}."


@dataclass(frozen=True)
class Foreign:
    """A kind that is not taken: what it is, as the end of "... is", why not, and what to do instead."""

    what: str
    why: str
    remedy: str = remedies.PT2

    def refused(self, name: str) -> RefusedFile:
        suffix = PurePosixPath(name).suffix.lower()
        although = f" (although its name ends in {suffix})" if suffix in EXTENSIONS and suffix not in VAGUE else ""
        return RefusedFile(f"{shown(name)} is {self.what}, which is not taken: {self.why}{although}.", self.remedy)
