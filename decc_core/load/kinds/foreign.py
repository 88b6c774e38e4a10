"""Kinds of files that are not taken, told by how they begin or by what an archive holds.

Those that people send in place of a network get their own reason and remedy; the many others share a few.
"""

from __future__ import annotations

import re
from collections.abc import Set
from pathlib import PurePosixPath

from decc_core.load.kinds import remedies
from decc_core.load.kinds.kind import EXTENSIONS, Foreign
from decc_core.load.onnx.scan import BYTES, VARINT, Outline
from decc_core.text import listed

_NO_NETWORK = "it holds no network"
_TAKEN = "networks are taken as pt2 or ONNX"
_RUNS = "nothing that runs as a program is taken"
_IMPORT = "# in the page: import it in the Profile view\n"

FOLDER = Foreign("a folder", "one file is taken")
SAVED_MODEL = Foreign("a TensorFlow SavedModel", _TAKEN, remedies.TENSORFLOW)
_FROZEN = Foreign("a frozen TensorFlow graph", _TAKEN, remedies.TENSORFLOW)
_KERAS = Foreign("a Keras network", _TAKEN, remedies.KERAS)
_CORE_ML = Foreign("a Core ML network", "DECC runs PyTorch and ONNX networks", remedies.ORIGINAL)
_ARRAYS = Foreign("an array of NumPy, or several", "arrays alone are no network")
_PACKED = Foreign("a packed file", "it has to be unpacked first", "# unpack it, and send the network that is inside\n")
_OTHER_ARCHIVE = Foreign("an archive of other files", _NO_NETWORK)
_TEXT = Foreign("text or JSON that DECC does not know", _NO_NETWORK)
_UNKNOWN = Foreign("of a kind that DECC does not know", "it takes pt2, ONNX, and weights of torch.save or safetensors")

_BEGINNINGS: tuple[tuple[bytes, Foreign], ...] = (
    (rb"\x89HDF\r\n\x1a\n", Foreign("a Keras or other HDF5 file", _TAKEN, remedies.KERAS)),
    (rb".{4}TFL3", Foreign("a TensorFlow Lite file", _TAKEN, remedies.TFLITE)),
    (
        rb".{4}ORTM",
        Foreign("an ONNX Runtime (.ort) file", "the ONNX file that it was made from is taken", remedies.ONNX),
    ),
    (
        rb".{4}ET12|GGUF|ggjt|[fp]trt",
        Foreign(
            "a network made for another runtime (ExecuTorch, GGUF, TensorRT)",
            "DECC runs PyTorch and ONNX networks",
            remedies.ORIGINAL,
        ),
    ),
    (rb"\x93NUMPY", _ARRAYS),
    (
        rb"(?=.{257}ustar)(sys_info|pickle|tensors|storages)\0",
        Foreign("a torch.save file in the oldest format", "its objects are pickled in a tar archive", remedies.WEIGHTS),
    ),
    (rb"x[\x01\x9c\xda]", Foreign("a zlib-compressed file, as joblib writes", "it is mostly a pickle, and runs code")),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18|7z\xbc\xaf|Rar!\x1a|PK\x07\x08|.{257}ustar", _PACKED),
    (rb"PK\x05\x06", Foreign("an archive with nothing in it", _NO_NETWORK)),
    (
        rb"\x7fELF|MZ|\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba\xbe|\0asm|!<arch>\n|#!",
        Foreign("a program, a library or a script", _RUNS),
    ),
    (
        rb"\x89PNG|\xff\xd8\xff|GIF8|II\*\0|MM\0\*|BM.{4}\0{4}|.{8}(WEBP|WAVE|AVI )|.{4}ftyp|OggS|ID3|%PDF-|"
        rb"\xd0\xcf\x11\xe0|SQLite format 3|PAR1|ARROW1",
        Foreign("a picture, sound, film, document or table", _NO_NETWORK),
    ),
)
_JSON_KINDS: tuple[tuple[str, Foreign], ...] = (
    (
        r'"kind"\s*:\s*"decc-profile"',
        Foreign(
            "a DECC device profile",
            "it tells how fast a device is",
            "# in the page: the Profile view takes it; on the command line:\ndecc plan NETWORK --edge profile.json\n",
        ),
    ),
    (
        r'"kind"\s*:\s*"decc-graph"',
        Foreign(
            "a DECC layer graph",
            "it holds no weights to run",
            "# on the command line, every planning command takes it in the place of a network:\n"
            "decc plan graph.json --edge edge.json --cloud cloud.json\n",
        ),
    ),
    (
        r'"kind"\s*:\s*"decc-plan"',
        Foreign("a DECC plan", "it tells where layers run", "decc run NETWORK --plan plan.json\n"),
    ),
    (
        r'"kind"\s*:\s*"decc-split"',
        Foreign(
            "the manifest of a split network",
            "it stands beside the pieces and is read together with them",
            remedies.ORIGINAL,
        ),
    ),
    (
        r'"traceEvents"|"cat"\s*:\s*"(Session|Node)"',
        Foreign("a recorded trace", "it holds times and no network", _IMPORT),
    ),
    (
        r'"(irVersion|ir_version|opset_?[iI]mport)"',
        Foreign("ONNX as JSON", "ONNX is taken in its binary form", remedies.ONNX_FROM_JSON),
    ),
    (
        r'"weight_map"',
        Foreign("the list of the parts of a large checkpoint", "it holds no weights itself", remedies.WEIGHTS),
    ),
    (r'"nbformat"', Foreign("a notebook", "a network is taken, not the program that makes it")),
    (r'"class_name"\s*:\s*"(Sequential|Functional|Model)"', _KERAS),
    (
        r'"(architectures|model_type)"',
        Foreign("the configuration of a network", "it holds neither layers nor weights"),
    ),
)
_TEXT_KINDS: tuple[tuple[str, Foreign], ...] = (
    (
        r"version https://git-lfs\.github\.com/spec/",
        Foreign("a Git LFS pointer, which stands for the real file", "the file itself is needed", "git lfs pull\n"),
    ),
    (
        r"(?i)\s*(<!--.*?-->\s*)?<(!doctype html|html|head|body)\b",
        Foreign(
            "a saved web page", "a download link often gives the page around the file", "# follow the download button\n"
        ),
    ),
    (r"\s*<\s*ir_version\s*:", Foreign("ONNX as text", "ONNX is taken in its binary form", remedies.ONNX_FROM_TEXT)),
    (r"\s*ir_version\s*:", Foreign("ONNX as text", "ONNX is taken in its binary form", remedies.ONNX_FROM_PBTXT)),
    (
        r"\s*((<\?xml[^>]*\?>)?\s*<net\b[^>]*\bversion=|7767517\b|\[net\])",
        Foreign(
            "a network in the format of OpenVINO, ncnn or Darknet",
            "the network that it was converted from is taken",
            remedies.ORIGINAL,
        ),
    ),
    (
        r"(?s).*?^\s*(layers?|node|input_param)\s*\{",
        Foreign("a Caffe or TensorFlow network as text", _TAKEN, remedies.TENSORFLOW),
    ),
    (
        r"(?s).*?^(import [\w.]+|from [\w.]+ import |def \w+\(|class \w+[(:])",
        Foreign("Python source", f"{_RUNS}, so export the network in that program"),
    ),
    (r"(?i)(layer|name)\s*[,;\t]", Foreign("a table", "a table of times is a profile and no network", _IMPORT)),
)
_JSON_START = r"""\s*(\{\s*["}]|\[\s*([\[{"\d\]-]|true|false|null))"""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_WINDOW = 4096


def foreign_file(head: bytes, outline: Outline | None) -> Foreign:
    """What a file is that is not taken, by its first bytes, or by its fields where it is a protocol buffer."""
    for pattern, kind in _BEGINNINGS:
        if re.match(pattern, head, re.DOTALL):
            return kind
    return _text_kind(head) or (outline and _protobuf_kind(outline)) or _UNKNOWN


def _text_kind(head: bytes) -> Foreign | None:
    """What the text is that begins so, or None where this is no text."""
    if head.startswith(_UTF_16):
        return _TEXT
    text = _decoded(head)
    if text is None:
        return None
    text = text.removeprefix("\ufeff")[:_WINDOW]
    if re.match(_JSON_START, text):
        return next((kind for pattern, kind in _JSON_KINDS if re.search(pattern, text)), _TEXT)
    return next((kind for pattern, kind in _TEXT_KINDS if re.match(pattern, text, re.MULTILINE)), _TEXT)


def _decoded(head: bytes) -> str | None:
    """The beginning as text; a character that the end of the window cuts in two does not count against it."""
    if b"\0" in head:
        return None
    for cut in range(4):
        try:
            text = head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return text if all(char.isprintable() or char in "\n\r\t\f\ufeff" for char in text) else None
    return None


def _protobuf_kind(outline: Outline) -> Foreign | None:
    """SavedModel: a version, and meta graphs. GraphDef: nodes that begin with a name. Core ML: a model from 200 on."""
    fields, beginnings = outline.fields, outline.beginnings
    if fields == {1: VARINT, 2: BYTES} and beginnings[2][:1] in (b"\x0a", b"\x12"):
        return SAVED_MODEL
    if fields.get(1) == VARINT and fields.get(2) == BYTES and any(number >= 200 for number in fields):
        return _CORE_ML
    node, known = beginnings.get(1, b""), {1: BYTES, 2: BYTES, 3: VARINT, 4: BYTES}
    named = node[:1] == b"\x0a" and node[2:].split(b"\x12")[0].isascii()
    return _FROZEN if outline.whole and named and fields.items() <= known.items() else None


def foreign_archive(names: Set[str], root: str) -> Foreign | None:
    """What an archive is that is not taken, by the names in it; None where they do not tell."""
    files = {PurePosixPath(name).name for name in names}
    if f"{root}/constants.pkl" in names or f"{root}/bytecode.pkl" in names:
        return Foreign(
            "a TorchScript archive", "it holds a program; export the module that it was made from", remedies.ORIGINAL
        )
    if "serialized_exported_program.json" in files:
        return Foreign(
            "a file of torch.export in the format before PyTorch 2.8", "its tensors are pickled", remedies.ORIGINAL
        )
    if "MAR-INF/MANIFEST.json" in names or any(name.startswith(f"{root}/.data/extern_modules") for name in names):
        return Foreign("an archive of torch.package or TorchServe", "it holds Python code")
    if "config.json" in names and "model.weights.h5" in names:
        return _KERAS
    if "saved_model.pb" in files:
        return SAVED_MODEL
    if any("com.apple.CoreML" in name or name.endswith((".mlmodel", ".mlmodelc")) for name in names):
        return _CORE_ML
    return _ARRAYS if names and all(name.endswith(".npy") for name in names) else None


def other_archive(names: Set[str]) -> Foreign:
    """An archive around other files, which says which to send where they are taken."""
    inside = sorted(
        name for name in names if "__MACOSX" not in name and PurePosixPath(name).suffix.lower() in EXTENSIONS
    )
    if not inside:
        return _OTHER_ARCHIVE
    which = listed(inside) if len(inside) == 1 else f"one of {listed(inside)}"
    return Foreign("an archive around other files", f"unpack it and send {which}", "unzip FILE.zip\n")
