"""What is sent for a live run: images become pixels elsewhere, recordings become rates, and all of it has limits."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from app.jobs import inputs
from app.jobs.inputs import ImagesJob, RecordingJob
from app.jobs.live import Conditions
from decc_core import library
from decc_core.errors import DeccError, InvalidInstance, UnreadableFile
from decc_core.network.graph import Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.problem.scenario import Scenario
from decc_core.runtime.controller.images import image_inputs
from decc_core.runtime.controller.report import Speed

SMALL, LARGE = TensorSpec((1, 3, 8, 8), "uint8"), TensorSpec((1, 3, 16, 16), "float32")
GRAPH = LayerGraph(
    "g",
    (
        Layer("x", "input", (), (SMALL,)),
        Layer("z", "input", (), (LARGE,)),
        Layer("a", "op", (TensorRef("x"), TensorRef("z")), (SMALL,)),
    ),
    (TensorRef("a"),),
)


def png(colour: tuple[int, int, int]) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (20, 10), colour).save(content, "PNG")
    return content.getvalue()


SENT = {"red.png": png((200, 10, 10)), "blue.png": png((10, 10, 200))}


def run(job):
    job._run()
    assert job.over
    return job


def test_images_give_the_inputs_that_a_folder_of_them_gives(tmp_path):
    job = run(ImagesJob("the images", b"", GRAPH, dict(sorted(SENT.items()))))
    assert job.failure is None
    assert job.held_bytes == 0
    for name, content in SENT.items():
        (tmp_path / name).write_bytes(content)
    assert job.found.inputs(3) == image_inputs(GRAPH, tmp_path, 3, 0)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"%!PS-Adobe-3.0\n"])
def test_what_is_no_image_is_refused_by_name(content):
    job = run(ImagesJob("the images", b"", GRAPH, {**SENT, "holiday.png": content}))
    assert job.found is None
    assert "holiday.png" in job.failure
    assert "readable image" in job.failure


def test_networks_without_images_and_too_many_images_are_refused():
    with pytest.raises(UnreadableFile, match="takes no image"):
        ImagesJob("the images", b"", LayerGraph("n", (Layer("x", "input", (), (TensorSpec((4,), "float32"),)),
            Layer("a", "op", (TensorRef("x"),), (SMALL,))), (TensorRef("a"),)), dict(SENT))  # fmt: skip
    with pytest.raises(InvalidInstance, match="65 images cannot be taken for 'g'; drop 1 to 64"):
        ImagesJob("the images", b"", GRAPH, {f"{i}.png": b"" for i in range(65)})
    with pytest.raises(InvalidInstance, match="0 images cannot be taken"):
        ImagesJob("the images", b"", GRAPH, {})


def test_images_of_all_visits_have_one_limit(monkeypatch):
    monkeypatch.setattr(inputs, "MAX_ALL_BYTES", 2 * (SMALL.size_bytes + LARGE.size_bytes))
    first = run(ImagesJob("the images", b"", GRAPH, dict(SENT)))
    assert first.failure is None
    second = run(ImagesJob("the images", b"", GRAPH, dict(SENT)))
    assert "Other visitors" in second.failure
    first.found = None
    assert run(ImagesJob("the images", b"", GRAPH, dict(SENT))).failure is None


def test_a_recording_is_read_as_the_command_reads_it():
    job = run(
        RecordingJob("../../train.csv", b"\xef\xbb\xbfseconds;Mbit/s\n0;18,88\n2,5;0\n4;7,5 # out of the tunnel\n")
    )
    assert job.failure is None
    assert job.found.rate.bps == (18.88e6, 0.0, 7.5e6)
    assert str(job.found) == "train.csv: 3 rates over 4 s"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no line"),
        (b"\xff\xfe0\0", "UTF-16"),
        (b"0, fast\n1, 2\n", "Line 1 of b.csv"),
        (b"0, 1\n1, 0\n", "ends the trace with a rate of 0"),
        (b"\n" * 1_000_000, "1,000,000 lines"),
    ],
)
def test_a_recording_that_is_none_is_refused_with_its_line(content, why):
    job = run(RecordingJob("b.csv", content))
    assert job.found is None
    assert why in job.failure


def test_a_recording_of_many_bytes_is_not_looked_at(monkeypatch):
    monkeypatch.setattr(inputs, "MAX_TRACE_BYTES", 10)
    monkeypatch.setattr(inputs, "trace_of", lambda *_: pytest.fail("it was read"))
    assert "the limit for such files" in run(RecordingJob("b.csv", b"0, 18.88\n1, 2\n")).failure


def test_conditions_make_the_settings_of_a_run_and_the_options_of_a_command():
    scenario = Scenario("squeezenet1_1", uplink_mbps=8.0, rtt_ms=20.0, requests=2)
    usual = Conditions()
    assert (usual.options(), str(usual)) == ((), "")
    assert usual.settings(scenario, Speed.EMULATED).inputs is None
    recording = run(RecordingJob("train.csv", b"0, 4\n1, 2\n")).found
    pictures = run(ImagesJob("the images", b"", library.load_graph("squeezenet1_1"), dict(SENT))).found
    meets = Conditions(2.5, recording, pictures, True)
    settings = meets.settings(scenario, Speed.NATIVE)
    assert (settings.link.jitter_s, settings.link.uplink.bps, settings.link.rtt_s) == (0.0025, (4e6, 2e6), 0.02)
    assert (settings.fallback_edge, settings.keep_outputs) == (True, False)
    assert {chunk.request for chunk in settings.inputs} == {0, 1}
    pixels = np.frombuffer(b"".join(chunk.data for chunk in settings.inputs if chunk.request == 0), np.uint8)
    assert len(pixels) == 3 * 224 * 224
    assert meets.options() == (
        "--jitter-ms", "2.5", "--bandwidth-trace", "train.csv", "--images", "FOLDER-OF-IMAGES", "--fallback", "edge",
    )  # fmt: skip
    assert (
        str(meets) == "up to 2.5 ms of jitter, the uplink of train.csv, which the plans do not know, 2 images as inputs"
    )


@pytest.mark.parametrize("jitter", [-1.0, 1e9, float("nan")])
def test_jitter_has_its_limits(jitter):
    with pytest.raises(DeccError, match="jitter"):
        Conditions(jitter)
