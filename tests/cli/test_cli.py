"""The command line: the documented example, files in and out, and one line for every mistake."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time

import pytest

from decc_core import store
from decc_core.cli import main, output, progress
from decc_core.cli.parser import make_parser
from decc_core.cli.progress import bar
from decc_core.network.graph import LayerGraph
from decc_core.planner.strategies import BASELINES, STRATEGIES
from decc_core.store import SavedPlan

FIELDS = {
    "strategy", "execution", "makespan_s", "throughput_rps", "edge_busy_s", "uplink_busy_s", "cloud_busy_s",
    "downlink_busy_s", "uplink_bytes", "lower_bound_s", "gap", "plan_s",
}  # fmt: skip


def run_json(capsys, *arguments: str):
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_documented_example_has_no_baseline_below_decc(capsys):
    example = "compare googlenet --edge-slowdown 10 --uplink-mbps 18.88 --rtt-ms 20 --requests 8"
    found = run_json(capsys, *example.split())
    assert [row["strategy"] for row in found["outcomes"]] == list(STRATEGIES)
    assert all(set(row) == FIELDS for row in found["outcomes"])
    makespans = {row["strategy"]: row["makespan_s"] for row in found["outcomes"]}
    assert all(makespans["decc"] <= makespans[name] for name in BASELINES)
    assert len({row["lower_bound_s"] for row in found["outcomes"]}) == 1
    assert found["instance"]["downlink_mbps"] == 18.88


def test_the_exact_row_is_added_on_request(capsys):
    found = run_json(capsys, "compare", "alexnet", "--exact", "5")
    assert found["outcomes"][-1]["strategy"] == "exact"
    assert found["outcomes"][-1]["makespan_s"] <= found["outcomes"][-2]["makespan_s"]


def test_constraints_are_kept_and_impossible_baselines_are_named(capsys):
    found = run_json(capsys, "compare", "alexnet", "--keep-on-edge", "inputs", "--uplink-kb", "200")
    assert set(found["not_possible"]) == {"cloud-only"}
    assert all(row["uplink_bytes"] <= 200_000 for row in found["outcomes"])
    assert main(["compare", "alexnet", "--keep-on-edge", "inputs"]) == 0
    assert "cloud-only: not possible." in capsys.readouterr().out


def test_a_comparison_carries_its_ablation(capsys):
    found = run_json(capsys, "compare", "two_tower", "--requests", "2")["ablation"]
    assert found["both_s"] <= found["overlap_s"] <= found["neither_s"]
    assert found["gain_over_best_baseline"] >= 1


def test_any_network_is_planned_on_devices_that_nobody_measured_it_on(capsys, tmp_path):
    names = [row["name"] for row in run_json(capsys, "devices")["devices"]]
    assert {"raspberry-pi-5-ncnn", "jetson-orin-nano-ncnn", "t4", "h100"} <= set(names)
    assert main(["devices"]) == 0
    assert "data sheet" in capsys.readouterr().out
    file = tmp_path / "pi.json"
    assert main(["estimate", "alexnet", "raspberry-pi-5-ncnn", "--output", str(file)]) == 0
    assert "4 of 5 were within" in capsys.readouterr().out
    by_name = run_json(capsys, "compare", "alexnet", "--edge", "raspberry-pi-5-ncnn", "--cloud", "t4")
    by_file = run_json(capsys, "compare", "alexnet", "--edge", str(file), "--cloud", "t4")
    assert run_json(capsys, "compare", "resnet34", "--edge", "jetson-nano-ncnn", "--cloud", "t4")["verdict"]["text"]
    makespans = [[row["makespan_s"] for row in found["outcomes"]] for found in (by_name, by_file)]
    assert makespans[0] == makespans[1]


def test_what_sending_costs_the_devices_is_charged_when_asked_for(capsys):
    free, charged = (
        run_json(capsys, "compare", "two_tower", "--cloud-speedup", "4", *more) for more in ((), ("--charge-sending",))
    )
    assert charged["instance"]["edge_tensor_ms"] == 0.4
    assert free["instance"]["edge_tensor_ms"] == 0
    best = [min(row["makespan_s"] for row in found["outcomes"]) for found in (free, charged)]
    assert best[0] < best[1]


def test_a_comparison_begins_with_a_verdict_and_doubts_it_where_times_are_estimated(capsys):
    found = run_json(capsys, "compare", "two_tower", "--cloud-speedup", "4", "--rtt-ms", "10")["verdict"]
    assert found["text"].startswith("Split: ")
    assert found["gain_over_one_device"] > 1.05
    assert "estimated" not in found["text"]
    text = run_json(capsys, "compare", "alexnet", "--edge", "jetson-nano-ncnn", "--cloud", "t4")["verdict"]["text"]
    assert "The times are estimated" in text


def test_a_pareto_front_is_printed_and_given_as_json(capsys):
    points = run_json(capsys, "pareto", "two_tower", "--requests", "2")["points"]
    assert [point["makespan_s"] for point in points] == sorted(point["makespan_s"] for point in points)
    assert len({point["uplink_bytes_per_request"] for point in points}) > 1
    assert main(["pareto", "alexnet"]) == 0
    assert "sent per request" in capsys.readouterr().out


def test_tables_are_printed_without_json(capsys):
    assert main(["compare", "two_tower", "--requests", "2"]) == 0
    text = capsys.readouterr().out
    assert "over the best baseline" in text
    assert all(name in text for name in STRATEGIES)
    assert main(["sweep", "alexnet", "--uplink-mbps", "1,100"]) == 0
    assert "Mbit/s" in capsys.readouterr().out
    assert main(["models"]) == 0
    assert "multiview12" in capsys.readouterr().out


def test_a_sweep_has_a_row_for_each_rate_and_strategy(capsys):
    found = run_json(capsys, "sweep", "alexnet", "--uplink-mbps", "1,10,100", "--strategies", "dads-dsl,jps")
    assert [(row["uplink_mbps"], row["strategy"]) for row in found["rows"]] == [
        (rate, name) for rate in (1, 10, 100) for name in ("dads-dsl", "jps")
    ]


def test_a_plan_is_saved_and_read_back(capsys, tmp_path):
    path = tmp_path / "plan.json"
    assert main(["plan", "two_tower", "--output", str(path)]) == 0
    assert store.load(path, SavedPlan).graph_name == "two_tower"
    assert "makespan" in capsys.readouterr().out


def test_a_network_is_extracted_profiled_and_compared_from_its_files(capsys, tmp_path):
    graph, profile = tmp_path / "graph.json", tmp_path / "profile.json"
    assert main(["extract", "squeezenet1_0", "-o", str(graph)]) == 0
    assert main(["profile", "squeezenet1_0", "-o", str(profile), "--repeats", "2", "--threads", "1"]) == 0
    assert store.load(graph, LayerGraph).name == "squeezenet1_0"
    capsys.readouterr()
    found = run_json(capsys, "compare", str(graph), "--edge", str(profile), "--cloud", str(profile))
    assert found["instance"]["model"] == "squeezenet1_0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("compare nosuchnet", "There is no network 'nosuchnet'"),
        ("plan googlnet", "did you mean googlenet?"),
        ("plan resnet34", "'resnet34' has no sample profiles"),
        ("plan nothing.pt2", "There is no file nothing.pt2; check its path."),
        ("extract folder/net.onnx", "There is no file folder/net.onnx"),
        ("profile nothing.json", "There is no file nothing.json"),
        ("plan alexnet --batch 2", "--batch is for open dimensions of a model file; leave it out for alexnet."),
        ("extract alexnet --dimension n=2", "--dimension is for open dimensions"),
        ("compare googlenet --edge toaster", "No profile of 'toaster'"),
        ("compare googlenet --edge nothing.json", "Cannot read"),
        ("compare googlenet --uplink-mbps 0", "uplink rate is 0 Mbit/s"),
        ("compare googlenet --uplink-mbps nan", "uplink rate is nan"),
        ("compare googlenet --uplink-mbps -5", "uplink rate is -5 Mbit/s"),
        ("compare googlenet --requests 0", "0 requests"),
        ("compare googlenet --edge-slowdown -3", "edge slowdown is -3"),
        ("compare googlenet --cloud-speedup 0", "cloud speed-up is 0"),
        ("compare googlenet --exact 0", "time limit"),
        ("compare googlenet --rtt-ms -1", "RTT is -0.001"),
        ("compare googlenet --uplink-mbps 1e-9 --requests 64", "63 bits"),
        ("compare alexnet --keep-on-edge nope", "has no layer 'nope'"),
        (
            "compare alexnet --keep-in-cloud conv2d --keep-on-edge 5",
            "Keeping 'features.0.conv2d' in the cloud is impossible",
        ),
        ("compare alexnet --keep-in-cloud conv2d --uplink-kb 1", "uplink limit of 1,000 bytes"),
        ("compare alexnet --edge-memory-mb 0.001", "edge memory limit of 1,000 bytes"),
        ("compare alexnet --uplink-kb -3", "uplink limit is -3"),
        ("compare", "required: MODEL"),
        ("compare googlenet --wire fp7", "There is no wire format 'fp7'; choose one of fp32, fp16, int8"),
        ("sweep googlenet --uplink-mbps 1,x", "invalid"),
        ("sweep googlenet --strategies magic", "Unknown strategy 'magic'"),
        ("profile nosuchnet", "no network 'nosuchnet'"),
        ("profile googlenet --threads 0", "0 threads"),
        ("fly", "invalid choice"),
        ("comapre googlenet", "did you mean compare?"),
        ("compare googlenet --requsts 3", "did you mean --requests?"),
        ("compare googlenet --edge toaster", "`decc devices` lists"),
        ("estimate googlenet jetson-nano-nc", "did you mean jetson-nano-ncnn"),
    ],
)
def test_mistakes_end_in_one_line_and_status_2(capsys, arguments, message):
    try:
        status = main(arguments.split())
    except SystemExit as exit_:
        status = exit_.code
    captured = capsys.readouterr()
    assert status == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_the_help_shows_choices_as_they_are_typed(capsys):
    with pytest.raises(SystemExit):
        main(["plan", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--wire-percentile {50,95}" in said
    assert "--objective {makespan,throughput}" in said
    assert "(default: makespan)" in said


def test_ctrl_c_is_heard_while_the_command_still_imports(capsys, monkeypatch):
    class Interrupted:
        def find_spec(self, name, *_):
            if name == "decc_core.cli.parser":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "decc_core.cli.parser", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    assert main(["models"]) == 130
    assert capsys.readouterr().err == "decc: interrupted.\n"


def test_a_table_in_a_pipe_is_as_wide_as_it_needs(capsys):
    output.print_table("title", ("what", "a" * 200), [("row", "x" * 300)])
    assert "x" * 300 in capsys.readouterr().out


def test_a_narrow_terminal_goes_without_the_columns_that_matter_least(capsys, monkeypatch):
    for key, value in (("FORCE_COLOR", "1"), ("NO_COLOR", "1"), ("COLUMNS", "30"), ("TERM", "xterm")):
        monkeypatch.setenv(key, value)
    output.print_table("t", ("what", "first", "second"), [("row", "1" * 9, "2" * 9)], None, ("second", "first"))
    said = capsys.readouterr().out
    assert "1" * 9 in said
    assert "2" not in said
    assert "Left out, because the terminal is narrow: second." in said


def test_a_failed_ablation_is_left_out_with_a_note(capsys, monkeypatch):
    monkeypatch.setattr("decc_core.study.ablation.mix_only", lambda *_: 1 / 0)
    assert main(["compare", "alexnet"]) == 0
    told = capsys.readouterr()
    assert "decc" in told.out
    assert told.err.startswith("note: The ablation is left out")


HOSTILE = "[/x] [bold]\x1b]0;title\x07\x1b[31m\r\udc80"


def test_names_from_files_are_neither_markup_nor_commands_to_a_terminal(capsys, monkeypatch):
    for key, value in (("FORCE_COLOR", "1"), ("NO_COLOR", "1"), ("COLUMNS", "300"), ("TERM", "xterm")):
        monkeypatch.setenv(key, value)
    output.say(HOSTILE)
    output.print_table(HOSTILE, (HOSTILE,), [(HOSTILE,)])
    told = capsys.readouterr().out
    assert told.count("[/x] [bold]?]0;title??[31m ?") == 4
    with bar(HOSTILE) as progress:
        progress(1, 2, HOSTILE)
    assert "\x1b]0" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["n" * 5000, "a/" * 3000, "\udc80", "[/x]", "..", "%s", "-".join("ab")])
@pytest.mark.parametrize(
    "arguments", [["compare", "NAME"], ["compare", "alexnet", "--edge", "NAME"], ["extract", "NAME"]]
)
def test_whatever_a_network_or_a_device_is_called_there_is_one_line(capsys, arguments, name):
    assert main([name if word == "NAME" else word for word in arguments]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("decc: ")
    assert told.err.count("\n") == 1
    assert len(told.err) < 2100


def test_every_option_of_every_command_is_explained_with_what_it_is_unless_said():
    (commands,) = (one for one in make_parser()._actions if isinstance(one, argparse._SubParsersAction))
    for name, parser in commands.choices.items():
        for action in parser._actions:
            assert action.help, f"{name}: {action.option_strings or action.dest}"
            if action.option_strings and action.nargs != 0 and not action.required:
                assert "default: " in action.help, f"{name} {action.option_strings}: {action.help}"


def test_where_no_bar_can_be_drawn_lines_say_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY_S", 0.05)
    with bar("Profiling net") as told:
        told(3, 33, "measuring [/x]\x1b[31m")
        time.sleep(0.5)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"Profiling net: measuring \[/x\]\?\[31m, 3 of 33 \(\d+ s so far\)", lines[-1])
    with bar("Reading net"):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "command", ["devices", "models", "compare alexnet", "sweep alexnet --uplink-mbps 1,100", "pareto alexnet"]
)
def test_every_table_fits_a_terminal_of_80_columns(command, capsys, monkeypatch):
    for key, value in (("FORCE_COLOR", "1"), ("NO_COLOR", "1"), ("COLUMNS", "80"), ("TERM", "xterm")):
        monkeypatch.setenv(key, value)
    assert main(command.split()) == 0
    table = [
        line for line in re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines() if line[:1] in "┏┃┡│└"
    ]
    assert len(table) > 3
    assert all(len(line) <= 80 for line in table)
