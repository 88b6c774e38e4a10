"""Hostile files through the real process that reads them: nothing runs, nothing is left, the answer is a sentence."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from decc_core import store
from decc_core.errors import DeccError, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.process import child
from decc_core.load.process import messages as m
from decc_core.load.process.loader import load_file
from decc_core.models import portable
from decc_core.models.device import DeviceSettings
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.profiling import profiler
from decc_core.profiling.quick import DOUBT
from tests.load import hostile_onnx, hostile_pt2
from tests.load.foreign_files import Marker, Small, saved
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


FILES: dict[str, tuple[str, Make, str]] = {
    "of a kind that is not taken": ("weights.pt", with_payload, "a pickle of Python objects, which is not taken"),
    "refused before torch sees it": ("net.pt2", pt2("a layer name that is code"), "not one that torch.export gives"),
    "beyond a limit": ("net.pt2", pt2("a million layers"), "20,000 layers, which is the limit; DECC_MAX_LAYERS="),
    "refused before ONNX sees it": ("net.onnx", onnx("external data by absolute path"), "only files of its own folder"),
    "refused by the runtime": ("net.onnx", onnx("an output that depends on no input"), "depends on no input"),
}
"""One for each way in which the process refuses; what each reader refuses is tested without a process."""


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
        self.processes.append(kill.args[0].pid)

    def _require_gone(self):
        (process,) = self.processes
        with pytest.raises(ProcessLookupError):
            # Neither it nor one that it started: it leads a group of its own.
            os.killpg(process, 0)

    def left(self) -> set[str]:
        return {path.name for path in self.place.iterdir()}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_ends_in_a_sentence_and_leaves_nothing(name, tmp_path):
    file, make, says = FILES[name]
    watched = Watched(tmp_path, file, make)
    with pytest.raises(DeccError, match=says) as refused:
        watched.read()
    text = str(refused.value)
    assert ("torch.export.save" in getattr(refused.value, "remedy", "")) == (name == "of a kind that is not taken")
    assert text.isprintable()
    assert 20 < len(text) < 1000
    assert text.endswith(".")
    assert "ended by signal" not in text, "it was refused, and did not die"
    assert watched.left() == set()


def test_a_process_at_its_limit_of_memory_ends_in_a_sentence_and_leaves_nothing(tmp_path):
    watched = Watched(tmp_path, "net.pt2", lambda marker: hostile_pt2.honest())
    with pytest.raises(UnreadableFile, match=r"takes more than .* memory to read, .*DECC_MAX_MEMORY_BYTES"):
        watched.read(limits=Limits(memory_bytes=500 << 20))
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
    loaded = watched.read(measured=False)
    assert watched.left() == m.WRITTEN - {m.EDGE, m.CLOUD}
    (image,) = hostile_pt2.example()
    again = portable.from_data(*loaded.data())
    with torch.no_grad():
        assert torch.equal(again.run((image,))[0], hostile_pt2.Honest().eval()(image)["scores"])
    assert not watched.marker.exists()


def quick(tmp_path, monkeypatch, *wholes_s):
    """The quick profiles, and what is said of them, where passes take these times: one thread, all threads, again."""
    taken = iter(wholes_s)
    made = Provenance(ProvenanceKind.MEASURED, "made up for a test")

    def profile(_model, settings):
        assert settings.fastest
        whole_s = next(taken)
        return DeviceProfile(settings.device, "net", "f", {"a": whole_s}, {"a": whole_s}, whole_s, made)

    monkeypatch.setattr(profiler, "profile", profile)
    notes = child._measure(m.Order("net.pt2", "net.pt2", str(tmp_path), Limits()), None, lambda *_: None)
    return (*(store.load(tmp_path / file, DeviceProfile) for file in (m.EDGE, m.CLOUD)), notes)


def test_quick_times_that_can_be_believed_are_measured_once(tmp_path, monkeypatch):
    edge, cloud, notes = quick(tmp_path, monkeypatch, 0.02, 0.012)
    assert (edge.whole_s, cloud.whole_s, notes) == (0.02, 0.012, ())


def test_several_threads_that_are_slower_than_one_are_measured_again(tmp_path, monkeypatch):
    edge, cloud, notes = quick(tmp_path, monkeypatch, 0.02, 0.5, 0.03, 0.015)
    assert (edge.whole_s, cloud.whole_s, notes) == (0.02, 0.015, ())


def test_a_cloud_that_stays_slower_than_the_edge_is_the_edge_by_a_factor_and_that_is_said(tmp_path, monkeypatch):
    edge, cloud, notes = quick(tmp_path, monkeypatch, 0.02, 0.5, 0.03, 0.6)
    factor = min(DeviceSettings().n_threads, 4)
    assert (edge.whole_s, cloud.whole_s) == (0.02, pytest.approx(0.02 / factor))
    assert cloud.provenance.kind is ProvenanceKind.SCALED
    assert notes[0].startswith(DOUBT)
    assert "25.0 times as long as one" in notes[0]
