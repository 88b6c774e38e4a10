"""The Profile view: what it says about times, and how a visitor gets profiles of one's own."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.jobs.job import one_reader_at_a_time
from app.shell import profiles
from app.text import plain
from app.views import profile_own
from decc_core import library, store
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.problem.scenario import DEFAULT_CLOUD
from decc_core.profiling.imports import template_csv, template_json
from tests.app.networks import networks
from tests.app.server import MAIN

DEADLINE_S = 60
MODEL = "googlenet"


def opened(model: str = MODEL, **address: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page.query_params.update({"model": model, **address})
    # `switch_page` knows files only; the navigation knows its views by this digest of their address.
    page._page_hash = calc_hash("profile")
    return page.run()


def upload(page: AppTest, name: str, data: bytes) -> AppTest:
    return read(page.file_uploader[0].upload(name, data, "application/json").run())


def read(page: AppTest) -> AppTest:
    """The page when its file was read; on a busy machine that may take longer than a visitor is kept waiting."""
    if profiles.READING in page.session_state:
        page.session_state[profiles.READING].wait(DEADLINE_S)
        page.run()
    return page


def shipped(model: str = MODEL, device: str = "cpu-1-thread") -> DeviceProfile:
    return library.load_profile(model, device)


def choices(page: AppTest) -> list[str]:
    return list(page.selectbox(key="edge").options)


def words(page: AppTest) -> str:
    return "\n".join(element.value for element in (*page.markdown, *page.caption))


def test_the_view_shows_provenance_and_every_layer_of_both_devices():
    page = opened()
    assert not page.exception
    assert not page.error
    text = words(page)
    assert "green-badge[measured]" in text
    assert "calibrated by" in text
    assert "measured on" in text
    assert "divided by 4" in text
    table = page.dataframe[0].value
    found = shipped()
    graph = library.load_graph(MODEL)
    assert list(table["layer"]) == [graph.titles[graph.index[name]] for name in found.median_s]
    assert table["edge (ms)"].sum() == pytest.approx(found.total_s * 1e3)
    assert table["cloud (ms)"].sum() == pytest.approx(shipped(device=DEFAULT_CLOUD).total_s * 1e3 / 4)
    assert table["of edge"].sum() == pytest.approx(100)


@pytest.mark.parametrize("model", networks("multiview4", "swin_t"))
def test_every_shipped_network_has_a_profile_view(model):
    page = opened(model)
    assert not page.exception
    assert not page.error
    assert plain(model) in page.subheader[0].value


def test_a_scaled_profile_says_so():
    page = opened()
    page.selectbox(key="edge").set_value("raspberry-pi-4").run()
    assert not page.exception
    assert "orange-badge[scaled]" in words(page)
    assert "Base measurement" in words(page)


def test_without_a_profile_of_ones_own_the_view_says_what_to_do():
    assert "Measure the network on this machine" in opened().info[0].value


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{not json", "is not JSON"),
        (b"{}", "is not a valid"),
        (store.to_json(library.load_graph("alexnet")), "holds a 'decc-graph'"),
        (store.to_json(shipped("alexnet")), "layer '"),
        (template_json(library.load_graph(MODEL)), "are 0"),
    ],
    ids=["no JSON", "no envelope", "a graph", "another network", "an empty template"],
)
def test_a_refused_profile_is_told_in_a_sentence_with_its_file_and_nothing_is_lost(data, reason):
    page = upload(opened(), "good.json", store.to_json(replace(shipped(), device="kept")))
    before, times = choices(page), page.dataframe[0].value
    upload(page, "broken.json", data)
    assert not page.exception
    (error,) = page.error
    assert reason in error.value.replace("\\", "")
    assert "broken.json" in error.value
    assert "fill in" in error.value
    assert choices(page) == before
    assert page.dataframe[0].value.equals(times)


def test_a_loaded_profile_is_put_to_use_with_one_click():
    page = upload(opened(), "mine.json", store.to_json(replace(shipped(), device="mine").scaled(3.0, "a test")))
    assert not page.error
    assert "'mine' can now be chosen" in page.success[0].value
    page.button(key=f"use_edge_{MODEL}_own: mine").click().run()
    assert not page.exception
    assert page.session_state["edge"] == "own: mine"
    assert page.dataframe[0].value["edge (ms)"].sum() == pytest.approx(3 * shipped().total_s * 1e3)


def test_a_template_that_was_filled_in_is_taken():
    content = json.loads(template_json(library.load_graph(MODEL)))
    for layer in content["content"]["median_s"]:
        content["content"]["median_s"][layer] = 0.001
    page = upload(opened(), "filled.json", json.dumps(content).encode())
    assert not page.error
    found = page.session_state["own_profiles"][MODEL]["own: my-device"]
    assert found.whole_s == pytest.approx(len(found.median_s) * 0.001)


def filled_table(model: str = MODEL) -> bytes:
    return template_csv(library.load_graph(model)).replace(b",,\n", b",0.001,\n")


def test_a_table_that_was_filled_in_is_taken_under_its_name_and_its_notes_are_shown():
    page = upload(opened(), "board.csv", filled_table())
    assert not page.error
    assert "'board' can now be chosen" in page.success[0].value
    assert "95th percentile" in page.success[0].value
    found = page.session_state["own_profiles"][MODEL]["own: board"]
    assert set(found.median_s.values()) == {0.001}


def test_a_trace_is_taken_compressed_and_layers_without_an_operator_stand_in_a_table():
    graph = library.load_graph("alexnet")
    computing = [layer for layer in graph.layers if not layer.is_input and layer.name != "sub"]
    events = [
        {"ph": "X", "cat": "cpu_op", "name": f"aten::{layer.operator.split('.')[1]}", "ts": 10 * k, "dur": 5}
        for k, layer in enumerate(computing)
    ]
    page = opened("alexnet")
    data = gzip.compress(json.dumps({"traceEvents": events}).encode())
    read(page.file_uploader[0].upload("run.json.gz", data, "application/gzip").run())
    assert not page.exception
    assert not page.error
    assert "PyTorch" in page.session_state["own_profiles"]["alexnet"]["own: run"].provenance.source
    problems = next(one.value for one in page.dataframe if "what is wrong" in one.value)
    assert list(problems["layer or line"]) == ["image_input.sub"]


def test_rows_that_do_not_fit_stand_in_a_table_with_line_and_layer():
    page = upload(opened(), "board.csv", filled_table().replace(b"conv1.conv,0.001", b"<img src=x>,fast", 1))
    assert not page.exception
    (error,) = page.error
    assert "<img" not in error.value.replace("\\<", "")
    problems = next(one.value for one in page.dataframe if "what is wrong" in one.value)
    assert list(problems["layer or line"])[1] == "conv1.conv"
    assert "<img src=x>" in problems["what is wrong"][0]


def test_two_files_of_one_name_are_both_kept_and_one_file_twice_is_kept_once():
    data = store.to_json(replace(shipped(), device="mine"))
    page = upload(opened(), "mine.json", data)
    upload(page, "mine.json", data)
    upload(page, "mine.json", store.to_json(replace(shipped(), device="mine").scaled(2.0, "a test")))
    assert [name for name in choices(page) if name.startswith("own: ")] == ["own: mine", "own: mine (2)"]


def test_a_profile_is_renamed_in_use_and_removed():
    page = upload(opened(), "mine.json", store.to_json(replace(shipped(), device="mine")))
    page.button(key=f"use_cloud_{MODEL}_own: mine").click().run()
    page.text_input(key=f"name_{MODEL}_own: mine").set_value("better").run()
    page.button(key=f"rename_{MODEL}_own: mine").click().run()
    assert not page.exception
    assert page.session_state["cloud"] == "own: better"
    assert "own: mine" not in choices(page)
    page.button(key=f"remove_{MODEL}_own: better").click().run()
    assert not page.exception
    assert page.session_state["cloud"] == DEFAULT_CLOUD
    assert not [name for name in choices(page) if name.startswith("own: ")]


def test_a_name_that_is_taken_is_refused():
    page = upload(opened(), "one.json", store.to_json(replace(shipped(), device="one")))
    upload(page, "two.json", store.to_json(replace(shipped(), device="two")))
    page.text_input(key=f"name_{MODEL}_own: two").set_value("one").run()
    page.button(key=f"rename_{MODEL}_own: two").click().run()
    assert "already have a profile 'one'" in page.error[0].value
    assert {"own: one", "own: two"} <= set(choices(page))


def test_a_profile_is_scaled_to_a_whole_model_time_and_says_from_what():
    page = opened()
    page.number_input(key="scale_total").set_value(250.0).run()
    page.text_input(key="scale_name").set_value("board").run()
    page.text_input(key="scale_note").set_value("its data sheet").run()
    page.button(key="scale").click().run()
    assert not page.exception
    assert not page.error
    found = page.session_state["own_profiles"][MODEL]["own: board"]
    assert found.whole_s == pytest.approx(0.25)
    assert found.provenance.kind is ProvenanceKind.SCALED
    assert "its data sheet" in found.provenance.source
    assert shipped().provenance.source in found.provenance.source


def test_a_profile_is_scaled_by_a_factor():
    page = opened()
    page.session_state["scale_how"] = "factor"
    page.run()
    page.number_input(key="scale_factor").set_value(3.0).run()
    page.button(key="scale").click().run()
    (found,) = page.session_state["own_profiles"][MODEL].values()
    assert found.total_s == pytest.approx(3 * shipped().total_s)
    assert "source of the number not given" in found.provenance.source


def test_a_profile_with_hostile_names_is_shown_as_text():
    name = "<img src=x> **bold** :red[x] $x$"
    made = Provenance(ProvenanceKind.MEASURED, name, {name: name}, {"threads": name})
    page = upload(opened(), "hostile.json", store.to_json(replace(shipped(), device=name, provenance=made)))
    page.button(key=f"use_edge_{MODEL}_own: {name}").click().run()
    assert not page.exception
    assert name not in words(page)
    assert plain(name) in words(page)


def test_a_file_that_takes_long_is_said_to_be_read_and_can_be_stopped(monkeypatch):
    monkeypatch.setattr(profile_own, "AT_ONCE_S", 0.0)
    page = opened()
    with one_reader_at_a_time:
        page.file_uploader[0].upload("board.csv", filled_table(), "text/csv").run()
        assert not page.exception
        (reading,) = (box.value for box in page.info if "board.csv" in box.value)
        assert "waiting for another file to be read" in reading
        job = page.session_state[profiles.READING]
        page.button(key="load_stop").click().run()
        job.wait(DEADLINE_S)
    page.run()
    assert job.over
    assert job.content == b""
    assert not page.error
    assert not any("board" in choice for choice in choices(page))
    assert page.file_uploader


def test_a_network_is_measured_in_the_background_and_joins_the_devices():
    page = opened("squeezenet1_1")
    page.number_input(key="measure_repeats").set_value(2).run()
    page.button(key="measure").click().run()
    assert not page.exception
    job = page.session_state[profiles.JOB]
    assert page.button(key="measure_stop")
    deadline = time.monotonic() + DEADLINE_S
    while not job.over and time.monotonic() < deadline:
        time.sleep(0.2)
    page.run()
    assert not page.exception
    assert not page.error
    assert "own: this-machine-1-thread" in choices(page)
    found = page.session_state["own_profiles"]["squeezenet1_1"]["own: this-machine-1-thread"]
    assert found.provenance.settings["repeats"] == "2"
    assert found.provenance.kind is ProvenanceKind.MEASURED
    assert any("can now be chosen" in message.value for message in page.success)
    page.selectbox(key="model").set_value("alexnet").run()
    assert not page.success


def test_an_estimated_device_says_how_far_off_it_may_be_and_how_to_measure_it():
    page = opened(edge="raspberry-pi-5-ncnn")
    assert not page.exception
    error = library.catalogue()["raspberry-pi-5-ncnn"].error
    assert any(f"± {error * 100:.0f} %" in text.value and "estimated" in text.value for text in page.markdown)
    assert any(code.value.startswith("decc profile ") for code in page.code)
    assert not any(code.value.startswith("decc profile ") for code in opened().code)
