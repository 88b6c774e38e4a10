"""A comparison as one HTML file that opens anywhere: no script, no request to any host, light and dark, printable."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from itertools import chain
from urllib.parse import urlencode

from app.figures.branch_graph import CutGroup, branch_rows, cut_groups
from app.figures.branch_scene import branch_scene
from app.figures.gantt import gantt_rows
from app.figures.svg import svg_scene
from app.shell.address import parameters
from app.state import DEVICE_LABELS, OWN, device_label, title_of, wire_in_words
from decc_core import __version__, library
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS, svg_gantt
from decc_core.printed.html import page, section, table
from decc_core.printed.table import Value, as_csv
from decc_core.problem.instance import RESOURCES, CostInstance, Objective, crossing_tensors
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.study.compare import Comparison, Outcome
from decc_core.study.explain import explain
from decc_core.study.verdict import verdict
from decc_core.text import (
    bytes_text,
    counted,
    duration,
    duration_s,
    figure,
    gain_text,
    gap_text,
    ranges_text,
    rate_text,
    rounded,
)

MANY_CUTS = 6
"""So many distinct cuts are drawn; the rest is listed."""
LINE_LETTERS = 96
SCENE_TITLE = "Layers on the edge (squares) and in the cloud (discs)"
OWN_FILE = "my-{role}-profile.json"
OWN_WIRE = "wire.json"
OWN_MODEL = "MODEL-FILE"
"""Stands for the file that the visitor uploaded."""


def html_report(
    scenario: Scenario,
    comparison: Comparison,
    shown: str,
    edge: DeviceProfile,
    cloud: DeviceProfile,
    made: datetime,
) -> str:
    """The report on a scenario, with the plan of the strategy `shown` in pictures; the profiles are those chosen,
    before the scenario's factors, and `made` is now."""
    outcome = comparison.of(shown)
    parts = (
        _headline(scenario, comparison, outcome, made),
        section("Scenario", _scenario(scenario, comparison.instance.graph, edge, cloud)),
        section(f"Schedule of {shown}", _schedule(comparison, outcome)),
        section(f"Where {shown} cuts", _cuts(comparison.instance, outcome)),
        section("All strategies", _strategies(comparison)),
        section("Bound and gap", _bound(comparison)),
        section("How to reproduce", _reproduce(scenario)),
    )
    title = f"DECC report: {title_of(scenario.model)}, {_many(scenario)}"
    return page(title, parts)


def _many(scenario: Scenario) -> str:
    return f"{scenario.requests} requests" if scenario.requests > 1 else "one request"


def _headline(scenario: Scenario, comparison: Comparison, outcome: Outcome, made: datetime) -> str:
    makespan = comparison.instance.objective is Objective.MAKESPAN
    rate = figure("throughput_rps", outcome.throughput_rps)
    value = duration(outcome.schedule.makespan_ns) if makespan else f"{rate} requests/s"
    rival = comparison.best_baseline.strategy if comparison.has_baseline else ""
    tiles = [(f"{outcome.strategy}, {'makespan' if makespan else 'throughput'}", value)]
    tiles += [
        (f"DECC's gain over {name}", gain_text(comparison.gain(name)))
        for name in dict.fromkeys(("dads-dsl", "single-cut", rival))
        if comparison.has(name)
    ]
    tiles.append(("DECC's gap to the bound", gap_text(comparison.of("decc").gap)))
    cells = "".join(f"<div><span>{escape(name)}</span><b>{escape(value)}</b></div>" for name, value in tiles)
    return (
        f"<h1>{escape(title_of(scenario.model))}, {_many(scenario)}, {rate_text(scenario.uplink_mbps)} up</h1>\n"
        f"<p class='note'>Made by DECC {__version__} on {made:%Y-%m-%d, %H:%M} {made.tzname() or ''}.</p>\n"
        f'<div class="tiles">{cells}</div>\n'
        f'<p class="lead"><b>{escape(str(verdict(comparison)))}</b> {escape(explain(comparison))}</p>\n'
    )


def _scenario(scenario: Scenario, graph: LayerGraph, edge: DeviceProfile, cloud: DeviceProfile) -> str:
    link = scenario.link
    used_edge, used_cloud = scenario.scaled(edge, cloud)
    down = rate_text(scenario.downlink_mbps or scenario.uplink_mbps)
    rows = [
        (
            "Network",
            f"{graph.name}: {len(graph.layers)} layers, {counted(len(graph.inputs), 'input')}, "
            f"{sum(layer.flops for layer in graph.layers) / 1e9:.3g} GFLOP, "
            f"{bytes_text(sum(graph.parameter_bytes.values()))} of parameters; fingerprint {graph.fingerprint}",
        ),
        ("Edge device", _device(scenario.edge, edge, used_edge, f"times {scenario.edge_slowdown:g}")),
        ("Cloud device", _device(scenario.cloud, cloud, used_cloud, f"divided by {scenario.cloud_speedup:g}")),
        (
            "Link",
            f"{rate_text(scenario.uplink_mbps)} up, {down} down, round trip {scenario.rtt_ms:g} ms, "
            f"{duration_s(link.overhead_s)} of overhead per tensor",
        ),
        ("Requests", f"{scenario.requests}, all there at time 0"),
        ("Tensors travel", wire_in_words(scenario)),
        ("Planned for", scenario.objective),
    ]
    if scenario.limits:
        rows.append(("Limits", "; ".join(scenario.limits)))
    return table(("", ""), rows, head=False)


def _device(name: str, profile: DeviceProfile, used: DeviceProfile, factor_text: str) -> str:
    here = f", here {factor_text}: {duration_s(used.whole_s)}" if used is not profile else ""
    kind, source = profile.provenance.kind.value, profile.provenance.source
    machine = ", ".join(f"{key} {value}" for key, value in profile.provenance.machine.items())
    settings = ", ".join(f"{key} {value}" for key, value in profile.provenance.settings.items())
    told = "; ".join(part for part in (settings, machine) if part)
    base = "base measurement: " if kind == "scaled" else ""
    how = source if source.startswith(kind) else profile.origin
    return (
        f"{device_label(name)}, {duration_s(profile.whole_s)} a request{here}; {how} "
        f"({base}{told or 'no machine is described'})"
    )


def _schedule(comparison: Comparison, outcome: Outcome) -> str:
    instance = comparison.instance
    bound = comparison.lower_bound_ns if instance.objective is Objective.MAKESPAN else None
    picture = svg_gantt(gantt_rows(instance, outcome.schedule), outcome.schedule.makespan_ns, bound)
    busy = ", ".join(
        f"{resource.value} {duration(time_ns)}" for resource, time_ns in zip(RESOURCES, outcome.busy_ns, strict=True)
    )
    numbered = "Numbers are requests. " if instance.requests > 1 else ""
    return (
        f"{picture}<p class='note'>{outcome.execution.value}; makespan {duration(outcome.schedule.makespan_ns)}. "
        f"{numbered}Time busy: {escape(busy)}.</p>\n"
    )


def _cuts(instance: CostInstance, outcome: Outcome) -> str:
    groups = cut_groups(outcome.plan)
    drawn = "".join(_cut(instance, group) for group in groups[:MANY_CUTS])
    rest = "".join(f"<p>{escape(_cut_text(instance, group))}</p>\n" for group in groups[MANY_CUTS:])
    return f"{_legend()}{drawn}{rest}"


def _legend() -> str:
    marks = (
        ("■ on the edge", COLOURS[Resource.EDGE]),
        ("● in the cloud", COLOURS[Resource.CLOUD]),
        ("▬ crosses the uplink", COLOURS[Resource.UPLINK]),
    )
    spans = "".join(f"<span><i style='color:{colour}'>{text[0]}</i>{text[1:]}</span>" for text, colour in marks)
    return f"<p class='legend'>{spans}</p>\n"


def _cut(instance: CostInstance, group: CutGroup) -> str:
    crossing = crossing_tensors(instance.graph, group.cut)
    rows = [
        (
            instance.graph.tensor_title(tensor),
            "×".join(map(str, instance.graph.tensors[tensor].spec.shape)),
            instance.graph.tensors[tensor].spec.dtype,
            instance.format_of(tensor),
            bytes_text(instance.wire_bytes[tensor]),
            duration(instance.uplink_ns[tensor]),
        )
        for tensor in crossing
    ]
    columns = ("crossing tensor", "shape", "dtype", "travels as", "bytes on the wire", "on the uplink")
    tensors = table(columns, rows) if rows else ""
    picture = svg_scene(branch_scene(branch_rows(instance, group.cut)), SCENE_TITLE)
    return f"<h3>{escape(_cut_text(instance, group))}</h3>\n{picture}{tensors}"


def _cut_text(instance: CostInstance, group: CutGroup) -> str:
    many = len(group.requests) > 1
    who = f"Request{'s' if many else ''} {ranges_text(tuple(request + 1 for request in group.requests))}"
    crossing = crossing_tensors(instance.graph, group.cut)
    size = sum(instance.wire_bytes[tensor] for tensor in crossing)
    sent = f"{counted(len(crossing), 'tensor')} with {bytes_text(size)} cross" if crossing else "nothing crosses"
    in_cloud = len(instance.graph.layers) - len(group.cut)
    on_edge = f"{len(group.cut)} layer{'s' if len(group.cut) != 1 else ''}"
    return f"{who}: {on_edge} on the edge, {in_cloud} in the cloud; {sent}"


def figures(outcome: Outcome) -> dict[str, str | float]:
    """A row of the table of strategies: the outcome's figures in the units that people read, by titles that say so."""
    row = outcome.row()
    return {
        "strategy": row["strategy"],
        "execution": row["execution"],
        "makespan (ms)": row["makespan_s"] * 1e3,
        "requests/s": row["throughput_rps"],
        **{f"{resource.value} busy (ms)": row[f"{resource.value}_busy_s"] * 1e3 for resource in RESOURCES},
        "sent up (kB)": row["uplink_bytes"] / 1e3,
        "gap (%)": row["gap"] * 100,
        "planned in (ms)": row["plan_s"] * 1e3,
    }


def strategies_csv(comparison: Comparison, about: Mapping[str, Value]) -> str:
    """The table of all strategies for programs: a row for each, units in the heads, and what all of it is about."""
    return as_csv([_csv_row(outcome) for outcome in comparison.outcomes], about)


def _csv_row(outcome: Outcome) -> dict[str, Value]:
    row = outcome.row()
    return {
        "strategy": row["strategy"],
        "execution": row["execution"],
        "makespan_ms": row["makespan_s"] * 1e3,
        "requests_per_s": row["throughput_rps"],
        **{f"{resource.value}_busy_ms": row[f"{resource.value}_busy_s"] * 1e3 for resource in RESOURCES},
        "sent_up_kb": row["uplink_bytes"] / 1e3,
        "lower_bound_ms": row["lower_bound_s"] * 1e3,
        "gap_percent": row["gap"] * 100,
        "planned_in_ms": row["plan_s"] * 1e3,
    }


def _strategies(comparison: Comparison) -> str:
    rows = [figures(outcome) for outcome in comparison.outcomes]
    cells = [[value if isinstance(value, str) else rounded(value) for value in row.values()] for row in rows]
    best = comparison.outcomes.index(comparison.best)
    missing = "".join(
        f"<p class='note'>{escape(name)}: not possible. {escape(reason)}</p>\n"
        for name, reason in comparison.not_possible.items()
    )
    return table(list(rows[0]), cells, marked=best) + missing


def _bound(comparison: Comparison) -> str:
    makespan = comparison.instance.objective is Objective.MAKESPAN
    them = "these requests" if comparison.instance.requests > 1 else "this request"
    what = f"finish {them}" if makespan else "be repeated"
    decc = comparison.of("decc")
    saved = f"so that at most {gap_text(decc.gap / (1 + decc.gap))} of that time could be saved"
    optimal = "which proves it optimal" if decc.gap == 0 else saved
    return (
        f"<p>No plan can {what} in less than {duration(comparison.lower_bound_ns)}: that is proven for this scenario "
        f"and holds for every row of the table. DECC's plan needs {duration(decc.objective_ns)}, a gap of "
        f"{gap_text(decc.gap)}, {optimal}. Times are predictions from the profiles above. DECC is built after the "
        "abstract of Zhuang et al., IEEE TETC 2024 (doi 10.1109/TETC.2024.3404551); all beyond it is our "
        "reconstruction.</p>\n"
    )


def _reproduce(scenario: Scenario) -> str:
    needs = "".join(f"<p class='note'>{escape(note)}</p>\n" for note in command_notes(scenario))
    address = urlencode(parameters(scenario))
    where = (
        f"<p>On the page, after its address:</p><pre>{escape('?' + address)}</pre>\n"
        if address
        else "<p>The page opens on this scenario.</p>\n"
    )
    return f"<p>On the command line:</p><pre>{escape(in_lines(command_line(scenario)))}</pre>\n{needs}{where}"


def command_notes(scenario: Scenario) -> tuple[str, ...]:
    """What has to be there before such a command runs, and how it differs."""
    own = [role for role, name in (("edge", scenario.edge), ("cloud", scenario.cloud)) if name.startswith(OWN)]
    notes = [f"Save the {role} profile from the Profile view as {OWN_FILE.format(role=role)} first." for role in own]
    if (scenario.wire_profile or "").startswith(OWN):
        notes.append(f"{OWN_WIRE} is the wire profile that was uploaded.")
    if scenario.model.startswith(OWN):
        theirs = {name for name in (scenario.edge, scenario.cloud) if not name.startswith(OWN)}
        anew = theirs - library.catalogue().keys()
        differ = " The command measures quick times anew, so that its numbers differ." if anew else ""
        notes.append(
            f"{OWN_MODEL} is the file that was uploaded.{differ} The page knows the network after the file was "
            "uploaded again."
        )
    return tuple(notes)


def command_line(scenario: Scenario, command: str = "compare", more: Sequence[str] = (), devices: bool = True) -> str:
    """The `decc` command for the same scenario; a visitor's own network and profiles stand as files.

    Without `devices` the command measures both by itself.
    """
    options = scenario.options()
    for role, name in (("edge", scenario.edge), ("cloud", scenario.cloud)):
        if not devices:
            del options[f"--{role}"]
        elif name.startswith(OWN):
            options[f"--{role}"] = OWN_FILE.format(role=role)
        elif scenario.model.startswith(OWN) and name not in DEVICE_LABELS and name not in library.catalogue():
            # The command measures the times of a model file by itself.
            del options[f"--{role}"]
    if (scenario.wire_profile or "").startswith(OWN):
        options["--wire-profile"] = OWN_WIRE
    model = OWN_MODEL if scenario.model.startswith(OWN) else scenario.model
    return shlex.join(["decc", command, model, *chain.from_iterable(options.items()), *more])


def in_lines(command: str) -> str:
    """A long command on several lines, as a shell takes it."""
    lines = [""]
    for part in command.split(" --"):
        text = f"--{part}" if lines != [""] else part
        if len(lines[-1]) + len(text) > LINE_LETTERS:
            lines.append(text)
        else:
            lines[-1] = f"{lines[-1]} {text}".strip()
    return " \\\n    ".join(lines)
