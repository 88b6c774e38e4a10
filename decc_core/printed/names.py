"""Names of files that say what is in them."""

from __future__ import annotations

from decc_core.problem.scenario import Scenario
from decc_core.text import counted

LONGEST = 120
"""Letters of a name, without its ending; file systems take about twice as many bytes."""


def file_name(*parts: str, ending: str) -> str:
    """The parts in one name that every file system and shell takes as it is: 'GoogLeNet, 8 requests' is one such part.

    Letters of all alphabets and digits stay, with the dots, underscores and hyphens between them.
    """
    return f"{stem(*parts)}.{ending}"


def stem(*parts: str) -> str:
    """The same without an ending."""
    cleaned = filter(None, (_cleaned(part) for part in parts))
    return "-".join(cleaned)[:LONGEST].rstrip("-._") or "decc"


def _cleaned(part: str) -> str:
    kept = "".join(char if char.isalnum() or char in "._" else "-" for char in part)
    return "-".join(word for word in (word.strip("._") for word in kept.split("-")) if word)


def scenario_name(network: str, scenario: Scenario) -> str:
    """The beginning of the name of whatever was made of a scenario: network, requests and uplink."""
    return f"{network} {counted(scenario.requests, 'request')} {scenario.uplink_mbps:g} mbps"
