"""What scripts of users build on: commands with their options, names of the API, limits set by the environment.

`surface.json` was recorded from an earlier version. New names may be added; none of these may go.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import fields
from pathlib import Path

import pytest

from decc_core import api
from decc_core.cli.parser import make_parser
from decc_core.load.limits import Limits
from decc_core.problem.profile import DeviceProfile
from decc_core.runtime.controller.report import RunReport
from decc_core.store import SavedPlan
from decc_core.study.compare import Outcome

SURFACE = json.loads((Path(__file__).parent / "surface.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("command", SURFACE["commands"])
def test_a_command_takes_the_options_that_it_took(command):
    parser, known = make_parser(), SURFACE["commands"][command]
    for option, values in known["options"].items():
        for value in values or [None]:
            parser.parse_args([command, *known["needed"], option, *([value] if value else [])])


def test_the_api_has_the_names_that_it_had():
    assert set(SURFACE["api"]["names"]) <= set(api.__all__)
    assert all(hasattr(api, name) for name in SURFACE["api"]["names"])


@pytest.mark.parametrize("function", SURFACE["api"]["parameters"])
def test_a_function_takes_the_arguments_that_it_took(function):
    first, _, method = function.partition(".")
    called = getattr(getattr(api, first), method) if method else getattr(api, first)
    known = SURFACE["api"]["parameters"][function]
    assert list(inspect.signature(called).parameters)[: len(known)] == known


@pytest.mark.parametrize(
    "kind", [api.Findings, Outcome, DeviceProfile, SavedPlan, RunReport], ids=lambda kind: kind.__name__
)
def test_a_result_has_the_members_that_it_had(kind):
    there = {*dir(kind), *(field.name for field in fields(kind))}
    assert set(SURFACE["api"]["members"][kind.__name__]) <= there


def test_the_environment_sets_the_limits_that_it_set(monkeypatch):
    for variable in SURFACE["environment"]:
        monkeypatch.setenv(variable, "12345")
    assert all(getattr(Limits.from_environment(), field.name) == 12345 for field in fields(Limits))
