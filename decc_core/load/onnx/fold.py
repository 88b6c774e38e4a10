"""Decides what can be decided before the network runs: which branch an If takes, and what stands in lists of tensors.

Exporters of scripts write both where shapes are fixed long since. Once every size is known, a condition that depends on
constants and shapes alone is one, and lists have a known length, so that both become ordinary operators.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx

from decc_core.errors import RefusedFile, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.onnx.checks import FOLDED, check_operators, check_sizes, inferred, is_switched
from decc_core.load.onnx.nodes import all_nodes, called, copied, keep_needed, set_nodes, subgraphs
from decc_core.models.onnx.graph import reason
from decc_core.models.onnx.model import new_session, session_options
from decc_core.models.onnx.operators import is_allowed

MOST_PARTS = 1000

Shapes = dict[str, tuple[int, ...]]
Values = dict[str, Any]


def fold(proto: Any, limits: Limits) -> None:
    """Replace Ifs and lists that are decided, in place, and Dropouts that are off; those that are not are refused."""
    while any(node.op_type in FOLDED for node in proto.graph.node):
        described = inferred(proto, with_values=True)
        check_sizes(described, limits)
        if not (_take_branches(proto, described) or _unroll_lists(proto, described)):
            break
        keep_needed(proto.graph)
        limits.require(layers=len(proto.graph.node))
        # What a branch held is judged only now, when it is the one that is taken.
        check_operators(proto, also=FOLDED)
    check_operators(proto)
    dropouts = [node for node in proto.graph.node if is_switched(node)]
    values = _values(proto, inferred(proto), {node.input[2] for node in dropouts}) if dropouts else {}
    for node in dropouts:
        if values.get(node.input[2], np.True_).any():
            raise RefusedFile(f"{called(node)} is a Dropout in training; export the network with model.eval().")
        del node.input[2:]


def _take_branches(proto: Any, described: Any) -> bool:
    """Put the branch that every If takes in its place, where its condition is known; whether there was one."""
    graph = proto.graph
    conditions = {node.input[0] for node in graph.node if node.op_type == "If" and len(node.input) == 1}
    values = _values(proto, described, conditions)
    if not values:
        return False
    names, nodes = _Names(graph), list[Any]()
    for node in graph.node:
        value = values.get(node.input[0]) if node.op_type == "If" and len(node.input) == 1 else None
        branches = {attribute.name: attribute.g for attribute in node.attribute if attribute.HasField("g")}
        if value is None or value.size != 1 or not branches.keys() >= {"then_branch", "else_branch"}:
            nodes.append(node)
            continue
        branch = branches["then_branch" if value.reshape(()) else "else_branch"]
        if len(branch.output) < len(node.output):
            raise UnreadableFile(f"An If has a branch that gives fewer than {len(node.output)} tensors; export again.")
        nodes.extend(_inlined(graph, node, branch, names))
    set_nodes(graph, nodes)
    return True


class _Names:
    """Names that nothing in a network has yet."""

    def __init__(self, graph: Any) -> None:
        self.taken = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
        self.count = 0
        for node in all_nodes(graph):
            self.taken.update((*node.input, *node.output))
            for inner in subgraphs(node):
                self.taken.update(value.name for value in (*inner.input, *inner.output, *inner.initializer))

    def fresh(self, like: str) -> str:
        name = like
        while name in self.taken:
            self.count += 1
            name = f"{like}_{self.count}"
        self.taken.add(name)
        return name


def _inlined(graph: Any, node: Any, branch: Any, names: _Names) -> Iterator[Any]:
    """The nodes of a branch under names of their own; its weights go to the graph."""
    made = [name for inner in branch.node for name in inner.output if name]
    new = {name: names.fresh(name) for name in (*(weight.name for weight in branch.initializer), *made)}
    given = list(zip(node.output, branch.output, strict=False))
    same = []
    for outer, value in given:
        if value.name in made and new[value.name] not in node.output:
            new[value.name] = outer or new[value.name]
        elif outer:
            same.append((value.name, outer))
    for weight in branch.initializer:
        graph.initializer.append(copied(weight))
        graph.initializer[-1].name = new[weight.name]
    for inner in branch.node:
        kept = copied(inner)
        _rename(kept, new)
        yield kept
    for inside, outer in same:
        yield onnx.helper.make_node("Identity", [new.get(inside, inside)], [outer])


def _rename(node: Any, new: dict[str, str]) -> None:
    """Other names for tensors, also within; what a network within makes itself keeps its name."""
    node.input[:] = [new.get(name, name) for name in node.input]
    node.output[:] = [new.get(name, name) for name in node.output]
    for graph in subgraphs(node):
        own = {weight.name for weight in graph.initializer} | {name for inner in graph.node for name in inner.output}
        outer = {old: name for old, name in new.items() if old not in own}
        for inner in graph.node:
            _rename(inner, outer)
        for value in graph.output:
            value.name = outer.get(value.name, value.name)


def _values(proto: Any, described: Any, wanted: set[str]) -> Values:
    """Those of the tensors that depend on nothing but constants and shapes, as ONNX Runtime computes them."""
    if not wanted:
        return {}
    shapes, fixed = _shapes(described), {weight.name for weight in proto.graph.initializer}
    leaves, makers = Values(), dict[str, Any]()
    for node in proto.graph.node:
        shape = shapes.get(node.input[0]) if node.op_type in ("Shape", "Size") and node.input else None
        if shape is not None:
            ends = {attribute.name: attribute.i for attribute in node.attribute}
            sizes = np.array(shape[ends.get("start", 0) : ends.get("end", len(shape))], np.int64)
            leaves[node.output[0]] = sizes if node.op_type == "Shape" else np.array(np.prod(shape, dtype=np.int64))
        elif node.op_type in FOLDED or not is_allowed(node.domain, node.op_type):
            continue
        elif all(name in fixed for name in node.input if name):
            makers |= dict.fromkeys(filter(None, node.output), node)
        else:
            continue
        fixed.update(filter(None, node.output))
    found = sorted(wanted & fixed)
    if not found:
        return {}
    needed, open_names = set[str](), list(found)
    while open_names:
        name = open_names.pop()
        if name not in needed:
            needed.add(name)
            open_names.extend(makers[name].input if name in makers else ())
    piece = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    piece.graph.name = "constants"
    piece.graph.node.extend(node for node in proto.graph.node if any(makers.get(name) is node for name in node.output)
                            and not needed.isdisjoint(node.output))  # fmt: skip
    piece.graph.initializer.extend(weight for weight in proto.graph.initializer if weight.name in needed)
    piece.graph.initializer.extend(onnx.numpy_helper.from_array(leaves[name], name) for name in needed & leaves.keys())
    piece.graph.output.extend(onnx.ValueInfoProto(name=name) for name in found)
    session = new_session(piece.SerializeToString(), session_options(1), "the network")
    try:
        return dict(zip(found, session.run(found, {}), strict=True))
    except MemoryError:
        raise
    except Exception as error:
        raise UnreadableFile(
            f"The network's constants cannot be computed ({reason(error)}); export it again."
        ) from None


def _shapes(described: Any) -> Shapes:
    graph = described.graph
    known = {weight.name: tuple(weight.dims) for weight in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim):
            known[value.name] = tuple(int(dim.dim_value) for dim in kind.shape.dim)
    return known


class _NotKnown(Exception):
    """A list of tensors depends on values."""


def _unroll_lists(proto: Any, described: Any) -> bool:
    """Put ordinary operators in the place of lists of tensors, where all of them are known; whether it was done."""
    lists = _Lists(proto, described)
    try:
        nodes = list(lists.nodes())
    except _NotKnown:
        return False
    proto.graph.initializer.extend(lists.weights)
    set_nodes(proto.graph, nodes)
    return True


class _Lists:
    """Follows the lists through the network: which tensors stand in each."""

    def __init__(self, proto: Any, described: Any) -> None:
        self.proto, self.names, self.shapes = proto, _Names(proto.graph), _shapes(described)
        self.lists: dict[str, list[str]] = {}
        self.weights = list[Any]()
        numbers = {
            name
            for node in proto.graph.node
            for name in (*node.input[1:2], *node.input[2:3])
            if name and node.op_type in FOLDED
        }
        self.values = _values(proto, described, numbers)
        self.version = next(opset.version for opset in proto.opset_import if opset.domain == "")

    def nodes(self) -> Iterator[Any]:
        for node in self.proto.graph.node:
            if node.op_type in FOLDED and node.op_type != "If":
                yield from getattr(self, f"_{node.op_type}")(node)
            elif node.op_type == "Identity" and node.input[0] in self.lists:
                self.lists[node.output[0]] = self.lists[node.input[0]]
            elif any(name in self.lists for name in node.input) or node.op_type == "If":
                raise _NotKnown
            else:
                yield node
        if any(value.name in self.lists for value in self.proto.graph.output):
            raise _NotKnown

    def _SequenceEmpty(self, node: Any) -> Iterator[Any]:
        self.lists[node.output[0]] = []
        yield from ()

    def _SequenceConstruct(self, node: Any) -> Iterator[Any]:
        self.lists[node.output[0]] = list(node.input)
        yield from ()

    def _SequenceInsert(self, node: Any) -> Iterator[Any]:
        kept = list(self._list(node))
        at = self._at(node, 2, len(kept), beyond=True) if len(node.input) > 2 else len(kept)
        self.lists[node.output[0]] = [*kept[:at], node.input[1], *kept[at:]]
        yield from ()

    def _SequenceErase(self, node: Any) -> Iterator[Any]:
        kept = list(self._list(node))
        kept.pop(self._at(node, 1, len(kept)) if len(node.input) > 1 else -1)
        self.lists[node.output[0]] = kept
        yield from ()

    def _SequenceAt(self, node: Any) -> Iterator[Any]:
        kept = self._list(node)
        yield onnx.helper.make_node("Identity", [kept[self._at(node, 1, len(kept))]], list(node.output), node.name)

    def _SequenceLength(self, node: Any) -> Iterator[Any]:
        length = np.array(len(self._list(node)), np.int64)
        self.weights.append(onnx.numpy_helper.from_array(length, node.output[0]))
        yield from ()

    def _ConcatFromSequence(self, node: Any) -> Iterator[Any]:
        parts, given = list(self._list(node)), self._attributes(node)
        if given.get("new_axis", 0):
            stacked = [self.names.fresh(node.output[0]) for _ in parts]
            for part, name in zip(parts, stacked, strict=True):
                yield self._with_axes("Unsqueeze", part, name, given.get("axis", 0))
            parts = stacked
        yield onnx.helper.make_node("Concat", parts, list(node.output), node.name, axis=given.get("axis", 0))

    def _SplitToSequence(self, node: Any) -> Iterator[Any]:
        given, shape = self._attributes(node), self.shapes.get(node.input[0])
        axis = given.get("axis", 0)
        if shape is None or not -len(shape) <= axis < len(shape):
            raise _NotKnown
        size, single = shape[axis], len(node.input) < 2 or not node.input[1]
        split = np.ones(size, np.int64) if single else self._value(node, 1)
        if split.ndim == 0:
            step = int(split)
            count = -(-size // step) if step > 0 else MOST_PARTS + 1
            split = np.array([min(step, size - step * i) for i in range(min(count, MOST_PARTS + 1))], np.int64)
        if not 0 < split.size <= MOST_PARTS:
            raise _NotKnown
        parts = [self.names.fresh(node.output[0]) for _ in range(split.size)]
        if self.version >= 13:
            sizes = self.names.fresh(f"{node.output[0]}_sizes")
            self.weights.append(onnx.numpy_helper.from_array(split.astype(np.int64), sizes))
            yield onnx.helper.make_node("Split", [node.input[0], sizes], parts, node.name, axis=axis)
        else:
            split = [int(part) for part in split]
            yield onnx.helper.make_node("Split", [node.input[0]], parts, node.name, axis=axis, split=split)
        if single and not given.get("keepdims", 1):
            squeezed = [self.names.fresh(part) for part in parts]
            for part, name in zip(parts, squeezed, strict=True):
                yield self._with_axes("Squeeze", part, name, axis)
            parts = squeezed
        self.lists[node.output[0]] = parts

    def _with_axes(self, operator: str, read: str, made: str, axis: int) -> Any:
        if self.version < 13:
            return onnx.helper.make_node(operator, [read], [made], axes=[axis])
        axes = self.names.fresh(f"{made}_axes")
        self.weights.append(onnx.numpy_helper.from_array(np.array([axis], np.int64), axes))
        return onnx.helper.make_node(operator, [read, axes], [made])

    def _attributes(self, node: Any) -> dict[str, int]:
        return {attribute.name: int(attribute.i) for attribute in node.attribute}

    def _list(self, node: Any) -> list[str]:
        if not node.input or node.input[0] not in self.lists:
            raise _NotKnown
        return self.lists[node.input[0]]

    def _value(self, node: Any, position: int) -> Any:
        if node.input[position] not in self.values:
            raise _NotKnown
        return self.values[node.input[position]]

    def _at(self, node: Any, position: int, length: int, beyond: bool = False) -> int:
        """A place in a list; those counted from its end are negative."""
        at = int(self._value(node, position).reshape(()))
        if not -length <= at < length + beyond:
            raise UnreadableFile(f"The network reads part {at} of a list of {length} tensors; export it again.")
        return at + length if at < 0 else at
