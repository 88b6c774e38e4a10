"""All commands of `decc` and their options."""

from __future__ import annotations

import argparse
from typing import NoReturn

from decc_core import __version__
from decc_core.cli import devices, extract, link, models, page, plan, profile, run, split, worker

MODELS = (
    "Where a command takes a MODEL, that is a name from `decc models` or a file of your own: .pt2, which "
    "torch.export.save writes, or .onnx. Start with: decc compare network.onnx --edge-slowdown 10"
)


class OneLineParser(argparse.ArgumentParser):
    """Mistakes end in one line and exit status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see `{self.prog} --help`)\n")


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
    plan.add_commands(commands)
    split.add_commands(commands)
    run.add_commands(commands)
    worker.add_commands(commands)
    link.add_commands(commands)
    page.add_commands(commands)
    return parser
