"""Hostile files through the real process that reads them: nothing runs, nothing is left, the answer is a sentence."""

from __future__ import annotations

import json
import os
import pickle
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from decc_core.errors import DeccError
from decc_core.load.process import messages as m
from decc_core.load.process.loader import load_file
from decc_core.models import portable
from tests.load import hostile_onnx, hostile_pt2
from tests.load.foreign_files import Marker, Small, safetensors_bytes, saved, scripted
from tests.memory import forget_peak, peak_bytes, resident_bytes

PROMPT_S = 90
"""For a process to start, refuse and end, on a machine that does other work as well."""
MOST_BYTES = 48 << 20
"""What the process that asks may need for it."""
Make = Callable[[Path], bytes]


def pt2(name: str) -> Make:
    make = (hostile_pt2.REFUSED | hostile_pt2.DISARMED)[name]
    return lambda marker: make(dict(hostile_pt2.parts_of(hostile_pt2.honest())), marker)


def onnx(name: str) -> Make:
    made, _ = (hostile_onnx.CASES | hostile_onnx.LATER)[name]
    return lambda marker: hostile_onnx.data_of(made())


def with_payload(marker: Path) -> bytes:
    return saved({**Small().state_dict(), "payload": Marker(marker)})


HUGE = {"w": {"dtype": "F32", "shape": [1 << 62], "data_offsets": [0, 4]}}
FILES: dict[str, tuple[str, Make]] = {
    "pickled weights": ("net.pt2", pt2("pickled weights")),
    "an opaque constant": ("net.pt2", pt2("an opaque constant")),
    "a custom object": ("net.pt2", pt2("a custom object")),
    "a shape that is code": ("net.pt2", pt2("a shape that is code")),
    "a layer name that is code": ("net.pt2", pt2("a layer name that is code")),
    "a weight name that is code": ("net.pt2", pt2("a weight name that is code")),
    "an operator of the system": ("net.pt2", pt2("the target torch.os.system")),
    "a pickle in the description": ("net.pt2", pt2(f"a pickle in {hostile_pt2.NETWORK}")),
    "a part that leads elsewhere": ("net.pt2", pt2("a part named 'net/../../evil'")),
    "a zip bomb": ("net.pt2", pt2("a bomb of zeros")),
    "10^6 layers": ("net.pt2", pt2("a million layers")),
    "10^5 real layers": ("net.pt2", pt2("a million real layers")),
    "a tensor of 2^62": ("net.pt2", pt2("a tensor with a size of 2^62")),
    "a cycle": ("net.pt2", pt2("a cycle of two layers")),
    "external data": ("net.onnx", onnx("external data by absolute path")),
    "external data in an attribute": ("net.onnx", onnx("external data in an attribute")),
    "a custom domain": ("net.onnx", onnx("custom domain")),
    "a custom library": ("net.onnx", onnx("custom library")),
    "an ONNX cycle": ("net.onnx", onnx("a cycle")),
    "a function that calls itself": ("net.onnx", onnx("recursive function")),
    "10^6 nodes": ("net.onnx", onnx("10^6 nodes")),
    "a weight of 2^62": ("net.onnx", onnx("dims of 2^62")),
    "an ONNX network without a way": ("net.onnx", onnx("an output that depends on no input")),
    "a pickle": ("net.pkl", lambda marker: pickle.dumps(Marker(marker))),
    "a pickled module": ("net.pt", lambda marker: saved(Small())),
    "weights and a payload": ("weights.pt", with_payload),
    "TorchScript": ("net.pt", lambda marker: scripted()),
    "safetensors of 2^62": ("w.safetensors", lambda marker: safetensors_bytes(HUGE, b"1234")),
    "a header of 4 GiB": ("w.safetensors", lambda marker: struct.pack("<Q", (1 << 32) - 1) + b"{" + bytes(99)),
}


class Watched:
    """A read of a file that shall end, with everything that may not happen meanwhile checked."""

    def __init__(self, folder: Path, name: str, make: Make) -> None:
        self.marker, self.place = folder / "marker", folder / "read"
        self.file = folder / name
        self.file.write_bytes(make(self.marker))
        self.sent = self.file.read_bytes()
        self.processes: list[int] = []

    def read(self, **options):
        before = resident_bytes()
        forget_peak()
        began_s = time.monotonic()
        try:
            return load_file(self.file, self.place, started=self._started, **options)
        finally:
            assert time.monotonic() - began_s < PROMPT_S
            assert peak_bytes() - before < MOST_BYTES
            assert not self.marker.exists(), "the payload ran"
            assert not list(Path("/tmp").glob(f"{hostile_onnx.MARKER}*"))
            assert self.file.read_bytes() == self.sent
            self._require_gone()

    def _started(self, kill):
        self.processes.append(kill.__self__.pid)

    def _require_gone(self):
        (process,) = self.processes
        with pytest.raises(ProcessLookupError):
            # Neither it nor one that it started: it leads a group of its own.
            os.killpg(process, 0)

    def left(self) -> set[str]:
        return {path.name for path in self.place.iterdir()}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_ends_in_a_sentence_and_leaves_nothing(name, tmp_path):
    watched = Watched(tmp_path, *FILES[name])
    with pytest.raises(DeccError) as refused:
        watched.read()
    text = str(refused.value)
    assert text.isprintable()
    assert 20 < len(text) < 1000
    assert text.endswith(".")
    assert "ended by signal" not in text, "it was refused, and did not die"
    assert watched.left() == set()


def test_a_file_whose_every_code_is_left_out_is_taken_and_runs_none_of_it(tmp_path):
    def armed(marker: Path) -> bytes:
        parts = hostile_pt2.parts_of(hostile_pt2.honest())
        content = json.loads(parts[hostile_pt2.NETWORK])
        code = hostile_pt2.source_code(marker)
        content["guards_code"] = [code]
        content["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"] = [f"x={code}"]
        for node in content["graph_module"]["graph"]["nodes"]:
            node["metadata"] |= {"source_fn_stack": "a,torch.os.system", "custom": "{", "from_node": "[1]"}
        network, samples = json.dumps(content).encode(), hostile_pt2.pickled(marker)
        return hostile_pt2.packed(parts | {hostile_pt2.NETWORK: network, hostile_pt2.SAMPLES: samples})

    watched = Watched(tmp_path, "net.pt2", armed)
    loaded = watched.read()
    assert watched.left() == m.WRITTEN
    (image,) = hostile_pt2.example()
    again = portable.from_data(*loaded.data())
    with torch.no_grad():
        assert torch.equal(again.run((image,))[0], hostile_pt2.Honest().eval()(image)["scores"])
    assert not watched.marker.exists()
