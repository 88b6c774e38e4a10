"""All test models that the `onnx` package ships, through the reader: taken, refused (why), wrong, or a fault.

`benchmarks.outside` runs them; recorded inputs are used, and outputs compared with those of ONNX Runtime.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx.backend.test import loader

from decc_core.errors import DeccError
from decc_core.load.limits import Limits
from decc_core.load.onnx import file as onnx_file

ZOO = Path(loader.__file__).parents[1] / "data" / "light"


class Outcome(StrEnum):
    EQUAL = "taken, outputs equal"
    TAKEN = "taken, not compared"
    WRONG = "taken, WRONG"
    REFUSED = "refused"
    FAULT = "FAULT: no sentence"


@dataclass(frozen=True)
class OnnxRow:
    """What became of one model; `by_runtime` says whether ONNX Runtime itself runs it on the recorded inputs."""

    name: str
    kind: str
    by_runtime: bool
    outcome: Outcome
    why: str
    took_s: float


def cases() -> Iterator[tuple[str, str, onnx.ModelProto, list[Any], list[Any], float, float]]:
    """Name, kind, model, recorded inputs and outputs (the first set), tolerances."""
    for case in loader.load_model_tests(kind="node"):
        sides = case.data_sets[0] if case.data_sets else ((), ())
        inputs, outputs = ([_unpacked(value) for value in side] for side in sides)
        yield case.name, "node", case.model, inputs, outputs, case.rtol, case.atol
    for kind in ("pytorch-converted", "pytorch-operator", "simple"):
        for case in loader.load_model_tests(kind=kind):
            folder = Path(case.model_dir)
            model = onnx.load(folder / "model.onnx")
            sides = [
                [
                    _value(folder / "test_data_set_0" / f"{side}_{i}.pb", value)
                    for i, value in enumerate(values)
                    if (folder / "test_data_set_0" / f"{side}_{i}.pb").exists()
                ]
                for side, values in (("input", model.graph.input), ("output", model.graph.output))
            ]
            yield case.name, kind, model, *sides, case.rtol, case.atol
    for file in sorted(ZOO.glob("*.onnx")):
        model = onnx.load(file)
        given = {weight.name for weight in model.graph.initializer}
        shapes = [
            [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in model.graph.input
            if value.name not in given
        ]
        inputs = [np.random.default_rng(0).random(shape, np.float32) for shape in shapes]
        yield file.stem, "light", model, inputs, [], 1e-3, 1e-5


def _unpacked(value: Any) -> Any:
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _value(file: Path, value: Any) -> Any:
    data = file.read_bytes()
    kind = value.type.WhichOneof("value")
    message = {"sequence_type": onnx.SequenceProto, "optional_type": onnx.OptionalProto}.get(kind, onnx.TensorProto)()
    message.ParseFromString(data)
    if kind == "sequence_type":
        return onnx.numpy_helper.to_list(message)
    return onnx.numpy_helper.to_optional(message) if kind == "optional_type" else onnx.numpy_helper.to_array(message)


def rows(only: str = "") -> Iterator[OnnxRow]:
    """What becomes of each model."""
    with tempfile.TemporaryDirectory() as place:
        for name, kind, model, inputs, outputs, rtol, atol in cases():
            if only in name:
                began = time.perf_counter()
                by_runtime, theirs = _by_runtime(model, inputs)
                file = Path(place) / "model.onnx"
                outcome, why = _outcome(file, model, inputs, by_runtime, theirs or outputs, rtol, atol)
                yield OnnxRow(name, kind, by_runtime, outcome, why, time.perf_counter() - began)


def _given(model: onnx.ModelProto, inputs: list[Any]) -> dict[str, Any]:
    """Recorded inputs by name: of all, or of those that are no weights."""
    weights = {weight.name for weight in model.graph.initializer}
    names = [value.name for value in model.graph.input]
    if len(inputs) != len(names):
        names = [name for name in names if name not in weights]
    return dict(zip(names, inputs, strict=False))


def _by_runtime(model: onnx.ModelProto, inputs: list[Any]) -> tuple[bool, list[Any]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        given = _given(model, inputs)
        wanted = {value.name for value in session.get_inputs()}
        return True, session.run(None, {name: value for name, value in given.items() if name in wanted})
    except Exception:
        return False, []


def _outcome(
    file: Path,
    model: onnx.ModelProto,
    inputs: list[Any],
    by_runtime: bool,
    expected: list[Any],
    rtol: float,
    atol: float,
) -> tuple[Outcome, str]:
    given = _given(model, inputs)
    dims = {}
    for value in model.graph.input:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if not dim.HasField("dim_value") and value.name in given and np.ndim(given[value.name]) > axis:
                dims[f"{value.name}:{axis}"] = int(np.shape(given[value.name])[axis])
    file.write_bytes(model.SerializeToString())
    try:
        found, notes = onnx_file.read(file, "model", Limits(), 1, dims)
    except DeccError as error:
        return Outcome.REFUSED, str(error)
    except Exception as error:
        return Outcome.FAULT, f"{type(error).__name__}: {error}"
    names = [value.name for value in found.network.proto.graph.input]
    if not expected or any(name not in given for name in names):
        return Outcome.TAKEN, "no recorded inputs or outputs"
    left_out = {match for note in notes for match in re.findall(r"Output '(.*)' .*left out", note)}
    wanted = [value for value, of in zip(expected, model.graph.output, strict=False) if of.name not in left_out]
    try:
        mine = found.run([torch.from_numpy(np.array(given[name], order="C")) for name in names])
    except Exception as error:
        # Recorded inputs on which ONNX Runtime fails, too, say nothing of us.
        outcome = Outcome.FAULT if by_runtime else Outcome.TAKEN
        return outcome, f"does not run on the recorded inputs: {type(error).__name__}: {error}"
    if len(mine) != len(wanted):
        return Outcome.WRONG, f"{len(mine)} outputs instead of {len(wanted)}"
    for ours, theirs in zip(mine, wanted, strict=True):
        ours = ours.numpy()
        if ours.shape != np.shape(theirs) or ours.dtype != theirs.dtype:
            return Outcome.WRONG, f"{ours.dtype}{ours.shape} instead of {theirs.dtype}{np.shape(theirs)}"
        if not np.allclose(ours, theirs, rtol=rtol, atol=atol, equal_nan=True):
            return Outcome.WRONG, f"differs by {np.abs(ours.astype(float) - theirs.astype(float)).max():g}"
    return Outcome.EQUAL, ""


def kind_of_refusal(sentence: str) -> str:
    """The sentence without what is of this model alone."""
    operator = re.search(r"uses? the operators? ([\w.']+)", sentence)
    if operator:
        return f"operator {operator[1]}"
    return re.sub(r"'[^']*'|\d+|\[[^\]]*\]", "…", sentence)[:110]


def report(found: Sequence[OnnxRow]) -> str:
    """Counts, what is refused of those that ONNX Runtime runs, and what to look at."""
    run = [row for row in found if row.by_runtime]
    taken = [row for row in run if row.outcome in (Outcome.EQUAL, Outcome.TAKEN)]
    lines = [f"{count:5} {outcome}" for outcome, count in Counter(row.outcome for row in found).most_common()]
    lines.append(f"of {len(run)} that ONNX Runtime runs, {len(taken)} are taken: {len(taken) / max(1, len(run)):.1%}")
    refused = Counter(kind_of_refusal(row.why) for row in run if row.outcome is Outcome.REFUSED)
    lines += ["", "refused of those that ONNX Runtime runs:"]
    lines += [f"{count:5} {why}" for why, count in refused.most_common()]
    bad = [row for row in found if row.outcome in (Outcome.WRONG, Outcome.FAULT)]
    lines += ["", "to look at:", *(f"{row.name}: {row.outcome}: {row.why[:200]}" for row in bad)]
    return "\n".join(lines)


def closing_line(found: Sequence[OnnxRow]) -> str:
    run = [row for row in found if row.by_runtime]
    counts = Counter(row.outcome for row in found)
    taken = sum(row.outcome in (Outcome.EQUAL, Outcome.TAKEN) for row in run)
    return (
        f"onnx_models={len(found)} onnx_run={len(run)} onnx_taken={taken / max(1, len(run)):.3f} "
        f"onnx_equal={counts[Outcome.EQUAL]} onnx_wrong={counts[Outcome.WRONG]} onnx_faults={counts[Outcome.FAULT]}"
    )
