"""Sizes that a `.pt2` file leaves open, and numbers that it computes from them: all of them become plain numbers.

Torch writes them as expressions, and would run them as Python. Here they are read as a tree of known functions.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import msgspec
from msgspec import UNSET

from decc_core.errors import UnreadableFile
from decc_core.load.pt2 import schema
from decc_core.load.pt2.schema import AGAIN
from decc_core.text import listed, shown

LONGEST = 2_000
"""Letters of an expression; sizes of real networks need some hundred."""
LARGEST_POWER = 64
Number = int | float
"""Of what torch computes with sizes; fractions on the way there."""


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > LARGEST_POWER or abs(base) > schema.LARGEST:
        raise ValueError("a power is too large")
    # The inverse of a whole number stands for a division without rounding.
    return Fraction(base) ** exponent if isinstance(base, int) and isinstance(exponent, int) else base**exponent


def _whole(function: Callable[[Number], int]) -> Callable[[Number], int]:
    return lambda value: value if isinstance(value, int) else function(value)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "Integer": int,
    "Rational": Fraction,
    "Add": lambda *terms: sum(terms),
    "Mul": lambda *factors: math.prod(factors),
    "Pow": _power,
    "PowByNatural": _power,
    "FloatPow": _power,
    "Max": max,
    "Min": min,
    "Abs": abs,
    "Mod": lambda value, by: value % by,
    "PythonMod": lambda value, by: value % by,
    "FloorDiv": lambda value, by: value // by,
    "CleanDiv": lambda value, by: value // by,
    "CeilDiv": lambda value, by: -(-value // by),
    "ModularIndexing": lambda value, by, modulus: value // by % modulus,
    "IntTrueDiv": lambda value, by: value / by,
    "FloatTrueDiv": lambda value, by: value / by,
    "ToFloat": float,
    "TruncToInt": _whole(math.trunc),
    "TruncToFloat": lambda value: float(math.trunc(value)),
    "FloorToInt": _whole(math.floor),
    "CeilToInt": _whole(math.ceil),
    "RoundToInt": _whole(round),
    "OpaqueUnaryFn_sqrt": math.sqrt,
    "OpaqueUnaryFn_log": math.log,
    "OpaqueUnaryFn_exp": math.exp,
}
"""What torch's expressions of sizes are made of."""


@dataclass
class Sizes:
    """The sizes that were chosen for a network: `batch` for open first dimensions of its inputs, others by name.

    An open dimension is called after its input and its place, as in `ids:1`.
    """

    batch: int = 1
    named: Mapping[str, int] = field(default_factory=dict)
    symbols: dict[str, Number] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def choose(self, inputs: Mapping[str, schema.TensorMeta]) -> None:
        """Give sizes to all dimensions of inputs that are open; refuse one that nobody said anything of.

        Dimensions of one size have one symbol, so that it is enough to name one of them.
        """
        places = [
            (tensor, place, symbol)
            for tensor, meta in inputs.items()
            for place, size in enumerate(meta.sizes)
            if size.as_expr is not UNSET and (symbol := _symbol(size.as_expr.expr_str)) is not None
        ]
        names = [f"{tensor}:{place}" for tensor, place, _ in places]
        for name, (_, _, symbol) in zip(names, places, strict=True):
            size = self.named.get(name)
            if size is not None and self.symbols.setdefault(symbol, size) != size:
                raise UnreadableFile(f"Dimension {shown(name)} is of one size with another, and got a different one.")
        for name in self.named:
            if name not in names:
                there = f"open are {listed(names)}" if names else "all sizes are fixed, so leave it out"
                raise UnreadableFile(f"No input has an open dimension {shown(name)}; {there}.")
        for name, (tensor, place, symbol) in zip(names, places, strict=True):
            what = f"Dimension {place} of input {shown(tensor)} is open"
            if symbol in self.symbols:
                if name in self.named:
                    self.notes.append(f"{what}; set to {self.named[name]}, as asked for.")
                continue
            if place != 0:
                raise UnreadableFile(
                    f"{what}; give its size (on the command line: --dimension {name}=SIZE), or export again without "
                    "dynamic_shapes, with example inputs of the size that you will use."
                )
            self.symbols[symbol] = self.batch
            self.notes.append(f"{what}; set to {self.batch}.")

    def fixed(self, meta: schema.TensorMeta, what: str) -> schema.TensorMeta:
        """A tensor's description with plain numbers only."""
        sizes, strides, (offset,) = (
            [self._size(number, what) for number in numbers]
            for numbers in (meta.sizes, meta.strides, [meta.storage_offset])
        )
        return msgspec.structs.replace(meta, sizes=sizes, strides=strides, storage_offset=offset)

    def _size(self, size: schema.SymInt, what: str) -> schema.SymInt:
        if size.as_expr is UNSET:
            return size
        value = self.value(size.as_expr.expr_str, what)
        if not isinstance(value, int):
            raise UnreadableFile(f"{what} has a size that is no whole number; {AGAIN}")
        return schema.SymInt(as_int=int(value))

    def value(self, text: str, what: str) -> Number:
        """What an expression is for the chosen sizes."""
        tree = _parsed(text, what)
        try:
            value = self._evaluated(tree)
            if isinstance(value, Fraction):
                value = int(value) if value.denominator == 1 else float(value)
            if not isinstance(value, (int, float)):
                raise ValueError("it is no real number")
        except KeyError:
            raise UnreadableFile(f"{what} {schema.VARYING}") from None
        except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
            raise UnreadableFile(f"{what} has a size that cannot be computed ({error}); {AGAIN}") from None
        if abs(value) > schema.LARGEST:
            raise UnreadableFile(f"{what} has a size above {schema.LARGEST}, which no memory holds; {AGAIN}")
        return value

    def _evaluated(self, tree: ast.expr) -> Any:
        match tree:
            case ast.Constant(value=int() | float() as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._evaluated(operand)
            case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str(name))]):
                return self.symbols[name]
            case ast.Call(func=ast.Name(id="Float"), args=[ast.Constant(value=str(digits))]):
                return float(digits)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                return _FUNCTIONS[name](*(self._evaluated(argument) for argument in args))
            case _:
                raise ValueError("it uses a function that is not known")

    def know(self, symbol_text: str, number: Number) -> None:
        """What a layer took out of a tensor: whatever is computed of it is known from here on."""
        symbol = _symbol(symbol_text)
        if symbol is not None:
            self.symbols.setdefault(symbol, number)


def _symbol(text: str) -> str | None:
    """The symbol that an expression is, if it is nothing else."""
    match _parsed(text, "The network"):
        case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str(name))]):
            return name
    return None


def _parsed(text: str, what: str) -> ast.expr:
    if len(text) > LONGEST:
        raise UnreadableFile(f"{what} has a size whose expression is {len(text)} letters long; {AGAIN}")
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UnreadableFile(f"{what} has a size whose expression is not one that torch writes; {AGAIN}") from None
