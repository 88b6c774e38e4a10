"""decc models: the networks that are known by name."""

from __future__ import annotations

from dataclasses import dataclass

from decc_core import library
from decc_core.cli import output
from decc_core.cli.options import Commands, runs


@dataclass(frozen=True)
class ModelsOptions:
    json: bool


def add_commands(commands: Commands) -> None:
    parser = commands.add_parser("models", help="list the networks that are known by name")
    parser.add_argument("--json", action="store_true", help="print JSON")
    runs(parser, list_models, ModelsOptions)


def list_models(options: ModelsOptions) -> None:
    from decc_core.models import zoo

    if options.json:
        rows = [
            {"model": name, "family": zoo.family(name), "sample_profiles": list(library.shipped_devices(name))}
            for name in zoo.names()
        ]
        output.print_json({"models": rows})
        return
    output.print_table(
        f"{len(zoo.names())} networks, {len(library.shipped_models())} with sample profiles",
        ("model", "family", "sample profiles"),
        [(name, zoo.family(name), ", ".join(library.shipped_devices(name))) for name in zoo.names()],
    )
