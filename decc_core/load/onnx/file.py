"""Reads an ONNX file that somebody sent: looked through, checked, optimised once, and then a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decc_core.errors import RefusedFile, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.onnx import checks
from decc_core.load.onnx.parts import number_nodes
from decc_core.load.onnx.scan import REMEDY, scan
from decc_core.models.onnx.graph import name_nodes, parse, reason

if TYPE_CHECKING:
    from decc_core.models.onnx.model import OnnxModel

MAX_PROTOBUF = (1 << 31) - 1


def read(
    path: Path, name: str, limits: Limits, batch: int = 1, dims: Mapping[str, int] | None = None
) -> tuple[OnnxModel, tuple[str, ...]]:
    """The network in an ONNX file, and what was decided about it, in sentences.

    `dims` gives sizes to dimensions that the file leaves open, by name; an open first dimension becomes `batch`.
    Call it in a limited process: the file is hostile until it is read.
    """
    from decc_core.load.onnx.optimise import optimised
    from decc_core.models.onnx.model import OnnxModel

    try:
        if path.stat().st_size > MAX_PROTOBUF:
            raise UnreadableFile("The file has more than the 2 GiB that ONNX itself allows; export a smaller network.")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"Cannot read {path.name}: {error.strerror}.") from None
    proto, notes = validate(data, limits, checks.OpenDimensions(batch, dims))
    del data
    return OnnxModel.of(optimised(proto, name, limits)), notes


def validate(
    data: bytes, limits: Limits, dimensions: checks.OpenDimensions | None = None
) -> tuple[Any, tuple[str, ...]]:
    """A clean `ModelProto` with fixed input shapes, and notes; or a `DeccError` with one sentence, for any bytes.

    Neither PyTorch nor ONNX Runtime is needed, and nothing of the file's size claims is believed.
    """
    if not data:
        raise UnreadableFile(f"The file is empty; {REMEDY}.")
    scan(data, limits)
    proto = parse(data)
    number_nodes(proto.graph)
    version = checks.check_operators(proto)
    _check_versions(proto, version)
    checks.check_tensors(proto, limits)
    checks.check_order(proto)
    clean = _clean(proto, version)
    notes = checks.fix_inputs(clean, dimensions or checks.OpenDimensions())
    inferred = _inferred(clean)
    checks.check_sizes(inferred, limits)
    _check_with_onnx(inferred)
    return clean, notes


def _check_versions(proto: Any, version: int) -> None:
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not checks.FIRST_OPSET <= version <= newest:
        raise RefusedFile(
            f"The file uses version {version} of the ONNX operators; {checks.FIRST_OPSET} to {newest} are read. "
            "Export it with torch.onnx.export(..., opset_version=20)."
        )
    if not 3 <= proto.ir_version <= onnx.IR_VERSION:
        raise RefusedFile(f"The file has version {proto.ir_version} of ONNX; 3 to {onnx.IR_VERSION} are read.")


def _clean(proto: Any, version: int) -> Any:
    """Only what is needed: no documentation, no claims about shapes, no inputs that are weights."""
    import onnx

    clean = onnx.ModelProto(ir_version=max(proto.ir_version, 4))
    clean.opset_import.add(domain="", version=version)
    graph, source = clean.graph, proto.graph
    graph.name = "network"
    weights = {tensor.name for tensor in source.initializer}
    graph.node.extend(source.node)
    for node in graph.node:
        node.domain = ""
        node.ClearField("doc_string")
    graph.initializer.extend(source.initializer)
    graph.input.extend(value for value in source.input if value.name not in weights)
    for value in source.output:
        kept = graph.output.add(name=value.name)
        kept.type.tensor_type.elem_type = value.type.tensor_type.elem_type
    if not graph.input:
        raise UnreadableFile("The network has no input; export it again.")
    name_nodes(graph)
    return clean


def _inferred(proto: Any) -> Any:
    """A copy with the shapes that ONNX finds; nothing is computed for them."""
    import onnx

    try:
        return onnx.shape_inference.infer_shapes(proto)
    except Exception as error:
        raise UnreadableFile(f"The shapes do not fit together ({reason(error)}); export the network again.") from None


def _check_with_onnx(proto: Any) -> None:
    """What ONNX's own checker finds: missing attributes, wrong types, operators that a version does not have."""
    import onnx

    for value in proto.graph.output:
        # The checker wants a shape; one that is not known yet comes from ONNX Runtime.
        value.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(proto)
    except (onnx.checker.ValidationError, ValueError, RuntimeError, MemoryError) as error:
        raise UnreadableFile(f"ONNX's checker refuses the network ({reason(error)}); export it again.") from None
