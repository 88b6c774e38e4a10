"""Commands that plan with coded tensors, as a user would type them."""

from __future__ import annotations

import json

import pytest

from decc_core import library, store
from decc_core.cli import main
from decc_core.problem.profile import Provenance, ProvenanceKind
from decc_core.problem.wire import TensorCoding, WireProfile, tensor_name

SLOW_EDGE = ("alexnet", "--edge-slowdown", "3", "--cloud-speedup", "4", "--uplink-mbps", "8")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


@pytest.fixture
def profile(tmp_path) -> str:
    """A file in which every tensor of AlexNet becomes a tenth at 99 %, and a hundredth at 90 %."""
    graph = library.load_graph("alexnet")
    sizes = {tensor_name(graph, i): tensor.spec.size_bytes for i, tensor in enumerate(graph.tensors)}

    def codings(share: float, agreement: float) -> dict[str, TensorCoding]:
        return {
            name: TensorCoding(round(size * share) + 1, round(size * share) + 2, 1e-4, 1e-4, agreement=agreement)
            for name, size in sizes.items()
        }

    made = Provenance(ProvenanceKind.MEASURED, "made up for a test")
    formats = {"int8+zstd": codings(0.1, 0.99), "int2+zstd": codings(0.01, 0.9)}
    file = tmp_path / "wire.json"
    store.save(WireProfile("alexnet", graph.fingerprint, "here", made, 30, True, formats), file)
    return str(file)


def test_a_plan_says_how_each_crossing_tensor_travels(capsys):
    (cut,) = json.loads(printed(capsys, "plan", *SLOW_EDGE, "--wire", "int4", "--json"))["cuts"]
    assert cut["wire_formats"] == ["int4"]
    assert cut["crossing_tensors"][0] in printed(capsys, "plan", *SLOW_EDGE, "--wire", "int4")
    assert main(["plan", *SLOW_EDGE, "--wire", "int4"]) == 0
    told = capsys.readouterr()
    assert " as int4 (" in told.out
    assert "What 'int4' does to the accuracy is not known" in told.err


def test_a_comparison_says_what_coding_is_worth(capsys, profile):
    coded = ("--wire-profile", profile, "--min-agreement", "0.95")
    found = json.loads(printed(capsys, "compare", *SLOW_EDGE, *coded, "--json"))
    assert found["instance"]["wire"] == "any"
    gains = found["wire_ablation"]
    assert gains["both_s"] <= min(gains["inputs_s"], gains["features_s"]) <= gains["raw_s"]
    text = printed(capsys, "compare", *SLOW_EDGE, *coded)
    assert "travels as int8+zstd" in text
    assert "Against raw tensors" in text
    assert json.loads(printed(capsys, "compare", *SLOW_EDGE, "--json"))["wire_ablation"] is None


def test_a_sweep_goes_over_bits_a_value(capsys):
    sweep = ("sweep", "alexnet", "--uplink-mbps", "2,20", "--bits", "32,1", "--strategies", "cloud-only,decc", "--json")
    rows = json.loads(printed(capsys, *sweep))["rows"]
    assert [(row["uplink_mbps"], row["bits_a_value"]) for row in rows[::2]] == [(2, 32), (2, 1), (20, 32), (20, 1)]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--wire", "int9"), "There is no wire format 'int9'"),
        (("--wire", "int8+zstd"), "--wire-profile"),
        (("--wire", "int8", "--min-agreement", "2"), "choose a number from 0 to 1"),
        (("--wire", "any"), "--wire-profile"),
        (("--wire", "any", "--wire-profile", "nowhere.json"), "nowhere.json"),
        (("--wire-profile", "nowhere.json"), "say which with --wire"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_sentence(capsys, options, sentence):
    assert main(["plan", *SLOW_EDGE, *options]) == 2
    assert sentence in capsys.readouterr().err


def test_a_sweep_over_bits_has_no_other_format(capsys):
    assert main(["sweep", "alexnet", "--bits", "8", "--wire", "int8"]) == 2
    assert "leave one of them out" in capsys.readouterr().err
    assert main(["sweep", "alexnet", "--bits", "0"]) == 2
    assert "0 bits a value are none" in capsys.readouterr().err
