"""A cleaned `.pt2` archive as a network; runs in a process of its own, as torch compiles what stands in the file."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import fx

from decc_core.errors import DeccError, ExtractionFailed
from decc_core.models.tensors import dim_order, in_order, random_like
from decc_core.models.torch.checks import require_declared
from decc_core.models.torch.data import require_operators
from decc_core.models.torch.extract import ExtractedModel, build, functional_form
from decc_core.text import first_line, shown

SEED = 0


def read(clean_file: Path, name: str) -> ExtractedModel:
    """The network in an archive that `archive.clean` wrote, with example inputs of the recorded shapes.

    Raises `ExtractionFailed` or `UnsupportedOperator` with one sentence.
    """
    try:
        with torch.no_grad():
            with _type_hints_known():
                program = torch.export.load(str(clean_file))
            program = functional_form(program)
            _check_pure(program, name)
            functional = program.module()
            assert isinstance(functional, fx.GraphModule)
            generator = torch.Generator().manual_seed(SEED)
            recorded = [node.meta["val"] for node in functional.graph.nodes if node.op == "placeholder"]
            model = build(functional, tuple(_example(value, generator) for value in recorded), name)
    except (DeccError, MemoryError):
        raise
    except Exception as error:
        raise ExtractionFailed(_reason(name, error)) from error
    require_operators((layer, str(call.target)) for layer, call in model.calls.items())
    require_declared(model)
    return _with_examples_that_run(model)


@contextmanager
def _type_hints_known() -> Iterator[None]:
    """Find out the types of a class's fields once; torch asks again for each of thousands of objects in a file."""
    asked, known = typing.get_type_hints, dict[Any, dict[str, Any]]()

    def remembered(of: Any, globalns: Any = None, localns: Any = None, include_extras: bool = False) -> dict[str, Any]:
        key = of, id(globalns), id(localns), include_extras
        if key not in known:
            known[key] = asked(of, globalns, localns, include_extras)
        return known[key]

    typing.get_type_hints = remembered  # type: ignore[assignment]
    try:
        yield
    finally:
        typing.get_type_hints = asked


def _check_pure(program: torch.export.ExportedProgram, name: str) -> None:
    signature = program.graph_signature
    changed = [*signature.buffers_to_mutate.values(), *signature.user_inputs_to_mutate.values()]
    if changed:
        raise ExtractionFailed(
            f"'{name}' changes {shown(str(changed[0]))} while it runs; call model.eval() and export it again."
        )


def _example(recorded: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random floats and 8-bit images; other whole numbers are 0, which any table has."""
    drawn = random_like(torch.zeros(recorded.shape, dtype=recorded.dtype), generator)
    # The order in memory is part of the recorded input: other kernels, and other bits, follow from it.
    order = dim_order(recorded)
    return in_order(drawn.permute(order).contiguous(), order)


def _with_examples_that_run(model: ExtractedModel) -> ExtractedModel:
    """Whole numbers of 1 where the network fails on those of 0, as it does where it divides by one."""
    if not any(_is_whole(example) for example in model.example_inputs):
        return model
    with torch.no_grad():
        try:
            model.run(model.example_inputs)
        except Exception:
            ones = tuple(torch.ones_like(one) if _is_whole(one) else one for one in model.example_inputs)
            with suppress(Exception):
                model.run(ones)
                return replace(model, example_inputs=ones)
    return model


def _is_whole(example: torch.Tensor) -> bool:
    return not example.dtype.is_floating_point and not example.is_complex() and example.dtype != torch.uint8


def _reason(name: str, error: Exception) -> str:
    """One plain sentence with the first line of what went wrong innermost."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if "error when deserializing" in str(cause):  # Torch hides the cause: it only logs it.
        return (
            f"A layer of '{name}' has arguments that its operator does not take; export it again with a current torch."
        )
    return (
        f"'{name}' cannot be read by torch.export ({type(cause).__name__}: {first_line(cause)}); export it again with "
        "a current torch, and check that the exported program runs on its example inputs."
    )
