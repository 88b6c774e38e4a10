"""decc run: a plan on real workers, prediction beside measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decc_core import files, library, store
from decc_core.cli import run_results, run_stream
from decc_core.cli.options import Commands, add_security, runs
from decc_core.cli.progress import bar
from decc_core.cli.run_stream import StreamOptions, add_stream, stream_of
from decc_core.cli.scenario import add_scenario, add_uplink, scenario_of
from decc_core.cli.sources import USUAL, NetworkOptions, Source, network_of, opened, require_profiles
from decc_core.errors import InvalidInstance, UnknownName, WorkerFailed
from decc_core.models.device import ACCELERATORS, DeviceSettings
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.planner.analysis import NATIVE_ERROR, Analysis
from decc_core.planner.strategies import STRATEGIES, solve
from decc_core.plans.check import check_work
from decc_core.problem.instance import CostInstance, Objective, Results
from decc_core.problem.link import FREE, MS_PER_S, TensorWork
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.profiling.settings import ProfileSettings
from decc_core.progress import Progress
from decc_core.ranges import MOST_FACTOR, number, require, whole_number

if TYPE_CHECKING:
    from decc_core.runtime.controller.live import Workers
    from decc_core.runtime.controller.report import RunReport, RunSettings
    from decc_core.runtime.wire.assembly import TensorChunk
    from decc_core.runtime.wire.pacing import Rate
    from decc_core.runtime.wire.transport import Address, Security


@dataclass(frozen=True)
class RunOptions:
    scenario: Scenario
    network: NetworkOptions
    strategy: str
    compare: str | None
    plan: Path | None
    native: bool
    emulate_slowdown: float | None
    dilation: float | None
    prediction_error: float | None
    threads: int
    edge_accelerator: str
    cloud_accelerator: str
    repeats: int
    jitter_ms: float
    bandwidth_trace: Path | None
    no_shaping: bool
    images: Path | None
    seed: int
    edge_worker: str | None
    cloud_worker: str | None
    cloud_from_edge: str | None
    fallback: str | None
    deadline_s: float | None
    trace: Path | None
    layers: bool
    stream: StreamOptions | None
    json: bool
    token_file: Path | None
    tls_certificate: Path | None

    def __post_init__(self) -> None:
        if bool(self.edge_worker) != bool(self.cloud_worker):
            raise InvalidInstance("Name both workers, --edge-worker and --cloud-worker, or none.")
        if self.plan and self.compare:
            raise InvalidInstance("--plan runs one saved plan; leave --compare out.")
        if self.scenario.results is Results.CLOUD:
            raise InvalidInstance("A run brings its results back, to compare them; leave --results out.")
        if self.emulate_slowdown is not None and not 1 <= self.emulate_slowdown <= MOST_FACTOR:
            raise InvalidInstance(
                f"An edge {self.emulate_slowdown:g} times slower cannot be emulated; choose 1 or more, up to "
                f"{MOST_FACTOR:g}."
            )
        if self.stream is not None:
            self._require_stream()
        # Refused now, and not when the workers are up.
        require("error of prediction", 100 * self.known_error, 0, 100, "%")
        ProfileSettings(repeats=self.repeats)
        for side in USUAL:
            self.device(side)
        for strategy in self.strategies:
            if strategy not in STRATEGIES:
                raise UnknownName(f"There is no strategy '{strategy}'; choose one of {', '.join(STRATEGIES)}.")

    def _require_stream(self) -> None:
        """Refuse what says how requests are planned together: those of a stream are dispatched one by one."""
        scenario = self.scenario
        with_it = {
            "requests": scenario.requests != 1,
            "objective": scenario.objective is not Objective.MAKESPAN,
            "strategy": self.strategy != "decc",
            "compare": self.compare is not None,
            "plan": self.plan is not None,
            "fallback": self.fallback is not None,
            "layers": self.layers,
        }
        wrong = [name for name, given in with_it.items() if given]
        if wrong:
            raise InvalidInstance(
                f"With --rate requests keep arriving, and --policy dispatches each; leave --{wrong[0]} out."
            )

    @property
    def known_error(self) -> float:
        """By what fraction predictions of such a run are off; emulated runs are held to theirs."""
        usual = NATIVE_ERROR if self.native else 0.0
        return usual if self.prediction_error is None else self.prediction_error / 100

    @property
    def strategies(self) -> list[str]:
        more = [name.strip() for name in (self.compare or "").split(",") if name.strip()]
        return list(dict.fromkeys([self.strategy, *more]))

    def device(self, side: Resource) -> DeviceSettings:
        """How the worker of a side runs its layers."""
        accelerator = self.edge_accelerator if side is Resource.EDGE else self.cloud_accelerator
        return DeviceSettings(self.threads, accelerator=accelerator)

    def device_of(self, side: Resource) -> str:
        """The profile that a side is planned with, by name or file."""
        return self.scenario.edge if side is Resource.EDGE else self.scenario.cloud

    def measured_now(self, side: Resource) -> bool:
        """Whether the side's worker measures its layers; the usual profile is of another machine."""
        return self.measures and self.device_of(side) == USUAL[side]

    @property
    def measures(self) -> bool:
        """Whether layers are measured on the workers, now."""
        return self.native or self.emulate_slowdown is not None


def add_commands(commands: Commands) -> None:
    run = commands.add_parser("run", help="run plans on an edge and a cloud worker, and compare with the prediction")
    add_scenario(run, model_optional=True)
    run.add_argument("--strategy", default="decc", choices=STRATEGIES, help="how the plan is found (default: decc)")
    run.add_argument(
        "--compare", metavar="NAMES", help="more strategies to run under the same conditions (default: none)"
    )
    run.add_argument("--plan", type=Path, help="run this saved plan (default: make one)")
    add_uplink(run)
    speed = run.add_mutually_exclusive_group()
    speed.add_argument(
        "--native", action="store_true", help="measure this machine's layers now, and run as fast as it can"
    )
    speed.add_argument(
        "--emulate-slowdown",
        type=number,
        metavar="K",
        help="measure this machine's layers now, and emulate an edge that is K times slower (default: as profiled)",
    )
    run.add_argument(
        "--dilation",
        type=number,
        metavar="FACTOR",
        help="run so many times slower, layers and link alike, so that this machine keeps up (default: what is needed)",
    )
    run.add_argument(
        "--prediction-error",
        type=number,
        metavar="PERCENT",
        help="of plans that differ by less, decc takes the one that sends least, in the fewest pieces "
        f"(default: {100 * NATIVE_ERROR:g} with --native, else 0)",
    )
    run.add_argument("--threads", type=whole_number, default=1, help="CPU threads of each worker (default: 1)")
    for side in ("edge", "cloud"):
        run.add_argument(
            f"--{side}-accelerator",
            choices=ACCELERATORS,
            default="cpu",
            help=f"what runs the {side}'s layers (default: cpu)",
        )
    run.add_argument("--repeats", type=whole_number, default=30, help="passes when layers are measured (default: 30)")
    run.add_argument(
        "--jitter-ms", type=number, default=0.0, help="up to so much more delay for each tensor, in ms (default: 0)"
    )
    run.add_argument(
        "--bandwidth-trace",
        type=Path,
        metavar="CSV",
        help="uplink over time: lines of seconds, Mbit/s (default: constant)",
    )
    run.add_argument("--no-shaping", action="store_true", help="use the real link between the workers as it is")
    run.add_argument("--images", type=Path, metavar="FOLDER", help="images as inputs, one a request (default: random)")
    run.add_argument("--seed", type=whole_number, default=0, help="of random inputs, and of arrivals (default: 0)")
    run.add_argument("--edge-worker", metavar="HOST:PORT", help="a worker that is up (default: start one here)")
    run.add_argument("--cloud-worker", metavar="HOST:PORT", help="a worker that is up (default: start one here)")
    run.add_argument(
        "--cloud-from-edge",
        metavar="HOST:PORT",
        help="where the edge reaches the cloud (default: as we do, at --cloud-worker)",
    )
    run.add_argument(
        "--fallback", choices=("edge",), help="complete on the edge what cannot finish remotely (default: end the run)"
    )
    run.add_argument("--deadline-s", type=number, help="give a run up after so many seconds (default: from the plan)")
    run.add_argument(
        "--trace", type=Path, metavar="JSON", help="write plan and measurement for Perfetto (default: none)"
    )
    run.add_argument("--layers", action="store_true", help="also list the layers that were furthest off")
    add_stream(run)
    add_security(run)
    runs(run, run_plans, RunOptions, scenario=scenario_of, network=network_of, stream=stream_of)


@dataclass(frozen=True)
class Inputs:
    """What the files and addresses of a run hold, read and checked before anything is started."""

    saved: store.SavedPlan | None
    uplink: Rate | None
    edge: Address | None
    cloud: Address | None
    cloud_from_edge: Address | None
    security: Security

    @classmethod
    def read(cls, options: RunOptions) -> Inputs:
        from decc_core.runtime.controller.images import image_files
        from decc_core.runtime.wire.pacing import read_trace
        from decc_core.runtime.wire.transport import Address, Security

        saved = store.load(options.plan, store.SavedPlan) if options.plan else None
        names = (options.edge_worker, options.cloud_worker, options.cloud_from_edge)
        edge, cloud, seen = (Address.parse(name) if name else None for name in names)
        security = Security.read(options.token_file, options.tls_certificate)
        for address in (edge, cloud):
            if address is not None:
                security.require_for(address, serving=False)
        if options.images:
            for image in image_files(options.images):
                files.require(image, "the image")
        uplink = read_trace(options.bandwidth_trace) if options.bandwidth_trace else None
        require_profiles(options.network.model, options.scenario)
        return cls(saved, uplink, edge, cloud, seen, security)


def run_plans(options: RunOptions) -> None:
    files.require_place(options.trace)
    inputs = Inputs.read(options)
    if inputs.saved is not None:
        options = _of_plan(options, inputs.saved)
    if not options.network.model:
        raise UnknownName("Name a network, or a saved plan with --plan.")
    # What the workers measure themselves needs no quick measurement here.
    with opened(options.network, None if options.measures else options.scenario) as source:
        if inputs.saved is not None and inputs.saved.graph_fingerprint != source.graph.fingerprint:
            raise InvalidInstance(
                f"{options.plan} is for '{inputs.saved.graph_name}' as another file or version of DECC has it, not for "
                f"{options.network.model}; name the file that it is of, or plan again."
            )
        if inputs.saved is not None:
            check_work(source.graph, inputs.saved.plan)
        _run_plans(options, source, inputs)


def _of_plan(options: RunOptions, saved: store.SavedPlan) -> RunOptions:
    """With the plan's requests, and its network where none is named and its name is enough to find it."""
    model = options.network.model or saved.graph_name
    if not options.network.model and model not in library.shipped_models():
        raise UnknownName(
            f"{options.plan} is a plan of '{model}', which is not shipped; name its file, too: "
            f"decc run FILE --plan {options.plan}"
        )
    scenario = replace(options.scenario, model=model, requests=len(saved.plan.cuts))
    return replace(options, scenario=scenario, network=replace(options.network, model=model))


def _run_plans(options: RunOptions, source: Source, inputs: Inputs) -> None:
    graph, saved = source.graph, inputs.saved
    # Everything that can be refused is, before the first worker is started.
    settings = _settings(options, graph, inputs)
    known = {side: source.profile(side, options.device_of(side)) for side in USUAL if not options.measured_now(side)}
    with bar("Live run") as progress:
        progress(0, 1, "starting workers")
        with _workers(inputs) as workers:
            progress(0, 1, f"loading {graph.name} on both workers")
            workers.load(source.network)
            edge, cloud = (known.get(side) or _measured(options, workers, side, progress) for side in USUAL)
            if options.emulate_slowdown is not None:
                edge = edge.scaled(options.emulate_slowdown, f"{options.emulate_slowdown:g} x this machine")
            work = _tensor_work(options, workers, progress)
            together = _together(options, workers, progress)
            instance = options.scenario.instance(graph, edge, cloud, *work)
            analysis = Analysis(instance, options.known_error)
            if options.stream is not None:
                images = _images(options, graph)
                streams = run_stream.serve(options.stream, options.seed, analysis, workers, settings, images, progress)
                failed = [report.failure for report in streams if report.failure]
            else:
                reports = _reports(options, saved, analysis, workers, settings, progress)
                failed = [report.failure for report in reports if report.failure]
    about = _about(options, instance, work, together)
    if options.stream is not None:
        run_stream.tell(options.stream, instance, streams, about, options.json, options.trace)
    else:
        before = _before(options, analysis, work, together)
        run_results.tell(analysis, reports, about, before, options.json, options.layers, options.trace)
    if failed:
        raise WorkerFailed(failed[0])


def _reports(
    options: RunOptions,
    saved: store.SavedPlan | None,
    analysis: Analysis,
    workers: Workers,
    settings: RunSettings,
    progress: Progress,
) -> list[RunReport]:
    """All plans, one after the other under the same conditions."""
    plans = {saved.strategy: saved.plan} if saved else {name: solve(analysis, name).plan for name in options.strategies}

    def told(strategy: str) -> Progress:
        return lambda done, total, what: progress(done, total, f"{strategy}: {what}")

    return list(workers.run_each(analysis.instance, plans, settings, told))


def _images(options: RunOptions, graph: LayerGraph) -> Callable[[int], tuple[TensorChunk, ...]] | None:
    """Images as inputs of so many requests, where a folder of them was named."""
    from decc_core.runtime.controller.images import image_inputs

    folder = options.images
    if folder is None:
        return None
    return lambda requests: image_inputs(graph, folder, requests, options.seed)


@contextmanager
def _workers(inputs: Inputs) -> Iterator[Workers]:
    from decc_core.runtime.controller.live import local_workers, remote_workers

    if inputs.edge is not None and inputs.cloud is not None:
        with remote_workers(inputs.edge, inputs.cloud, inputs.security, inputs.cloud_from_edge) as workers:
            yield workers
    else:
        with local_workers() as workers:
            yield workers


def _measured(options: RunOptions, workers: Workers, side: Resource, progress: Progress) -> DeviceProfile:
    """What the worker measures now."""

    def told(done: int, total: int, what: str) -> None:
        progress(done, total, f"{what} layers on the {side.value}")

    settings = ProfileSettings(
        f"{side.value} worker", options.device(side), options.repeats, requests_in_a_run=options.scenario.requests
    )
    return workers.profile(side, settings, told)


def _tensor_work(options: RunOptions, workers: Workers, progress: Progress) -> tuple[TensorWork, TensorWork]:
    """What tensors cost both devices; for a native run measured, unless something was said of it."""
    chosen = options.scenario.edge_work, options.scenario.cloud_work
    if not options.native or chosen != (FREE, FREE):
        return chosen
    progress(0, 1, "measuring what sending costs")
    edge, cloud = (options.device(side).n_threads for side in USUAL)
    measured = workers.tensor_work({Resource.EDGE: edge, Resource.CLOUD: cloud})
    return measured[Resource.EDGE], measured[Resource.CLOUD]


def _together(options: RunOptions, workers: Workers, progress: Progress) -> dict[Resource, float]:
    """How much two workers on one machine slow each other, before a native run."""
    if not (options.native and workers.on_one_machine):
        return {}
    progress(0, 1, "measuring how the workers slow each other")
    return workers.slowed_together({side: options.device(side) for side in USUAL})


def _settings(options: RunOptions, graph: LayerGraph, inputs: Inputs) -> RunSettings:
    from decc_core.runtime.controller.report import RunSettings, Speed
    from decc_core.runtime.wire.pacing import UNSHAPED, LinkShape

    images = _images(options, graph)
    link = LinkShape.of(options.scenario.link, inputs.uplink, options.jitter_ms / MS_PER_S)
    return RunSettings(
        link=UNSHAPED if options.no_shaping else link,
        speed=Speed.NATIVE if options.native else Speed.EMULATED,
        device=options.device(Resource.EDGE),
        cloud_device=options.device(Resource.CLOUD),
        seed=options.seed,
        inputs=images(options.scenario.requests) if images else None,
        dilation=options.dilation,
        fallback_edge=options.fallback == "edge",
        deadline_s=options.deadline_s,
        keep_outputs=False,
    )


def _about(
    options: RunOptions, instance: CostInstance, work: Sequence[TensorWork], together: Mapping[Resource, float]
) -> dict[str, Any]:
    """What was run, and what was measured before, for JSON."""
    return {
        "instance": options.scenario.description(instance.graph),
        "tensor_work": {side.value: asdict(one) for side, one in zip(USUAL, work, strict=True)},
        "slowed_together": {side.value: ratio for side, ratio in together.items()},
    }


def _before(
    options: RunOptions, analysis: Analysis, work: Sequence[TensorWork], together: Mapping[Resource, float]
) -> list[str]:
    """What was found before the plans ran, in sentences."""
    from decc_core.runtime.controller.report import together_text, work_text

    told = work_text(dict(zip(USUAL, work, strict=True)))
    told += [together_text(together)] if together else []
    return told + ([f"decc: the plan {analysis.simpler}"] if analysis.simpler and "decc" in options.strategies else [])
