"""Calls of single operators with odd arguments, in a child process, between pages that nobody may read.

What `decc_core.models.torch.checks` accepts must not read a byte beside its tensors, must not end the process, and must
give the shapes and dtypes that it promised. Run more of it with `python -m tests.fuzz.operators [SETS] [OPERATOR ...]`.
"""

from __future__ import annotations

import ast
import ctypes
import logging
import math
import mmap
import os
import random
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from decc_core.models.tensors import dtype_name
from decc_core.models.torch.checks import fake_outputs
from decc_core.models.torch.data import allowed_operator
from decc_core.models.torch.extract import Call
from tests.fuzz.fitting import BASES

PAGE = mmap.PAGESIZE
ROOM = 16 * PAGE
ARENAS = 24
MOST_BYTES = 16 << 20
"""Of a result; larger ones are not computed here, and have limits of their own."""
MEMORY_BYTES = 3 << 30
"""More than a child has at the start, in which every set has to do."""
SECONDS_A_SET = 5
DIVIDES = frozenset(
    f"aten.{name}"
    for name in (
        "div.Tensor_mode", "div.Scalar_mode", "floor_divide.default", "floor_divide.Scalar",
        "remainder.Tensor", "remainder.Scalar", "fmod.Tensor", "fmod.Scalar",
    )
)  # fmt: skip
"""Whole numbers can trap here, by their values: the least one by -1. That ends a process, and reads nothing."""
STATISTICS = frozenset(
    f"aten.{name}"
    for name in (
        "native_batch_norm.default", "native_layer_norm.default", "native_group_norm.default",
        "_native_batch_norm_legit.no_stats", "_native_batch_norm_legit_no_training.default",
    )
)  # fmt: skip
"""Where half and single precision are mixed, the kernels save mean and deviation in single precision, whatever
PyTorch's rules promise; what reads them says so, as it would in PyTorch."""
FLOATS, WHOLE = (torch.float32, torch.float64, torch.float16), (torch.int64, torch.int32, torch.uint8, torch.bool)
WORDS = ("none", "tanh", "mean", "sum", "amax", "floor", "trunc", "same", "ij", "x")
EXTREMES = (0, -1, -2, 1 << 20, 1 << 31, (1 << 63) - 1, -(1 << 63), 255)


class Arenas:
    """Memory between two pages that cannot be read; tensors lie against the one behind, or the one before."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.maps = []
        for _ in range(ARENAS):
            mapped = mmap.mmap(-1, ROOM + 2 * PAGE)
            start = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
            for page in (start, start + PAGE + ROOM):
                if libc.mprotect(ctypes.c_void_p(page), PAGE, 0) != 0:
                    raise OSError(ctypes.get_errno(), "mprotect")
            self.maps.append(mapped)
        self.used = 0

    def tensor(self, values: torch.Tensor, at_the_end: bool) -> torch.Tensor:
        size = values.numel() * values.element_size()
        if not 0 < size <= ROOM or self.used == ARENAS:
            return values
        mapped = self.maps[self.used]
        self.used += 1
        offset = PAGE + (ROOM - size if at_the_end else 0)
        guarded = torch.frombuffer(mapped, dtype=values.dtype, count=values.numel(), offset=offset)
        return guarded.copy_(values.reshape(-1)).view(values.shape)


@dataclass
class Drawn:
    """One set of arguments, drawn around a base shape so that some of them fit each other."""

    rng: random.Random
    arenas: Arenas
    kinds: Sequence[torch.dtype]

    def __post_init__(self) -> None:
        self.base = self.shape(self.rng.choice((1, 2, 3, 4, 4, 5)))
        self.at_the_end = self.rng.random() < 0.7

    def shape(self, dims: int) -> tuple[int, ...]:
        shape = tuple(self.rng.choice((1, 2, 3, 4, 6)) for _ in range(dims))
        if self.rng.random() < 0.06 and shape:
            shape = (*shape[:-1], self.rng.choice((0, 1000)))
        return shape

    def tensor(self) -> torch.Tensor:
        roll, base = self.rng.random(), self.base
        if roll < 0.5:
            shape = base
        elif roll < 0.7:
            shape = (self.rng.choice(base),) if base else ()
        elif roll < 0.76:
            shape = ()
        elif roll < 0.8:
            shape = tuple(size * 2 for size in base)
        else:
            shape = self.shape(self.rng.choice((1, 2, 3, 4, 5)))
        dtype = self.rng.choice(self.kinds) if self.rng.random() < 0.85 else self.rng.choice(FLOATS + WHOLE)
        values: torch.Tensor
        if dtype.is_floating_point:
            values = torch.randn(shape).to(dtype)
            if self.rng.random() < 0.1:
                values = values * self.rng.choice((1e30, math.inf, math.nan))
        elif self.rng.random() < 0.3:
            values = torch.full(shape, self.rng.choice(EXTREMES) % (1 << 63)).to(dtype)
        else:
            values = torch.randint(0, self.rng.choice((2, 4, 40)), shape).to(dtype)
        guarded = self.arenas.tensor(values, self.at_the_end)
        if guarded.dim() > 1 and self.rng.random() < 0.1:
            guarded = guarded.transpose(0, 1)
        return guarded

    def whole(self) -> int:
        return self.rng.choice(EXTREMES) if self.rng.random() < 0.12 else self.rng.choice((0, 1, 1, 2, 2, 3, 4, -1))

    def wholes(self) -> list[int]:
        count = len(self.base) if self.rng.random() < 0.3 else self.rng.choice((0, 1, 1, 2, 2, 3))
        alike = self.whole()
        return [alike if self.rng.random() < 0.5 else self.whole() for _ in range(count)]

    def real(self) -> float:
        return self.rng.choice((0.0, 1.0, -1.0, 0.5, 2.0, 1e-5, 1e300, math.inf, math.nan))

    def value(self, kind: str) -> Any:
        """An argument of the type that a schema names."""
        if kind.startswith("Optional["):
            return None if self.rng.random() < 0.4 else self.value(kind[9:-1])
        makers: dict[str, Callable[[], Any]] = {
            "Tensor": self.tensor,
            "List[Tensor]": lambda: [self.tensor() for _ in range(self.rng.choice((0, 1, 2, 2, 4)))],
            "List[Optional[Tensor]]": lambda: [self.value("Optional[Tensor]") for _ in range(self.rng.choice((1, 2)))],
            "int": self.whole, "SymInt": self.whole, "List[int]": self.wholes, "List[SymInt]": self.wholes,
            "float": self.real, "List[float]": lambda: [self.real() for _ in range(self.rng.choice((1, 2)))],
            "bool": lambda: self.rng.random() < 0.5,
            "List[bool]": lambda: [self.rng.random() < 0.5 for _ in range(2)],
            "Scalar": lambda: self.rng.choice((self.whole, self.real))(),
            "number": lambda: self.rng.choice((self.whole, self.real))(),
            "str": lambda: self.rng.choice(WORDS),
            "ScalarType": lambda: self.rng.choice(FLOATS + WHOLE),
            "Layout": lambda: torch.strided,
            "MemoryFormat": lambda: self.rng.choice((torch.contiguous_format, torch.channels_last)),
            "Device": lambda: torch.device("cpu"),
        }  # fmt: skip
        return makers[kind]() if kind in makers else None


def drawn_call(name: str, seed: int, arenas: Arenas) -> Call:
    """The arguments of one set; half of those that may be left out are."""
    rng = random.Random(f"{name} {seed}")
    # The function of that name looks through the stack for other devices' sake, which takes a tenth of a set's time.
    torch.default_generator.manual_seed(seed)
    arenas.used = 0
    target = allowed_operator("fuzzed", name)
    drawn = Drawn(rng, arenas, rng.choice((FLOATS[:1], FLOATS, WHOLE, FLOATS + WHOLE)))
    args, kwargs = [], {}
    base = BASES.get(name.removeprefix("aten.")) if rng.random() < 0.9 else None
    for place, argument in enumerate(target._schema.arguments):  # type: ignore[attr-defined]
        if base is not None and rng.random() < 0.9:
            value = _fitting(drawn, base[place]) if place < len(base) else argument.default_value
        elif argument.has_default_value() and rng.random() < 0.5:
            value = argument.default_value
        else:
            value = drawn.value(str(argument.real_type))
        if argument.kwarg_only:
            kwargs[argument.name] = value
        else:
            args.append(value)
    return Call(target, tuple(args), kwargs)


def _fitting(drawn: Drawn, text: str) -> Any:
    """An argument as `BASES` describes it."""
    if text.startswith("="):
        return ast.literal_eval(text[1:])
    if text.startswith("["):
        return [_fitting(drawn, part) for part in text[1:-1].split("|")]
    kind, _, sizes = text.partition(" ") if text[:1] in ("i", "b", "c", "p") else ("", "", text)
    shape = tuple(map(int, sizes.split()))
    # One size off is the mistake that a kernel is most likely to take on trust.
    if shape and drawn.rng.random() < 0.08:
        place = drawn.rng.randrange(len(shape))
        shape = (
            *shape[:place],
            drawn.rng.choice((0, 1, shape[place] + 1, 2 * shape[place], 1000)),
            *shape[place + 1 :],
        )
    match kind:
        case "i":
            values = torch.randint(0, drawn.rng.choice((3, 3, 4, 50)), shape)
        case "b":
            values = torch.rand(shape) < 0.5
        case "c":
            return torch.randn(shape, dtype=torch.complex64)
        case "p":
            values = torch.rand(shape)
        case _:
            values = torch.randn(shape).to(drawn.kinds[0] if drawn.kinds[0].is_floating_point else torch.float32)
    return drawn.arenas.tensor(values, drawn.at_the_end)


def run_set(name: str, seed: int, arenas: Arenas, mode: FakeTensorMode) -> tuple[bool, str | None]:
    """Whether one set of arguments ran, and what is wrong with how, if anything; a trap ends the process.

    Fake tensors decide what is taken. They cost ten times what a call does, so tensors of the device `meta`, nearly the
    same, sort out first; every eleventh set asks fake tensors at once, in case the two differ.
    """
    call = drawn_call(name, seed, arenas)
    promised = _promised(call, torch.device("meta")) if seed % 11 and _takes_tensors(call) else _promised(call, mode)
    if promised is None or sum(math.prod(shape) * 8 for shape, _ in promised) > MOST_BYTES:
        return False, None
    try:
        with torch.no_grad():
            given = call.run({})
            # A view of guarded memory is read only when somebody uses it.
            said = _told(name, given)
            for one in given:
                one.clone()
    except (MemoryError, RuntimeError, ValueError, IndexError, TypeError, NotImplementedError):
        return False, None
    if said == promised:
        return True, None
    # `meta` was only asked first.
    promised = _promised(call, mode)
    return promised is not None, None if promised in (None, said) else f"gives {said} where {promised} was promised"


def _promised(call: Call, where: AbstractContextManager[Any]) -> list[tuple[tuple[int, ...], str]] | None:
    try:
        with torch.no_grad(), where:
            return _told(str(call.target), fake_outputs(call, {}))
    except Exception:
        return None


def _told(name: str, outputs: Sequence[torch.Tensor]) -> list[tuple[tuple[int, ...], str]]:
    told = [(tuple(one.shape), dtype_name(one)) for one in outputs]
    return [told[0], *((shape, "float") for shape, _ in told[1:])] if name in STATISTICS else told


def _takes_tensors(call: Call) -> bool:
    """Whether an operator reads tensors; those that only make some have their device from their arguments."""
    return "Tensor" in " ".join(str(argument.real_type) for argument in call.target._schema.arguments)  # type: ignore[attr-defined]


def finds(name: str, first: int, sets: int) -> tuple[int, list[str]]:
    """How many sets of arguments ran, and all that went wrong; each can end the process that runs it."""
    done, found = mmap.mmap(-1, 16), list[str]()
    end = first + sets
    # What PyTorch imports and looks up at its first call of a kind, 2 s, each child would do again.
    for seed in range(first, min(first + 3, end)):
        call = drawn_call(name, seed, Arenas())
        for where in (torch.device("meta"), FakeTensorMode()):
            _promised(call, where)
    while first < end:
        reads, writes = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reads)
            _run_sets(name, first, end, done, writes)
        os.close(writes)
        with os.fdopen(reads, "r") as said:
            found += said.read().splitlines()
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            at = int.from_bytes(done[:8], "little")
            trapped = number == signal.SIGFPE and name in DIVIDES
            if number != signal.SIGALRM and not trapped and _taken(name, at):
                found.append(f"{name}, set {at}: ended by {signal.Signals(number).name}")
            first = at + 1
        else:
            first = end
    return int.from_bytes(done[8:], "little"), found


def _taken(name: str, seed: int) -> bool:
    """Whether fake tensors take the set that ended a child; what only `meta` took does not count."""
    return _promised(drawn_call(name, seed, Arenas()), FakeTensorMode()) is not None


def _run_sets(name: str, first: int, end: int, done: mmap.mmap, writes: int) -> None:
    """In the child."""
    code = 1
    with suppress(BaseException):
        torch.set_num_threads(1)
        logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.dup2(devnull, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        held = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY_BYTES, held + MEMORY_BYTES))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        arenas, mode, ran = Arenas(), FakeTensorMode(), int.from_bytes(done[8:], "little")
        for seed in range(first, end):
            done[:8] = seed.to_bytes(8, "little")
            signal.alarm(SECONDS_A_SET)
            taken, wrong = run_set(name, seed, arenas, mode)
            ran += taken
            done[8:] = ran.to_bytes(8, "little")
            if wrong:
                os.write(writes, f"{name}, set {seed}: {wrong}\n".encode())
        code = 0
    os._exit(code)


def main() -> None:
    from decc_core.models.torch.operators import every_operator

    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    total = 0
    for name in sys.argv[2:] or every_operator():
        ran, wrong = finds(name, 0, sets)
        print(f"{name}: {ran} of {sets} ran", flush=True)
        total += len(wrong)
        for line in wrong[:5]:
            print(line, flush=True)
    print(f"{total} finds")


if __name__ == "__main__":
    main()
