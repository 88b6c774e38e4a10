"""All commands of `decc` and their options."""

from __future__ import annotations

import argparse
import difflib
import re
from typing import NoReturn

from decc_core import __version__
from decc_core.cli import (
    certificates,
    devices,
    extract,
    link,
    load,
    models,
    page,
    plan,
    profile,
    report,
    run,
    split,
    study,
    wire,
    worker,
)

MODELS = (
    "Where a command takes a MODEL, that is a name from `decc models` or a file of your own: .pt2, which "
    "torch.export.save writes, or .onnx. Start with: decc compare network.onnx --edge-slowdown 10"
)


MISSPELT = re.compile(r"(COMMAND: invalid choice: '|unrecognized arguments: )(?P<word>[^\s'=]+)")
"""How argparse tells of a command or an option that there is not."""


class OneLineParser(argparse.ArgumentParser):
    """Mistakes end in one line and exit status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}{self._meant(message)} (see `{self.prog} --help`)\n")

    def _meant(self, message: str) -> str:
        """What a command or option that there is not was probably meant to be."""
        if (wrong := MISSPELT.search(message)) is None:
            return ""
        below = [action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        commands = {name: parser for choices in below for name, parser in choices.items()}
        options = {option for parser in commands.values() for option in parser._option_string_actions}
        close = difflib.get_close_matches(wrong["word"], [*commands, *options], n=1)
        return f"; did you mean {close[0]}?" if close else ""


def make_parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = OneLineParser(
        prog="decc", description="Where to cut a neural network between an edge device and the cloud.", epilog=MODELS
    )
    parser.add_argument("--version", action="version", version=f"decc {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    models.add_commands(commands)
    devices.add_commands(commands)
    extract.add_commands(commands)
    profile.add_commands(commands)
    wire.add_commands(commands)
    plan.add_commands(commands)
    load.add_commands(commands)
    study.add_commands(commands)
    report.add_commands(commands)
    split.add_commands(commands)
    run.add_commands(commands)
    certificates.add_commands(commands)
    worker.add_commands(commands)
    link.add_commands(commands)
    page.add_commands(commands)
    return parser
