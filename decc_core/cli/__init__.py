"""The command line: decc models | extract | profile | plan | compare | sweep | pareto | split | run | worker | link."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from textwrap import indent
from typing import NoReturn

from decc_core import __version__
from decc_core.cli import models, planning, running, splitting, workers
from decc_core.cli.scenario import take_preset
from decc_core.errors import DeccError, RefusedFile


class OneLineParser(argparse.ArgumentParser):
    """Mistakes end in one line and exit status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see `{self.prog} --help`)\n")


def make_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="decc", description="Where to cut a neural network between an edge device and the cloud."
    )
    parser.add_argument("--version", action="version", version=f"decc {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    models.add_commands(commands)
    planning.add_commands(commands)
    splitting.add_commands(commands)
    running.add_commands(commands)
    workers.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; expected errors are printed as one line, with status 2."""
    options = make_parser().parse_args(arguments)
    try:
        take_preset(options, sys.argv[1:] if arguments is None else arguments)
        options.run(options)
    except DeccError as error:
        print(f"decc: {error}", file=sys.stderr)
        if isinstance(error, RefusedFile) and error.remedy:
            print(indent(error.remedy, "    ").rstrip(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("decc: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of the output (head, less) has seen enough.
        sys.stderr.close()
        return 0
    return 0
