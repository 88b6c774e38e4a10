"""The options that describe a scenario, and the instance that they make."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from decc_core import library
from decc_core.cli.sources import Source, add_source
from decc_core.errors import InvalidInstance, UnreadableFile
from decc_core.network.graph import LayerGraph
from decc_core.problem.constraints import UNCONSTRAINED, Constraints, first_layers, named_layers, readers_of_inputs
from decc_core.problem.instance import DEFAULT_OVERHEAD_S, CostInstance, Link, Objective, WireDtype
from decc_core.problem.profile import DeviceProfile

BYTES_PER_MB = 1e6
BYTES_PER_KB = 1e3
INPUTS = "inputs"
PRESET_KEYS = ("uplink_mbps", "downlink_mbps", "rtt_ms", "overhead_ms")


def add_scenario(parser: argparse.ArgumentParser, model_optional: bool = False) -> None:
    many = "?" if model_optional else None
    parser.add_argument(
        "model", metavar="MODEL", nargs=many, help="a network with sample profiles, or a file: a model or a graph"
    )
    for side, default, threads in (
        ("edge", library.DEFAULT_EDGE, "one thread"),
        ("cloud", library.DEFAULT_CLOUD, "all"),
    ):
        parser.add_argument(
            f"--{side}",
            default=default,
            metavar="PROFILE",
            help=f"{side} profile: a shipped device or a file (default: {default}, or for a model file of your own "
            f"a quick measurement here, on {threads})",
        )
    parser.add_argument("--edge-slowdown", type=float, default=1.0, help="multiplies the edge profile's times")
    parser.add_argument("--cloud-speedup", type=float, default=1.0, help="divides the cloud profile's times")
    parser.add_argument("--downlink-mbps", type=float, default=None, help="default: as the uplink")
    parser.add_argument("--rtt-ms", type=float, default=0.0, help="round-trip time of the link (default: 0)")
    parser.add_argument(
        "--network", type=Path, metavar="JSON", help="take the link from a preset that `decc link` wrote"
    )
    parser.add_argument(
        "--overhead-ms",
        type=float,
        default=DEFAULT_OVERHEAD_S * 1e3,
        help=f"time that every tensor occupies the link beside its bytes (default: {DEFAULT_OVERHEAD_S * 1e3:g})",
    )
    parser.add_argument("--requests", type=int, default=1, help="requests in flight, all there at time 0 (default: 1)")
    add_choice(parser, "--wire", WireDtype.FP32, "how floating-point tensors travel")
    add_choice(parser, "--objective", Objective.MAKESPAN, "what to optimise")
    parser.add_argument(
        "--keep-on-edge",
        metavar="WHAT",
        help="'inputs' (raw inputs never leave), a number (the first layers), or layer names, comma-separated",
    )
    parser.add_argument("--keep-in-cloud", metavar="LAYERS", help="layer names, comma-separated")
    parser.add_argument("--edge-memory-mb", type=float, help="limit on parameters and live tensors on the edge, in MB")
    parser.add_argument("--uplink-kb", type=float, help="limit on what each request sends, in kB")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_source(parser)


def add_choice(parser: argparse.ArgumentParser, flag: str, default: Enum, what: str) -> None:
    """An option that takes one of an enumeration's values, shown as its user types them."""
    kind = type(default)
    values = [one.value for one in kind]

    def chosen(text: str) -> Enum:
        if text not in values:
            raise argparse.ArgumentTypeError(f"invalid choice: '{text}' (choose from {', '.join(values)})")
        return kind(text)

    shown = f"{{{','.join(values)}}}"
    parser.add_argument(flag, type=chosen, default=default, metavar=shown, help=f"{what} (default: {default.value})")


def take_preset(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Set the link's options to a preset's figures, but for those that stand in the arguments."""
    if getattr(options, "network", None) is None:
        return
    try:
        preset = json.loads(options.network.read_text(encoding="utf-8"))
        found = {key: float(preset[key]) for key in PRESET_KEYS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableFile(f"{options.network} is no network preset ({error}); `decc link` writes one.") from None
    given = [argument.split("=")[0] for argument in arguments if argument.startswith("--")]
    for key, value in found.items():
        flag = f"--{key.replace('_', '-')}"
        # A sweep has its own list of rates.
        if not any(flag.startswith(name) for name in given) and not isinstance(getattr(options, key), tuple):
            setattr(options, key, value)


def numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def link_of(options: argparse.Namespace, uplink_mbps: float) -> Link:
    return Link.mbps(uplink_mbps, options.downlink_mbps, options.rtt_ms, options.overhead_ms)


def build_instance(
    options: argparse.Namespace,
    source: Source,
    uplink_mbps: float,
    edge: DeviceProfile | None = None,
    cloud: DeviceProfile | None = None,
) -> CostInstance:
    """The scenario's instance; profiles are loaded as the options say, unless they are given."""
    if not options.cloud_speedup > 0:
        raise InvalidInstance(f"The cloud speed-up is {options.cloud_speedup:g}; choose a number above 0.")
    if not options.edge_slowdown > 0:
        raise InvalidInstance(f"The edge slowdown is {options.edge_slowdown:g}; choose a number above 0.")
    edge = edge or source.edge_profile(options.edge)
    cloud = cloud or source.cloud_profile(options.cloud)
    return CostInstance.build(
        source.graph,
        edge.scaled(options.edge_slowdown, f"{options.edge_slowdown:g} x {edge.device}"),
        cloud.scaled(1 / options.cloud_speedup, f"{cloud.device} / {options.cloud_speedup:g}"),
        link_of(options, uplink_mbps),
        requests=options.requests,
        wire=options.wire,
        objective=options.objective,
        constraints=_constraints(options, source.graph),
    )


def _constraints(options: argparse.Namespace, graph: LayerGraph) -> Constraints:
    found = Constraints(
        on_edge=_kept_on_edge(options.keep_on_edge, graph),
        in_cloud=named_layers(graph, _names(options.keep_in_cloud)),
        edge_memory_bytes=_bytes("edge memory limit", options.edge_memory_mb, BYTES_PER_MB),
        uplink_bytes=_bytes("uplink limit", options.uplink_kb, BYTES_PER_KB),
    )
    return UNCONSTRAINED if found == UNCONSTRAINED else found


def _kept_on_edge(what: str | None, graph: LayerGraph) -> frozenset[int]:
    if what == INPUTS:
        return readers_of_inputs(graph)
    if what is not None and what.isdecimal():
        return first_layers(graph, int(what))
    return named_layers(graph, _names(what))


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _bytes(name: str, amount: float | None, unit: float) -> int | None:
    if amount is not None and not 0 <= amount < float("inf"):
        raise InvalidInstance(f"The {name} is {amount:g}; it must be finite and not negative.")
    return None if amount is None else round(amount * unit)


def describe(options: argparse.Namespace, graph: LayerGraph, uplink_mbps: Any) -> dict[str, Any]:
    """The scenario as it stands in JSON output."""
    return {
        "model": graph.name,
        "fingerprint": graph.fingerprint,
        "layers": len(graph.layers),
        "edge": options.edge,
        "cloud": options.cloud,
        "edge_slowdown": options.edge_slowdown,
        "cloud_speedup": options.cloud_speedup,
        "uplink_mbps": uplink_mbps,
        "downlink_mbps": options.downlink_mbps if options.downlink_mbps is not None else uplink_mbps,
        "rtt_ms": options.rtt_ms,
        "overhead_ms": options.overhead_ms,
        "requests": options.requests,
        "wire": options.wire.value,
        "objective": options.objective.value,
        "keep_on_edge": options.keep_on_edge,
        "keep_in_cloud": options.keep_in_cloud,
        "edge_memory_mb": options.edge_memory_mb,
        "uplink_kb": options.uplink_kb,
    }
