"""Tables and templates of layers and their times."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest

from decc_core import library, store
from decc_core.errors import InvalidProfile, UnmappedTimes, UnreadableFile
from decc_core.problem.profile import ProvenanceKind
from decc_core.profiling.imports import read_profile, template_csv, template_json
from tests.builders import make_graph
from tests.profiling.imports.made import FULL, table


def test_a_table_of_layers_and_seconds_becomes_a_measured_profile(chain):
    found = read_profile(table(*FULL), "board.csv", chain)
    assert found.profile.median_s == {"conv": 0.4, "relu": 0.1, "view": 0.0, "fc": 0.5}
    assert found.profile.whole_s == pytest.approx(1.0)
    assert found.profile.p95_s == found.profile.median_s
    assert found.profile.device == "board"
    assert found.profile.provenance.kind is ProvenanceKind.MEASURED
    assert "board.csv" in found.profile.provenance.source
    assert found.profile.provenance.machine == {}
    assert found.notes == ("No layer has a 95th percentile: the median stands for it.",)
    found.profile.require_graph(chain)


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + table(*FULL),
        table("# hand-made", *FULL, "", "# the end"),
        table("conv;0,4", "relu;0,1", "view;0", "fc;0,5", header="layer;median_s"),
        table("conv\t0.4", "relu\t0,1", "view\t0", "fc\t5e-1", header="layer\tmedian_s"),
        table("conv,400", "relu,100", "view,0", "fc,500", header="layer,median_ms"),
        table("4e5,conv", "1e5,relu", "0,view", "5e5,fc", header="MEDIAN_US, Layer"),
        table(*FULL).replace(b"\n", b"\r\n"),
        table(*reversed(FULL), ",,"),
        gzip.compress(table(*FULL)),
    ],
    ids=["mark", "comments", "semicolon", "tab", "ms", "us", "crlf", "order", "gz"],
)
def test_tables_come_in_many_dialects(chain, data):
    assert read_profile(data, "t.csv", chain).profile.median_s == pytest.approx(
        {"conv": 0.4, "relu": 0.1, "view": 0.0, "fc": 0.5}
    )


def test_percentiles_are_taken_and_columns_of_no_use_are_named(chain):
    data = table("conv,0.4,0.6,9", "relu,0.1,,9", "view,0,0,9", "fc,0.5,0.5,9", header="layer,median_s,p95_s,price")
    found = read_profile(data, "t.csv", chain, device="mine")
    assert found.profile.p95_s == {"conv": 0.6, "relu": 0.1, "view": 0.0, "fc": 0.5}
    assert found.profile.device == "mine"
    assert "'price'" in found.notes[0]
    assert "1 layer has no 95th percentile" in found.notes[1]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("conv,0.4", "relu,0.1"), "2 layers of 'tiny' missing: 'view', 'fc'"),
        ((*FULL, "conv,0.1"), "line 6 gives layer 'conv' a second time"),
        ((*FULL, "nope,0.1"), "line 6 names 'nope', which is no layer"),
        (("conv,-1", *FULL[1:]), "line 2 layer 'conv': '-1' is negative"),
        (("conv,nan", *FULL[1:]), "'nan' is not a number"),
        (("conv,inf", *FULL[1:]), "'inf' is not a number"),
        (("conv,1e300", *FULL[1:]), "more than 1,000,000 s"),
        (("conv,", *FULL[1:]), "its time is not filled in"),
        (("conv,0.4,7", *FULL[1:]), "has 3 cells"),
        (
            tuple(f"no{i},1" for i in range(9)),
            "and 7 more lines; 4 layers of 'tiny' missing: 'conv', 'relu', 'view'",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused_with_line_and_layer(chain, rows, said):
    with pytest.raises(UnmappedTimes) as error:
        read_profile(table(*rows), "t.csv", replace(chain, name="tiny"))
    assert said in str(error.value)
    assert "t.csv" in str(error.value)
    assert error.value.problems


def test_a_table_with_all_times_0_is_refused(chain):
    with pytest.raises(InvalidProfile, match="are 0"):
        read_profile(table("conv,0", "relu,0", "view,0", "fc,0"), "t.csv", chain)


@pytest.mark.parametrize("header", ["layer,time", "name,median_s", "layer,median_s,median_ms", "layer,layer,median_s"])
def test_a_header_without_the_columns_or_with_one_twice_is_refused(chain, header):
    with pytest.raises(UnreadableFile, match=r"columns"):
        read_profile(table(*FULL, header=header), "t.csv", chain)


def test_a_filled_template_is_read_back_whatever_the_layers_are_called():
    names = ["<b>bold</b>", 'quo"te', "a,b", "a;b", "#comment", "new\nline", "=1+1", "plain"]
    parents = {name: [before] for name, before in zip(names, ["x", *names], strict=False)}
    graph = make_graph({"x": [], **parents})
    with pytest.raises(UnmappedTimes, match="not filled in"):
        read_profile(template_csv(graph), "t.csv", graph)
    filled = template_csv(graph).replace(b",,\n", b",0.25,\n")
    assert read_profile(filled, "t.csv", graph).profile.median_s == dict.fromkeys(names, 0.25)


def test_the_json_template_is_refused_empty_and_taken_filled(chain):
    with pytest.raises(InvalidProfile, match="are 0"):
        read_profile(template_json(chain), "t.json", chain)
    filled = json.loads(template_json(chain))
    filled["content"]["median_s"]["fc"] = 0.5
    found = read_profile(json.dumps(filled).encode(), "t.json", chain)
    assert found.profile.whole_s == 0.5
    assert found.profile.device == "my-device"


def test_a_profile_of_our_own_stays_as_it_is():
    graph = library.load_graph("alexnet")
    shipped = library.load_profile("alexnet", "cpu-1-thread")
    assert read_profile(store.to_json(shipped), "p.json", graph).profile == shipped
    assert read_profile(store.to_json(shipped), "p.json", graph, "other").profile == replace(shipped, device="other")


def test_what_a_profile_says_of_itself_is_cut_where_nobody_would_read_on(chain):
    filled = json.loads(template_json(chain))
    filled["content"]["median_s"]["fc"] = 0.5
    endless = "a word " * 1_000
    facts = {f"{endless}{i}": endless for i in range(200)} | {"cores": "2"}
    filled["content"] |= {"device": endless}
    filled["content"]["provenance"] |= {"source": endless, "machine": facts, "settings": facts}
    found = read_profile(json.dumps(filled).encode(), "p.json", chain).profile
    assert len(store.to_json(found)) < 50_000
    assert found.device.endswith("…")
