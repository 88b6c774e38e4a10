"""How tensors travel: the wire format that somebody chose, and what was measured of it, as sizes, times and accuracy.

A coded tensor costs its producer's side `encode_s` before it is sent and the other side `decode_s` before its first
consumer. Sizes are certain for formats that code every value in as many bits; of others, and of what a format does to
the accuracy, only a wire profile knows. Results come back as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import NamedTuple

from decc_core import formats, ranges
from decc_core.errors import InvalidInstance, InvalidProfile
from decc_core.formats.catalogue import RAW, canonical
from decc_core.network.graph import FLOAT_DTYPES, LayerGraph, TensorSpec
from decc_core.problem.link import BYTES_PER_MB, MS_PER_S
from decc_core.problem.profile import Provenance
from decc_core.text import listed

WIRE_VERSION = 1
"""Of what the formats write; profiles of other versions are refused."""
FP32 = "fp32"
"""What is chosen where nothing is: every tensor as it is, which is called so since all were of 32 bits."""
HALF = "fp16"
ANY = "any"
"""As the wire format: whichever of the wire profile's formats is the cheapest for each tensor."""
PERCENTILES = (50, 95)
SUPPOSED = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)bits")
"""A format that need not exist, to see what one of so many bits a value would be worth."""
MOST_BITS = 64.0


@dataclass(frozen=True)
class TensorCoding:
    """What one format does to one tensor, measured over samples.

    `error` is the root mean square of the difference as a share of the tensor's own; `output_error` the same of the
    network's outputs, where this tensor alone was coded. `agreement` is the share of samples whose best class stayed
    the same, or None where the network is no classifier or nothing can be said, as with random weights.
    """

    bytes_median: int
    bytes_p95: int
    encode_s: float
    decode_s: float
    error: float = 0.0
    output_error: float | None = None
    agreement: float | None = None

    def __post_init__(self) -> None:
        for size in (self.bytes_median, self.bytes_p95):
            if not 0 <= size <= ranges.MAX_INT:
                raise InvalidProfile(f"A coded tensor has {ranges.shown(size)} bytes, which no tensor has.")
        for what, time_s in (("encode", self.encode_s), ("decode", self.decode_s)):
            if not 0 <= time_s <= ranges.LONGEST_S:
                raise InvalidProfile(
                    f"A time to {what} is {ranges.shown(time_s)} s; it must be finite and not negative."
                )
        for what, share in (("error", self.error), ("output error", self.output_error)):
            if share is not None and not share >= 0:
                raise InvalidProfile(f"An {what} of a coded tensor is {ranges.shown(share)}; it must not be negative.")
        if self.agreement is not None and not 0 <= self.agreement <= 1:
            raise InvalidProfile(f"An agreement is {ranges.shown(self.agreement)}; it must be between 0 and 1.")

    @property
    def kept(self) -> float | None:
        """How much of the accuracy stays: the agreement, or what the outputs' error leaves; None if not known."""
        if self.agreement is not None or self.output_error is None:
            return self.agreement
        return max(0.0, 1 - self.output_error)


@dataclass(frozen=True)
class WireProfile:
    """What formats do to the tensors of one graph, by format and tensor (`tensor_name`), measured on one device.

    `samples` is the number of inputs. Without `trained` weights or real images, sizes after entropy coding and
    agreement mean nothing: only what is certain may be planned with.
    """

    graph_name: str
    graph_fingerprint: str
    device: str
    provenance: Provenance
    samples: int
    trained: bool
    codings: dict[str, dict[str, TensorCoding]]
    whole_s: float = 0.0
    """Of the network on this device, by which times can be scaled to others; 0 where not known."""
    wire_version: int = WIRE_VERSION

    def __post_init__(self) -> None:
        if self.wire_version != WIRE_VERSION:
            raise InvalidProfile(
                f"The wire profile of '{self.graph_name}' was measured with version {self.wire_version} of the wire "
                f"formats; this is version {WIRE_VERSION}. Measure it again with `decc wire`."
            )
        if not 0 <= self.samples <= ranges.MAX_INT:
            raise InvalidProfile(f"The wire profile has {ranges.shown(self.samples)} samples.")
        if not 0 <= self.whole_s <= ranges.LONGEST_S:
            raise InvalidProfile(f"The wire profile's whole-model time is {ranges.shown(self.whole_s)} s.")
        for name in self.codings:
            if canonical(name) != name:
                raise InvalidProfile(f"The wire profile calls a format '{name}'; it is called '{canonical(name)}'.")

    def __hash__(self) -> int:
        return hash((self.graph_fingerprint, self.device, self.samples, *self.codings))

    def require_graph(self, graph: LayerGraph) -> None:
        """Refuse a profile of another network."""
        if self.graph_fingerprint != graph.fingerprint:
            raise InvalidProfile(
                f"The wire profile is of '{self.graph_name}' ({self.graph_fingerprint[:8]}); this graph is "
                f"'{graph.name}' ({graph.fingerprint[:8]}). Measure it with `decc wire`."
            )
        known = {tensor_name(graph, i) for i in range(len(graph.tensors))}
        surplus = [name for tensors in self.codings.values() for name in tensors if name not in known]
        if surplus:
            raise InvalidProfile(
                f"The wire profile of '{self.graph_name}' has a tensor '{surplus[0]}', which '{graph.name}' lacks; "
                "measure it again with `decc wire`."
            )


def tensor_name(graph: LayerGraph, tensor: int) -> str:
    """A tensor by its layer's name and which of its outputs it is: `conv1:0`."""
    found = graph.tensors[tensor]
    return f"{graph.layers[found.producer].name}:{found.output}"


class Travel(NamedTuple):
    """How one tensor goes over the uplink."""

    format: str
    bytes: int
    encode_s: float = 0.0
    decode_s: float = 0.0


DEFAULT_MS_PER_MB: dict[str, tuple[float, float]] = {
    "fp16": (0.0, 0.0),
    "int8": (0.6, 0.2),
    "int6": (0.9, 0.5),
    "int4": (0.6, 0.3),
    "int2": (0.6, 0.3),
}
"""To encode and to decode a million bytes of raw values where nobody measured it: one core of an AMD EPYC.
Half floats were never charged, and are next to nothing; what was planned with them stays as it was."""
MORE_MS_PER_MB = {"channel": (0.4, 0.4), "clip": (2.5, 0.0)}
"""What a range for each channel, and looking for where to clip, take beside."""


@dataclass(frozen=True)
class Wire:
    """How the tensors of a network travel: what was chosen, with what was measured.

    `format` is a format's name, several comma-separated, of which each tensor takes the cheapest, or `any` of the
    profile's. `input_format` says it apart for model inputs; None means like all others. With `min_agreement` a tensor
    takes only formats that keep so much of the accuracy, each tensor coded by itself; where none does it stays raw.
    `percentile` is of the bytes: 50 for the median, 95 for what 19 of 20 samples need at most. Times are multiplied by
    the factors of both devices.
    """

    format: str = FP32
    input_format: str | None = None
    profile: WireProfile | None = None
    min_agreement: float | None = None
    percentile: int = 50
    edge_factor: float = 1.0
    cloud_factor: float = 1.0

    def __post_init__(self) -> None:
        for text in (self.format, self.input_format):
            if text is not None and text != ANY:
                names(text)
        if self.percentile not in PERCENTILES:
            raise InvalidInstance(
                f"The wire percentile is {ranges.shown(self.percentile)}; choose one of "
                f"{', '.join(map(str, PERCENTILES))}."
            )
        least = self.min_agreement
        if least is not None and not 0 <= least <= 1:
            raise InvalidInstance(f"The least agreement is {ranges.shown(least)}; choose a number from 0 to 1.")

    @property
    def is_raw(self) -> bool:
        """Whether every tensor travels as it is."""
        chosen = (self.format, self.input_format or self.format)
        return all(text != ANY and names(text) == (RAW,) for text in chosen)

    @property
    def doubt(self) -> str:
        """What is not known of the accuracy, in a sentence; empty where nothing is lost, or how much was measured."""
        texts = {self.format, self.input_format or self.format} - {ANY}
        lossy = [name for text in sorted(texts) for name in names(text) if bits_of(name) or not _lossless(name)]
        if self.profile is not None or not lossy or lossy == [HALF]:
            return ""
        return (
            f"What {listed(lossy)} does to the accuracy is not known here. A wire profile tells it, which `decc wire` "
            "measures on your images; --min-agreement then sets how much has to stay."
        )

    @property
    def result_format(self) -> str:
        """How results come back: as they are, and as half floats where everything travels so, as it always did."""
        return HALF if self.format == HALF else RAW

    def travels(self, graph: LayerGraph, cost: Callable[[Travel], float]) -> tuple[Travel, ...]:
        """How each tensor of the graph travels: of several ways the cheapest, of equally cheap ones the smallest."""
        if self.is_raw:
            return tuple(Travel(RAW, tensor.spec.size_bytes) for tensor in graph.tensors)
        return tuple(
            self._scaled(ways[0]) if len(ways) == 1 else min(map(self._scaled, ways), key=cost)
            for ways in _ways(replace(self, edge_factor=1.0, cloud_factor=1.0), graph)
        )

    def _scaled(self, way: Travel) -> Travel:
        name, size, encode_s, decode_s = way
        return Travel(name, size, encode_s * self.edge_factor, decode_s * self.cloud_factor)

    def ways(self, graph: LayerGraph, tensor: int, is_input: bool) -> list[Travel]:
        """How a tensor may travel on the machine where coding was measured; none that another beats in everything."""
        text = self.input_format if is_input and self.input_format is not None else self.format
        chosen = self._names(text)
        found = [way for name in chosen if (way := self._way(graph, tensor, name)) is not None]
        # Who asks for one format alone gets it, even where raw would be cheaper, and so do all strategies.
        if len(chosen) == 1 and found:
            return found
        best: list[Travel] = []
        for way in sorted([Travel(RAW, graph.tensors[tensor].spec.size_bytes), *found], key=lambda one: one[1:]):
            if not any(one.encode_s <= way.encode_s and one.decode_s <= way.decode_s for one in best):
                best.append(way)
        return best

    def _names(self, text: str) -> tuple[str, ...]:
        if text != ANY:
            return names(text)
        if self.profile is None:
            raise InvalidInstance(
                "To choose the cheapest wire format of each tensor takes a wire profile: give one that `decc wire` "
                "wrote with --wire-profile, or name a format."
            )
        return tuple(self.profile.codings)

    def _way(self, graph: LayerGraph, tensor: int, name: str) -> Travel | None:
        """How a tensor travels in a format; None where it does not take it or may not."""
        spec = graph.tensors[tensor].spec
        bits = bits_of(name)
        if bits is not None:
            return self._supposed(name, bits, spec)
        form = formats.find(name)
        if name == RAW or not form.takes(spec):
            return None
        measured = None
        if self.profile is not None:
            measured = self.profile.codings.get(name, {}).get(tensor_name(graph, tensor))
        if self.min_agreement is not None and not form.lossless:
            if self.profile is None:
                raise InvalidInstance(
                    f"What {name} does to the accuracy is not known: give a wire profile that `decc wire` wrote with "
                    "--wire-profile, or no --min-agreement."
                )
            kept = measured.kept if measured is not None else None
            if kept is None or kept < self.min_agreement:
                return None
        certain = form.certain_bytes(spec)
        if measured is not None and (certain is not None or (self.profile is not None and self.profile.trained)):
            size = measured.bytes_median if self.percentile == PERCENTILES[0] else measured.bytes_p95
            encode_s, decode_s = measured.encode_s, measured.decode_s
        elif certain is not None:
            size = certain
            encode_s, decode_s = (ms / MS_PER_S * spec.size_bytes / BYTES_PER_MB for ms in default_ms_per_mb(name))
        elif self.profile is None:
            raise InvalidInstance(
                f"How many bytes {name} needs depends on the values: give a wire profile that `decc wire` wrote with "
                f"--wire-profile, or choose formats whose sizes are certain, as {listed(CERTAIN, len(CERTAIN))}."
            )
        else:
            return None
        return Travel(name, size, encode_s, decode_s)

    def _supposed(self, name: str, bits: float, spec: TensorSpec) -> Travel | None:
        """A tensor under a format that need not exist: so many bits for each float, and what coding integers takes."""
        size = ceil(spec.n_elements * bits / 8)
        if spec.dtype not in FLOAT_DTYPES or size >= spec.size_bytes:
            return None
        if self.min_agreement is not None:
            raise InvalidInstance(f"What {name} does to the accuracy is not known; leave --min-agreement out.")
        encode_s, decode_s = (ms / MS_PER_S * spec.size_bytes / BYTES_PER_MB for ms in DEFAULT_MS_PER_MB["int8"])
        return Travel(name, size, encode_s, decode_s)


@lru_cache(maxsize=8)
def _ways(wire: Wire, graph: LayerGraph) -> tuple[tuple[Travel, ...], ...]:
    """How each tensor may travel; a sweep asks for the same under many links and devices."""
    if wire.profile is not None:
        wire.profile.require_graph(graph)
    inputs = frozenset(graph.inputs)
    return tuple(tuple(wire.ways(graph, i, one.producer in inputs)) for i, one in enumerate(graph.tensors))


CERTAIN = tuple(DEFAULT_MS_PER_MB)


def names(text: str) -> tuple[str, ...]:
    """The formats that a text names, comma-separated, as they are listed; refuses what is none."""
    return tuple(dict.fromkeys(_named(name.strip()) for name in text.split(",")))


def _named(name: str) -> str:
    return name if bits_of(name) is not None else canonical(name)


def _lossless(name: str) -> bool:
    return formats.find(name).lossless


def bits_name(bits: float) -> str:
    """The supposed format of so many bits a value."""
    return f"{bits:.6f}".rstrip("0").rstrip(".") + "bits"


def bits_of(name: str) -> float | None:
    """How many bits every value of a supposed format takes: 1.5 of `1.5bits`; None of all others."""
    found = SUPPOSED.fullmatch(name)
    bits = float(found[1]) if found else 0.0
    return bits if 0 < bits <= MOST_BITS else None


def default_ms_per_mb(name: str) -> tuple[float, float]:
    """To encode and to decode a million raw bytes in a format of certain size, where nobody measured it."""
    family, *more = name.split("-")
    encode, decode = zip(DEFAULT_MS_PER_MB[family], *(MORE_MS_PER_MB[what] for what in more), strict=True)
    return sum(encode), sum(decode)


RAW_WIRE = Wire()
