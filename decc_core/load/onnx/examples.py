"""Finds example inputs on which a network runs: whole numbers may choose a row, or divide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from decc_core.errors import ExtractionFailed
from decc_core.models.onnx.graph import ONES, parse, reason
from decc_core.models.onnx.model import OnnxModel
from decc_core.text import shown

ALONE = 8
"""So many inputs at most are also tried as the only one that is 1."""


def with_examples_that_run(content: bytes) -> tuple[OnnxModel, tuple[str, ...]]:
    """The model of an optimised network, and what was decided: whole numbers are 0, or 1 where 0 fails.

    Raises `ExtractionFailed` where the network runs on neither.
    """
    failed = ""
    for ones in _ones(content):
        model = OnnxModel.of(_marked(content, ones) if ones else content)
        try:
            # One thread, as the first passes that are timed: they find the session made.
            replace(model, threads=1).run(model.example_inputs)
        except MemoryError:
            raise
        except Exception as error:
            if "alloc" in str(error):
                raise
            failed = failed or reason(error)
        else:
            if not ones:
                return model, ()
            values = parse(content).graph.input
            named = ", ".join(shown(values[i].name) for i in ones)
            return model, (f"Example values of {named} are 1: the network does not run with 0.",)
    raise ExtractionFailed(
        f"The network fails on examples, which are made up: random numbers, and whole ones of 0 or 1 ({failed}). "
        "Its file need not be broken, but cannot be timed; export it so that it runs on such inputs."
    )


def _ones(content: bytes) -> Iterator[tuple[int, ...]]:
    """Which inputs are 1: none, all, or a single one."""
    yield ()
    examples = OnnxModel.of(content).example_inputs
    whole = tuple(i for i, example in enumerate(examples) if not example.dtype.is_floating_point)
    if whole:
        yield whole
    if 1 < len(whole) <= ALONE:
        yield from ((one,) for one in whole)


def _marked(content: bytes, ones: tuple[int, ...]) -> bytes:
    proto = parse(content)
    proto.metadata_props.add(key=ONES, value=",".join(map(str, ones)))
    return bytes(proto.SerializeToString(deterministic=True))
