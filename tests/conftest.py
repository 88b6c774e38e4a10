"""What holds for all tests."""

from __future__ import annotations

import pytest

HOURS_S = 4 * 3600.0
"""For a proof or a search that is asked for by name; all others have what `pyproject.toml` says."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow") or item.get_closest_marker("fuzz"):
            item.add_marker(pytest.mark.timeout(HOURS_S))
