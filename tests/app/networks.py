"""Which networks the page's tests look at."""

from __future__ import annotations

import pytest

from decc_core import library

FAMILIES = ("alexnet", "googlenet", "densenet121", "swin_t", "multiview4", "two_tower")


def networks(*ordinary: str) -> list[object]:
    """All shipped networks as parameters of a test; those that are not named are slow cases."""
    assert set(ordinary) <= set(library.shipped_models())
    return [
        pytest.param(model, marks=() if model in ordinary else pytest.mark.slow) for model in library.shipped_models()
    ]
