"""The options that describe a scenario."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from enum import Enum
from pathlib import Path

from decc_core import files, formats, library
from decc_core.cli.sources import add_source
from decc_core.errors import InvalidInstance, UnreadableFile
from decc_core.problem.instance import Objective, Results
from decc_core.problem.scenario import CHARGED, DEFAULT_CLOUD, DEFAULT_EDGE, Scenario
from decc_core.problem.wire import ANY, PERCENTILES
from decc_core.ranges import number, whole_number
from decc_core.text import first_line

PRESET_KEYS = ("uplink_mbps", "downlink_mbps", "rtt_ms", "overhead_ms")
MORE_PRESET_KEYS = ("edge_tensor_ms", "edge_mb_ms", "cloud_tensor_ms", "cloud_mb_ms")
"""Presets of earlier versions have none."""

AT_ONCE = "requests in flight, all there at time 0 (default: 1)"


def add_scenario(parser: argparse.ArgumentParser, model_optional: bool = False, requests: str = AT_ONCE) -> None:
    """All options of a scenario but the uplink, of which a sweep takes several; what is not given is `Scenario`'s."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?" if model_optional else None,
        help="a network with sample profiles, or a file: a model or a graph",
    )
    _add_devices(parser)
    _add_link(parser)
    _add_costs(parser)
    parser.add_argument("--requests", type=whole_number, help=requests)
    _add_wire(parser)
    _add_choice(
        parser,
        "--objective",
        Objective.MAKESPAN,
        "what to optimise: makespan, the time until the last result is there, or throughput, the requests per second",
    )
    _add_choice(parser, "--results", Results.EDGE, "where results are wanted; cloud: they may stay there")
    _add_limits(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_source(parser)


def _add_devices(parser: argparse.ArgumentParser) -> None:
    for side, default, threads in (("edge", DEFAULT_EDGE, "one thread"), ("cloud", DEFAULT_CLOUD, "all")):
        parser.add_argument(
            f"--{side}",
            metavar="PROFILE",
            help=f"{side} profile: a shipped device, one of `decc devices`, or a file (default: {default}, or for a "
            f"model file of your own a quick measurement here, on {threads})",
        )
    parser.add_argument("--edge-slowdown", type=number, help="multiplies the edge profile's times (default: 1)")
    parser.add_argument("--cloud-speedup", type=number, help="divides the cloud profile's times (default: 1)")


def _add_link(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--downlink-mbps", type=number, help="downlink rate in Mbit/s (default: as the uplink)")
    parser.add_argument("--rtt-ms", type=number, help="round-trip time of the link in ms (default: 0)")
    parser.add_argument(
        "--network",
        type=Path,
        metavar="JSON",
        help="take the link from a preset that `decc link` wrote (default: from the options)",
    )
    parser.add_argument(
        "--overhead-ms",
        type=number,
        help=f"ms for which every tensor occupies the link beside its bytes (default: {Scenario.overhead_ms:g})",
    )


def _add_costs(parser: argparse.ArgumentParser) -> None:
    """What sending and receiving take of the processors."""
    for side in ("edge", "cloud"):
        parser.add_argument(
            f"--{side}-tensor-ms",
            type=number,
            help=f"processor time of the {side}, in ms, for each tensor sent or received, without a core to spare "
            "(default: 0)",
        )
        parser.add_argument(f"--{side}-mb-ms", type=number, help="the same for each million of its bytes (default: 0)")
    parser.add_argument(
        "--charge-sending",
        action="store_true",
        help=f"charge both devices what DECC's workers need: {CHARGED['edge_tensor_ms']:g} ms for each tensor and "
        f"{CHARGED['edge_mb_ms']:g} ms for each million of bytes (default: what the four options above say)",
    )


def _add_wire(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wire",
        metavar="FORMATS",
        help=f"how tensors travel: one of {', '.join(formats.COMMON)} and the others of `decc wire --list`; several, "
        f"comma-separated, or '{ANY}' of the wire profile's: each tensor takes the cheapest (default: fp32, as they "
        f"are; with --min-agreement {ANY})",
    )
    parser.add_argument(
        "--input-wire", metavar="FORMATS", help="the same for the network's inputs, as in: jpeg85 (default: as --wire)"
    )
    parser.add_argument(
        "--wire-profile",
        metavar="FILE",
        help="sizes, times and accuracy of formats for this network, which `decc wire` measured (default: none)",
    )
    parser.add_argument(
        "--min-agreement",
        type=number,
        metavar="SHARE",
        help="take only formats that leave this share of the best classes, or of the outputs, as they were, as in: "
        "0.99 (default: any)",
    )
    parser.add_argument(
        "--wire-percentile",
        type=whole_number,
        choices=PERCENTILES,
        help="percentile of the measured bytes to plan with (default: 50)",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep-on-edge",
        metavar="WHAT",
        help="'inputs' (raw inputs never leave), a number (the first layers), or layer names, comma-separated "
        "(default: nothing)",
    )
    parser.add_argument("--keep-in-cloud", metavar="LAYERS", help="layer names, comma-separated (default: none)")
    parser.add_argument(
        "--edge-memory-mb",
        type=number,
        help="limit on weights and tensors in use on the edge, in MB (default: no limit)",
    )
    parser.add_argument("--uplink-kb", type=number, help="limit on what each request sends, in kB (default: no limit)")


def add_uplink(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--uplink-mbps", type=number, help=f"uplink rate in Mbit/s (default: {Scenario.uplink_mbps:g})")


def _add_choice(parser: argparse.ArgumentParser, flag: str, default: Enum, what: str) -> None:
    """An option that takes one of an enumeration's values, shown as its user types them."""
    kind = type(default)
    values = [member.value for member in kind]

    def chosen(text: str) -> Enum:
        if text not in values:
            raise argparse.ArgumentTypeError(f"invalid choice: '{text}' (choose from {', '.join(values)})")
        return kind(text)

    shown = f"{{{','.join(values)}}}"
    parser.add_argument(flag, type=chosen, metavar=shown, help=f"{what} (default: {default.value})")


def scenario_of(given: argparse.Namespace) -> Scenario:
    """The scenario that the options describe: what they say goes before a preset, and that before the defaults."""
    charged = CHARGED if getattr(given, "charge_sending", False) else {}
    chosen = {field.name: getattr(given, field.name, None) for field in fields(Scenario)}
    preset = _preset(given.network) if given.network else {}
    # The network's name may be left to a plan.
    said = {key: value for key, value in chosen.items() if value is not None}
    if said.get("min_agreement") is not None and "wire_profile" in said:
        said = {"wire": ANY, **said}
    if "wire_profile" in said:
        if not {"wire", "input_wire"} & said.keys():
            raise InvalidInstance(
                "A wire profile is for coded tensors: say which with --wire or --input-wire, or give --min-agreement, "
                "with which each tensor takes the cheapest format that keeps it."
            )
        said["measured"] = library.load_wire_profile(said["wire_profile"])
    return Scenario(**{"model": "", **charged, **preset, **said})


def _preset(file: Path) -> dict[str, float]:
    text = files.read_text(file, files.SETTINGS_BYTES, "the network preset")
    try:
        preset = json.loads(text)
        known = (*PRESET_KEYS, *(key for key in MORE_PRESET_KEYS if key in preset))
        return {key: number(str(preset[key])) for key in known}
    except KeyError as error:
        raise UnreadableFile(f"{file} is no network preset, as it lacks {error}; `decc link` writes one.") from None
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        raise UnreadableFile(f"{file} is no network preset ({first_line(error)}); `decc link` writes one.") from None
