"""A workspace as one file: what is saved comes back, and nothing else is believed."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from app.jobs import upload
from app.jobs.bundle import CONTENTS, KIND, ROOT, Bundle, BundleJob, packed
from app.jobs.upload import OwnModel, Sent
from decc_core import __version__, library, store
from decc_core.errors import InvalidInstance, RefusedFile
from decc_core.load.kinds.kind import Kind
from decc_core.load.process.loader import LoadedModel
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from tests.app.wire import of_graph, wire_profile
from tests.builders import make_graph

DEADLINE_S = 60
GRAPH = make_graph({"x": [], "a": ["x"]})


def times(device: str, time_s: float = 1e-3) -> DeviceProfile:
    layers = {layer.name: time_s for layer in GRAPH.layers if not layer.is_input}
    made = Provenance(ProvenanceKind.MEASURED, "a test")
    return DeviceProfile(device, GRAPH.name, GRAPH.fingerprint, layers, layers, sum(layers.values()), made)


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Files hold the graph of two layers, unless they say that they are bad; returns what was read."""
    seen: list[str] = []

    def load(file: Path, folder: Path, *, name: str, measured: bool, **_: object) -> LoadedModel:
        content = file.read_bytes()
        seen.append(f"{name}: {content.decode()}")
        if content == b"bad":
            raise RefusedFile(f"{name} is a pickle, which is not taken.")
        folder.mkdir()
        edge = times("quick") if measured else None
        return LoadedModel(GRAPH, Kind.ONNX, file, file, (), edge, edge)

    monkeypatch.setattr(upload, "load_file", load)
    return seen


def network(content: bytes = b"good", name: str = "net.onnx", beside: tuple[str, ...] = ()) -> OwnModel:
    place = tempfile.TemporaryDirectory()
    sent = Sent.into(place, name, beside, batch=2, dimensions={"length": 128})
    for path in (sent.file, *sent.beside.values()):
        path.write_bytes(content)
    loaded = LoadedModel(GRAPH, Kind.ONNX, sent.file, sent.file, (), times("quick", 3e-3), times("all quick"))
    return OwnModel(loaded, name, place, sent, "digest")


def opened(content: bytes) -> BundleJob:
    job = BundleJob("mine.zip", content)
    job.start()
    job.wait(DEADLINE_S)
    assert job.over
    assert job.content == b""
    return job


def found(content: bytes) -> Bundle:
    job = opened(content)
    assert job.failure is None
    assert job.found is not None
    return job.found


def saved(content: bytes = b"good") -> bytes:
    profiles = [
        ("own: net", "own: board", times("board", 7e-3)),
        ("alexnet", "own: mine", library.load_profile("alexnet", "cpu-1-thread")),
    ]
    return packed({"own: net": network(content, beside=("net.data",))}, profiles, {"model": "own: net"})


def changed(content: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The archive with other parts."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


def with_contents(content: bytes, **fields: object) -> bytes:
    """The archive with another table of contents."""
    name = f"{ROOT}/{CONTENTS}"

    def change(parts: dict[str, bytes]) -> None:
        parts[name] = json.dumps({**json.loads(parts[name]), **fields}).encode()

    return changed(content, change)


def test_what_was_saved_comes_back_read_in_the_same_way_with_all_times(read):
    bundle = found(saved())
    net = bundle.networks["own: net"]
    assert read == ["net.onnx: good"]
    assert (net.file_name, net.sent.batch, net.sent.dimensions, list(net.sent.beside)) == (
        "net.onnx", 2, {"length": 128}, ["net.data"]
    )  # fmt: skip
    assert (net.loaded.edge, net.loaded.cloud) == (times("quick", 3e-3), times("all quick"))
    assert [(model, label) for model, label, _ in bundle.profiles] == [
        ("own: net", "own: board"), ("alexnet", "own: mine")
    ]  # fmt: skip
    assert bundle.profiles[0][2] == times("board", 7e-3)
    assert bundle.contents.scenario == {"model": "own: net"}
    assert bundle.contents.decc == __version__
    assert bundle.left_out == ()
    assert not net.timed_here


def test_wire_profiles_come_back_with_their_networks_and_those_of_another_are_left_out(read):
    mine, other = of_graph(GRAPH), wire_profile("squeezenet1_1")
    wires = [("own: net", "own: wire", mine), ("alexnet", "own: wrong", other)]
    bundle = found(packed({"own: net": network()}, [], {}, wires))
    assert bundle.wires == (("own: net", "own: wire", mine),)
    (told,) = bundle.left_out
    assert told.startswith("The wire profile 'wrong' of 'alexnet' was not taken")


def test_without_quick_times_in_the_file_the_network_is_measured_here(read):
    def change(parts: dict[str, bytes]) -> None:
        for part in ("edge", "cloud"):
            del parts[f"{ROOT}/network-0/{part}.json"]
        name = f"{ROOT}/{CONTENTS}"
        contents = json.loads(parts[name])
        contents["networks"][0]["timed"] = []
        parts[name] = json.dumps(contents).encode()

    net = found(changed(saved(), change)).networks["own: net"]
    assert net.profiles == {"quick": times("quick")}
    assert net.timed_here


def test_a_doubt_about_quick_times_comes_along_and_nothing_else_in_its_place(read):
    network_of = {"label": "own: net", "file": "net.onnx", "beside": ["net.data"], "timed": ["edge.json", "cloud.json"]}
    for doubt, there in (("The quick times are doubtful: busy.", True), ("Visit www.evil.example", False)):
        content = with_contents(saved(), networks=[{**network_of, "doubt": doubt}])
        assert (doubt in found(content).networks["own: net"].loaded.notes) == there


def test_the_same_files_have_the_same_digest_and_others_another(read):
    first, again, other = (found(saved(content)).networks["own: net"].digest for content in (b"good", b"good", b"else"))
    assert first == again != other


def test_a_network_that_is_refused_is_named_and_the_rest_is_taken(read):
    bundle = found(saved(b"bad"))
    assert not bundle.networks
    assert [model for model, *_ in bundle.profiles] == ["alexnet"]
    first, second = bundle.left_out
    assert "'net.onnx' was not taken: net.onnx is a pickle" in first
    assert "'board' of 'net' was not taken" in second


def test_quick_times_of_other_layers_are_left_out_and_the_network_stays(read):
    def change(parts: dict[str, bytes]) -> None:
        parts[f"{ROOT}/network-0/edge.json"] = store.to_json(library.load_profile("alexnet", "cpu-1-thread"))

    bundle = found(changed(saved(), change))
    assert bundle.networks["own: net"].profiles == {}
    assert "The quick times of 'net.onnx' were not taken" in bundle.left_out[0]


def test_a_profile_that_is_none_is_named(read):
    bundle = found(changed(saved(), lambda parts: parts.update({f"{ROOT}/profile-0.json": b"[" * 100_000})))
    assert "The profile 'board' of 'net' was not taken" in bundle.left_out[0]
    assert len(bundle.profiles) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"GIF89a", "no zip archive"),
        (b"PK\x03\x04", "no end"),
        (saved()[:-30], "no end"),
        (saved() + b"more", "behind the archive's end"),
        (changed(saved(), lambda parts: parts.update({f"{ROOT}/more": b""})), "'more' should not be there"),
        (changed(saved(), lambda parts: parts.pop(f"{ROOT}/profile-1.json")), "'profile-1.json' is missing"),
        (changed(saved(), lambda parts: parts.pop(f"{ROOT}/{CONTENTS}")), "no table of contents"),
        (changed(saved(), lambda parts: parts.update({f"{ROOT}/../../evil": b""})), "leads elsewhere"),
        (changed(saved(), lambda parts: parts.update({"other/evil": b""})), "outside the archive's one folder"),
        (changed(saved(), lambda parts: parts.update({f"{ROOT}/{CONTENTS}": b"{"})), "table of contents is damaged"),
        (with_contents(saved(), version=2), "version 2"),
        (with_contents(saved(), kind="decc-plan"), "'decc-plan'"),
        (with_contents(saved(), scenario={"model": "x" * 3000}), "more than 2000 letters"),
        (with_contents(saved(), networks=[{"label": "own: a", "file": "a"}] * 21), "holds 21 networks"),
        (with_contents(saved(), networks=[{"label": "own: a", "file": "a"}] * 2), "not told apart"),
        (with_contents(saved(), networks=[{"label": "alexnet", "file": "a"}]), "not told apart"),
        (with_contents(saved(), networks=[{"label": "own: a", "file": "a", "beside": ["b", "b"]}]), "not told apart"),
        (with_contents(saved(), networks=[{"label": "own: a", "file": "a", "timed": ["../x"]}]), "another kind"),
        (with_contents(saved(), networks="all"), "table of contents is damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_an_archive_that_no_page_has_written_is_refused_in_one_sentence(content, reason, read):
    job = opened(content)
    assert job.found is None
    assert read == []
    assert job.failure.startswith("'mine.zip' is not opened: ")
    assert reason in job.failure
    assert "torch.export" not in job.failure
    assert job.failure.endswith(".")


def test_what_unpacks_to_much_more_than_it_is_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{ROOT}/{CONTENTS}", b" " * 10_000_000)
    assert "would grow more than" in opened(file.getvalue()).failure


def test_a_workspace_beyond_the_limit_of_files_is_neither_saved_nor_opened(monkeypatch):
    content = saved()
    monkeypatch.setenv("DECC_MAX_FILE_BYTES", "100")
    with pytest.raises(InvalidInstance, match="no page opens more than 100 B; remove a network"):
        packed({"own: net": network(b"x" * 101)}, [], {})
    monkeypatch.setattr("app.jobs.file._jobs", {})
    monkeypatch.setattr("app.jobs.file.FILES_AT_A_TIME", 10_000)
    assert "DECC_MAX_FILE_BYTES" in opened(content).failure


def test_files_of_networks_that_are_refused_are_gone(read, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    content = saved(b"bad")
    for left in tmp_path.iterdir():
        shutil.rmtree(left)
    assert found(content).networks == {}
    assert list(tmp_path.iterdir()) == []


def test_the_table_of_contents_says_what_it_is():
    with zipfile.ZipFile(io.BytesIO(saved())) as archive:
        contents = json.loads(archive.read(f"{ROOT}/{CONTENTS}"))
    assert (contents["kind"], contents["decc"]) == (KIND, __version__)
