"""The Network view without a browser: it opens, it answers, and it shows names letter by letter."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.figures.layer_tree import groups, layer_id, layer_tree
from app.text import code
from app.views.network import counted, layer_table, matches
from app.views.network_state import name_of
from decc_core import library, store
from decc_core.network.branches import split_branches
from decc_core.network.graph import LayerGraph
from decc_core.printed.table import as_csv
from decc_core.problem.scenario import Scenario
from tests.app.networks import FAMILIES
from tests.builders import make_graph, make_instance, two_profiles

HOSTILE = "<img src=x onerror=alert(1)> **bold** `:red[x]` [a](javascript:alert(1))"


def shown_page() -> None:
    """The view alone, as a script: the network's name comes from the session, a hostile one from no file."""
    import streamlit as st

    from app.shell import cached, profiles, visit
    from app.views import network
    from decc_core.problem.instance import CostInstance
    from decc_core.problem.scenario import Scenario

    scenario = Scenario(model=st.session_state["model"])
    if "graph" in st.session_state:
        graph: LayerGraph = st.session_state["graph"]
        visit.workspace().profiles[scenario.model] = st.session_state["times"]
        times = tuple(0 if layer.is_input else 1 for layer in graph.layers)
        sizes = tuple(1 for _ in graph.tensors)
        instance = CostInstance(graph, times, times, sizes, sizes, sizes)
    else:
        found = profiles.profile_of(scenario.model, scenario.edge)
        instance = scenario.instance(cached.graph_of(scenario.model), found, found)
    network.view(scenario, instance)


def opened(model: str = "googlenet", graph: LayerGraph | None = None) -> AppTest:
    page = AppTest.from_function(shown_page, default_timeout=60)
    page.session_state["model"] = model
    if graph is not None:
        page.session_state["graph"] = graph
        # Where its tables say that the times are from.
        edge, cloud = two_profiles(graph, {}, {})
        chosen = Scenario(model=model)
        page.session_state["times"] = {chosen.edge: edge, chosen.cloud: cloud}
    page.run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    return "\n".join([*(text.value for text in page.markdown), *(text.value for text in page.caption)])


def html(page: AppTest) -> str:
    return "\n".join(one.proto.body for one in page.main.get("html"))


def state_of(page: AppTest, graph: LayerGraph) -> dict:
    return page.session_state["network_states"][name_of(graph)]


@pytest.mark.parametrize("model", FAMILIES)
def test_every_family_opens_and_says_what_to_do(model):
    page = opened(model)
    assert len(page.get("bidi_component")) == 1
    assert "Click a layer" in said(page)
    assert f"<b>{len(library.load_graph(model))}</b><span>layers</span>" in html(page)


def test_a_network_that_is_a_chain_is_called_one():
    assert "A chain" in said(opened("alexnet"))
    assert "never wait for one another" in said(opened("googlenet"))


@pytest.mark.parametrize("colouring", ["branch", "placement", "edge time", "bytes out", "FLOPs", "parameters"])
def test_every_colouring_draws(colouring):
    page = opened("squeezenet1_1")
    page.button_group(key="network_colouring").set_value([colouring]).run()
    assert not page.exception
    (drawn,) = page.get("bidi_component")
    data = json.loads(drawn.proto.mixed.json or drawn.proto.json)
    assert data["scene"]["legend"]["swatches"]


def test_a_jump_selects_opens_and_centres_a_layer_and_its_neighbours_are_buttons():
    graph = library.load_graph("googlenet")
    page = opened()
    page.button(key="network_close").click().run()
    layer = graph.index["conv2d_5"]
    page.selectbox(key="network_jump").set_value(layer).run()
    assert not page.exception
    state = state_of(page, graph)
    assert state["selected"] == layer_id(layer)
    assert state["focus"].ids == (layer_id(layer),)
    assert page.selectbox(key="network_jump").value is None
    assert state["opened"]
    assert graph.titles[layer] == "inception3a.branch2.1.conv"
    assert graph.titles[layer] in said(page)
    assert "aten.conv2d.default" in html(page)
    parent = layer_id(graph.parents[layer][0])
    page.button(key=f"network_parents_{parent}").click().run()
    assert state_of(page, graph)["selected"] == parent


def test_expand_collapse_and_reset_change_what_is_open_and_a_rerun_does_not():
    graph = library.load_graph("squeezenet1_1")
    page = opened("squeezenet1_1")
    first = state_of(page, graph)["opened"]
    page.button(key="network_open").click().run()
    everything = state_of(page, graph)["opened"]
    assert everything == {group.id for group in groups(layer_tree(graph))}
    page.run()
    assert state_of(page, graph)["opened"] == everything
    page.button(key="network_close").click().run()
    assert state_of(page, graph)["opened"] == frozenset()
    page.button(key="network_reset").click().run()
    assert state_of(page, graph)["opened"] == first


def test_a_search_finds_names_module_paths_and_operators():
    graph = library.load_graph("googlenet")
    assert matches(graph, "") == []
    assert matches(graph, "no such layer") == []
    assert matches(graph, "CONV2D_5")[0] == graph.index["conv2d_5"]
    found = matches(graph, "inception3a.branch2")
    assert found
    assert all("inception3a.branch2" in graph.layers[i].module_path for i in found)
    page = opened()
    page.text_input(key="network_search").set_value("inception3a").run()
    assert not page.exception
    data = json.loads(page.get("bidi_component")[0].proto.mixed.json or page.get("bidi_component")[0].proto.json)
    assert data["matches"]


def test_hostile_names_are_shown_letter_by_letter():
    graph = make_graph({"x": [], HOSTILE: ["x"], "b": ["x"], "y": [HOSTILE, "b"]}, name=HOSTILE)
    page = opened("</h3><script>alert(1)</script>", graph)
    page.selectbox(key="network_jump").set_value(1).run()
    assert not page.exception
    assert "<img" not in html(page)
    assert "<script" not in html(page)
    (shown,) = [text.value for text in page.markdown if "onerror" in text.value]
    assert shown == f"**{code(HOSTILE)}**"
    assert code(HOSTILE).startswith("`` ")
    page.button(key="network_parents_layer-0").click().run()
    (child,) = [button.label for button in page.button if "javascript" in button.label]
    assert child.strip().startswith("``")
    assert child.strip().endswith("``")


def test_the_layer_table_holds_every_layer_with_units():
    graph = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
    table = layer_table(make_instance(graph, {"a": 2_000_000}, {"a": 1_000_000}, {"x": 5}))
    back = pd.read_csv(io.StringIO(as_csv(table, {"decc_version": "1"})))
    assert list(back["layer"]) == ["x", "a", "b", "y"]
    assert back["edge_ms"][1] == 2.0
    assert list(back["decc_version"]) == [1] * 4
    assert list(back["branch"].fillna("")) == ["", "1 of 2", "2 of 2", ""]
    assert back["parents"][3] == "a; b"


def test_the_graph_can_be_downloaded_and_read_again():
    graph = library.load_graph("alexnet")
    assert store.from_json(store.to_json(graph), LayerGraph, "it") == graph
    assert {button.proto.id for button in opened("alexnet").get("download_button")}


def test_segments_and_branches_are_counted_with_the_nested_ones():
    graph = make_graph(
        {"x": [], "a": ["x"], "p": ["a"], "q": ["a"], "r": ["p", "q"], "b": ["x"], "y": ["r", "b"]},
    )
    assert counted(split_branches(graph)) == (2, 4)


def test_a_search_goes_to_all_that_it_finds_and_selects_what_is_alone():
    graph = library.load_graph("googlenet")
    page = opened()
    page.text_input(key="network_search").set_value("inception4").run()
    assert not page.exception
    focus = state_of(page, graph)["focus"]
    assert len(focus.ids) > 1
    data = json.loads(page.get("bidi_component")[0].proto.mixed.json or page.get("bidi_component")[0].proto.json)
    assert set(data["focus"]["ids"]) == set(data["matches"])
    assert state_of(page, graph)["selected"] is None
    page.text_input(key="network_search").set_value("inception3a.branch2.1.conv").run()
    state = state_of(page, graph)
    assert state["selected"] == layer_id(graph.layer_called("inception3a.branch2.1.conv"))
    assert state["focus"].token == focus.token + 1
    page.text_input(key="network_search").set_value("no such layer").run()
    assert state_of(page, graph)["focus"].token == focus.token + 1


def test_towers_are_named_in_the_caption_the_legend_and_the_table():
    graph = make_graph({"camera": [], "c": ["camera"], "`lidar`": [], "l": ["`lidar`"], "y": ["c", "l"]})
    page = opened("fusion", graph)
    assert "Each input starts a **tower**" in said(page)
    assert "camera, \\`lidar\\`." in said(page)
    data = json.loads(page.get("bidi_component")[0].proto.mixed.json or page.get("bidi_component")[0].proto.json)
    assert [swatch[1] for swatch in data["scene"]["legend"]["swatches"]][1:] == ["camera", "`lidar`"]
    rows = layer_table(make_instance(graph, {}, {}, {}))
    assert [row["tower"] for row in rows] == ["camera", "camera", "`lidar`", "`lidar`", ""]
    page.selectbox(key="network_jump").set_value(1).run()
    assert "only camera reaches it" in said(page)
