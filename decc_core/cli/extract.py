"""decc extract: the layer graph of a network, in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from decc_core import files
from decc_core.cli import output
from decc_core.cli.options import Commands, runs
from decc_core.cli.sources import NetworkOptions, add_source, extracted, network_of
from decc_core.network.branches import nested, split_branches
from decc_core.text import counted


@dataclass(frozen=True)
class ExtractOptions:
    network: NetworkOptions
    output: Path | None


def add_commands(commands: Commands) -> None:
    parser = commands.add_parser("extract", help="extract the layer graph of a network into a file")
    parser.add_argument("model", metavar="MODEL", help="a name from `decc models`, or a model file")
    parser.add_argument("--output", "-o", type=Path, help="graph file to write (default: MODEL-graph.json)")
    add_source(parser)
    runs(parser, extract_model, ExtractOptions, network=network_of)


def extract_model(options: ExtractOptions) -> None:
    files.require_place(options.output)
    graph = extracted(options.network)
    top = split_branches(graph)
    output.say(
        f"{graph.name}: {len(graph.layers)} layers, {counted(len(graph.inputs), 'input')}, "
        f"{counted(len(graph.outputs), 'output')}, "
        f"{len(top.waists)} waists, {sum(1 for _ in nested(top)) - 1} branches, "
        f"{sum(layer.flops for layer in graph.layers) / 1e9:.2f} GFLOP, "
        f"{sum(graph.parameter_bytes.values()) / 1e6:.1f} MB of parameters, fingerprint {graph.fingerprint}"
    )
    output.save(graph, options.output or Path(f"{graph.name}-graph.json"))
