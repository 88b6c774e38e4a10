"""What came of the plans of a run: tables and sentences, JSON, and traces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decc_core.cli import output
from decc_core.cli.sources import USUAL
from decc_core.formats import RAW
from decc_core.network.work import Resource
from decc_core.planner.analysis import Analysis
from decc_core.plans import trace
from decc_core.plans.schedule import throughput_rps
from decc_core.problem.instance import RESOURCES, CostInstance
from decc_core.problem.link import NS_PER_S
from decc_core.problem.wire import tensor_name
from decc_core.text import bytes_text, counted, duration, figure

if TYPE_CHECKING:
    from decc_core.runtime.controller.report import RunReport

WORST_SHOWN = 5
ROWS = (
    "execution", "outputs", "largest difference", "predicted", "measured", "took", "req/s predicted", "req/s measured",
    *(f"{r.value} busy, measured" for r in RESOURCES),
)  # fmt: skip
CODED_ROWS = ("formats", "sent up", "as raw tensors", "edge encodes", "cloud decodes", "same best class")
"""What is told of each strategy, under its name: as columns they would not fit a terminal."""


def tell(
    analysis: Analysis,
    reports: Sequence[RunReport],
    about: Mapping[str, Any],
    before: Sequence[str],
    json: bool,
    layers: bool,
    trace_file: Path | None,
) -> None:
    """A table with a column for each strategy, what was found `before` the runs, and a sentence or two for each run; or
    JSON with `about` on top. Traces are written first."""
    instance = analysis.instance
    if trace_file:
        output.write_traces(((report.strategy, _trace(instance, report)) for report in reports), trace_file)
    if json:
        simpler = analysis.simpler._asdict() if analysis.simpler else None
        output.print_json({**about, "simpler": simpler, "runs": [_row(instance, report) for report in reports]})
        return
    output.print_table(
        _title(instance, reports),
        ("", *(report.strategy for report in reports)),
        zip(ROWS, *(_cells(instance, report) for report in reports), strict=True),
    )
    if any(report.formats for report in reports):
        output.print_table(
            "What crossed coded",
            ("", *(report.strategy for report in reports)),
            zip(CODED_ROWS, *(_coded_cells(instance, report) for report in reports), strict=True),
        )
    for sentence in (*before, *map(str, reports)):
        output.say(sentence)
    if layers:
        for report in reports:
            _print_layers(instance, report)


def _title(instance: CostInstance, reports: Sequence[RunReport]) -> str:
    how = "native speed" if reports[0].speed.value == "native" else "emulated device speeds"
    return f"{instance.graph.name}: {counted(instance.requests, 'request')}, {how}"


def _cells(instance: CostInstance, report: RunReport) -> tuple[str, ...]:
    from decc_core.runtime.controller.outputs import Verdict
    from decc_core.runtime.controller.report import compared

    busy = [f"{duration(total.measured_ns)} ({compared(total.ratio - 1)})" if total.predicted_ns else "-"
            for total in trace.totals(report.trace, report.predicted)]  # fmt: skip
    return (
        report.plan.execution.value,
        report.verdict.value if report.verdict else report.outputs_text,
        f"{report.max_abs_diff:.1e}" if report.verdict is not Verdict.IDENTICAL and report.differences else "-",
        duration(report.predicted.makespan_ns),
        duration(report.trace.makespan_ns) if report.trace.result_ns else "-",
        compared(report.error) if not report.failure else "-",
        figure("throughput_rps", throughput_rps(instance, report.plan)),
        figure("throughput_rps", report.trace.throughput_rps(report.plan.execution)) if report.trace.result_ns else "-",
        *busy,
    )


def _coded_cells(instance: CostInstance, report: RunReport) -> tuple[str, ...]:
    from decc_core.runtime.controller.report import compared

    coding = {total.resource: total for total in trace.coding_totals(instance, report.trace, report.predicted)}
    return (
        ", ".join(dict.fromkeys(report.formats.values())) or "-",
        bytes_text(report.sent_bytes),
        bytes_text(report.raw_bytes),
        *(
            f"{duration(total.measured_ns)}{f' ({compared(total.ratio - 1)})' if total.predicted_ns else ''}"
            if (total := coding.get(side))
            else "-"
            for side in USUAL
        ),
        "-" if report.same_top1 is None else f"{report.same_top1} of {len(report.differences)}",
    )


def _print_layers(instance: CostInstance, report: RunReport) -> None:
    items = trace.items(report.trace, report.predicted, instance.graph)
    worst = sorted(items, key=lambda item: -abs(item.measured_ns - item.predicted_ns))[:WORST_SHOWN]
    output.print_table(
        f"{report.strategy}: layers and tensors furthest off, median over the requests",
        ("layer or tensor", "resource", "predicted", "measured", "ratio"),
        [
            (
                item.name,
                item.resource.value,
                duration(item.predicted_ns),
                duration(item.measured_ns),
                f"{item.ratio:.2f}",
            )
            for item in worst
        ],
    )


def _row(instance: CostInstance, report: RunReport) -> dict[str, Any]:
    crossed = Counter(work.item for work in report.plan.sequences[Resource.UPLINK])
    return {
        "strategy": report.strategy,
        "execution": report.plan.execution.value,
        "speed": report.speed.value,
        "dilation": report.dilation,
        "verdict": report.verdict.value if report.verdict else None,
        "outputs_equal": report.outputs_equal,
        "max_abs_diff": report.max_abs_diff,
        "same_top1": all(distance.same_top1 for distance in report.differences.values()),
        "top1_agreement": None if report.same_top1 is None else report.same_top1 / max(1, len(report.differences)),
        "formats": {tensor_name(instance.graph, tensor): name for tensor, name in report.formats.items()},
        "sent_bytes": report.sent_bytes,
        "raw_bytes": report.raw_bytes,
        "tensors": [
            {
                "tensor": tensor_name(instance.graph, tensor),
                "format": report.formats.get(tensor, RAW),
                "raw_bytes": raw,
                "sent_bytes": sent,
                "planned_bytes": instance.wire_bytes[tensor] * crossed[tensor],
            }
            for tensor, (raw, sent) in sorted(report.sizes.items())
        ],
        "coding": {
            total.name: {"predicted_s": total.predicted_ns / NS_PER_S, "measured_s": total.measured_ns / NS_PER_S}
            for total in trace.coding_totals(instance, report.trace, report.predicted)
        },
        "predicted_makespan_s": report.predicted.makespan_ns / NS_PER_S,
        "level": {side.value: level for side, level in report.level.items()},
        "predicted_at_level_s": report.at_level.makespan_ns / NS_PER_S,
        "measured_makespan_s": report.trace.makespan_ns / NS_PER_S,
        "predicted_throughput_rps": throughput_rps(instance, report.plan),
        "measured_throughput_rps": report.trace.throughput_rps(report.plan.execution),
        "busy": {
            total.name: {"predicted_s": total.predicted_ns / NS_PER_S, "measured_s": total.measured_ns / NS_PER_S}
            for total in trace.totals(report.trace, report.predicted)
        },
        "stages": [
            {
                "resource": stage.resource.value,
                "stage": stage.name,
                "predicted_s": stage.predicted_ns / NS_PER_S,
                "measured_s": stage.measured_ns / NS_PER_S,
                "ratio": stage.ratio,
            }
            for stage in trace.stages(report.trace, report.predicted)
        ],
        "dispatch_s": {side.value: time_s for side, time_s in report.dispatch_s.items()},
        "finished": sorted(report.trace.result_ns),
        "completed_on_edge": list(report.fallen_back),
        "failure": report.failure,
    }


def _trace(instance: CostInstance, report: RunReport) -> dict[str, Any]:
    about = {
        "network": instance.graph.name,
        "strategy": report.strategy,
        "speed": report.speed.value,
        "dilation": report.dilation,
    }
    return trace.chrome_trace(instance, report.predicted, report.trace, about)
