"""A sweep in the background of one visitor's session; what it finds is kept for everybody."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import log
from typing import Any

from app.figures.sweep_map import Axis, Conditions
from app.jobs.job import Job
from app.jobs.planners import PLANNERS
from app.memory import MEMORY, Memory
from app.state import FACTORS, RATES, RAW_BITS
from decc_core.errors import DeccError
from decc_core.network.graph import LayerGraph
from decc_core.planner.strategies import STRATEGIES
from decc_core.plans.plan import Plan
from decc_core.problem.instance import CostInstance
from decc_core.problem.link import BPS_PER_MBPS
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.problem.wire import bits_name
from decc_core.study.compare import Comparison, compare
from decc_core.study.crossover import Crossover, crossovers, refine
from decc_core.study.regret import Kept, keep
from decc_core.study.sweep import Cell, GridPoint, SweepRow, sweep_rows

FIRST_CELLS = 5
"""So many cells say how long the others will take; the very first does not count, it may be the server's first."""
UNSEEN_S = 120.0
"""A sweep that no page has looked at for so long stops; what it found is kept."""


@dataclass(frozen=True)
class Grid:
    """The rates (Mbit/s), and the slowdowns of the edge or the bits a value, that a map has anyway."""

    name: str
    rates: tuple[float, ...]
    slowdowns: tuple[float, ...]
    bits: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        strangers = {*self.rates} - {*RATES} or {*self.slowdowns} - {*FACTORS}
        if strangers:
            raise ValueError(f"{min(strangers)} is not a step of the sidebar.")

    def __str__(self) -> str:
        return f"{self.name}, {len(self.rates)} × {len(self.slowdowns)}"


def spread(steps: Sequence[float], count: int) -> tuple[float, ...]:
    """So many of the steps, from the first to the last, as evenly as they allow on a logarithmic scale."""
    low, high = log(steps[0]), log(steps[-1])
    wanted = [low + (high - low) * i / (count - 1) for i in range(count)]
    return tuple(sorted({min(steps, key=lambda step: abs(log(step) - at)) for at in wanted}))


QUICK = Grid("quick", spread(RATES, 9), (0.5, 1.0, 2.0, 5.0, 20.0), (1.0, 2.0, 4.0, 8.0, RAW_BITS))
FINE = Grid(
    "fine",
    spread(RATES, 17),
    (0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0),
    (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0, 16.0, RAW_BITS),
)
GRIDS = (QUICK, FINE)


@dataclass(frozen=True)
class SweepTask:
    """What is swept: a scenario and all that builds its instances, the plan that is kept, and the grid.

    `key` stands for everything but what is swept, so that two tasks with the same key share their cells; those of a
    task with an owner are forgotten with it. `axis` is what is swept beside the rate.
    """

    scenario: Scenario
    graph: LayerGraph
    edge: DeviceProfile
    cloud: DeviceProfile
    kept: Plan
    grid: Grid
    key: str
    owner: str | None = None
    axis: Axis = Axis.EDGE

    @property
    def present(self) -> Conditions:
        """The scenario's own rate, and its edge; over bits a value, floats as they are."""
        return self.scenario.uplink_mbps, self.scenario.edge_slowdown if self.axis is Axis.EDGE else RAW_BITS

    @property
    def is_present_planned(self) -> bool:
        """Whether the cell of these conditions is the scenario."""
        return self.axis is Axis.EDGE or self.scenario.travel.is_raw

    @property
    def identity(self) -> tuple[str, Conditions, str, str]:
        return self.key, self.present, self.grid.name, self.axis.value

    @cached_property
    def rates(self) -> tuple[float, ...]:
        """The grid's rates, and the scenario's."""
        return tuple(sorted({*self.grid.rates, self.scenario.uplink_mbps}))

    @cached_property
    def slowdowns(self) -> tuple[float, ...]:
        """The grid's steps of what is swept beside the rate, and the scenario's."""
        steps = self.grid.slowdowns if self.axis is Axis.EDGE else self.grid.bits
        return tuple(sorted({*steps, self.present[1]}))

    @cached_property
    def map_points(self) -> tuple[Conditions, ...]:
        return tuple((rate, slowdown) for slowdown in self.slowdowns for rate in self.rates)

    @cached_property
    def points(self) -> tuple[Conditions, ...]:
        """All points of map and lines, from the worst conditions to the best; lines have more rates than a map."""
        on_line = {(rate, self.present[1]) for rate in FINE.rates}
        return tuple(sorted({*self.map_points, *on_line}, key=lambda point: (point[0], -point[1])))

    def beside(self, second: float) -> tuple[float, float | None]:
        """The edge's slowdown, and the bits a value if they are swept, of a point's second condition."""
        return (second, None) if self.axis is Axis.EDGE else (self.scenario.edge_slowdown, second)

    def instance(self, point: Conditions) -> CostInstance:
        rate, second = point
        scenario = replace(self.scenario, uplink_mbps=rate)
        if self.axis is Axis.EDGE:
            scenario = replace(scenario, edge_slowdown=second)
        else:
            # What a supposed format does to the accuracy nobody knows.
            scenario = replace(scenario, wire=bits_name(second), min_agreement=None)
        return scenario.instance(self.graph, self.edge, self.cloud)


def _compare(instance: CostInstance, *args: Any, **named: Any) -> Comparison:
    return PLANNERS.ask(instance, compare, instance, *args, **named)


@dataclass
class SweepJob(Job):
    """One sweep of one visitor: the cells known so far, and what became of the others."""

    what = "The sweep"
    task: SweepTask
    budget_s: float | None = None
    """A sweep that would take longer than this pauses after its first cells; None for one that was asked for."""
    memory: Memory = field(default_factory=lambda: MEMORY)
    cells: dict[Conditions, Cell] = field(default_factory=dict)
    kept: dict[Conditions, Kept] = field(default_factory=dict)
    refused: dict[Conditions, str] = field(default_factory=dict)
    doing: Conditions = (0.0, 0.0)
    refining: bool = False
    paused: bool = False
    started_s: float | None = None
    planned: int = 0
    planning_s: float = 0.0
    to_plan: int = 0
    seen_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.cells = (self.memory.get(self._key) or {}) | self.cells

    @property
    def _key(self) -> tuple[str, str]:
        return "sweep", self.task.key

    @property
    def running(self) -> bool:
        return self.started_s is not None and not self.over

    @property
    def missing(self) -> list[Conditions]:
        """Points without a cell, in the order in which they are planned."""
        return [point for point in self.task.points if point not in self.cells and point not in self.refused]

    @property
    def expected_s(self) -> float | None:
        """What is left to plan, at the pace of what is planned; unknown before the first cells."""
        if self.planned < FIRST_CELLS:
            return None
        return len(self.missing) * self.planning_s / (self.planned - 1)

    @property
    def line_cells(self) -> list[Cell]:
        """All cells at the scenario's edge speed, or of raw floats, by rate; those between the steps came from
        refining."""
        second = self.task.present[1]
        return [cell for point, cell in sorted(dict(self.cells).items()) if point[1] == second]

    @property
    def crossovers(self) -> tuple[Crossover, ...]:
        return crossovers(self.line_cells)

    def look(self) -> None:
        """Say that somebody still looks at this sweep."""
        self.seen_s = time.monotonic()

    def start(self) -> None:
        self.started_s = time.monotonic()
        self.to_plan = len(self.missing)
        super().start()

    def _work(self) -> None:
        self._keep_where_known()
        first_s = None
        for row in sweep_rows(self._grid_points(), STRATEGIES, plan=_compare):
            self._take(self.doing, Cell.of(row))
            self.planned += 1
            first_s = first_s or time.monotonic()
            self.planning_s = time.monotonic() - first_s
        self.refining = True
        self._refine()

    @property
    def _must_end(self) -> bool:
        return self.paused or self.stopped.is_set() or time.monotonic() - self.seen_s > UNSEEN_S

    def _grid_points(self) -> Iterator[GridPoint]:
        """The missing points; those whose instance is refused are noted with the reason."""
        for point in self.missing:
            left_s = self.expected_s
            self.paused = self.budget_s is not None and left_s is not None and left_s > self.budget_s
            if self._must_end:
                return
            try:
                instance = self.task.instance(point)
            except DeccError as error:
                self.refused[point] = str(error)
                continue
            self.kept[point] = keep(instance, self.task.kept)
            self.doing = point
            slowdown, bits = self.task.beside(point[1])
            yield GridPoint(point[0] * BPS_PER_MBPS, slowdown, instance, bits)

    def _take(self, point: Conditions, cell: Cell) -> None:
        self.cells[point] = cell
        self.memory.update(self._key, lambda known: {**(known or {}), point: cell}, self.task.owner)

    def _refine(self) -> None:
        """Plan between the cells of the lines until every change of the winner is known to within one per cent."""
        second = self.task.present[1]
        slowdown, bits = self.task.beside(second)

        def plan_at(uplink_bps: float) -> Cell:
            instance = self.task.instance((uplink_bps / BPS_PER_MBPS, second))
            return Cell.of(SweepRow(uplink_bps, slowdown, _compare(instance), bits))

        if self._must_end:
            return
        for cell in refine(self.line_cells, plan_at):
            self._take((cell.uplink_bps / BPS_PER_MBPS, second), cell)
            if self._must_end:
                return

    def _keep_where_known(self) -> None:
        """What the present plan takes at the points that were known before."""
        for point in self.task.map_points:
            if self._must_end:
                return
            if point in self.cells and point not in self.kept:
                self.kept[point] = keep(self.task.instance(point), self.task.kept)
