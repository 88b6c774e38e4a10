"""What every tensor weighs on the link in each wire format, and what coding it alone does to the network's outputs."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import product
from math import inf
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from decc_core import formats, library
from decc_core.errors import InvalidInstance, InvalidProfile
from decc_core.formats import Format
from decc_core.models.device import DeviceSettings
from decc_core.models.model import Model
from decc_core.models.runtimes import runtime_of
from decc_core.network.branches import split_branches
from decc_core.network.graph import LayerGraph
from decc_core.planner.analysis import Analysis
from decc_core.planner.mincut import as_cut
from decc_core.plans.runs import Run, boundary
from decc_core.problem.instance import CostInstance, crossing_tensors
from decc_core.problem.link import Link
from decc_core.problem.profile import Provenance, ProvenanceKind
from decc_core.problem.roofline import estimate
from decc_core.problem.wire import TensorCoding, WireProfile, tensor_name
from decc_core.profiling.machine import machine, processor, torch_settings
from decc_core.progress import Progress, silent
from decc_core.text import counted

HELD_BYTES = 256_000_000
"""Of the tensors of one image that are kept at the same time, so that what lies before them is computed once."""
HELD_TENSORS = 8
"""So many are coded after one pass over the network: each has a program of its own for what follows it."""
FEWEST_TIMES = 5
"""Of encoding and of decoding a tensor, and of the whole network, however few images there are."""
MOST_SAMPLES = 10_000
UPLINKS_MBPS = (2.0, 10.0, 50.0, 250.0)
PAIRS = (("raspberry-pi-5-ncnn", "t4"), ("jetson-orin-nano-ncnn", "server-cpu-64-cores-ncnn"))
"""At these rates and on these devices plans are looked at for the tensors that cross."""
LARGEST_ERROR = 1e9
"""As a share; what is further off, or not finite, is of no use whatever its size is."""
DECIMALS = 9
INPUTS = "inputs"
"""The setting of a profile that tells which inputs it was measured on."""


class Judge(StrEnum):
    """What tells whether outputs are as good as before: the best class, or how far they are off."""

    BY_SHAPE = "auto"
    TOP1 = "top1"
    ERROR = "error"


Inputs = Callable[[int], Sequence[torch.Tensor]]
"""The inputs of one sample, by its number."""


@dataclass(frozen=True)
class WireSettings:
    """What to measure, on how many samples; `sampled` says which they are, so that others are not mixed with them.

    Only with `trained` weights and `real` inputs sizes after entropy coding and outputs are worth a look; else formats
    whose sizes are certain are measured, and nothing is said of outputs.
    """

    formats: tuple[str, ...]
    samples: int
    sampled: str
    trained: bool = True
    real: bool = True
    everything: bool = True
    judge: Judge = Judge.BY_SHAPE
    device: str = "this-machine"
    threads: int | None = 1
    whole_s: float | None = None
    """What the network takes on the device, where a profile of it tells; measured otherwise."""
    source: str = ""
    """What network and inputs are, where somebody may ask later."""

    def __post_init__(self) -> None:
        if not self.formats:
            raise InvalidInstance(f"Name at least one wire format, out of {', '.join(formats.NAMES)}.")
        for name in self.formats:
            formats.find(name)
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise InvalidInstance(f"{self.samples} inputs cannot be measured; choose 1 to {MOST_SAMPLES:,}.")

    @property
    def tells(self) -> bool:
        """Whether values, and outputs, are such as the network will meet."""
        return self.trained and self.real


def crossing_first(graph: LayerGraph) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tensors that cross at waists or in plans, and all others that may cross, each in stored order.

    Of waists those that are no larger than all features before them: a cut behind a larger one sends more, and has the
    edge compute more.
    """
    may = [i for i, tensor in enumerate(graph.tensors) if tensor.consumers and tensor.spec.n_elements]
    first, smallest = set[int](), inf
    for waist in split_branches(graph).waists:
        size = sum(graph.tensors[tensor].spec.size_bytes for tensor in graph.tensors_of[waist])
        if waist not in graph.inputs and size <= smallest:
            first.update(graph.tensors_of[waist])
            smallest = size
    for devices, rate in product(PAIRS, UPLINKS_MBPS):
        edge, cloud = (estimate(graph, library.catalogue()[device]) for device in devices)
        cuts = Analysis(CostInstance.build(graph, edge, cloud, Link.mbps(rate, rtt_ms=10))).candidates.undominated
        for place in range(len(cuts)):
            first.update(crossing_tensors(graph, as_cut(cuts.mask(place))))
    first = {i for i in first if not _goes_through(graph, i)}
    first |= {tensor for layer in graph.inputs for tensor in graph.tensors_of[layer]}
    return tuple(i for i in may if i in first), tuple(i for i in may if i not in first)


def _goes_through(graph: LayerGraph, tensor: int) -> bool:
    """Whether only a layer of no FLOPs reads it, and keeps its size: behind it it is as large."""
    made = graph.tensors[tensor]
    if len(made.consumers) != 1 or made.is_output:
        return False
    reader = graph.layers[made.consumers[0]]
    return len(reader.inputs) == 1 and not reader.flops and [made.spec] == list(reader.outputs)


class _Tail:
    """All layers behind a tensor as one program."""

    def __init__(self, model: Model, tensor: int) -> None:
        graph = model.graph
        behind = set(graph.tensors[tensor].consumers)
        for layer, parents in enumerate(graph.parents):
            if not behind.isdisjoint(parents):
                behind.add(layer)
        layers = tuple(sorted(behind))
        self.reads, self.gives = boundary(graph, layers)
        self.program = runtime_of(model).program(model, Run(0, layers, self.reads, self.gives))

    def outputs(self, held: dict[int, torch.Tensor], tensor: int, coded: torch.Tensor) -> dict[int, torch.Tensor]:
        """The outputs that follow from the tensor, where it arrives as coded."""
        reads = (coded if read == tensor else held[read] for read in self.reads)
        return dict(zip(self.gives, self.program(_Unheard(), *reads), strict=True))


class _Unheard:
    """Nobody needs to know when the layers of a tail are done."""

    def tick(self, position: int) -> None: ...

    def tick_all(self) -> None: ...


class _Effect(NamedTuple):
    """What coding a tensor did to it, to the outputs, and to what they choose, if they choose."""

    error: float
    output_error: float | None = None
    kept: bool | None = None


@dataclass
class _Samples:
    """What one tensor in one format came to, sample by sample."""

    sizes: list[int] = field(default_factory=list)
    encode_s: list[float] = field(default_factory=list)
    decode_s: list[float] = field(default_factory=list)
    effects: list[_Effect] = field(default_factory=list)

    def coding(self) -> TensorCoding:
        """All of it in a few numbers."""
        ordered, kept = sorted(self.sizes), [effect.kept for effect in self.effects]
        output_errors = [effect.output_error for effect in self.effects if effect.output_error is not None]
        return TensorCoding(
            bytes_median=ordered[(len(ordered) - 1) // 2],
            bytes_p95=ordered[round(0.95 * (len(ordered) - 1))],
            encode_s=round(statistics.median(self.encode_s), DECIMALS),
            decode_s=round(statistics.median(self.decode_s), DECIMALS),
            error=_short(statistics.fmean(effect.error for effect in self.effects)),
            output_error=_short(statistics.fmean(output_errors)) if output_errors else None,
            agreement=None if None in kept else _short(statistics.fmean(map(bool, kept))),
        )


def _short(share: float) -> float:
    return float(f"{share:.4g}")


def values_of(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor as formats take it; NumPy has no bfloat16, whose bits are whole numbers there."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    if plain.dtype == torch.bfloat16:
        return plain.view(torch.int16).numpy().view(np.uint16)
    found: NDArray[Any] = plain.numpy()
    return found


def tensor_of(values: NDArray[Any], like: torch.Tensor) -> torch.Tensor:
    """Decoded values as a tensor that lies in memory as `like` does: kernels, and last bits, follow from it."""
    given = torch.from_numpy(np.array(values, order="C"))
    if like.dtype == torch.bfloat16:
        given = given.view(torch.int16).view(torch.bfloat16)
    return torch.empty_like(like).copy_(given)


def relative_error(given: torch.Tensor, reference: torch.Tensor) -> float:
    """Root of the mean squared difference as a share of the reference's; what is not finite on both sides is none."""
    wide = torch.complex128 if reference.is_complex() else torch.float64
    one, other = given.to(wide), reference.to(wide)
    same = (one == other) | (one.isnan() & other.isnan())
    size = float(torch.where(same, torch.zeros_like(one), one - other).norm())
    scale = float(torch.where(other.isfinite(), other, torch.zeros_like(other)).norm())
    if size == 0:
        return 0.0
    # A size that is no number compares as not smaller.
    return size / scale if scale > 0 and size / scale < LARGEST_ERROR else LARGEST_ERROR


def is_choice(output: torch.Tensor) -> bool:
    """Whether an output chooses among classes: scores of one sample, or rows of probabilities."""
    if not output.dtype.is_floating_point or output.dim() not in (2, 3) or output.shape[0] != 1 or output.shape[-1] < 2:
        return False
    if output.dim() == 2:
        return True
    sums = output.float().sum(-1)
    return bool((output >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)


class _Todo(NamedTuple):
    """A tensor with the formats that it is still to be measured in."""

    tensor: int
    formats: tuple[Format, ...]


class _Measuring:
    """One network on its samples, tensor after tensor."""

    def __init__(self, model: Model, inputs: Inputs, settings: WireSettings) -> None:
        self.model, self.graph, self.inputs, self.settings = model, model.graph, inputs, settings

    def whole_s(self) -> float:
        """What the whole network takes of the core that starts it, once it is warm."""
        times = []
        for repeat in range(FEWEST_TIMES + 1):
            given = self.inputs(repeat % self.settings.samples)
            before = time.thread_time()
            self.model.run(given)
            times.append(time.thread_time() - before)
        return min(times[1:])

    def todo(self, known: WireProfile) -> Iterator[tuple[_Todo, ...]]:
        """What is not known yet, those that cross first, in parts that are measured in one go."""
        found = [formats.find(name) for name in self.settings.formats]
        first, rest = crossing_first(self.graph)
        for tensors in (first, rest if self.settings.everything else ()):
            part, held = list[_Todo](), 0
            for tensor in tensors:
                spec, name = self.graph.tensors[tensor].spec, tensor_name(self.graph, tensor)
                missing = tuple(
                    one
                    for one in found
                    if name not in known.codings.get(one.name, {})
                    and (one.name == formats.RAW or one.takes(spec))
                    and (self.settings.tells or one.certain_bytes(spec) is not None)
                )
                if not missing:
                    continue
                if part and (len(part) == HELD_TENSORS or held + spec.size_bytes > HELD_BYTES):
                    yield tuple(part)
                    part, held = [], 0
                part.append(_Todo(tensor, missing))
                held += spec.size_bytes
            if part:
                yield tuple(part)

    def measure(self, part: Sequence[_Todo], told: Callable[[str], None]) -> dict[tuple[str, str], TensorCoding]:
        """All that is asked of some tensors, by format and tensor; the network runs once for each sample."""
        tails = {todo.tensor: _Tail(self.model, todo.tensor) for todo in part} if self.settings.tells else {}
        wanted = {todo.tensor for todo in part}.union(*(tail.reads for tail in tails.values()))
        if tails:
            wanted.update(self.graph.returned)
        samples = {(todo.tensor, one): _Samples() for todo in part for one in todo.formats}
        for number in range(self.settings.samples):
            told(f"input {number + 1} of {self.settings.samples}")
            held = self.model.tensors(self.inputs(number), wanted)
            for tensor, chosen in part:
                effects: dict[bytes, _Effect] = {}
                for one in chosen:
                    decoded = self._coded(one, tensor, held, samples[tensor, one])
                    # What decodes alike, as before and after a lossless stage, is run once.
                    digest = hashlib.blake2b(np.ascontiguousarray(decoded).tobytes(), digest_size=16).digest()
                    if digest not in effects:
                        effects[digest] = self._effect(tensor, decoded, held, tails.get(tensor))
                    samples[tensor, one].effects.append(effects[digest])
        return {(one.name, tensor_name(self.graph, tensor)): found.coding() for (tensor, one), found in samples.items()}

    def _coded(self, one: Format, tensor: int, held: dict[int, torch.Tensor], samples: _Samples) -> NDArray[Any]:
        """One tensor of one sample as it arrives; sizes and times are noted."""
        spec, values = self.graph.tensors[tensor].spec, values_of(held[tensor])
        # The first time anything runs is not its usual time.
        warmed = bool(samples.sizes)
        for repeat in range(1 if warmed else 1 + max(1, FEWEST_TIMES - self.settings.samples)):
            # What it takes of a core, whatever else the machine does.
            start = time.thread_time()
            message = one.encode(values, spec)
            sent = time.thread_time()
            decoded = one.decode(message, spec)
            if warmed or repeat:
                samples.encode_s.append(sent - start)
                samples.decode_s.append(time.thread_time() - sent)
        samples.sizes.append(len(message))
        return decoded

    def _effect(self, tensor: int, decoded: NDArray[Any], held: dict[int, torch.Tensor], tail: _Tail | None) -> _Effect:
        coded = tensor_of(decoded, held[tensor])
        error = relative_error(coded, held[tensor])
        if tail is None:
            return _Effect(error)
        outputs = {} if torch.equal(coded, held[tensor]) else tail.outputs(held, tensor, coded)
        apart = max((relative_error(value, held[output]) for output, value in outputs.items()), default=0.0)
        return _Effect(error, apart, self._kept(outputs, held))

    def _kept(self, outputs: dict[int, torch.Tensor], held: dict[int, torch.Tensor]) -> bool | None:
        """Whether every choice of a classifier is the same; None for other networks."""
        judge, returned = self.settings.judge, self.graph.returned
        if judge is Judge.ERROR or (
            judge is Judge.BY_SHAPE and not all(is_choice(held[output]) for output in returned)
        ):
            return None
        return all(torch.equal(held[output].argmax(-1), value.argmax(-1)) for output, value in outputs.items())


def measure_wire(
    model: Model,
    inputs: Inputs,
    settings: WireSettings,
    known: WireProfile | None = None,
    progress: Progress | None = None,
    keep: Callable[[WireProfile], None] | None = None,
) -> WireProfile:
    """Measure every tensor that may cross in every format, those that do cross first.

    What is `known` is not measured again; it must be of the same network and samples. `keep` hears of what is known so
    far whenever a part is done, so that whoever is interrupted loses no more than the last part. Of one sample at a
    time the tensors of a part are held, and no others.
    """
    heard = progress or silent
    with torch_settings(DeviceSettings(settings.threads)):
        placed = runtime_of(model).place(model, DeviceSettings(settings.threads))
        measuring = _Measuring(placed, inputs, settings)
        if known is None:
            heard(0, 1, "timing the whole network")
            known = WireProfile(
                graph_name=model.graph.name,
                graph_fingerprint=model.graph.fingerprint,
                device=settings.device,
                provenance=_provenance(settings),
                samples=settings.samples,
                trained=settings.tells,
                codings={},
                whole_s=round(measuring.whole_s() if settings.whole_s is None else settings.whole_s, DECIMALS),
            )
        else:
            require_same(known, model.graph, settings)
        parts = list(measuring.todo(known))
        done, total = 0, sum(len(part) for part in parts)
        for part in parts:
            place = done

            def told(what: str, place: int = place, size: int = len(part)) -> None:
                heard(place, total, f"{counted(size, 'tensor')}, {what}")

            codings = {name: dict(tensors) for name, tensors in known.codings.items()}
            for (name, tensor), coding in measuring.measure(part, told).items():
                codings.setdefault(name, {})[tensor] = coding
            known = replace(known, codings=codings)
            done += len(part)
            if keep is not None:
                keep(known)
        heard(total, total, "done")
    return known


def require_same(known: WireProfile, graph: LayerGraph, settings: WireSettings) -> None:
    """Refuse to go on with what was measured of another network, on other samples or in another way."""
    known.require_graph(graph)
    for what, before, now in (
        ("inputs", known.provenance.settings.get(INPUTS), settings.sampled),
        ("a number of inputs", str(known.samples), str(settings.samples)),
        ("weights, or inputs, that are", _worth(known.trained), _worth(settings.tells)),
        ("a judge", known.provenance.settings.get("judge"), settings.judge.value),
        ("a number of threads", known.provenance.settings.get("threads"), _threads(settings)),
    ):
        if before != now:
            raise InvalidProfile(
                f"The wire profile of '{known.graph_name}' that is there has {what} of its own ({before}, not {now}); "
                "name another file, or move it away."
            )


def _worth(tells: bool) -> str:
    return "real" if tells else "random"


def _threads(settings: WireSettings) -> str:
    return str(DeviceSettings(settings.threads).n_threads)


def _provenance(settings: WireSettings) -> Provenance:
    used = DeviceSettings(settings.threads)
    measured = f"measured with {counted(settings.samples, 'input')} on {processor(used)}"
    return Provenance(
        kind=ProvenanceKind.MEASURED,
        source="; ".join(filter(None, (settings.source, measured))),
        machine=machine(used),
        settings={
            INPUTS: settings.sampled,
            "judge": settings.judge.value,
            "threads": _threads(settings),
            "measured_on": datetime.now(UTC).date().isoformat(),
        },
    )
