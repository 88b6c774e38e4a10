"""The commands that talk to workers, run as a user would: worker, link, profile --worker and run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from decc_core import store
from decc_core.cli import main
from decc_core.problem.profile import DeviceProfile
from decc_core.runtime.controller import live

MODEL = "squeezenet1_1"
FAST = ("--uplink-mbps", "100", "--requests", "2")


@pytest.fixture(scope="module")
def by_hand():
    """An edge and a cloud worker that somebody started on this machine; their addresses."""
    processes, addresses = [], []
    for role in ("edge", "cloud"):
        process = subprocess.Popen(
            [sys.executable, "-m", "decc_core", "worker", "--role", role, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        addresses.append(re.search(r"listens on (\S+);", process.stdout.readline()).group(1))
    yield addresses
    for process in processes:
        process.terminate()
        assert process.wait(10) == 0
        process.stdout.close()


def test_run_compares_strategies_and_writes_a_trace_for_each(tmp_path, capsys):
    path = tmp_path / "trace.json"
    assert main(["run", MODEL, *FAST, "--compare", "dads-dsl", "--trace", str(path), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [run["strategy"] for run in content["runs"]] == ["decc", "dads-dsl"]
    for run in content["runs"]:
        assert run["outputs_equal"] is True
        assert run["max_abs_diff"] == 0
        assert run["measured_makespan_s"] > 0
        assert run["predicted_makespan_s"] > 0
        assert run["failure"] is None
        assert run["finished"] == [0, 1]
    assert json.loads(path.read_text())["otherData"]["strategy"] == "decc"
    assert json.loads((tmp_path / "trace-dads-dsl.json").read_text())["traceEvents"]


def test_a_saved_plan_runs_on_workers_that_are_up(by_hand, tmp_path, capsys):
    plan = tmp_path / "plan.json"
    assert main(["plan", MODEL, *FAST, "--strategy", "jps", "--output", str(plan)]) == 0
    edge, cloud = by_hand
    arguments = ["run", "--plan", str(plan), "--uplink-mbps", "100", "--edge-worker", edge, "--cloud-worker", cloud]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "jps: outputs bit-identical; measured" in said


def test_a_run_with_coded_tensors_tells_formats_bytes_times_and_its_verdict(by_hand, tmp_path, capsys):
    path = tmp_path / "trace.json"
    edge, cloud = by_hand
    wanted = ["--wire", "int8", "--keep-on-edge", "8", "--keep-in-cloud", "view"]
    arguments = ["run", MODEL, *FAST, *wanted, "--edge-worker", edge, "--cloud-worker", cloud]
    assert main([*arguments, "--trace", str(path), "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["verdict"] == "within tolerance"
    assert not run["outputs_equal"]
    assert 0 <= run["top1_agreement"] <= 1
    assert set(run["formats"].values()) == {"int8"}
    assert 3.9 < run["raw_bytes"] / run["sent_bytes"] < 4
    for tensor in run["tensors"]:
        assert tensor["format"] == "int8"
        assert tensor["sent_bytes"] == tensor["planned_bytes"]
    assert set(run["coding"]) == {"edge encodes", "cloud decodes"}
    names = {event["name"] for event in json.loads(path.read_text())["traceEvents"]}
    assert any(name.startswith("encodes") and name.endswith("as int8") for name in names)
    assert main(arguments) == 0
    said = capsys.readouterr().out.replace("\n", " ")
    assert "within tolerance, max diff" in said
    assert "What crossed coded" in said
    assert "decodes" in said


def test_native_runs_say_what_level_they_were_predicted_at(by_hand, capsys):
    edge, cloud = by_hand
    arguments = ["run", MODEL, *FAST, "--native", "--repeats", "3", "--edge-worker", edge, "--cloud-worker", cloud]
    assert main(arguments) == 0
    assert "at that level" in capsys.readouterr().out.replace("\n", " ")


def test_an_emulated_slowdown_is_measured_first(by_hand, capsys):
    edge, cloud = by_hand
    arguments = ["run", MODEL, *FAST, "--emulate-slowdown", "2", "--repeats", "3", "--json"]
    assert main([*arguments, "--edge-worker", edge, "--cloud-worker", cloud]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["speed"] == "emulated"
    assert run["outputs_equal"] is True


def test_a_link_is_measured_into_a_preset_that_other_commands_take(by_hand, tmp_path, capsys):
    path = tmp_path / "network.json"
    assert main(["link", by_hand[1], "--name", "loopback", "--output", str(path)]) == 0
    assert "Mbit/s up" in capsys.readouterr().out
    preset = json.loads(path.read_text())
    assert preset["uplink_mbps"] > 50
    assert 0 < preset["rtt_ms"] < 100
    assert main(["plan", MODEL, "--network", str(path), "--json"]) == 0
    scenario = json.loads(capsys.readouterr().out)["instance"]
    assert scenario["uplink_mbps"] == preset["uplink_mbps"]
    assert scenario["rtt_ms"] == preset["rtt_ms"]
    for key in ("edge_tensor_ms", "edge_mb_ms", "cloud_tensor_ms", "cloud_mb_ms"):
        assert 0 < scenario[key] == preset[key] < 100
    assert main(["plan", MODEL, "--network", str(path), "--rtt-ms", "7", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["instance"]["rtt_ms"] == 7


def test_a_profile_is_measured_where_the_worker_runs(by_hand, tmp_path, capsys):
    path = tmp_path / "profile.json"
    arguments = ["profile", MODEL, "--worker", by_hand[0], "--device", "board", "--threads", "1", "--repeats", "2"]
    assert main([*arguments, "--output", str(path)]) == 0
    assert store.load(path, DeviceProfile).device == "board"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run"], "Name a network"),
        (["run", MODEL, "--edge-worker", "127.0.0.1:1"], "Name both workers"),
        (["run", MODEL, "--compare", "magic"], "There is no strategy 'magic'"),
        (["run", MODEL, "--emulate-slowdown", "0.5"], "cannot be emulated"),
        (["run", MODEL, "--edge-worker", "nowhere", "--cloud-worker", "127.0.0.1:1"], "'nowhere' is no address"),
        (["run", MODEL, "--edge-worker", "192.0.2.1:1", "--cloud-worker", "127.0.0.1:1"], "needs a token"),
        (["run", MODEL, "--edge-worker", "127.0.0.1:1", "--cloud-worker", "127.0.0.1:1"], "was never reached"),
        (["link", "127.0.0.1:1"], "was never reached"),
        (["profile", MODEL, "--worker", "127.0.0.1:1"], "was never reached"),
    ],
)
def test_mistakes_are_one_sentence_and_status_two(arguments, sentence, capsys):
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("decc:") == 1


def test_a_file_that_is_no_preset_is_refused(tmp_path, capsys):
    path = tmp_path / "network.json"
    path.write_text("{}")
    assert main(["plan", MODEL, "--network", str(path)]) == 2
    assert "is no network preset" in capsys.readouterr().err


@pytest.fixture
def nothing_starts(monkeypatch):
    """A command that starts a worker, or the reader of a model, fails."""
    for place in ("runtime.controller.live.local_workers", "runtime.controller.live.LocalWorker.start"):
        monkeypatch.setattr(f"decc_core.{place}", lambda *_: pytest.fail("a worker was started"))
    monkeypatch.setattr("decc_core.cli.sources.load_file", lambda *_, **__: pytest.fail("a model was read"))


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--bandwidth-trace", "PIPE", "it is no ordinary file"),
        ("--bandwidth-trace", "/dev/zero", "it is no ordinary file"),
        ("--bandwidth-trace", "BROKEN", "holds no line with seconds"),
        ("--images", "EMPTY", "holds no image"),
        ("--images", "IMAGES", "is no readable image"),
        ("--plan", "PIPE", "it is no ordinary file"),
        ("--plan", "BROKEN", "is not JSON"),
        ("--token-file", "PIPE", "it is no ordinary file"),
        ("--tls-certificate", "BROKEN", "begins with -----BEGIN"),
        ("--network", "PIPE", "it is no ordinary file"),
        ("--network", "DEEP", "is no network preset"),
        ("--edge", "PIPE.json", "it is no ordinary file"),
        ("--cloud", "BROKEN", "BROKEN"),
        ("--cloud-from-edge", "127.0.0.1:\u0661", "is no address"),
        ("--jitter-ms", "nan", "jitter of the link is nan s"),
        ("--jitter-ms", "1e300", "jitter of the link"),
        ("--dilation", "nan", "dilation is nan"),
        ("--dilation", "0", "dilation is 0"),
        ("--deadline-s", "inf", "deadline is inf s"),
        ("--emulate-slowdown", "1e300", "cannot be emulated"),
        ("--seed", str(2**70), "seed is"),
        ("--threads", "0", "0 threads"),
        ("--repeats", str(10**30), "repeats cannot be measured"),
        ("--rtt-ms", "inf", "RTT is inf s"),
        ("--uplink-mbps", "1e-300", "uplink rate is"),
        ("--requests", str(10**100), "cannot be planned"),
    ],
)
def test_everything_that_a_run_is_given_is_read_before_anything_is_started(tmp_path, capsys, option, value, sentence):
    os.mkfifo(tmp_path / "PIPE")
    os.mkfifo(tmp_path / "PIPE.json")
    (tmp_path / "BROKEN").write_text("what, is\nthis, thing\n" if option == "--cloud" else "")
    (tmp_path / "DEEP").write_text("[" * 100_000)
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "IMAGES").mkdir()
    (tmp_path / "IMAGES" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\x02IHDR\0\0")
    given = tmp_path / value if (value.isalpha() and value.isupper()) or value == "PIPE.json" else value
    assert main(["run", MODEL, option, str(given)]) == 2
    told = capsys.readouterr()
    assert sentence in told.err
    assert told.err.count("\n") == 1


@pytest.mark.usefixtures("nothing_starts")
def test_a_profile_that_cannot_be_read_is_refused_before_a_model_is(tmp_path, capsys):
    (tmp_path / "model.onnx").write_bytes(b"x")
    os.mkfifo(tmp_path / "edge.json")
    assert main(["compare", str(tmp_path / "model.onnx"), "--edge", str(tmp_path / "edge.json")]) == 2
    assert "it is no ordinary file" in capsys.readouterr().err


@pytest.mark.parametrize("item", [2**40, 5_000])
def test_a_plan_with_a_layer_that_is_not_there_is_refused_before_a_worker_starts(item, tmp_path, capsys, monkeypatch):
    plan = tmp_path / "plan.json"
    assert main(["plan", MODEL, *FAST, "--strategy", "jps", "--output", str(plan)]) == 0
    content = json.loads(plan.read_text())
    text = json.dumps(_with_item(content, item))
    assert text != json.dumps(content)
    plan.write_text(text)
    monkeypatch.setattr(live, "local_workers", lambda: pytest.fail("a worker was started"))
    assert main(["run", "--plan", str(plan), "--uplink-mbps", "100"]) == 2
    assert capsys.readouterr().err.startswith("decc: ")


def _with_item(content, item):
    """The saved plan, with another number for the first piece of work on the edge."""
    changed = json.loads(json.dumps(content))
    sequences = changed["content"]["plan"]["sequences"]
    sequences["edge"][0][1] = item
    return changed
