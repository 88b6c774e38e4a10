"""Limits are settings, and a file that is beyond one is told which."""

from __future__ import annotations

import pytest

from decc_core.errors import InvalidInstance, UnreadableFile
from decc_core.load.limits import BEYOND, Limits


def test_limits_come_from_the_environment_and_refuse_nonsense(monkeypatch):
    monkeypatch.setenv("DECC_MAX_LAYERS", "7")
    assert Limits.from_environment().layers == 7
    monkeypatch.setenv("DECC_MAX_LAYERS", "many")
    with pytest.raises(InvalidInstance, match="DECC_MAX_LAYERS is 'many'"):
        Limits.from_environment()
    with pytest.raises(InvalidInstance, match="must be above 0"):
        Limits(time_s=0)


def test_a_file_beyond_a_limit_is_told_what_raises_it():
    limits = Limits(layers=5, file_bytes=2_000_000)
    limits.require(layers=5, file_bytes=2_000_000)
    with pytest.raises(UnreadableFile) as caught:
        limits.require(layers=6)
    assert str(caught.value) == "The file has more than 5 layers, which is the limit; DECC_MAX_LAYERS=6 raises it."
    with pytest.raises(UnreadableFile, match=r"more than 2 MB of data, .*DECC_MAX_FILE_BYTES=2000001 "):
        limits.require(layers=1, file_bytes=2_000_001)


@pytest.mark.parametrize("name", BEYOND)
def test_a_number_of_a_hostile_file_makes_no_sentence_long(name):
    for count in (None, 10**900):
        text = str(Limits().exceeded(name, count))
        assert f"DECC_MAX_{name.upper()} raises it." in text
        assert len(text) < 200
