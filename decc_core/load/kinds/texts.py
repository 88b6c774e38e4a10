"""What a text file is, and where it goes if not here; only its beginning is read."""

from __future__ import annotations

import re

from decc_core.load.kinds import remedies
from decc_core.load.kinds.signatures import NO_NETWORK, RUNS, Foreign

JSON_KINDS: tuple[tuple[str, Foreign], ...] = (
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
        Foreign("a recorded trace", "it holds times and no network", "# in the page: import it in the Profile view\n"),
    ),
    (
        r'"(irVersion|ir_version|opset_?[iI]mport)"',
        Foreign("ONNX as JSON", "ONNX is taken in its binary form", remedies.ONNX_FROM_JSON),
    ),
    (
        r'"weight_map"',
        Foreign("the list of the parts of a large checkpoint", "it holds no weights itself", remedies.WEIGHTS),
    ),
    (r'"nbformat"', Foreign("a notebook", "a network is taken, not the program that makes it", remedies.PT2)),
    (
        r'"class_name"\s*:\s*"(Sequential|Functional|Model)"',
        Foreign("a Keras network as JSON", "networks are taken as pt2 or ONNX", remedies.KERAS),
    ),
    (
        r'"(architectures|model_type)"',
        Foreign("the configuration of a network", "it holds neither layers nor weights", remedies.PT2),
    ),
)
JSON = Foreign("JSON that DECC does not know", NO_NETWORK, remedies.PT2)
TEXT_KINDS: tuple[tuple[str, Foreign], ...] = (
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
    (
        r"\s*(<\?xml[^>]*\?>)?\s*<net\b[^>]*\bversion=",
        Foreign("an OpenVINO network", "the network that it was converted from is taken", remedies.ORIGINAL),
    ),
    (r"\s*<(\?xml|svg)", Foreign("XML", NO_NETWORK, remedies.PT2)),
    (r"\s*<\s*ir_version\s*:", Foreign("ONNX as text", "ONNX is taken in its binary form", remedies.ONNX_FROM_TEXT)),
    (r"\s*ir_version\s*:", Foreign("ONNX as text", "ONNX is taken in its binary form", remedies.ONNX_FROM_PBTXT)),
    (r"\s*7767517\b", Foreign("an ncnn network", "the network that it was converted from is taken", remedies.ORIGINAL)),
    (
        r"(?s).*?^\s*(layers?|node|input_param)\s*\{",
        Foreign("a Caffe or TensorFlow network as text", "networks are taken as pt2 or ONNX", remedies.TENSORFLOW),
    ),
    (r"\s*\[net\]", Foreign("a Darknet network", "networks are taken as pt2 or ONNX", remedies.ORIGINAL)),
    (
        r"(?s).*?^(import [\w.]+|from [\w.]+ import |def \w+\(|class \w+[(:])",
        Foreign("Python source", RUNS + ", so export the network in that program", remedies.PT2),
    ),
    (
        r"(?i)(layer|name)\s*[,;\t]",
        Foreign(
            "a table", "a table of times is a profile and no network", "# in the page: import it in the Profile view\n"
        ),
    ),
)
TEXT = Foreign("text", NO_NETWORK, remedies.PT2)
JSON_START = r"""\s*(\{\s*["}]|\[\s*([\[{"\d\]-]|true|false|null))"""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
WINDOW = 4096


def text_kind(head: bytes) -> Foreign | None:
    """What the text is that begins so, or None where this is no text."""
    if head.startswith(UTF_16):
        return TEXT
    text = _decoded(head)
    if text is None:
        return None
    text = text.removeprefix("\ufeff")[:WINDOW]
    if re.match(JSON_START, text):
        return next((kind for pattern, kind in JSON_KINDS if re.search(pattern, text)), JSON)
    return next((kind for pattern, kind in TEXT_KINDS if re.match(pattern, text, re.MULTILINE)), TEXT)


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
