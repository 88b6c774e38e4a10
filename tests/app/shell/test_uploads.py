"""A model of one's own on the page: dropped, read in the background, planned; or refused with what to do."""

from __future__ import annotations

import gc
import io
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app.jobs import file, upload
from app.jobs.job import one_at_a_time, one_reader_at_a_time
from app.jobs.upload import UploadJob
from app.shell import models, uploads
from app.shell.uploads import on_the_page
from app.state import OPENING
from decc_core.errors import InvalidInstance
from decc_core.load.process.loader import LoadedModel, load_file
from decc_core.text import network_name
from tests.app.server import MAIN
from tests.load import hostile_onnx

DEADLINE_S = 60


@pytest.fixture(scope="module")
def pt2(tmp_path_factory) -> bytes:
    """A chain of three layers."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten()).eval()
    file = tmp_path_factory.mktemp("pt2") / "chain.pt2"
    torch.export.save(torch.export.export(module, (torch.randn(1, 3, 8, 8),)), file)
    return file.read_bytes()


@pytest.fixture(scope="module")
def chain(pt2, tmp_path_factory) -> LoadedModel:
    """The chain as a process of its own reads it."""
    folder = tmp_path_factory.mktemp("read")
    file = folder / "chain.pt2"
    file.write_bytes(pt2)
    return load_file(file, folder / "read")


@pytest.fixture
def read_before(chain, monkeypatch) -> None:
    """Every file is the chain, which was read once: the process takes seconds, and is not what these tests are of."""

    def read(file: Path, folder: Path, *, name: str, **_: object) -> LoadedModel:
        assert file.is_file()
        shutil.copytree(chain.layers_file.parent, folder)
        graph = replace(chain.graph, name=network_name(name))
        files = (folder / one.name for one in (chain.layers_file, chain.tensors_file))
        edge, cloud = (replace(one, graph_name=graph.name) for one in (chain.edge, chain.cloud))
        return LoadedModel(graph, chain.kind, *files, chain.notes, edge, cloud)

    monkeypatch.setattr(upload, "load_file", read)


def opened() -> AppTest:
    return AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S).run()


def dropped(page: AppTest, name: str, content: bytes) -> AppTest:
    """The page after a file was dropped and its reading has ended."""
    page.file_uploader[0].upload(name, content, "application/octet-stream").run()
    job, deadline = page.session_state[uploads.JOB], time.monotonic() + DEADLINE_S
    while not job.over and time.monotonic() < deadline:
        time.sleep(0.05)
    assert job.over
    return page.run()


def test_a_dropped_model_is_planned_at_once(pt2):
    page = dropped(opened(), "chain.pt2", pt2)
    assert not page.exception
    assert not page.error
    assert page.selectbox(key="model").value == "own: chain"
    assert any("chain (your model)" in text.proto.body for text in page.get("html"))
    assert page.session_state["edge"] == "this machine, 1 thread, quick"
    assert page.session_state["cloud"] != page.session_state["edge"]
    assert any("three quick passes" in caption.value for caption in page.caption)
    page.selectbox(key="model").set_value("alexnet").run()
    assert not any("chain" in caption.value for caption in page.caption)
    assert not page.success


@pytest.mark.usefixtures("read_before")
def test_files_of_a_model_are_gone_with_the_visit(pt2):
    page = dropped(opened(), "chain.pt2", pt2)
    place = Path(page.session_state["own_models"]["own: chain"].place.name)
    assert (place / "read" / "tensors.bin").stat().st_size > 0
    assert not (place / "sent").exists()
    del page
    gc.collect()
    assert not place.exists()


@pytest.mark.usefixtures("read_before")
def test_another_visitor_does_not_see_it(pt2):
    dropped(opened(), "chain.pt2", pt2)
    assert not any("your model" in str(option) for option in opened().selectbox(key="model").options)


def test_an_address_with_a_model_that_this_visit_lacks_says_so():
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page.query_params["model"] = "own: chain"
    page.run()
    assert any("upload its file again" in warning.value for warning in page.warning)
    assert page.selectbox(key="model").value == OPENING.scenario.model


def test_a_refused_file_shows_why_and_the_lines_that_help():
    page = dropped(opened(), "notes.txt", b"These are my notes.\n" * 20)
    assert "notes" in page.error[0].value
    assert page.selectbox(key="model").value == OPENING.scenario.model
    page.button(key="upload_remedy").click().run()
    assert any("torch.export.save" in code.value for code in page.code)


def test_weights_ask_for_their_network():
    file = io.BytesIO()
    torch.save(torch.nn.Linear(2, 2).state_dict(), file)
    page = dropped(opened(), "weights.pt", file.getvalue())
    assert "holds weights without a network" in page.error[0].value
    assert page.button(key="upload_again").disabled


@pytest.mark.usefixtures("read_before")
def test_a_second_model_of_the_same_name_gets_a_number(pt2):
    page = dropped(dropped(opened(), "chain.pt2", pt2), "chain.pt2", pt2)
    assert list(page.session_state["own_models"]) == ["own: chain", "own: chain (2)"]
    assert page.selectbox(key="model").value == "own: chain (2)"


@pytest.mark.usefixtures("read_before")
def test_a_network_that_gives_way_takes_its_profiles_along_and_no_file_stays_in_memory(pt2, monkeypatch):
    monkeypatch.setattr(models, "KEPT", 1)
    page = dropped(opened(), "chain.pt2", pt2)
    assert page.session_state[uploads.JOB].content == b""
    found = page.session_state["own_models"]["own: chain"].loaded.edge
    page.session_state[models.PROFILES]["own: chain"]["own: mine"] = found
    dropped(page, "other.pt2", pt2)
    assert list(page.session_state["own_models"]) == ["own: other"]
    dropped(page, "chain.pt2", pt2)
    assert not page.exception
    assert "own: mine" not in page.selectbox(key="edge").options


def test_a_file_waits_for_another_visitors_run_and_can_be_given_up_meanwhile():
    with one_reader_at_a_time:
        job = UploadJob("chain.pt2", b"content")
        job.start()
        job.stop()
        deadline = time.monotonic() + DEADLINE_S
        while not job.over and time.monotonic() < deadline:
            time.sleep(0.05)
    assert job.over
    assert (job.failure, job.found) == (None, None)
    assert job.content == b""


def test_files_of_all_visitors_share_one_limit_and_those_that_are_over_hold_nothing(monkeypatch):
    monkeypatch.setenv("DECC_MAX_FILE_BYTES", "100")
    monkeypatch.setattr(file, "_jobs", {})
    first, second = (UploadJob(f"{name}.pt2", b"x" * 90) for name in "ab")
    with pytest.raises(InvalidInstance, match="wait to be read"):
        UploadJob("c.pt2", b"x" * 90)
    for job in (first, second):
        job.start()
    deadline = time.monotonic() + DEADLINE_S
    while not (first.over and second.over) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert first.failure
    assert first.content == second.content == b""
    assert UploadJob("c.pt2", b"x" * 90).content


def test_a_slow_file_does_not_keep_anybody_from_running():
    with one_reader_at_a_time:
        assert one_at_a_time.acquire(blocking=False)
        one_at_a_time.release()


@pytest.mark.parametrize("text", ["length", "length=-1", "=3", "length=x"])
def test_dimensions_that_are_no_sizes_are_refused(text):
    with pytest.raises(InvalidInstance, match="name=size"):
        uploads.dimensions(text)


def test_dimensions_are_read_by_name():
    assert uploads.dimensions(" length = 128, past=0, image:2=224 ") == {"length": 128, "past": 0, "image:2": 224}


def with_weights_beside() -> tuple[bytes, bytes]:
    """A network, and the file in which it keeps its one weight."""
    proto = hostile_onnx.external("net.onnx.data")
    return proto.SerializeToString(), np.ones(4, np.float32).tobytes()


def test_a_network_and_its_weights_are_dropped_together():
    network, weights = with_weights_beside()
    page = opened()
    page.file_uploader[0].upload("net.onnx.data", weights, "application/octet-stream")
    page = dropped(page, "net.onnx", network)
    assert not page.error
    assert page.selectbox(key="model").value == "own: net"
    assert page.session_state[uploads.JOB].held_bytes == 0
    place = Path(page.session_state["own_models"]["own: net"].place.name)
    assert [path.name for path in place.iterdir()] == ["read"]


def test_a_network_without_its_weights_says_which_file_lacks():
    page = dropped(opened(), "net.onnx", with_weights_beside()[0])
    assert "net.onnx.data" in page.error[0].value
    assert "drop both on the page together" in page.error[0].value


def test_several_files_that_do_not_belong_together_are_refused(pt2):
    page = opened()
    page.file_uploader[0].upload("a.pt2", pt2, "application/octet-stream")
    page = dropped(page, "b.pt2", pt2)
    assert "drop other models one at a time" in page.error[0].value


def test_weights_beside_count_as_what_waits_in_memory(monkeypatch):
    monkeypatch.setenv("DECC_MAX_FILE_BYTES", "100")
    monkeypatch.setattr(file, "_jobs", {})
    with pytest.raises(InvalidInstance, match="wait to be read"):
        UploadJob("a.onnx", b"x" * 90, beside={"a.data": b"x" * 111})


def test_a_refusal_says_what_to_do_here_and_not_in_a_terminal():
    told = "Dimension 1 of input 'ids' is open; give its size (on the command line: --dimension ids:1=SIZE), or export."
    assert on_the_page(told) == (
        "Dimension 1 of input 'ids' is open; give its size (under Options below: ids:1=SIZE), or export."
    )


def test_a_long_refusal_is_short_at_the_side_and_whole_in_a_window():
    job = UploadJob("net.pt2", b"")
    job.failure, job.over = f"It has {'very ' * 200}many faults.", True
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page.session_state["upload_job"] = job
    page.run()
    assert not page.exception
    assert len(page.sidebar.error[0].value) < 300
    page.button(key="upload_remedy").click().run()
    assert any("many faults" in text.value for text in page.markdown)
