"""What is refused in the network: operators, arguments, containers, shapes and edges."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.load.hostile_pt2.base import NETWORK, REFUSED, WEIGHTS, Parts, changed, differs, ints, packed, refused


def target(name: str) -> None:
    differs(f"the target {name}", lambda graph, _: graph["nodes"][0].update(target=name))


for one in (
    "torch.os.system",
    "torch.ops.aten.from_file.default",
    "torch.ops.aten.rand.default",
    "torch.ops.higher_order.cond",
    "torch.ops.custom.evil.default",
    "torch.ops.aten.item.default",
    "_operator.add",
    "math.sin",
    "#evil:op",
    "<script>alert(1)</script>",
    "",
):
    target(one)


def argument(kind: str, value: Any) -> None:
    differs(f"the argument {kind}", lambda graph, _: graph["nodes"][0]["inputs"][2].update(arg={kind: value}))


argument("as_operator", "torch.os.system")
argument("as_custom_obj", {"name": "a", "class_fqn": "os.system"})
argument("as_graph", {"name": "a", "graph": {}})
argument("as_sym_int", {"as_name": "s0"})
argument("as_sym_bool", {"as_name": "s0"})
argument("as_string_to_argument", {"a": {"as_int": 1}})
argument("as_device", {"type": "meta", "index": None})
argument("as_scalar_type", 99)
argument("as_memory_format", -1)
argument("as_layout", 1)
argument("as_float", "__import__('os')")
argument("as_unknown", 1)
argument("as_int", 10**400)
argument("as_tensors", [{"name": "nowhere"}])
argument("as_optional_tensors", [{"as_tensor": {"name": "nowhere"}}])
argument("as_optional_tensor", {})
differs("an argument of two kinds", lambda g, _: g["nodes"][0]["inputs"][2].update(arg={"as_int": 1, "as_bool": True}))
differs("an argument twice", lambda g, _: g["nodes"][0]["inputs"].append(g["nodes"][0]["inputs"][0]))
differs("an argument with no name", lambda g, _: g["nodes"][0]["inputs"][0].update(name="self)"))
differs("a part with an unknown key", lambda g, _: g["nodes"][0].update(evil=1))


def containers(kind: str, context: str = "null") -> None:
    spec = f"[1, {json.dumps({'type': kind, 'context': context, 'children_spec': []})}]"
    differs(
        f"a container {kind} {context}",
        lambda _, module: module["module_call_graph"][0]["signature"].update(out_spec=spec),
    )


containers("collections.defaultdict", '{"default_factory_module": "os", "default_factory_name": "system"}')
containers("collections.namedtuple", '"os.stat_result"')
containers("enum.Enum", '{"__enum__": true, "fqn": "os:system"}')
containers("builtins.tuple")
differs(
    "containers ten thousand deep",
    lambda _, module: module["module_call_graph"][0]["signature"].update(
        in_spec="[1, " + '{"type":"builtins.list","context":null,"children_spec":[' * 10_000 + "]}" * 10_000 + "]"
    ),
)
differs("no description of the call", lambda _, module: module.update(module_call_graph=[]))


def shape(name: str, **fields: Any) -> None:
    """A tensor of the network, and apart from it the weight in the file, of an impossible shape."""
    differs(f"a tensor with {name}", lambda graph, _: graph["tensor_values"]["conv2d"].update(fields))

    def make(parts: Parts, marker: Path) -> bytes:
        return changed(parts, WEIGHTS, lambda found: found["config"]["conv.weight"]["tensor_meta"].update(fields))

    REFUSED[f"a weight with {name}"] = make


shape("a size of 2^62", sizes=ints(1, 1, 1, 2**62))
shape("a size of 2^47 that strides make free", sizes=ints(1, 1, 1, 2**47), strides=ints(0, 0, 0, 0))
shape("sizes whose product overflows", sizes=ints(*[2**33] * 4), strides=ints(0, 0, 0, 0))
shape("a negative size", sizes=ints(1, 4, 6, -6))
shape("a negative stride", strides=ints(1, 1, 1, -1))
shape("a stride of 2^62", strides=ints(2**62, 1, 1, 1))
shape("a negative offset", storage_offset={"as_int": -8})
shape("an offset of 2^62", storage_offset={"as_int": 2**62})
shape("more strides than sizes", strides=ints(1, 1, 1, 1, 1))
shape("a thousand dimensions", sizes=ints(*[2**30] * 1000), strides=ints(*[0] * 1000))
shape("an unknown dtype", dtype=77)
shape("a sparse layout", layout=1)
shape("a special device", device={"type": "meta", "index": None})
shape("a size that is text", sizes=[{"as_int": "8"}])
shape("a size that is true", sizes=[{"as_int": True}])
for text in (
    "s0",
    "Symbol('s0')",
    "Symbol",
    "Integer",
    "__import__('os').system('true')",
    "(lambda: 4)()",
    "Integer.__class__(4)",
    "Add(*[Integer(1)])",
    "Mul(Integer(2), key=1)",
    "Pow(Integer(9), Integer(10**9))",
    "Pow(Pow(Integer(9), Integer(60)), Pow(Integer(9), Integer(60)))",
    "Mul(" + ", ".join(["Integer(281474976710656)"] * 40) + ")",
    "FloorDiv(Integer(4), Integer(0))",
    "Float('nan')",
    "Float('1e400')",
    "Rational(1, 2)",
    "OpaqueUnaryFn_exp(Integer(100000))",
    "OpaqueUnaryFn_sqrt(Integer(-1))",
    "Integer('" + "9" * 1900 + "')",
    "(" * 900 + ")" * 900,
    "1" + " + 1" * 2000,
    "",
    "\x00",
):
    shape(
        f"the size {text[:60]!r}", sizes=[{"as_int": 1}, {"as_int": 4}, {"as_int": 6}, {"as_expr": {"expr_str": text}}]
    )
differs("objects in the graph", lambda g, _: g.update(custom_obj_values={"o": {"name": "o", "class_fqn": "C"}}))


def reads(name: str) -> Callable[[Any, Any], None]:
    return lambda graph, _: graph["nodes"][0]["inputs"][0].update(arg={"as_tensor": {"name": name}})


differs("a cycle of one layer", reads("conv2d"))
differs("a cycle of two layers", reads("relu_"))
differs("a layer that reads a later one", reads("linear"))
differs("a layer that reads nothing known", reads("nowhere"))
differs("layers in reverse", lambda graph, _: graph["nodes"].reverse())
differs("a layer twice", lambda graph, _: graph["nodes"].append(copy.deepcopy(graph["nodes"][0])))
differs("a keyword as a name", lambda graph, _: graph["nodes"][0].update(name="import"))
differs("a layer name of HTML", lambda graph, _: graph["nodes"][0].update(name="<img src=x onerror=alert(1)>"))
differs("a layer name of markdown", lambda graph, _: graph["nodes"][0].update(name="[click](javascript:alert(1))"))
differs("an endless layer name", lambda graph, _: graph["nodes"][0].update(name="a" * 100_000))
differs("a layer name of control characters", lambda graph, _: graph["nodes"][0].update(name="\x1b[2J\u202e\n\0"))
differs("half a character in a name", lambda graph, _: graph["nodes"][0].update(name="\ud800"))
differs("an output that nothing makes", lambda g, _: g.update(outputs=[{"as_tensor": {"name": "nowhere"}}]))
differs("no output", lambda g, m: (g.update(outputs=[]), m["signature"].update(output_specs=[])))
differs("an input that the signature lacks", lambda g, _: g["inputs"].append({"as_tensor": {"name": "extra"}}))
differs("no input", lambda g, m: (g.update(inputs=[]), m["signature"].update(input_specs=[])))
differs("a tensor without a shape", lambda g, _: g["tensor_values"].pop("conv2d"))
differs("outputs that change buffers", lambda _, m: m["signature"].update(
    output_specs=[{"buffer_mutation": {"arg": {"name": "mul"}, "buffer_name": "shift"}}]
))  # fmt: skip
differs("a weight that the file lacks", lambda _, m: m["signature"]["input_specs"][0]["parameter"].update(
    parameter_name="nowhere"
))  # fmt: skip
differs("a weight of another shape than its file", lambda g, _: g["tensor_values"]["p_conv_weight"].update(
    sizes=ints(4, 3, 9, 1)
))  # fmt: skip
differs("a subgraph", lambda g, _: g.update(is_single_tensor_return=True))


def described(name: str, **fields: Any) -> None:
    def make(parts: Parts, marker: Path) -> bytes:
        return changed(parts, NETWORK, lambda found: found.update(fields))

    REFUSED[name] = make


described("an unknown dialect", verifiers=["EVIL"])
described("another schema", schema_version={"major": 9, "minor": 0})
described("operators of a library", opset_version={"aten": 10, "evil": 1})


@refused
def a_million_layers(parts, marker):
    return packed(parts | {NETWORK: b'{"nodes": [' + b'{"target":"","inputs":[]},' * 1_000_000 + b"]}"})


@refused
def a_million_real_layers(parts, marker):
    found = json.loads(parts[NETWORK])
    node = json.dumps(found["graph_module"]["graph"]["nodes"][0]).encode()
    return packed(parts | {NETWORK: b'{"nodes": [' + (node + b",") * 100_000 + b"]}"})


@refused
def brackets_a_million_deep(parts, marker):
    return packed(parts | {NETWORK: b"[" * 1_000_000})
