"""How tensors travel, as a visitor chooses it: formats at the left, wire profiles of one's own, and links."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from decc_core import library, store
from tests.app.server import MAIN
from tests.app.wire import wire_profile

DEADLINE_S = 60


def opened(**address: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page.query_params.update({"model": "alexnet", "requests": "1", **address})
    page.session_state["wire_part"] = True
    page.run()
    assert not page.exception
    return page


def sent(page: AppTest, name: str, data: bytes) -> AppTest:
    box = next(box for box in page.file_uploader if box.label == "Your own wire profile")
    box.upload(name, data, "application/json").run()
    if "wire_job" in page.session_state:
        page.session_state["wire_job"].wait(DEADLINE_S)
    page.run()
    assert not page.exception
    return page


def with_profile() -> AppTest:
    page = sent(opened(), "wire.json", store.to_json(wire_profile()))
    assert not page.error
    return page


def texts(page: AppTest) -> str:
    told = (page.markdown, page.caption, page.warning, page.info, page.error, page.get("html"))
    return "\n".join(str(getattr(element, "value", "") or element.proto) for kind in told for element in kind)


def chosen(page: AppTest) -> dict[str, object]:
    return {key: page.session_state[key] for key in ("wire", "input_wire", "wire_profile", "min_agreement")}


def test_a_format_of_certain_size_is_planned_without_a_profile_and_stands_in_the_address():
    page = opened(cloud_speedup="8")
    assert page.session_state["wire"] == "fp32"
    page.selectbox(key="wire").set_value("int8").run()
    assert not page.exception
    assert page.query_params["wire"] == "int8"
    assert "any" not in page.selectbox(key="wire").options
    again = opened(cloud_speedup="8", wire="int8")
    assert again.session_state["wire"] == "int8"


def test_a_wire_profile_that_is_dropped_is_planned_with_under_an_agreement_and_can_be_removed():
    page = with_profile()
    assert chosen(page) == {
        "wire": "any", "input_wire": None, "wire_profile": "own: wire", "min_agreement": 0.99
    }  # fmt: skip
    assert page.query_params["wire_profile"] == "own: wire"
    assert page.query_params["min_agreement"] == "0.99"
    assert "measured on a bench" in texts(page)
    page.button(key="wire_remove_own: wire").click().run()
    assert not page.exception
    assert chosen(page) == {"wire": "fp32", "input_wire": None, "wire_profile": None, "min_agreement": None}


def test_another_network_lets_a_wire_profile_go_and_what_only_it_says():
    page = with_profile()
    page.selectbox(key="model").set_value("squeezenet1_1").run()
    assert not page.exception
    assert chosen(page) == {"wire": "fp32", "input_wire": None, "wire_profile": None, "min_agreement": None}
    page.selectbox(key="model").set_value("alexnet").run()
    assert "wire" in page.selectbox(key="wire_profile").options


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"no json", "is not JSON"),
        (store.to_json(wire_profile("squeezenet1_1")), "is of 'squeezenet1_1'"),
        (store.to_json(library.load_profile("alexnet", "cpu-1-thread")), "holds a 'decc-profile'"),
        (b" " * 17_000_000, "17.0 MB; of a wire profile 16.0 MB are taken"),
    ],
    ids=["no json", "other network", "other kind", "too large"],
)
def test_a_file_that_is_no_wire_profile_of_the_network_is_refused_in_a_sentence(data, says):
    page = sent(opened(), "wire.json", data)
    (told,) = [error.value for error in page.error]
    assert says.replace("_", "\\_") in told
    assert page.session_state["wire_profile"] is None


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ({"wire": "any"}, "which means something with a wire profile only"),
        ({"min_agreement": "0.9"}, "min\\_agreement=0.9"),
        ({"wire": "int3"}, "There is no wire format"),
        ({"wire_profile": "own: wire"}, "a wire profile of somebody's own"),
        ({"wire_profile": "nonsense"}, "has none of that name"),
        ({"wire_percentile": "70"}, "wire\\_percentile=70"),
    ],
)
def test_a_link_that_asks_for_what_is_not_there_stops_and_says_so(address, says):
    page = opened(**address)
    assert says in texts(page)
    assert page.button(key="link_go_on")
    assert page.query_params.items() >= address.items()
    page.button(key="link_go_on").click().run()
    assert not page.exception
    assert not page.error


def test_the_wire_tab_draws_bytes_and_agreement_and_says_what_is_not_measured():
    page = opened(tab="Wire", wire="int8")
    assert "was not measured" in texts(page)
    assert page.multiselect(key="wire_shown").value == ["raw", "fp16", "int8", "int4"]
    page = sent(page, "wire.json", store.to_json(wire_profile()))
    assert not page.error
    assert "over 48 samples" in texts(page)


def test_a_profile_of_random_weights_plans_with_certain_sizes_alone():
    page = sent(opened(), "wire.json", store.to_json(replace(wire_profile(), trained=False)))
    assert page.session_state["min_agreement"] is None
    assert "only sizes that are certain" in texts(page)


def test_a_shipped_wire_profile_is_offered_for_its_network_and_stands_in_a_link():
    address = {"model": "efficientnet_lite0", "wire_profile": "efficientnet_lite0", "wire": "any"}
    page = opened(**address, min_agreement="0.99", tab="Wire")
    assert not page.error
    assert page.session_state["wire_profile"] == "efficientnet_lite0"
    assert page.query_params.items() >= {**address, "min_agreement": "0.99"}.items()
    assert "Agreement" in texts(page)
    page.selectbox(key="wire_profile").set_value(None).run()
    assert not page.exception
    assert chosen(page) == {"wire": "fp32", "input_wire": None, "wire_profile": None, "min_agreement": None}


class Waiting:
    """A file that is being read."""

    file_name, doing, model, over, failure, found, kept_as = "wire.json", "reading", "alexnet", False, None, None, ""

    def stop(self) -> None:
        pass


@pytest.mark.parametrize("unfolded", [True, False])
def test_a_file_that_is_being_read_is_told_of_wherever_its_part_is_folded(unfolded):
    page = opened()
    page.session_state["wire_part"] = unfolded
    page.session_state["wire_job"] = Waiting()
    page.run()
    assert not page.exception
    assert "wire.json: reading" in texts(page).replace("\\", "")
    assert page.button(key="wire_stop")


@pytest.mark.parametrize("unfolded", [True, False])
@pytest.mark.parametrize(("model", "told"), [("alexnet", 1), ("googlenet", 0)])
def test_why_a_file_was_refused_is_told_once_wherever_its_part_is_folded(unfolded, model, told):
    page = opened()
    page.session_state["wire_part"] = unfolded
    job = Waiting()
    job.over, job.failure, job.model = True, "It is no wire profile.", model
    page.session_state["wire_job"] = job
    page.run()
    assert not page.exception
    assert [one.value for one in page.error].count("It is no wire profile.") == told
