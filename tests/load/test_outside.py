"""Networks of packages that happen to be installed, through the whole product; `benchmarks/outside.py` has more."""

from __future__ import annotations

from itertools import islice

import pytest

from benchmarks import outside, outside_onnx
from decc_core.runtime.controller.live import local_workers


@pytest.fixture(scope="module")
def workers():
    with local_workers() as pair:
        yield pair


@pytest.mark.slow
@pytest.mark.parametrize("package", outside.PACKAGES)
def test_networks_of_a_package_are_taken_split_and_run_to_the_same_bits(package, workers, tmp_path):
    pytest.importorskip(package)
    for name, build in islice(outside.PACKAGES[package](), 3):
        row = outside.examined(package, name, build, workers, tmp_path)
        assert row.outcome is outside.Outcome.RIGHT, f"{name}: {row.why}"


@pytest.mark.slow
def test_models_of_the_onnx_package_are_right_or_refused_in_a_sentence():
    rows = list(outside_onnx.rows())
    bad = [row for row in rows if row.outcome in (outside_onnx.Outcome.WRONG, outside_onnx.Outcome.FAULT)]
    assert rows
    assert not bad
    run = [row for row in rows if row.by_runtime]
    taken = [row for row in run if row.outcome in (outside_onnx.Outcome.EQUAL, outside_onnx.Outcome.TAKEN)]
    assert len(taken) >= 0.85 * len(run)
