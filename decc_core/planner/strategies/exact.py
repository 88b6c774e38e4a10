"""The exact solver: cuts and sequences together, as a constraint programme for CP-SAT."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ortools.sat.python import cp_model

from decc_core.errors import SolverFailed
from decc_core.network.work import Resource, Work
from decc_core.planner.strategies.exact_result import ExactResult, Progress, Stoppable
from decc_core.plans.check import plan_fits
from decc_core.plans.plan import Execution, Plan, stage_work
from decc_core.plans.schedule import Schedule, objective_ns, schedule
from decc_core.problem.instance import RESOURCES, CostInstance, Cut, Objective

MAX_HORIZON = 2**40
"""Longest horizon given to CP-SAT; longer instances are solved in a coarser unit, and lose the proof of optimality."""
WORKERS = 8

Charge = tuple[int, cp_model.IntVar]
"""Units of time that a piece takes longer, and whether it does."""


def exact(
    instance: CostInstance,
    warm_start: Plan,
    limit_s: float,
    known_bound_ns: int,
    progress: Progress | None = None,
    stoppable: Stoppable | None = None,
) -> ExactResult:
    """Solve cut and schedule together from a warm start; stops at the optimum or after `limit_s` seconds.

    Model: a Boolean per layer and request (edge or cloud, closed under predecessors), optional intervals without
    overlap on each resource, longer for who sends and who receives a tensor, earliest starts behind data and
    propagation. Equal requests are ordered by edge load.
    `known_bound_ns` is a proven bound to start from; 0 makes the proof independent of any. `progress` receives the best
    objective and bound so far, in seconds. `stoppable` is handed a function that ends the search from another thread,
    with what was found until then. Strongly NP-hard in general.
    """
    model = _Model(instance, warm_start, known_bound_ns)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = limit_s
    solver.parameters.num_workers = WORKERS
    reporter = _Reporter(progress, model.unit_ns) if progress else None
    if reporter:
        solver.best_bound_callback = reporter.on_bound
    if stoppable:
        stoppable(solver.stop_search)
    status = solver.solve(model.model, reporter)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.UNKNOWN):
        raise SolverFailed(f"The exact solver ended with {solver.status_name(status)} on '{instance.graph.name}'.")
    bound = max(known_bound_ns, int(solver.best_objective_bound + 0.5) * model.unit_ns)
    plan = _overlapping(warm_start)
    if not plan_fits(instance, plan, schedule(instance, plan)):
        plan = warm_start
    if status != cp_model.UNKNOWN:
        found = model.plan(solver)
        if plan_fits(instance, found, schedule(instance, found)):
            plan = min(found, plan, key=lambda one: _value(instance, one))
    value = _value(instance, plan)
    return ExactResult(plan, min(bound, value), value <= bound)


def _value(instance: CostInstance, plan: Plan) -> int:
    return objective_ns(instance, plan, schedule(instance, plan))


def _overlapping(plan: Plan) -> Plan:
    return replace(plan, execution=Execution.BRANCH_PIPELINED)


class _Reporter(cp_model.CpSolverSolutionCallback):
    """Hands every better incumbent or bound to the caller."""

    def __init__(self, progress: Progress, unit_ns: int) -> None:
        super().__init__()
        self.progress, self.unit_s = progress, unit_ns / 1e9
        self.best: float | None = None

    def on_solution_callback(self) -> None:
        self.best = self.objective_value
        self.progress(self.best * self.unit_s, self.best_objective_bound * self.unit_s)

    def on_bound(self, bound: float) -> None:
        if self.best is not None:
            self.progress(self.best * self.unit_s, bound * self.unit_s)


class _Model:
    """The constraint programme of an instance."""

    def __init__(self, instance: CostInstance, warm_start: Plan, known_bound_ns: int) -> None:
        self.instance, self.graph = instance, instance.graph
        timing = schedule(instance, _overlapping(warm_start))
        limit = objective_ns(instance, _overlapping(warm_start), timing)
        self.unit_ns = max(1, -(-2 * max(limit, timing.makespan_ns) // MAX_HORIZON))
        # Durations are rounded down to the unit, so a bound of the model is a bound of the instance.
        self.horizon = timing.makespan_ns // self.unit_ns + 1
        self.model = cp_model.CpModel()
        self.on_edge = [
            [self.model.new_bool_var(f"edge_{r}_{layer}") for layer in range(len(self.graph.layers))]
            for r in range(instance.requests)
        ]
        self.starts: dict[tuple[Resource, Work], cp_model.IntVar] = {}
        self.durations: dict[tuple[Resource, Work], cp_model.LinearExprT] = {}
        self.ends: dict[tuple[Resource, Work], cp_model.LinearExprT] = {}
        self.present: dict[tuple[Resource, Work], cp_model.LinearExprT] = {}
        self.intervals: dict[Resource, list[cp_model.IntervalVar]] = {resource: [] for resource in RESOURCES}
        self.loads: dict[Resource, list[cp_model.LinearExprT]] = {resource: [] for resource in RESOURCES}
        for request in range(instance.requests):
            self._add_cut(request)
            self._add_work(request)
            if instance.objective is Objective.MAKESPAN:
                self._add_flow(request)
        self._add_parameter_limit()
        self._break_symmetry()
        self._add_objective(limit, known_bound_ns)
        self._hint(warm_start, timing)

    def _units(self, time_ns: int) -> int:
        return time_ns // self.unit_ns

    def _add_cut(self, request: int) -> None:
        on_edge = self.on_edge[request]
        for layer in self.instance.least_edge:
            self.model.add(on_edge[layer] == 1)
        for layer in self.instance.in_cloud:
            self.model.add(on_edge[layer] == 0)
        for layer, parents in enumerate(self.graph.parents):
            for parent in parents:
                self.model.add_implication(on_edge[layer], on_edge[parent])

    def _add_work(self, request: int) -> None:
        on_edge, instance = self.on_edge[request], self.instance
        crosses = self._add_crossings(request)
        sending, receiving = self._crossing_work(request, crosses)
        for layer in range(len(self.graph.layers)):
            if layer not in self.graph.inputs or layer in sending:
                work = Work(request, layer)
                self._add_piece(Resource.EDGE, work, instance.edge_ns[layer], on_edge[layer], sending[layer])
                self._add_piece(Resource.CLOUD, work, instance.cloud_ns[layer], ~on_edge[layer], receiving[layer])
        for i, tensor in enumerate(self.graph.tensors):
            if i in crosses:
                self._add_piece(Resource.UPLINK, Work(request, i), instance.uplink_ns[i], crosses[i])
            if tensor.is_output and tensor.producer not in self.graph.inputs:
                back = ~on_edge[tensor.producer]
                self._add_piece(Resource.DOWNLINK, Work(request, i), instance.downlink_ns[i], back)
        if instance.constraints.uplink_bytes is not None:
            sent = [instance.wire_bytes[i] * crossing for i, crossing in crosses.items()]
            self.model.add(cp_model.LinearExpr.sum(sent) <= instance.constraints.uplink_bytes)

    def _add_crossings(self, request: int) -> dict[int, cp_model.IntVar]:
        """For each tensor that anybody reads whether it crosses."""
        on_edge, crosses = self.on_edge[request], {}
        for i, tensor in enumerate(self.graph.tensors):
            if tensor.consumers:
                crosses[i] = self.model.new_bool_var(f"cross_{request}_{i}")
                for consumer in tensor.consumers:
                    self.model.add(crosses[i] >= on_edge[tensor.producer] - on_edge[consumer])
        return crosses

    def _crossing_work(
        self, request: int, crosses: dict[int, cp_model.IntVar]
    ) -> tuple[dict[int, list[Charge]], dict[int, list[Charge]]]:
        """What layers take longer where a tensor crosses: its producer, and its first reader in the cloud."""
        on_edge = self.on_edge[request]
        sending: dict[int, list[Charge]] = defaultdict(list)
        receiving: dict[int, list[Charge]] = defaultdict(list)
        for i, crossing in crosses.items():
            tensor = self.graph.tensors[i]
            send, receive = self._units(self.instance.send_ns[i]), self._units(self.instance.receive_ns[i])
            if send:
                sending[tensor.producer].append((send, crossing))
            if not receive:
                continue
            before: list[cp_model.IntVar] = []
            for reader in sorted(tensor.consumers):
                receives = self.model.new_bool_var(f"receive_{request}_{i}_{reader}")
                others = cp_model.LinearExpr.sum(before) - len(before)
                self.model.add(receives >= on_edge[tensor.producer] - on_edge[reader] + others)
                receiving[reader].append((receive, receives))
                before.append(on_edge[reader])
        return sending, receiving

    def _add_piece(
        self,
        resource: Resource,
        work: Work,
        time_ns: int,
        present: cp_model.LiteralT,
        more: Sequence[Charge] = (),
    ) -> None:
        """One piece of work; `more` is what it takes longer with the cut."""
        fixed, key = self._units(time_ns), (resource, work)
        self.present[key] = present
        self.loads[resource] += [fixed * present, *(units * paid for units, paid in more)]
        if self.instance.objective is Objective.THROUGHPUT:
            return
        name = f"{resource.value}_{work.request}_{work.item}"
        self.starts[key] = start = self.model.new_int_var(0, self.horizon, name)
        if more:
            longest = fixed + sum(units for units, _ in more)
            self.durations[key] = duration = self.model.new_int_var(fixed, longest, f"{name}_takes")
            self.ends[key] = end = self.model.new_int_var(0, self.horizon + longest, f"{name}_ends")
            self.model.add(duration == fixed + sum(units * paid for units, paid in more))
            self.model.add(end == start + duration)
            interval = self.model.new_optional_interval_var(start, duration, end, present, "")
        else:
            # Work without duration keeps its place in the sequence, too: it may not stand inside other work.
            self.durations[key], self.ends[key] = fixed, start + fixed
            interval = self.model.new_optional_fixed_size_interval_var(start, fixed, present, "")
        self.intervals[resource].append(interval)

    def _add_flow(self, request: int) -> None:
        """Everything waits for its inputs; tensors arrive half an RTT after they were sent."""
        lag = self._units(self.instance.half_rtt_ns)
        inputs = {layer for layer in self.graph.inputs if (Resource.EDGE, Work(request, layer)) not in self.starts}
        for i, tensor in enumerate(self.graph.tensors):
            made = Work(request, tensor.producer)
            sent = (Resource.UPLINK, Work(request, i))
            if tensor.consumers and tensor.producer not in inputs:
                self._after(sent, (Resource.EDGE, made))
            for consumer in tensor.consumers:
                reader = Work(request, consumer)
                self._after((Resource.CLOUD, reader), sent, lag)
                if tensor.producer not in inputs:
                    self._after((Resource.EDGE, reader), (Resource.EDGE, made))
                if tensor.producer not in self.graph.inputs:
                    self._after((Resource.CLOUD, reader), (Resource.CLOUD, made))
            if tensor.is_output and tensor.producer not in self.graph.inputs:
                self._after((Resource.DOWNLINK, Work(request, i)), (Resource.CLOUD, made))

    def _after(self, later: tuple[Resource, Work], earlier: tuple[Resource, Work], lag: int = 0) -> None:
        self.model.add(self.starts[later] >= self.ends[earlier] + lag).only_enforce_if(
            self.present[later], self.present[earlier]
        )

    def _add_parameter_limit(self) -> None:
        """The parameters alone must fit the edge; live tensors depend on the timing and are checked on the plan."""
        limit = self.instance.constraints.edge_memory_bytes
        if limit is None:
            return
        there = {name: self.model.new_bool_var(f"there_{name}") for name in self.graph.parameter_bytes}
        for row in self.on_edge:
            for layer, on_edge in zip(self.graph.layers, row, strict=True):
                for name in layer.parameters:
                    self.model.add_implication(on_edge, there[name])
        self.model.add(sum(self.graph.parameter_bytes[name] * used for name, used in there.items()) <= limit)

    def _break_symmetry(self) -> None:
        """Requests are equal, so they may be numbered by falling edge load."""
        per_request = [
            sum(self._units(self.instance.edge_ns[layer]) * on_edge[layer] for layer in range(len(on_edge)))
            for on_edge in self.on_edge
        ]
        for before, after in pairwise(per_request):
            self.model.add(before >= after)

    def _add_objective(self, limit: int, known_bound_ns: int) -> None:
        bound = self._units(known_bound_ns)
        top = max(self._units(limit) + 1, self.horizon)
        value = self.model.new_int_var(min(bound, top), top, "objective")
        for resource in RESOURCES:
            if self.instance.objective is Objective.MAKESPAN:
                self.model.add_no_overlap(self.intervals[resource])
            self.model.add(value >= sum(self.loads[resource]))
        lag = self._units(self.instance.half_rtt_ns)
        for (resource, work), end in self.ends.items():
            if resource in (Resource.EDGE, Resource.DOWNLINK):
                extra = lag if resource is Resource.DOWNLINK else 0
                self.model.add(value >= end + extra).only_enforce_if(self.present[resource, work])
        self.model.minimize(value)

    def _hint(self, warm_start: Plan, timing: Schedule) -> None:
        """The warm start, its requests numbered as the symmetry breaking wants them."""
        edge = [sum(self._units(self.instance.edge_ns[layer]) for layer in cut) for cut in warm_start.cuts]
        place = {request: i for i, request in enumerate(sorted(range(len(edge)), key=lambda r: -edge[r]))}
        for request, cut in enumerate(warm_start.cuts):
            for layer, variable in enumerate(self.on_edge[place[request]]):
                self.model.add_hint(variable, layer in cut)
        for resource, spans in timing.spans.items():
            for span in spans:
                key = (resource, Work(place[span.work.request], span.work.item))
                if key in self.starts:
                    self.model.add_hint(self.starts[key], self._units(span.start_ns))

    def plan(self, solver: cp_model.CpSolver) -> Plan:
        """The solver's cuts, with every resource's work in order of its start."""
        cuts: list[Cut] = [
            frozenset(layer for layer, on_edge in enumerate(row) if solver.boolean_value(on_edge))
            for row in self.on_edge
        ]
        work = [stage_work(self.graph, cut) for cut in cuts]
        sequences = {}
        for resource in RESOURCES:
            pieces = [Work(request, item) for request in range(len(cuts)) for item in work[request][resource].tolist()]
            sequences[resource] = tuple(sorted(pieces, key=lambda piece: self._position(solver, resource, piece)))
        return Plan(Execution.BRANCH_PIPELINED, tuple(cuts), sequences)

    def _position(self, solver: cp_model.CpSolver, resource: Resource, piece: Work) -> tuple[int, int, int, int]:
        """Start, and for equal starts work without duration first, then stored (topological) order."""
        if (resource, piece) not in self.starts:
            return (0, 0, piece.request, piece.item)
        key = (resource, piece)
        return (solver.value(self.starts[key]), solver.value(self.durations[key]), piece.request, piece.item)
