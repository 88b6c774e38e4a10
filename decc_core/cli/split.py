"""decc split: the pieces of a network, as programs for use elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from decc_core import store
from decc_core.cli import output
from decc_core.cli.options import Commands, runs
from decc_core.cli.progress import bar
from decc_core.cli.sources import NetworkOptions, add_source, network_of, opened
from decc_core.errors import SplitFailed
from decc_core.text import counted, network_name


@dataclass(frozen=True)
class SplitOptions:
    network: NetworkOptions
    plan: Path
    output: Path | None
    force: bool
    json: bool


def add_commands(commands: Commands) -> None:
    parser = commands.add_parser("split", help="write the pieces of a network that a plan asks for, as .pt2 or .onnx")
    parser.add_argument("model", metavar="MODEL", help="a name from `decc models`, or a model file")
    parser.add_argument("--plan", type=Path, required=True, metavar="FILE", help="a plan that `decc plan` wrote")
    parser.add_argument(
        "--output", "-o", type=Path, metavar="DIR", help="folder for the pieces (default: MODEL-pieces)"
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier split in that folder")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_source(parser)
    runs(parser, split_model, SplitOptions, network=network_of)


def split_model(options: SplitOptions) -> None:
    from decc_core.split.write import require_room, split

    saved = store.load(options.plan, store.SavedPlan)
    network = options.network
    name = network_name(network.model) if network.is_model_file else network.built_in()
    if saved.graph_name != name:
        # Said before the network is built, which takes a while.
        raise SplitFailed(f"{options.plan} is a plan for '{saved.graph_name}', not for '{name}'.")
    folder = options.output or Path(f"{name}-pieces")
    require_room(folder, options.force)
    with opened(network) as source, bar(f"Splitting {name}") as progress:
        progress(0, 1, "building the network")
        manifest = split(source.network.build(), saved, folder, options.force, progress)
    if options.json:
        output.print_json({"folder": str(folder), "split": store.plain(manifest), "bit_identical": True})
        return
    for cut in manifest.cuts:
        requests = ", ".join(str(request + 1) for request in cut.requests)
        pieces = [piece for piece in (cut.edge, cut.cloud) if piece is not None]
        programs = " and ".join(f"{piece.file} ({len(piece.layers)} layers)" for piece in pieces)
        sent = (
            f"{cut.sent_bytes / 1e3:,.1f} kB cross in {counted(len(cut.sent), 'tensor')}"
            if cut.sent
            else "nothing crosses"
        )
        output.say(f"request{'s' if len(cut.requests) > 1 else ''} {requests}: {programs}; {sent}")
    output.say(
        f"Wrote {folder}. Run on the example inputs, the pieces give the outputs of the whole network bit for bit."
    )
