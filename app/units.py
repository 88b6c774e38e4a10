"""Numbers as people read them: the only place where the page turns seconds, bytes and rates into text."""

from __future__ import annotations

from decc_core.network.graph import TensorSpec
from decc_core.problem.instance import NS_PER_S

TIME_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def time_unit(time_s: float) -> tuple[float, str]:
    """The unit in which a time, and everything beside it, reads best: its length in seconds and its name."""
    for length_s, name in TIME_UNITS:
        if time_s >= length_s:
            return length_s, name
    return TIME_UNITS[-1]


def time_text(time_s: float) -> str:
    """A time with three significant digits and its unit."""
    length_s, name = time_unit(time_s)
    return f"{significant(time_s / length_s)} {name}"


def ns_text(time_ns: int) -> str:
    return time_text(time_ns / NS_PER_S)


def significant(value: float) -> str:
    """Three significant digits, without an exponent."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}"


def bytes_text(size: int) -> str:
    """Bytes in SI units."""
    for length, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= length:
            return f"{significant(size / length)} {name}"
    return f"{size} B"


def gain_text(ratio: float) -> str:
    return f"{ratio:.2f}×"


def gap_text(gap: float) -> str:
    """A gap in per cent; equality in nanoseconds is said in words."""
    if gap == 0:
        return "0 %"
    return "< 0.01 %" if gap < 1e-4 else f"{100 * gap:.2f} %" if gap < 0.1 else f"{100 * gap:.1f} %"


def rate_text(mbps: float) -> str:
    return f"{mbps:g} Mbit/s"


def ranges_text(numbers: tuple[int, ...]) -> str:
    """Sorted numbers with neighbours joined: (1, 2, 3, 5) reads "1–3, 5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def flops_text(flops: int) -> str:
    """Floating-point operations in SI units."""
    for length, name in ((1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1e3, "kFLOP")):
        if flops >= length:
            return f"{significant(flops / length)} {name}"
    return f"{flops} FLOP"


def spec_text(spec: TensorSpec) -> str:
    """Shape and dtype of a tensor."""
    return f"{'×'.join(map(str, spec.shape)) or 'a number'} {spec.dtype}"
