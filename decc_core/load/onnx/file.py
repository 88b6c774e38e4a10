"""Reads an ONNX file that somebody sent: looked through, checked, optimised once, and then a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decc_core.errors import RefusedFile, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.onnx import checks
from decc_core.load.onnx.beside import MAX_PROTOBUF, take_in
from decc_core.load.onnx.nodes import all_nodes, keep_needed
from decc_core.load.onnx.parts import number_nodes
from decc_core.load.onnx.scan import REMEDY, scan
from decc_core.models.onnx.graph import name_nodes, parse, reason
from decc_core.models.onnx.operators import FUSED_DOMAIN, FUSED_IN_ONNX
from decc_core.text import shown

if TYPE_CHECKING:
    from decc_core.models.onnx.model import OnnxModel

CONVERTED_OPSET = 13
"""What ONNX's converter makes of older versions."""


def read(
    path: Path,
    name: str,
    limits: Limits,
    batch: int = 1,
    dims: Mapping[str, int] | None = None,
    beside: Mapping[str, Path] | None = None,
) -> tuple[OnnxModel, tuple[str, ...]]:
    """The network in an ONNX file, and what was decided about it, in sentences.

    `dims` gives sizes to dimensions that the file leaves open, by name, or as INPUT:AXIS; an open first dimension
    becomes `batch`. `beside` has the files in which it may keep weights, by name; raises `NeedsFiles` for others.
    Call it in a limited process: the file is hostile until it is read.
    """
    from decc_core.load.onnx.examples import with_examples_that_run
    from decc_core.load.onnx.optimise import optimised

    try:
        if path.stat().st_size > MAX_PROTOBUF:
            raise UnreadableFile("The file has more than the 2 GiB that ONNX itself allows; export a smaller network.")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"Cannot read {path.name}: {error.strerror}.") from None
    proto, notes = validate(data, limits, checks.OpenDimensions(batch, dims), beside)
    del data
    content, left_out = optimised(proto, name, limits)
    del proto
    model, examples = with_examples_that_run(content)
    return model, (*notes, *left_out, *examples)


def validate(
    data: bytes,
    limits: Limits,
    dimensions: checks.OpenDimensions | None = None,
    beside: Mapping[str, Path] | None = None,
) -> tuple[Any, tuple[str, ...]]:
    """A clean `ModelProto` with fixed input shapes, and notes; or a `DeccError` with one sentence, for any bytes.

    Neither PyTorch nor ONNX Runtime is needed, but to decide Ifs, lists and Dropouts; nothing of the file's size claims
    is believed.
    """
    if not data:
        raise UnreadableFile(f"The file is empty; {REMEDY}.")
    scan(data, limits)
    proto = parse(data)
    number_nodes(proto.graph)
    keep_needed(proto.graph)
    version = checks.check_operators(proto, also=checks.FOLDED)
    _check_versions(proto, version)
    take_in(proto, beside or {}, limits)
    checks.check_tensors(proto, limits)
    checks.check_order(proto)
    clean = _clean(proto, version)
    notes = checks.fix_inputs(clean, dimensions or checks.OpenDimensions())
    _check(clean, limits)
    if any(node.op_type in checks.FOLDED or checks.is_switched(node) for node in clean.graph.node):
        from decc_core.load.onnx.fold import fold

        fold(clean, limits)
        name_nodes(clean.graph)
        checks.check_order(clean)
        _check(clean, limits)
    if version < checks.FIRST_OPSET:
        clean = _converted(clean, version)
        _check(clean, limits)
    return clean, notes


def _check_versions(proto: Any, version: int) -> None:
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not 1 <= version <= newest:
        raise RefusedFile(
            f"The file uses version {version} of the ONNX operators; 1 to {newest} are read. "
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
    for node in all_nodes(graph):
        node.domain = FUSED_DOMAIN if node.domain == FUSED_DOMAIN else ""
        node.ClearField("doc_string")
    if any(node.domain for node in graph.node):
        clean.opset_import.add(domain=FUSED_DOMAIN, version=1)
    graph.initializer.extend(source.initializer)
    graph.input.extend(value for value in source.input if value.name not in weights)
    for value in source.output:
        kept = graph.output.add(name=value.name)
        if value.type.HasField("sequence_type"):
            raise RefusedFile(f"Output {shown(value.name)} is a list of tensors; export the network with tensors.")
        # Of an output that is there by name alone ONNX Runtime finds the type.
        if value.type.tensor_type.elem_type:
            kept.type.tensor_type.elem_type = value.type.tensor_type.elem_type
    if not graph.input:
        raise UnreadableFile("The network has no input; export it again.")
    name_nodes(graph)
    return clean


def _converted(proto: Any, version: int) -> Any:
    """The same network in operators that ONNX Runtime knows, as ONNX itself converts them."""
    import onnx.version_converter

    try:
        converted = onnx.version_converter.convert_version(proto, CONVERTED_OPSET)
    except Exception as error:
        raise RefusedFile(
            f"The file uses version {version} of the ONNX operators, and ONNX cannot convert it ({reason(error)}); "
            "export it with torch.onnx.export(..., opset_version=20)."
        ) from None
    checks.check_operators(converted)
    checks.check_order(converted)
    return _clean(converted, CONVERTED_OPSET)


def _check(proto: Any, limits: Limits) -> None:
    """Refuse shapes that are too large together, and what ONNX's own checker finds: missing attributes, wrong types,
    operators that a version does not have.
    """
    import onnx

    described = checks.inferred(proto)
    checks.check_sizes(described, limits)
    for value in described.graph.output:
        # The checker wants a type and a shape; what is not known yet comes from ONNX Runtime.
        kind = value.type.tensor_type
        kind.elem_type = kind.elem_type or onnx.TensorProto.FLOAT
        kind.shape.SetInParent()
    for node in all_nodes(described.graph):
        # The checker knows nothing of these, and takes all that is not of ONNX.
        if node.op_type in FUSED_IN_ONNX:
            node.domain = FUSED_DOMAIN
    described.opset_import.add(domain=FUSED_DOMAIN, version=1)
    try:
        onnx.checker.check_model(described)
    except (onnx.checker.ValidationError, ValueError, RuntimeError, MemoryError) as error:
        raise UnreadableFile(f"ONNX's checker refuses the network ({reason(error)}); export it again.") from None
