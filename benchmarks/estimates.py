"""How far off estimated devices are: `python -m benchmarks.estimates [--write]`.

Fits the three numbers of each device in `sample_profiles/devices.json`, and the paces of each engine, to the times of
whole networks that others published (and, where a device was measured, to the sample profiles). Then every network is
left out once, of all devices of an engine, and estimated by what the others gave: that is the error that is told. A
device that nobody published anything on has what its data sheet and the engine say; its error is that of the other
devices of the engine when each of them is left out as a whole. `--write` puts all of it into the file.

The closing line has the median error of a whole network that was left out, its 80th percentile, and the median rank
correlation (Spearman) between estimated and measured layers, of networks that were left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import exp, log
from statistics import median
from typing import Any

import torch

from decc_core import library
from decc_core.models.torch.extract import extract
from decc_core.models.zoo import extracted
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile, ProvenanceKind
from decc_core.problem.roofline import WorkKind, works_of

FILE = library.SAMPLES / "devices.json"
STEPS, RATE = 250, 0.06
NEAR = 0.1
"""Logarithmic errors below this count as squares."""
KINDS = tuple(WorkKind)
CHEAP = (WorkKind.NORM, WorkKind.ACTIVATION, WorkKind.VIEW)
FUSED = dict.fromkeys(("ncnn on a CPU", "ncnn on a GPU"), CHEAP)
"""What ncnn fuses into the layer before, or does not do at all."""
NARROW = 30.0
START = {"rate": log(0.3), "bandwidth": log(0.5), "overhead": log(2e-5)}
RATES = [
    ("rate", WorkKind.STEM),
    *(("rate", kind) for kind in (WorkKind.WINOGRAD, WorkKind.GROUPED, WorkKind.PRODUCT)),
]
FREE = [
    *RATES,
    *(("bandwidth", kind) for kind in (WorkKind.POOLING, WorkKind.MOVING, WorkKind.NORM, WorkKind.ACTIVATION)),
    *(("overhead", kind) for kind in (*CHEAP, WorkKind.MOVING, WorkKind.POOLING)),
]
"""Paces that an engine may have of its own, without layers that were measured only rates; convolutions are what a
device's numbers mean."""


@dataclass(frozen=True)
class Case:
    """One network on one device: its layers' work, and what is known of its time."""

    device: str
    network: str
    kinds: torch.Tensor
    flops: torch.Tensor
    width: torch.Tensor
    moved: torch.Tensor
    total_s: float
    layers_s: torch.Tensor | None


@dataclass(frozen=True)
class _Layers:
    """All layers of some cases, one after the other."""

    case: torch.Tensor
    device: torch.Tensor
    kind: torch.Tensor
    flops: torch.Tensor
    width: torch.Tensor
    moved: torch.Tensor
    layer_s: torch.Tensor
    known: torch.Tensor
    whole_s: torch.Tensor

    @classmethod
    def of(cls, cases: list[Case], devices: list[str]) -> _Layers:
        counts = torch.tensor([len(case.kinds) for case in cases])
        measured = [torch.zeros(len(case.kinds)).double() if case.layers_s is None else case.layers_s for case in cases]
        layer_s = torch.cat(measured)
        return cls(
            torch.repeat_interleave(torch.arange(len(cases)), counts),
            torch.repeat_interleave(torch.tensor([devices.index(case.device) for case in cases]), counts),
            torch.cat([case.kinds for case in cases]),
            torch.cat([case.flops for case in cases]),
            torch.cat([case.width for case in cases]),
            torch.cat([case.moved for case in cases]),
            layer_s,
            layer_s > 0,
            torch.tensor([case.total_s for case in cases], dtype=torch.float64),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put parameters and errors into the file")
    arguments = parser.parse_args()
    # Its tensors are small: threads would wait for each other.
    torch.set_num_threads(1)
    held: dict[str, Any] = json.loads(FILE.read_text())
    engines = list(dict.fromkeys(row["engine"] for row in held["devices"].values()))
    held["engines"], errors, ranks = {}, [], []
    for name in engines:
        rows = {key: row for key, row in held["devices"].items() if row["engine"] == name}
        cases = [case for key, row in rows.items() for case in cases_of(key, row)]
        fitted = Fit(name, rows, cases)
        held["engines"][name] = fitted.engine()
        left_out = list(without_each(name, rows, cases))
        errors += [error for _, _, error, _ in left_out]
        ranks += [rank for _, _, _, rank in left_out if rank is not None]
        blind = sheet_errors(name, rows, cases)
        for key, row in rows.items():
            own = sorted(abs(exp(error) - 1) for device, _, error, _ in left_out if device == key)
            row.update(fitted.device(key), fitted_to=len(own))
            row["median_error"], row["error"] = quantiles(own or blind)
            print(f"{row['title']}: {tell(row)}", flush=True)
        print(f"{name}: {held['engines'][name]}", flush=True)
    if arguments.write:
        FILE.write_text(json.dumps(held, indent=1) + "\n")
    half, most = quantiles(sorted(abs(exp(error) - 1) for error in errors))
    print(f"left out: {half:.0%} median, {most:.0%} 80th percentile of {len(errors)}; layers' rank {median(ranks):.2f}")


def tell(row: Mapping[str, Any]) -> str:
    numbers = f"{row['gflops']:.4g} GFLOP/s, {row['gb_per_s']:.3g} GB/s, {row['overhead_us']:.3g} us a layer"
    basis = f"{row['fitted_to']} networks" if row["fitted_to"] else "its data sheet"
    return f"{numbers}; left out {row['median_error']:.0%} median, {row['error']:.0%} 80th percentile, by {basis}"


def quantiles(sorted_errors: list[float]) -> tuple[float, float]:
    """The median, and what four of five are within."""
    last = min(len(sorted_errors) - 1, len(sorted_errors) * 4 // 5)
    return round(median(sorted_errors), 3), round(sorted_errors[last], 3)


@cache
def graph_of(network: str) -> LayerGraph:
    """A shipped network, or one of torchvision; `vit_b_32_384` is its ViT-B/32 for larger images."""
    if network in library.shipped_models():
        return library.load_graph(network)
    if network == "vit_b_32_384":
        from torchvision.models import vit_b_32

        return extract(vit_b_32(image_size=384).eval(), (torch.zeros(1, 3, 384, 384),), network).graph
    return extracted(network).graph


def cases_of(key: str, row: Mapping[str, Any]) -> Iterable[Case]:
    for network, total_ms in row["published_ms"].items():
        yield case_of(key, graph_of(network), total_ms / 1e3, None)
    if measured := row.get("measured"):
        for network in library.shipped_models():
            if measured not in library.shipped_devices(network):
                continue
            profile = library.load_profile(network, measured)
            if profile.provenance.kind is ProvenanceKind.ESTIMATED:
                # It would be fitted to itself.
                continue
            yield case_of(key, library.load_graph(network), profile.whole_s, profile)


def case_of(device: str, graph: LayerGraph, total_s: float, profile: DeviceProfile | None) -> Case:
    works = works_of(graph)
    return Case(
        device,
        graph.name,
        torch.tensor([KINDS.index(work.kind) for work in works.values()]),
        torch.tensor([work.flops for work in works.values()], dtype=torch.float64),
        torch.tensor([work.width for work in works.values()], dtype=torch.float64),
        torch.tensor([work.moved_bytes for work in works.values()], dtype=torch.float64),
        total_s,
        profile and torch.tensor([profile.median_s[name] for name in works], dtype=torch.float64),
    )


class Fit:
    """Parameters of an engine and its devices, fitted to some cases, as logarithms."""

    def __init__(self, engine: str, rows: Mapping[str, Any], cases: Iterable[Case]) -> None:
        self.name, self.rows, self.cases = engine, rows, list(cases)
        self.common = {
            what: torch.tensor(start, dtype=torch.float64, requires_grad=True) for what, start in START.items()
        }
        self.own = {key: torch.zeros(3, dtype=torch.float64, requires_grad=True) for key in rows}
        self.free = FREE if any("measured" in row for row in rows.values()) else RATES
        self.paces = torch.zeros(len(self.free), dtype=torch.float64, requires_grad=True)
        self.narrow = torch.tensor(log(NARROW), dtype=torch.float64, requires_grad=True)
        self._descend()

    def _descend(self) -> None:
        layers = _Layers.of(self.cases, list(self.rows))
        parameters = [*self.common.values(), *self.own.values(), self.paces, self.narrow]
        steps = torch.optim.Adam(parameters, lr=RATE)
        slower = torch.optim.lr_scheduler.CosineAnnealingLR(steps, STEPS)
        for _ in range(STEPS):
            steps.zero_grad()
            self._loss(layers).backward()
            steps.step()
            slower.step()

    def _loss(self, layers: _Layers) -> torch.Tensor:
        loss = 0.05 * (self.paces**2).sum()
        for own in self.own.values():
            # What sets a device apart from its data sheet, if anything.
            loss = loss + 0.1 * (own**2).sum()
        times = self.times(layers)
        wholes = torch.zeros(len(self.cases), dtype=torch.float64).index_add(0, layers.case, times)
        loss = loss + _near(torch.log(wholes) - torch.log(layers.whole_s)).sum()
        if layers.known.any():
            known = layers.known & (times > 0)
            apart = torch.log(times[known]) - torch.log(layers.layer_s[known])
            loss = loss + (layers.layer_s[known] / layers.whole_s[layers.case[known]] * _near(apart)).sum()
        return loss

    def times(self, layers: _Layers) -> torch.Tensor:
        numbers = torch.stack([torch.stack(self.numbers(device)) for device in self.rows])[layers.device]
        factors = {what: torch.zeros(len(KINDS), dtype=torch.float64) for what in START}
        for what in START:
            held: list[int] = [place for place, (named, _) in enumerate(self.free) if named == what]
            at = torch.tensor([KINDS.index(self.free[place][1]) for place in held], dtype=torch.long)
            factors[what] = factors[what].index_add(0, at, self.paces[held])[layers.kind]
        narrow = torch.where(layers.width > 0, torch.exp(self.narrow) / layers.width.clamp(min=1), 0.0)
        computing = (1 + narrow) * layers.flops / torch.exp(numbers[:, 0] + factors["rate"])
        moving = layers.moved / torch.exp(numbers[:, 1] + factors["bandwidth"])
        moving = torch.where(layers.kind == KINDS.index(WorkKind.VIEW), 0.0, moving)
        times = torch.maximum(computing, moving) + torch.exp(numbers[:, 2] + factors["overhead"])
        for kind in FUSED.get(self.name, ()):
            times = torch.where(layers.kind == KINDS.index(kind), 0.0, times)
        return times

    def numbers(self, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        row, own = self.rows[device], self.own[device]
        return (
            log(row["peak_gflops"] * 1e9) + self.common["rate"] + own[0],
            log(row["peak_gb_per_s"] * 1e9) + self.common["bandwidth"] + own[1],
            self.common["overhead"] + own[2],
        )

    def error(self, case: Case) -> float:
        with torch.no_grad():
            return float(torch.log(self.times(_Layers.of([case], list(self.rows))).sum())) - log(case.total_s)

    def rank(self, case: Case) -> float | None:
        """Spearman's rank correlation of the layers' times, where they were measured."""
        if case.layers_s is None:
            return None
        with torch.no_grad():
            times = self.times(_Layers.of([case], list(self.rows)))
            pair = torch.stack([_ranks(times), _ranks(case.layers_s)])
        return float(torch.corrcoef(pair)[0, 1])

    def engine(self) -> dict[str, Any]:
        paces: dict[str, dict[str, float]] = {}
        fused = FUSED.get(self.name, ())
        for (what, kind), pace in zip(self.free, self.paces.tolist(), strict=True):
            if kind not in fused:
                paces.setdefault(kind.value, {})[what] = float(f"{exp(pace):.3g}")
        narrow = round(exp(float(self.narrow)), 1)
        return {"paces": paces, "narrow": narrow, "fused": [kind.value for kind in fused]}

    def device(self, key: str) -> dict[str, float]:
        rate, bandwidth, overhead = (exp(float(number)) for number in self.numbers(key))
        shown = {"gflops": rate / 1e9, "gb_per_s": bandwidth / 1e9, "overhead_us": overhead * 1e6}
        return {what: float(f"{value:.4g}") for what, value in shown.items()}


def _near(apart: torch.Tensor) -> torch.Tensor:
    return torch.sqrt(apart**2 + NEAR**2)


def _ranks(values: torch.Tensor) -> torch.Tensor:
    """Ranks, with the mean rank where values are equal."""
    _, places, counts = torch.unique(values, return_inverse=True, return_counts=True)
    last = torch.cumsum(counts, 0).double()
    means = last - (counts.double() - 1) / 2
    return means[places]


def without_each(
    engine: str, rows: Mapping[str, Any], cases: list[Case]
) -> Iterable[tuple[str, str, float, float | None]]:
    """Device, network, logarithmic error and rank of every case whose network no device was fitted to."""
    for network in sorted({case.network for case in cases}):
        fitted = Fit(engine, rows, (case for case in cases if case.network != network))
        for case in cases:
            if case.network == network:
                yield case.device, network, fitted.error(case), fitted.rank(case)


def sheet_errors(engine: str, rows: Mapping[str, Any], cases: list[Case]) -> list[float]:
    """Errors of devices that nothing but the data sheet was known of; empty where that is not needed."""
    if all(row["published_ms"] or row.get("measured") for row in rows.values()):
        return []
    found = []
    for device in {case.device for case in cases}:
        fitted = Fit(engine, rows, (case for case in cases if case.device != device))
        found += [abs(exp(fitted.error(case)) - 1) for case in cases if case.device == device]
    return sorted(found)


if __name__ == "__main__":
    main()
