"""Chrome trace events, as both profilers write them, and what the operators in them are called and call.

Events are decoded with types, so that nothing else is built.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from decc_core.errors import InvalidProfile, UnreadableFile
from decc_core.profiling.imports.imported import MAX_TIME_S, short
from decc_core.text import shown

MAX_OBJECTS = 5_000_000
"""Opening braces in a file: an event has two or three."""
MAX_ARGS_BYTES = 20_000
MAX_STAMP_US = 1e18
US_PER_S = 1e6
ROUNDING_US = 0.002
"""Stamps of an uptime in microseconds are this coarse in 64-bit floats."""

MAX_NOT_FINITE = 1_000_000
"""Numbers in a file that JSON does not have; each is looked at."""
_TOKEN = rb"[-+]?(?i:infinity|inf|nan(?:\(\w*\))?)(?![\w.])"
_MAY_HOLD_TOKEN = re.compile(rb"[:,\[\s]" + _TOKEN)
_UP_TO_TOKEN = re.compile(
    rb'(?:[^"iInN+-]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|(?!' + _TOKEN + rb")[iInN+-])*+(" + _TOKEN + rb"|\Z)", re.DOTALL
)
"""Everything before a number that JSON does not have, strings included: it matches from anywhere, in one go."""

Word = str | int | float | None
NO_ARGS = msgspec.Raw(b"{}")


class Event(msgspec.Struct, gc=False):
    """One event; `ts` and `dur` in microseconds. Of `args` nothing is decoded before it is needed."""

    ph: Word = None
    cat: Word = None
    name: Word = None
    ts: Word = None
    dur: Word = None
    pid: Word = None
    tid: Word = None
    args: msgspec.Raw = NO_ARGS


class Device(msgspec.Struct):
    name: Word = None


class Trace(msgspec.Struct):
    """A whole file; an ONNX Runtime profile is only the list of events."""

    traceEvents: list[Event]
    deviceProperties: list[Device] = []
    host_name: Word = None


class EventArgs(msgspec.Struct):
    """What is used of the arguments of an event."""

    op_name: Word = None
    provider: Word = None
    correlation: Word = None
    dims: list[msgspec.Raw] = msgspec.field(name="Input Dims", default_factory=list)


class Timed(msgspec.Struct, gc=False):
    """An event that took time, in checked numbers."""

    name: str
    category: str
    thread: tuple[Word, Word]
    start_us: float
    time_us: float
    args: msgspec.Raw

    @property
    def end_us(self) -> float:
        return self.start_us + self.time_us


def without_infinities(data: bytes, file: str) -> bytes:
    """The same JSON with `inf`, `NaN` and their like, which profilers write and JSON does not have, as words."""
    if not _MAY_HOLD_TOKEN.search(data):
        return data
    readable, end = bytearray(), 0
    for count, found in enumerate(_UP_TO_TOKEN.finditer(data)):
        if found.start(1) == found.end(1):
            break
        if count == MAX_NOT_FINITE:
            raise UnreadableFile(f"{file} holds more than {count:,} numbers that are not finite; record it again.")
        readable += data[end : found.start(1)] + b'"' + found[1] + b'"'
        end = found.end(1)
    return bytes(readable + data[end:])


def read_events(data: bytes, file: str) -> Trace:
    """The trace in a file that begins like JSON."""
    if data.count(b"{") > MAX_OBJECTS:
        raise UnreadableFile(
            f"{file} holds more than {MAX_OBJECTS:,} objects, the limit for a trace; record fewer passes."
        )
    try:
        if data[:1000].lstrip().startswith(b"["):
            return Trace(msgspec.json.decode(data, type=list[Event]))
        return msgspec.json.decode(data, type=Trace)
    except msgspec.ValidationError as error:
        raise UnreadableFile(f"{file} is no trace of a profiler: {short(str(error), 200)}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableFile(
            f"{file} is not JSON ({short(str(error), 200)}); a profile is complete only after the profiler was "
            "stopped (`end_profiling()`, or the end of `with profile(...)`)."
        ) from None


def timed(event: Event, file: str) -> Timed | None:
    """An event that counts, with its numbers checked; None for what takes no time, such as names of threads."""
    if event.ph != "X" or not isinstance(event.name, str) or not isinstance(event.cat, str):
        return None
    start_us, time_us = _number(event.ts), _number(event.dur)
    if start_us is None or time_us is None:
        return None
    if not abs(start_us) <= MAX_STAMP_US or not 0 <= time_us <= MAX_TIME_S * US_PER_S:
        raise InvalidProfile(
            f"{file} has an event {shown(event.name)} that lasts {time_us:g} µs from {start_us:g} µs on; "
            f"times must lie between 0 and {MAX_TIME_S:,.0f} s."
        )
    return Timed(event.name, event.cat, (event.pid, event.tid), start_us, time_us, event.args)


def _number(value: Word) -> float | None:
    if value is None or (isinstance(value, str) and not re.fullmatch(_TOKEN, value.encode(errors="replace"))):
        return None
    try:
        return float(value if not isinstance(value, str) else value.split("(")[0])
    except OverflowError:
        return float("1e308")


def arguments(args: msgspec.Raw) -> EventArgs:
    """The arguments of an event; none where they are not as profilers write them."""
    if len(bytes(args)) > MAX_ARGS_BYTES:
        return EventArgs()
    try:
        return msgspec.json.decode(args, type=EventArgs)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return EventArgs()


_SAME = """
batch_norm: native_batch_norm native_batch_norm_legit native_batch_norm_legit_no_training cudnn_batch_norm
batch_norm: miopen_batch_norm batch_norm_impl_index batch_norm_with_update
conv: convolution convolution_overrideable conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
conv: mkldnn_convolution cudnn_convolution thnn_conv2d slow_conv2d fusedconv
layer_norm: native_layer_norm layernormalization
group_norm: native_group_norm
scaled_dot_product_attention: scaled_dot_product_flash_attention scaled_dot_product_flash_attention_for_cpu
scaled_dot_product_attention: scaled_dot_product_efficient_attention scaled_dot_product_cudnn_attention
scaled_dot_product_attention: scaled_dot_product_attention_math
max_pool2d: max_pool2d_with_indices mkldnn_max_pool2d maxpool
avg_pool2d: averagepool
adaptive_avg_pool2d: globalaveragepool
linear: gemm fusedgemm
matmul: fusedmatmul
hardtanh: relu6
softmax: safe_softmax
pad: constant_pad_nd
cat: concat concatenate
view: unsafe_view reshape reshape_alias flatten unflatten view_as
permute: transpose t swapaxes swapdims movedim moveaxis numpy_t adjoint mt
split: split_with_sizes chunk unsafe_split unsafe_chunk
slice: narrow
expand: expand_as broadcast_to
alias: detach dropout feature_dropout alpha_dropout identity
clone: contiguous
to_copy: cast
div: true_divide divide
mul: multiply
sub: subtract
"""
_CANONICAL = {other: line.split(":")[0] for line in _SAME.strip().splitlines() for other in line.split(":")[1].split()}
_COSTLESS = """
view permute alias slice select squeeze unsqueeze expand split unbind diagonal unfold real imag view_as_real
view_as_complex lift_fresh_copy clone slice_scatter select_scatter
"""
COSTLESS = frozenset(_COSTLESS.split())
"""Operators that only look at a tensor differently, or that export adds: eager execution may do without them."""


def operator_of_layer(operator: str) -> str:
    """The common name of a layer's operator: `aten.conv2d.default` and `onnx.Conv` are `conv`."""
    parts = operator.split("+")[0].split(".")
    return common(parts[1] if parts[0] == "aten" and len(parts) > 1 else parts[-1])


_INSIDE = {"mm": "linear", "addmm": "linear", "bmm": "matmul"}
"""What composite operators call directly where the network has the operator around it."""


def _known_operator(name: str, known: frozenset[str]) -> str | None:
    """The common name of an operator in a trace, if the network has such a layer."""
    word = operator_of_event(name)
    word = word if word in known else _INSIDE.get(word, word)
    return word if word in known else None


def operator_of_event(name: str) -> str:
    """The common name of an operator in a trace: `aten::relu_` is `relu`; of others than ATen's the whole name."""
    return common(name.removeprefix("aten::")) if name.startswith("aten::") else name


def common(name: str) -> str:
    plain = name.strip("_").lower()
    return _CANONICAL.get(plain, plain)


@dataclass(frozen=True)
class Call:
    """An operator on the level at which the network knows it; `word` is its common name, None where it has none."""

    name: str
    word: str | None
    start_us: float
    end_us: float
    time_us: float
    args: msgspec.Raw


def calls(events: Sequence[Timed], known: frozenset[str]) -> list[Call]:
    """The outermost operators that the network knows, and what else there is outside them.

    The time that an operator spends beside those that it calls is shared out over them, so that the sum of the calls
    is the sum of the outermost events. The depth of the nesting is not bounded, so nothing here is recursive.
    """
    ordered = sorted(events, key=lambda event: (event.start_us, -event.time_us))
    word_of = {name: _known_operator(name, known) for name in {event.name for event in ordered}}
    words = [word_of[event.name] for event in ordered]
    parents, ends = _nesting(ordered)
    inside, held = _inside(words, parents), [0.0] * len(ordered)
    for k, parent in enumerate(parents):
        if parent >= 0:
            held[parent] += ordered[k].time_us
    factors = [1.0] * len(ordered)
    outermost, k = [], 0
    while k < len(ordered):
        event, parent = ordered[k], parents[k]
        if parent >= 0 and held[parent] > 0:
            factors[k] = factors[parent] * ordered[parent].time_us / held[parent]
        if words[k] is None and inside[k] and held[k] > 0:
            k += 1
            continue
        time_us = event.time_us * factors[k]
        outermost.append(Call(event.name, words[k], event.start_us, event.end_us, time_us, event.args))
        k = ends[k]
    return outermost


def _nesting(ordered: Sequence[Timed]) -> tuple[list[int], list[int]]:
    """For each event the one that it stands in, or -1, and the index after the last one inside it."""
    parents, ends, opened = [-1] * len(ordered), [len(ordered)] * len(ordered), list[int]()
    for k, event in enumerate(ordered):
        while opened and ordered[opened[-1]].end_us - ROUNDING_US <= event.start_us:
            ends[opened.pop()] = k
        parents[k] = opened[-1] if opened else -1
        opened.append(k)
    return parents, ends


def _inside(words: Sequence[str | None], parents: Sequence[int]) -> list[bool]:
    """Whether an operator that the network knows stands inside an event."""
    inside = [False] * len(words)
    for k in range(len(words) - 1, -1, -1):
        if parents[k] >= 0 and (words[k] is not None or inside[k]):
            inside[parents[k]] = True
    return inside
