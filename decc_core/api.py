"""DECC for scripts and notebooks: from a network of your own to a plan that was run.

>>> import torch
>>> import decc_core.api as decc
>>> network = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 4))
>>> model = decc.extract(network, torch.randn(1, 64))
>>> edge = decc.profile(model, in_worker=False)
>>> cloud = edge.scaled(1 / 8, "8 times as fast", "server")
>>> found = decc.compare(model, edge, cloud, decc.Link.mbps(18.88, rtt_ms=10), requests=2)
>>> found.best.strategy
'edge-only'

`decc.load_model("network.onnx")` takes a file in the place of `extract`, .pt2 or .onnx.
`print(found)` shows the table, the proven bound and the reason in words; `decc.run(model, found)` runs the plan on two
worker processes. All names are functions and types of other modules, put together here. Nothing imports PyTorch before
it is used.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decc_core import store
from decc_core.errors import DeccError, InvalidInstance, UnsupportedOperator
from decc_core.library import load_graph, shipped_devices, shipped_models
from decc_core.network.graph import LayerGraph
from decc_core.pictures import Html, gantt, html_table, paragraph, text_table
from decc_core.planner.strategies import STRATEGIES
from decc_core.plans.pieces import SplitManifest
from decc_core.plans.schedule import coding_stretches
from decc_core.problem.constraints import UNCONSTRAINED, Constraints
from decc_core.problem.instance import CostInstance, Objective
from decc_core.problem.link import BPS_PER_MBPS, FREE, Link, TensorWork
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import choice
from decc_core.problem.wire import FP32, Wire, WireProfile
from decc_core.profiling.imports import find_profile as load_profile
from decc_core.progress import Progress, silent
from decc_core.store import SavedPlan, Stored
from decc_core.study import compare as comparing
from decc_core.study.compare import Comparison
from decc_core.study.explain import explain
from decc_core.study.verdict import verdict
from decc_core.text import duration, figure, gap_text

if TYPE_CHECKING:
    import torch

    from decc_core.models.model import Model
    from decc_core.models.torch.extract import ExtractedModel
    from decc_core.runtime.controller.report import RunReport

__all__ = [
    "Constraints", "DeccError", "Findings", "Link", "TensorWork", "compare", "extract", "load", "load_graph",
    "load_model", "load_profile", "profile", "run", "save", "shipped_devices", "shipped_models", "split",
]  # fmt: skip

COLUMNS = {
    "strategy": "strategy", "execution": "execution", "makespan_s": "makespan", "throughput_rps": "requests/s",
    "uplink_bytes": "sent up", "gap": "gap",
}  # fmt: skip
"""Titles of the figures of an outcome's row."""
TEXT_COLUMNS = 2


def extract(
    module: torch.nn.Module, example_inputs: torch.Tensor | Sequence[torch.Tensor], name: str | None = None
) -> ExtractedModel:
    """The layers of a network, found with `torch.export` on example inputs; called after its class unless named.

    The module stays as it is. Weights are shared with it: extract again after training it further.
    """
    from decc_core.models.torch import extract as extracting

    return extracting.extract(module, example_inputs, name)


def load_model(
    path: Path | str,
    weights_for: str | None = None,
    batch: int = 1,
    dimensions: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> Model:
    """The network in a `.pt2` file (`torch.export.save`) or an `.onnx` file; use it as one that was extracted.

    `weights_for` names a built-in network whose weights the file holds (safetensors, or a state_dict), instead. A file
    may leave sizes open: the first dimension becomes `batch`, others are given in `dimensions`, by name or as
    `"input:axis"`. An .onnx file may keep weights in files beside it. What was decided, and left out, is told in
    warnings.

    The file is read by a process of its own with little memory and time and no network, so that nothing in it can
    run code here; no file stays behind. Raises `UnreadableFile`, or `RefusedFile`, whose `remedy` says what to do.
    """
    from decc_core.load.process.loader import load_file
    from decc_core.models import portable

    with tempfile.TemporaryDirectory(prefix="decc-model-") as place:
        loaded = load_file(
            Path(path),
            Path(place),
            architecture=weights_for,
            batch=batch,
            dimensions=dimensions,
            measured=False,
            progress=progress,
        )
        for note in loaded.notes:
            warnings.warn(note, stacklevel=2)
        return portable.from_data(*loaded.data())


def profile(
    model: Model,
    threads: int | None = 1,
    device: str = "this-machine",
    repeats: int = 30,
    memory_format: str = "contiguous",
    onednn: bool = True,
    accelerator: str = "cpu",
    in_worker: bool = True,
    progress: Progress | None = None,
) -> DeviceProfile:
    """Measure every layer on this machine; `threads` of None means all cores.

    A worker process of its own measures, the same that runs plans: it keeps the memory of freed tensors, and shares its
    threads with nobody, so that a live run is like its prediction. With `in_worker=False` this process measures: no
    process is started, and operators that cannot be sent to one are measured, too; but networks of many small layers
    can come out slower by up to a half, because a process that others use must not change how it keeps memory.
    """
    from decc_core.models.device import DeviceSettings
    from decc_core.models.ref import NetworkRef
    from decc_core.profiling.profiler import profile as profile_in_this_process
    from decc_core.profiling.settings import ProfileSettings

    settings = ProfileSettings(device, DeviceSettings(threads, memory_format, onednn, accelerator), repeats)
    if not in_worker:
        return profile_in_this_process(model, settings, progress)
    from decc_core.runtime.controller.live import profile_here

    try:
        return profile_here(NetworkRef.of(model), settings, progress or silent)
    except UnsupportedOperator as error:
        raise UnsupportedOperator(f"{error} Measure in this process instead, with in_worker=False.") from None


@dataclass(frozen=True, kw_only=True, repr=False)
class Findings(Comparison):
    """A comparison of strategies with the devices and the link that it is for; a notebook shows it as a table.

    `findings["jps"]` is the outcome of one strategy, `findings.best` the best.
    """

    edge: DeviceProfile
    cloud: DeviceProfile
    link: Link
    wire: Wire

    @property
    def title(self) -> str:
        many = self.instance.requests
        return (
            f"{self.instance.graph.name}: {many} request{'s' if many > 1 else ''}, "
            f"{self.link.uplink_bps / BPS_PER_MBPS:g} Mbit/s up, round trip {duration(self.instance.rtt_ns)}; "
            f"edge {self.edge.device} ({duration(sum(self.instance.edge_ns))}), "
            f"cloud {self.cloud.device} ({duration(sum(self.instance.cloud_ns))})"
        )

    @property
    def verdict(self) -> str:
        """Whether a split is worth it, in one sentence; empty where not every strategy was asked for."""
        return str(verdict(self)) if self._has_all else ""

    @property
    def why(self) -> str:
        """Why the best plan wins, or why no split helps, and how far from the best possible it can be."""
        if self._has_all:
            return explain(self)
        best = self.best
        return (
            f"Of the strategies asked for, {best.strategy} is the best, with a gap of {gap_text(best.gap)}: no plan "
            f"can be better than {duration(self.lower_bound_ns)}."
        )

    @property
    def _has_all(self) -> bool:
        return {*STRATEGIES} <= {*self.not_possible, *(outcome.strategy for outcome in self.outcomes)}

    def table(self) -> list[dict[str, str | int | float]]:
        """One dictionary for each strategy, units in the names: `pandas.DataFrame(findings.table())` makes a frame."""
        return [outcome.row() for outcome in self.outcomes]

    def gantt(self, strategy: str = "decc") -> Html:
        """When each resource works on which request under one strategy's plan."""
        makespan = self.instance.objective is Objective.MAKESPAN
        timing = self.of(strategy).schedule
        bound_ns = self.lower_bound_ns if makespan else None
        return gantt(timing.spans, timing.makespan_ns, bound_ns, coding_stretches(self.instance, timing))

    def plan(self, strategy: str = "decc") -> SavedPlan:
        """One strategy's plan together with its network's identity, as `save`, `split` and `run` take it."""
        graph = self.instance.graph
        return SavedPlan(graph.name, graph.fingerprint, self.of(strategy).plan, strategy)

    def __getitem__(self, strategy: str) -> comparing.Outcome:
        return self.of(strategy)

    def __str__(self) -> str:
        return "\n".join((self.title, text_table(tuple(COLUMNS.values()), self._cells(), TEXT_COLUMNS), *self._notes()))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        best = self.outcomes.index(self.best)
        table = html_table(tuple(COLUMNS.values()), self._cells(), best, TEXT_COLUMNS)
        return paragraph(self.title) + table + "".join(map(paragraph, self._notes())) + self.gantt(self.best.strategy)

    def _cells(self) -> list[list[str]]:
        return [[figure(name, row[name]) for name in COLUMNS] for row in self.table()]

    def _notes(self) -> list[str]:
        best, what = self.best, self.instance.objective.value
        return [
            *(f"{name}: not possible. {reason}" for name, reason in self.not_possible.items()),
            f"Best {what if what == 'makespan' else 'for throughput'}: {best.strategy}. {self.why}",
        ]


def compare(
    model: Model | LayerGraph,
    edge: DeviceProfile,
    cloud: DeviceProfile,
    link: Link,
    requests: int = 1,
    strategies: Sequence[str] = tuple(STRATEGIES),
    objective: str = Objective.MAKESPAN.value,
    wire: str = FP32,
    constraints: Constraints = UNCONSTRAINED,
    exact_limit_s: float | None = None,
    edge_work: TensorWork = FREE,
    cloud_work: TensorWork = FREE,
    wire_profile: WireProfile | None = None,
    min_agreement: float | None = None,
    input_wire: str | None = None,
    wire_percentile: int = 50,
) -> Findings:
    """Plan a network with every strategy, and prove how good any plan can be.

    `objective` is "makespan" or "throughput". `wire` is how tensors travel: "fp32" (as they are), "fp16", "int8" and
    others, several, comma-separated, or "any" of the wire profile's, of which each tensor takes the cheapest that keeps
    `min_agreement`; `input_wire` says it apart for the network's inputs. `exact_limit_s` adds a constraint solver
    that looks for the optimum so many seconds. `edge_work` and `cloud_work` are what it costs the devices to send and
    to receive tensors: `TensorWork.ms(0.4, 2)` is 0.4 ms for each tensor and 2 ms for each MB.
    """
    graph = model if isinstance(model, LayerGraph) else model.graph
    how = Wire(wire, input_wire, wire_profile, min_agreement, wire_percentile)
    aim = choice(Objective, objective, "objective")
    instance = CostInstance.build(graph, edge, cloud, link, requests, how, aim, constraints, edge_work, cloud_work)
    compared = comparing.compare(instance, strategies, time.perf_counter, exact_limit_s)
    return Findings(
        compared.instance, compared.outcomes, compared.lower_bound_ns, compared.not_possible,
        edge=edge, cloud=cloud, link=link, wire=how,
    )  # fmt: skip


def run(
    model: Model,
    found: Findings,
    plan: str | SavedPlan = "decc",
    speed: str = "emulated",
    threads: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
    images: Path | str | None = None,
) -> RunReport:
    """Run a plan on an edge and a cloud worker, two processes on this machine, over a link shaped like the planned one.

    `plan` is a strategy of the comparison, or a saved plan. "emulated" waits until each layer has taken the time that
    its profile says; "native" runs as fast as this machine can, for profiles that were measured here. Inputs are random
    (`seed`), or the images of a folder; tensors travel in the formats that the comparison planned with. All outputs are
    compared with the unsplit model's: `report.verdict`. A run that fails on its way is reported, not raised.
    """
    from decc_core.models.device import DeviceSettings
    from decc_core.models.ref import NetworkRef
    from decc_core.runtime.controller.images import image_inputs
    from decc_core.runtime.controller.live import local_workers
    from decc_core.runtime.controller.report import RunSettings, Speed
    from decc_core.runtime.wire.pacing import LinkShape

    saved = found.plan(plan) if isinstance(plan, str) else plan
    for name, fingerprint in (
        ("model", model.graph.fingerprint),
        ("plan", saved.graph_fingerprint),
    ):
        if fingerprint != found.instance.graph.fingerprint:
            raise InvalidInstance(
                f"The {name} is of another network than the comparison, which is of '{found.instance.graph.name}'; "
                "compare again."
            )
    how = choice(Speed, speed, "speed")
    instance = replace(found.instance, requests=len(saved.plan.cuts))
    inputs = image_inputs(instance.graph, Path(images), instance.requests, seed) if images is not None else None
    settings = RunSettings(LinkShape.of(found.link), how, DeviceSettings(threads), seed=seed, inputs=inputs)
    with local_workers() as workers:
        workers.load(NetworkRef.of(model))
        return workers.run(instance, saved.plan, settings, progress or silent, strategy=saved.strategy)


def split(model: Model, plan: SavedPlan, folder: Path | str, force: bool = False) -> SplitManifest:
    """Write the pieces of a network that a plan asks for into a new folder: checked `torch.export` programs, or ONNX.

    `force` replaces an earlier split in that folder.
    """
    from decc_core.split import write as split_model

    return split_model.split(model, plan, Path(folder), force)


def save(value: Stored, path: Path | str) -> None:
    """Write a profile, a plan (`findings.plan()`) or a graph (`model.graph`) as a JSON file."""
    store.save(value, Path(path))


def load(path: Path | str) -> Any:
    """Read what `save` or a `decc` command wrote; the file says what it is."""
    return store.load_any(Path(path))
