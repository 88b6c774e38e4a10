"""The door of a command: what argparse read becomes a frozen dataclass, which the command runs on."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Options = TypeVar("Options", bound=DataclassInstance)

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def runs(
    parser: argparse.ArgumentParser,
    command: Callable[[Options], None],
    kind: type[Options],
    **made: Callable[[argparse.Namespace], object],
) -> None:
    """Let a parser start a command on its options; `made` makes fields that stand for several flags."""

    def start(given: argparse.Namespace) -> None:
        names = [field.name for field in fields(kind)]
        command(kind(**{name: made[name](given) if name in made else getattr(given, name) for name in names}))

    parser.set_defaults(run=start)


def add_security(parser: argparse.ArgumentParser, serving: bool = False) -> None:
    """The options that let controllers and workers trust each other."""
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the token that callers and workers share (default: none; needed for other machines)",
    )
    whose = "the worker's own certificate" if serving else "certificate of the authority behind the worker's"
    parser.add_argument(
        "--tls-certificate",
        type=Path,
        metavar="FILE",
        help=f"{whose} (PEM; default: none; needed for other machines; `decc certificates` makes one)",
    )
