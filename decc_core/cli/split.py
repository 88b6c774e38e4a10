"""decc split: the pieces of a network, as programs for use elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from decc_core import store
from decc_core.cli import output
from decc_core.cli.progress import bar
from decc_core.cli.sources import add_source, built_in, is_model_file, opened
from decc_core.errors import SplitFailed
from decc_core.text import network_name


def add_commands(commands: Any) -> None:
    splitting = commands.add_parser(
        "split", help="write the pieces of a network that a plan asks for, as .pt2 or .onnx"
    )
    splitting.add_argument("model", metavar="MODEL", help="a name from `decc models`, or a model file")
    splitting.add_argument("--plan", type=Path, required=True, metavar="FILE", help="a plan that `decc plan` wrote")
    splitting.add_argument(
        "--output", "-o", type=Path, metavar="DIR", help="folder for the pieces (default: MODEL-pieces)"
    )
    splitting.add_argument("--force", action="store_true", help="replace an earlier split in that folder")
    splitting.add_argument("--json", action="store_true", help="print JSON")
    add_source(splitting)
    splitting.set_defaults(run=split_model)


def split_model(options: argparse.Namespace) -> None:
    from decc_core.split.write import require_room, split

    saved = store.load(options.plan, store.SavedPlan)
    name = network_name(options.model) if is_model_file(options.model) else built_in(options)
    if saved.graph_name != name:
        # Said before the network is built, which takes a while.
        raise SplitFailed(f"{options.plan} is a plan for '{saved.graph_name}', not for '{name}'.")
    folder = options.output or Path(f"{name}-pieces")
    require_room(folder, options.force)
    with opened(options, measured=False) as source, bar(f"Splitting {name}") as progress:
        progress(0, 1, "building the network")
        manifest = split(source.network.build(), saved, folder, options.force, progress)
    if options.json:
        output.print_json({"folder": str(folder), "split": store.plain(manifest), "bit_identical": True})
        return
    for cut in manifest.cuts:
        requests = ", ".join(str(request + 1) for request in cut.requests)
        pieces = [piece for piece in (cut.edge, cut.cloud) if piece is not None]
        programs = " and ".join(f"{piece.file} ({len(piece.layers)} layers)" for piece in pieces)
        sent = f"{cut.sent_bytes / 1e3:,.1f} kB cross in {len(cut.sent)} tensor(s)" if cut.sent else "nothing crosses"
        print(f"request(s) {requests}: {programs}; {sent}")
    print(f"Wrote {folder}. Run on the example inputs, the pieces give the outputs of the whole network bit for bit.")
