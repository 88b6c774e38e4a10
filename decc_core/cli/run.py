"""decc run: a plan on real workers, prediction beside measurement."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from decc_core import library, store
from decc_core.cli import output
from decc_core.cli.progress import bar
from decc_core.cli.scenario import add_scenario, build_instance, describe, link_of
from decc_core.cli.sources import Source, opened
from decc_core.cli.worker import add_security
from decc_core.errors import InvalidInstance, UnknownName, WorkerFailed
from decc_core.models.device import DeviceSettings
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.planner.strategies import STRATEGIES, solve
from decc_core.plans import trace
from decc_core.plans.schedule import throughput_rps
from decc_core.problem.instance import RESOURCES, CostInstance, WireDtype
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling.settings import ProfileSettings
from decc_core.progress import Progress
from decc_core.text import duration

WORST_SHOWN = 5
ROWS = (
    "execution", "outputs", "predicted", "measured", "off by", "req/s predicted", "req/s measured",
    *(f"{r.value} busy, measured" for r in RESOURCES),
)  # fmt: skip
"""What is told of each strategy, under its name: as columns they would not fit a terminal."""


def add_commands(commands: Any) -> None:
    run = commands.add_parser("run", help="run plans on an edge and a cloud worker, and compare with the prediction")
    add_scenario(run, model_optional=True)
    run.add_argument("--strategy", default="decc", choices=STRATEGIES, help="default: decc")
    run.add_argument("--compare", metavar="NAMES", help="more strategies to run under the same conditions")
    run.add_argument("--plan", type=Path, help="run this saved plan instead of making one")
    run.add_argument("--uplink-mbps", type=float, default=18.88, help="uplink rate in Mbit/s (default: 18.88)")
    speed = run.add_mutually_exclusive_group()
    speed.add_argument(
        "--native", action="store_true", help="measure this machine's layers now, and run as fast as it can"
    )
    speed.add_argument(
        "--emulate-slowdown",
        type=float,
        metavar="K",
        help="measure this machine's layers now, and emulate an edge that is K times slower",
    )
    run.add_argument("--dilation", type=float, help="stretch times and link by this factor (default: what is needed)")
    run.add_argument("--threads", type=int, default=1, help="CPU threads of each worker (default: 1)")
    run.add_argument("--repeats", type=int, default=30, help="passes when layers are measured (default: 30)")
    run.add_argument("--jitter-ms", type=float, default=0.0, help="up to so much more delay for each tensor")
    run.add_argument("--bandwidth-trace", type=Path, metavar="CSV", help="uplink over time: lines of seconds, Mbit/s")
    run.add_argument("--no-shaping", action="store_true", help="use the real link between the workers as it is")
    run.add_argument("--images", type=Path, metavar="FOLDER", help="images as inputs, one a request (default: random)")
    run.add_argument("--seed", type=int, default=0, help="of random inputs (default: 0)")
    run.add_argument("--edge-worker", metavar="HOST:PORT", help="a worker that is up (default: start one here)")
    run.add_argument("--cloud-worker", metavar="HOST:PORT", help="a worker that is up (default: start one here)")
    run.add_argument("--cloud-from-edge", metavar="HOST:PORT", help="where the edge reaches the cloud, if elsewhere")
    run.add_argument("--fallback", choices=("edge",), help="complete on the edge what cannot finish remotely")
    run.add_argument("--deadline-s", type=float, help="give a run up after so many seconds (default: from the plan)")
    run.add_argument("--trace", type=Path, metavar="JSON", help="write plan and measurement for Perfetto")
    run.add_argument("--layers", action="store_true", help="also list the layers that were furthest off")
    add_security(run)
    run.set_defaults(run=run_plans)


def run_plans(options: argparse.Namespace) -> None:
    saved = store.load(options.plan, store.SavedPlan) if options.plan else None
    options.model = options.model or (_model_of(saved, options.plan) if saved else None)
    if options.model is None:
        raise UnknownName("Name a network, or a saved plan with --plan.")
    _require_worker_pair(options)
    # Native runs measure on the workers; a quick measurement here would be for nothing.
    with opened(options, measured=not (options.native or options.emulate_slowdown)) as source:
        _run_plans(options, source, saved)


def _model_of(saved: store.SavedPlan, file: Path) -> str:
    """The network that a plan is of, where its name is enough to find it."""
    if saved.graph_name not in library.shipped_models():
        raise UnknownName(
            f"{file} is a plan of '{saved.graph_name}', which is not shipped; name its file, too: "
            f"decc run FILE --plan {file}"
        )
    return saved.graph_name


def _run_plans(options: argparse.Namespace, source: Source, saved: store.SavedPlan | None) -> None:
    graph = source.graph
    _check(options, graph, saved)
    with bar("Live run") as progress:
        progress(0, 1, "starting workers")
        with _workers(options) as workers:
            progress(0, 1, f"loading {graph.name} on both workers")
            workers.load(source.network)
            instance = _instance(options, source, workers, progress)
            names = _strategies(options)
            plans = {saved.strategy: saved.plan} if saved else {name: solve(instance, name).plan for name in names}

            def told(strategy: str) -> Progress:
                return lambda done, total, what: progress(done, total, f"{strategy}: {what}")

            reports = list(workers.run_each(instance, plans, _settings(options, graph), told))
    _tell(options, instance, reports)
    failed = [report.failure for report in reports if report.failure]
    if failed:
        raise WorkerFailed(failed[0])


def _require_worker_pair(options: argparse.Namespace) -> None:
    if bool(options.edge_worker) != bool(options.cloud_worker):
        raise InvalidInstance("Name both workers, --edge-worker and --cloud-worker, or none.")


def _check(options: argparse.Namespace, graph: LayerGraph, saved: store.SavedPlan | None) -> None:
    """Refuse what cannot be run before any worker starts."""
    if saved is not None:
        if saved.graph_fingerprint != graph.fingerprint:
            raise InvalidInstance(
                f"{options.plan} is for '{saved.graph_name}' as another file or version of DECC has it, not for "
                f"{options.model}; name the file that it is of, or plan again."
            )
        if options.compare:
            raise InvalidInstance("--plan runs one saved plan; leave --compare out.")
        options.requests = len(saved.plan.cuts)
    if options.emulate_slowdown is not None and not options.emulate_slowdown >= 1:
        raise InvalidInstance(
            f"An edge {options.emulate_slowdown:g} times slower cannot be emulated; choose 1 or more."
        )
    for strategy in _strategies(options):
        if strategy not in STRATEGIES:
            raise UnknownName(f"There is no strategy '{strategy}'; choose one of {', '.join(STRATEGIES)}.")


def _strategies(options: argparse.Namespace) -> list[str]:
    more = [name.strip() for name in (options.compare or "").split(",") if name.strip()]
    return list(dict.fromkeys([options.strategy, *more]))


@contextmanager
def _workers(options: argparse.Namespace) -> Iterator[Any]:
    from decc_core.runtime.controller.live import local_workers, remote_workers
    from decc_core.runtime.wire.transport import Address, Security

    if options.edge_worker:
        security = Security.read(options.token_file, options.tls_certificate)
        edge, cloud = Address.parse(options.edge_worker), Address.parse(options.cloud_worker)
        seen = Address.parse(options.cloud_from_edge) if options.cloud_from_edge else None
        with remote_workers(edge, cloud, security, seen) as workers:
            yield workers
    else:
        with local_workers() as workers:
            yield workers


def _instance(options: argparse.Namespace, source: Source, workers: Any, progress: Any) -> CostInstance:
    """The scenario, on shipped or given profiles, or on profiles that the workers measure now."""
    if not (options.native or options.emulate_slowdown):
        return build_instance(options, source, options.uplink_mbps)

    def profile(side: Resource, device: str, default: str) -> DeviceProfile:
        """One that was asked for, or measured now; the default one is of another machine."""
        if device != default:
            return source.edge_profile(device) if side is Resource.EDGE else source.cloud_profile(device)
        return _measured(options, workers, side, progress)

    edge = profile(Resource.EDGE, options.edge, library.DEFAULT_EDGE)
    cloud = profile(Resource.CLOUD, options.cloud, library.DEFAULT_CLOUD)
    if options.emulate_slowdown:
        edge = edge.scaled(options.emulate_slowdown, f"{options.emulate_slowdown:g} x this machine")
    return build_instance(options, source, options.uplink_mbps, edge, cloud)


def _measured(options: argparse.Namespace, workers: Any, side: Resource, progress: Any) -> DeviceProfile:
    def told(done: int, total: int, what: str) -> None:
        progress(done, total, f"{what} layers on the {side.value}")

    settings = ProfileSettings(f"{side.value} worker", DeviceSettings(options.threads), options.repeats)
    profile: DeviceProfile = workers.profile(side, settings, told)
    return profile


def _settings(options: argparse.Namespace, graph: LayerGraph) -> Any:
    from decc_core.runtime.controller.images import image_inputs
    from decc_core.runtime.controller.report import RunSettings, Speed
    from decc_core.runtime.wire.pacing import UNSHAPED, LinkShape, read_trace

    rates = read_trace(options.bandwidth_trace) if options.bandwidth_trace else None
    link = LinkShape.of(link_of(options, options.uplink_mbps), rates, options.jitter_ms / 1e3)
    return RunSettings(
        link=UNSHAPED if options.no_shaping else link,
        speed=Speed.NATIVE if options.native else Speed.EMULATED,
        wire=WireDtype(options.wire),
        device=DeviceSettings(options.threads),
        seed=options.seed,
        inputs=image_inputs(graph, options.images, options.requests, options.seed) if options.images else None,
        dilation=options.dilation,
        fallback_edge=options.fallback == "edge",
        deadline_s=options.deadline_s,
    )


def _tell(options: argparse.Namespace, instance: CostInstance, reports: Sequence[Any]) -> None:
    if options.trace:
        _write_traces(options, instance, reports)
    if options.json:
        scenario = describe(options, instance.graph, options.uplink_mbps)
        output.print_json({"instance": scenario, "runs": [_row(instance, report) for report in reports]})
        return
    output.print_table(
        _title(instance, reports),
        ("", *(report.strategy for report in reports)),
        zip(ROWS, *(_cells(instance, report) for report in reports), strict=True),
    )
    for report in reports:
        print(report)
    if options.layers:
        for report in reports:
            _print_layers(instance, report)


def _title(instance: CostInstance, reports: Sequence[Any]) -> str:
    how = "native speed" if reports[0].speed.value == "native" else "emulated device speeds"
    return f"{instance.graph.name}: {instance.requests} request(s), {how}"


def _cells(instance: CostInstance, report: Any) -> tuple[str, ...]:
    busy = [f"{duration(one.measured_ns)} ({one.ratio - 1:+.1%})" if one.predicted_ns else "-"
            for one in trace.totals(report.trace, report.predicted)]  # fmt: skip
    return (
        report.plan.execution.value,
        report.outputs_text,
        duration(report.predicted.makespan_ns),
        duration(report.trace.makespan_ns) if report.trace.result_ns else "-",
        f"{report.error:+.1%}" if not report.failure else "-",
        f"{throughput_rps(instance, report.plan):.3g}",
        f"{report.trace.throughput_rps(report.plan.execution):.3g}" if report.trace.result_ns else "-",
        *busy,
    )


def _print_layers(instance: CostInstance, report: Any) -> None:
    found = trace.items(report.trace, report.predicted, instance.graph)
    worst = sorted(found, key=lambda one: -abs(one.measured_ns - one.predicted_ns))[:WORST_SHOWN]
    output.print_table(
        f"{report.strategy}: layers and tensors furthest off, median over the requests",
        ("layer or tensor", "resource", "predicted", "measured", "ratio"),
        [
            (one.name, one.resource.value, duration(one.predicted_ns), duration(one.measured_ns), f"{one.ratio:.2f}")
            for one in worst
        ],
    )


def _row(instance: CostInstance, report: Any) -> dict[str, Any]:
    rows = trace.totals(report.trace, report.predicted)
    return {
        "strategy": report.strategy,
        "execution": report.plan.execution.value,
        "speed": report.speed.value,
        "dilation": report.dilation,
        "outputs_equal": report.outputs_equal,
        "max_abs_diff": report.max_abs_diff,
        "same_top1": all(found.same_top1 for found in report.differences.values()),
        "predicted_makespan_s": report.predicted.makespan_ns / 1e9,
        "level": {side.value: level for side, level in report.level.items()},
        "predicted_at_level_s": report.at_level.makespan_ns / 1e9,
        "measured_makespan_s": report.trace.makespan_ns / 1e9,
        "predicted_throughput_rps": throughput_rps(instance, report.plan),
        "measured_throughput_rps": report.trace.throughput_rps(report.plan.execution),
        "busy": {
            one.name: {"predicted_s": one.predicted_ns / 1e9, "measured_s": one.measured_ns / 1e9} for one in rows
        },
        "stages": [
            {
                "resource": one.resource.value,
                "stage": one.name,
                "predicted_s": one.predicted_ns / 1e9,
                "measured_s": one.measured_ns / 1e9,
                "ratio": one.ratio,
            }
            for one in trace.stages(report.trace, report.predicted)
        ],
        "dispatch_s": {side.value: time_s for side, time_s in report.dispatch_s.items()},
        "finished": sorted(report.trace.result_ns),
        "completed_on_edge": list(report.fallen_back),
        "failure": report.failure,
    }


def _write_traces(options: argparse.Namespace, instance: CostInstance, reports: Sequence[Any]) -> None:
    """One file for each strategy; the first has the name that was asked for."""
    for i, report in enumerate(reports):
        path = options.trace if i == 0 else options.trace.with_stem(f"{options.trace.stem}-{report.strategy}")
        about = {
            "network": instance.graph.name,
            "strategy": report.strategy,
            "speed": report.speed.value,
            "dilation": report.dilation,
        }
        output.write_json(trace.chrome_trace(instance.graph, report.predicted, report.trace, about), path)
