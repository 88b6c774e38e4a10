"""Mix of cuts alone, overlap of branches alone, and both."""

from __future__ import annotations

import pytest

from decc_core import library
from decc_core.errors import LeftOut
from decc_core.problem.instance import CostInstance
from decc_core.problem.link import Link
from decc_core.problem.scenario import DEFAULT_CLOUD
from decc_core.study.ablation import ablate
from decc_core.study.compare import compare
from tests.builders import diamond


def shipped(model: str, uplink_mbps: float, requests: int, slowdown: float = 5.0, **more) -> CostInstance:
    cloud = library.load_profile(model, DEFAULT_CLOUD)
    link = Link(uplink_mbps * 1e6, uplink_mbps * 1e6, 0.02)
    return CostInstance.build(
        library.load_graph(model), cloud.scaled(slowdown, "slower"), cloud, link, requests, **more
    )


@pytest.mark.parametrize("model", ["googlenet", "multiview4", "two_tower", "vgg16"])
@pytest.mark.parametrize("requests", [1, 4])
def test_the_ablation_lies_between_neither_and_both(model, requests):
    found = ablate(compare(shipped(model, 18.88, requests)))
    assert found.both_ns <= found.overlap_ns <= found.neither_ns
    assert found.mix_ns <= min(found.neither_ns, found.best_baseline_ns)
    assert found.over_best_baseline >= 1
    if requests == 1:
        assert found.mix_ns == found.best_baseline_ns


def test_an_ablation_that_fails_is_left_out_with_a_sentence(monkeypatch):
    found = compare(diamond(requests=2))
    monkeypatch.setattr("decc_core.study.ablation.mix_only", lambda *_: 1 / 0)
    with pytest.raises(LeftOut, match=r"The ablation is left out, because .* failed: division by zero"):
        ablate(found)
