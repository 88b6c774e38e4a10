"""A corpus of hostile `.pt2` files, each made from an honest one; a payload that runs creates the marker file.

`REFUSED` are files that must not be taken, `DISARMED` those of which everything dangerous is left out unread.
"""

from __future__ import annotations

import copy
import functools
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

ROOT = "net"
NETWORK = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
Parts = dict[str, bytes]
Maker = Callable[[Parts, Path], bytes]
REFUSED: dict[str, Maker] = {}
DISARMED: dict[str, Maker] = {}


class Honest(nn.Module):
    """In-place work, dropout, a buffer that is not saved, and a weight whose storage is larger than itself."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 2)
        self.register_buffer("shift", torch.ones(4), persistent=False)
        self.scale = torch.ones(2, 2)[1]

    def forward(self, image):
        held = torch.relu_(self.conv(image)).mean((2, 3)) + self.shift
        return {"scores": self.head(nn.functional.dropout(held, 0.5, self.training)) * self.scale}


def example() -> tuple[torch.Tensor, ...]:
    return (torch.randn(1, 3, 8, 8),)


@functools.cache
def honest() -> bytes:
    """What `torch.export.save` writes."""
    return saved(Honest().eval(), example())


def saved(module: nn.Module, inputs: tuple[Any, ...], **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(module.eval(), inputs, **options), buffer)
    return buffer.getvalue()


def parts_of(archive: bytes) -> Parts:
    with zipfile.ZipFile(io.BytesIO(archive)) as read:
        return {name.partition("/")[2]: read.read(name) for name in read.namelist()}


def packed(parts: Parts, root: str = ROOT) -> bytes:
    return zipped([(f"{root}/{name}", content) for name, content in parts.items()])


def zipped(entries: list[tuple[str, bytes]], packing: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as written:
        for name, content in entries:
            entry = zipfile.ZipInfo("a")
            entry.filename, entry.compress_type = name, packing
            written.writestr(entry, content)
    return buffer.getvalue()


class Payload:
    """Creates the marker file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.marker), "w")


def source_code(marker: Path) -> str:
    """An expression that creates the marker file when it is evaluated."""
    return f"__import__('pathlib').Path('{marker}').touch()"


def pickled(marker: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save((Payload(marker),), buffer)
    return buffer.getvalue()


def refused(make: Maker) -> Maker:
    REFUSED[make.__name__.replace("_", " ")] = make
    return make


def disarmed(make: Maker) -> Maker:
    DISARMED[make.__name__.replace("_", " ")] = make
    return make


def changed(parts: Parts, name: str, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The honest archive with one JSON part changed."""
    content = json.loads(parts[name])
    change(content)
    return packed(parts | {name: json.dumps(content).encode()})


def network(name: str, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> None:
    """Register a file whose network differs in one thing; `change` gets the graph and the module around it."""

    def make(parts: Parts, marker: Path) -> bytes:
        return changed(parts, NETWORK, lambda found: change(found["graph_module"]["graph"], found["graph_module"]))

    REFUSED[name] = make


# The ways in which torch.export.load runs what stands in a file.


@disarmed
def pickled_sample_inputs(parts, marker):
    return packed(parts | {SAMPLES: pickled(marker)})


@disarmed
def sample_inputs_of_plain_pickle(parts, marker):
    return packed(parts | {SAMPLES: pickle.dumps(Payload(marker))})


@disarmed
def guards_that_are_code(parts, marker):
    return changed(parts, NETWORK, lambda found: found.update(guards_code=[source_code(marker)]))


@disarmed
def argument_names_that_are_code(parts, marker):
    def change(found):
        found["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"] = [f"x={source_code(marker)}"]

    return changed(parts, NETWORK, change)


@disarmed
def sources_that_name_functions(parts, marker):
    def change(found):
        for node in found["graph_module"]["graph"]["nodes"]:
            node["metadata"] |= {"source_fn_stack": "a,torch.os.system", "custom": "{", "from_node": "[1]"}

    return changed(parts, NETWORK, change)


@refused
def pickled_weights(parts, marker):
    def change(found):
        found["config"]["conv.weight"]["use_pickle"] = True

    return changed(parts | {"data/weights/weight_0": pickled(marker)}, WEIGHTS, change)


@refused
def an_opaque_constant(parts, marker):
    def change(found):
        found["config"]["evil"] = {
            "path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None,
        }  # fmt: skip

    return changed(parts | {"data/constants/opaque_obj_0": pickle.dumps(Payload(marker))}, CONSTANTS, change)


@refused
def a_custom_object(parts, marker):
    def change(found):
        found["config"]["evil"] = {
            "path_name": "custom_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None,
        }  # fmt: skip

    return changed(parts | {"data/constants/custom_obj_0": pickled(marker)}, CONSTANTS, change)


@refused
def a_shape_that_is_code(parts, marker):
    def change(found):
        expression = {"as_expr": {"expr_str": source_code(marker), "hint": {"as_int": 8}}}
        found["graph_module"]["graph"]["tensor_values"]["image"]["sizes"][3] = expression

    return changed(parts, NETWORK, change)


@refused
def a_layer_name_that_is_code(parts, marker):
    code = f"image={source_code(marker)}"
    return packed(parts | {NETWORK: parts[NETWORK].replace(b'"image"', json.dumps(code).encode())})


@refused
def a_weight_name_that_is_code(parts, marker):
    code = json.dumps(f'a"), open("{marker}", "w"), str("b').encode()
    both = {name: parts[name].replace(b'"conv.weight"', code) for name in (NETWORK, WEIGHTS)}
    return packed(parts | both)


# What is refused in the network: operators, arguments, containers, shapes and edges.


def target(name: str) -> None:
    network(f"the target {name}", lambda graph, _: graph["nodes"][0].update(target=name))


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
    network(f"the argument {kind}", lambda graph, _: graph["nodes"][0]["inputs"][2].update(arg={kind: value}))


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
network("an argument of two kinds", lambda g, _: g["nodes"][0]["inputs"][2].update(arg={"as_int": 1, "as_bool": True}))
network("an argument twice", lambda g, _: g["nodes"][0]["inputs"].append(g["nodes"][0]["inputs"][0]))
network("an argument with no name", lambda g, _: g["nodes"][0]["inputs"][0].update(name="self)"))
network("a part with an unknown key", lambda g, _: g["nodes"][0].update(evil=1))


def containers(kind: str, context: str = "null") -> None:
    spec = f"[1, {json.dumps({'type': kind, 'context': context, 'children_spec': []})}]"
    network(
        f"a container {kind} {context}",
        lambda _, module: module["module_call_graph"][0]["signature"].update(out_spec=spec),
    )


containers("collections.defaultdict", '{"default_factory_module": "os", "default_factory_name": "system"}')
containers("collections.namedtuple", '"os.stat_result"')
containers("enum.Enum", '{"__enum__": true, "fqn": "os:system"}')
containers("builtins.tuple")
network(
    "containers ten thousand deep",
    lambda _, module: module["module_call_graph"][0]["signature"].update(
        in_spec="[1, " + '{"type":"builtins.list","context":null,"children_spec":[' * 10_000 + "]}" * 10_000 + "]"
    ),
)
network("no description of the call", lambda _, module: module.update(module_call_graph=[]))


def shape(name: str, **fields: Any) -> None:
    """A tensor of the network, and apart from it the weight in the file, of an impossible shape."""
    network(f"a tensor with {name}", lambda graph, _: graph["tensor_values"]["conv2d"].update(fields))

    def make(parts: Parts, marker: Path) -> bytes:
        return changed(parts, WEIGHTS, lambda found: found["config"]["conv.weight"]["tensor_meta"].update(fields))

    REFUSED[f"a weight with {name}"] = make


def ints(*values: int) -> list[dict[str, int]]:
    return [{"as_int": value} for value in values]


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
network("a shape of expressions", lambda g, _: g.update(sym_int_values={"s0": {"as_expr": {"expr_str": "s0"}}}))
network("objects in the graph", lambda g, _: g.update(custom_obj_values={"o": {"name": "o", "class_fqn": "C"}}))


def reads(name: str) -> Callable[[Any, Any], None]:
    return lambda graph, _: graph["nodes"][0]["inputs"][0].update(arg={"as_tensor": {"name": name}})


network("a cycle of one layer", reads("conv2d"))
network("a cycle of two layers", reads("relu_"))
network("a layer that reads a later one", reads("linear"))
network("a layer that reads nothing known", reads("nowhere"))
network("layers in reverse", lambda graph, _: graph["nodes"].reverse())
network("a layer twice", lambda graph, _: graph["nodes"].append(copy.deepcopy(graph["nodes"][0])))
network("a keyword as a name", lambda graph, _: graph["nodes"][0].update(name="import"))
network("a layer name of HTML", lambda graph, _: graph["nodes"][0].update(name="<img src=x onerror=alert(1)>"))
network("a layer name of markdown", lambda graph, _: graph["nodes"][0].update(name="[click](javascript:alert(1))"))
network("an endless layer name", lambda graph, _: graph["nodes"][0].update(name="a" * 100_000))
network("a layer name of control characters", lambda graph, _: graph["nodes"][0].update(name="\x1b[2J\u202e\n\0"))
network("half a character in a name", lambda graph, _: graph["nodes"][0].update(name="\ud800"))
network("an output that nothing makes", lambda g, _: g.update(outputs=[{"as_tensor": {"name": "nowhere"}}]))
network("no output", lambda g, m: (g.update(outputs=[]), m["signature"].update(output_specs=[])))
network("an input that the signature lacks", lambda g, _: g["inputs"].append({"as_tensor": {"name": "extra"}}))
network("no input", lambda g, m: (g.update(inputs=[]), m["signature"].update(input_specs=[])))
network("a tensor without a shape", lambda g, _: g["tensor_values"].pop("conv2d"))
network("outputs that change buffers", lambda _, m: m["signature"].update(
    output_specs=[{"buffer_mutation": {"arg": {"name": "mul"}, "buffer_name": "shift"}}]
))  # fmt: skip
network("a weight that the file lacks", lambda _, m: m["signature"]["input_specs"][0]["parameter"].update(
    parameter_name="nowhere"
))  # fmt: skip
network("a weight of another shape than its file", lambda g, _: g["tensor_values"]["p_conv_weight"].update(
    sizes=ints(4, 3, 9, 1)
))  # fmt: skip
network("a subgraph", lambda g, _: g.update(is_single_tensor_return=True))


def described(name: str, **fields: Any) -> None:
    def make(parts: Parts, marker: Path) -> bytes:
        return changed(parts, NETWORK, lambda found: found.update(fields))

    REFUSED[name] = make


described("ranges of sizes", range_constraints={"s0": {"min_val": 1, "max_val": 9}})
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


# What is refused in the weights.


def weight(name: str, **fields: Any) -> None:
    def make(parts: Parts, marker: Path) -> bytes:
        return changed(parts, WEIGHTS, lambda found: found["config"]["conv.weight"].update(fields))

    REFUSED[name] = make


weight("a weight in another folder", path_name="../constants/tensor_0")
weight("a weight in no part", path_name="weight_99")
weight("a weight in the list of weights", path_name="model_weights_config.json")
weight("a weight without a shape", tensor_meta=None)


@refused
def a_weight_shorter_than_its_shape(parts, marker):
    return packed(parts | {"data/weights/weight_0": b"\0" * 16})


@refused
def a_weight_of_half_an_element(parts, marker):
    return packed(parts | {"data/weights/weight_0": b"\0" * 4321})


@refused
def a_weight_without_values(parts, marker):
    return packed(parts | {"data/weights/weight_0": b""})


@refused
def a_part_that_is_no_weight(parts, marker):
    return packed(parts | {"data/weights/weight_77": b"\0" * 16})


@refused
def a_weight_named_like_a_python_attribute(parts, marker):
    both = {name: parts[name].replace(b"conv.weight", b"__class__.forward") for name in (NETWORK, WEIGHTS)}
    return packed(parts | both)


@refused
def a_weight_shared_a_million_ways(parts, marker):
    def change(found):
        one = found["config"]["conv.weight"]
        one["tensor_meta"] |= {"sizes": ints(4, 3, 1 << 26), "strides": ints(0, 0, 0)}

    return changed(parts, WEIGHTS, change)


@refused
def two_types_on_the_same_bytes(parts, marker):
    def change(found):
        config = found["config"]
        config["conv.bias"] = copy.deepcopy(config["conv.weight"])
        config["conv.bias"]["tensor_meta"]["dtype"] = 4

    return changed(parts, WEIGHTS, change)


# Pickles where text or numbers belong.

for place in (NETWORK, WEIGHTS, CONSTANTS, "archive_format", "archive_version", "byteorder", ".data/version"):

    def pickle_in(parts: Parts, marker: Path, place: str = place) -> bytes:
        return packed(parts | {place: pickle.dumps(Payload(marker))})

    REFUSED[f"a pickle in {place}"] = pickle_in

for place in (
    "data.pkl",
    "extra/notes.txt",
    "data/weights/model.pt",
    "data/constants/model.pt",
    "data/aotinductor/model/a.so",
    "data/xl_model_weights/a",
    "models/other.json",
    "version",
    "serialized_exported_program.json",
    "data/weights/weight_0/a",
    "data/weights/weight_00",
    "code/model.py",
):

    def pickle_beside(parts: Parts, marker: Path, place: str = place) -> bytes:
        return packed(parts | {place: pickle.dumps(Payload(marker))})

    REFUSED[f"a pickle beside the rest as {place}"] = pickle_beside


@refused
def the_format_of_torch_2_7(parts, marker):
    return zipped([("version", b"8.7"), ("serialized_exported_program.json", b"{}"), ("serialized_state_dict.pt", b"")])


# The archive itself.


def entry_named(name: str) -> Maker:
    def make(parts: Parts, marker: Path) -> bytes:
        return zipped([*((f"{ROOT}/{part}", content) for part, content in parts.items()), (name, b"evil")])

    return make


for name in (
    f"{ROOT}/../../evil",
    "../evil",
    "/tmp/evil",
    "C:/evil",
    "C:\\evil",
    f"{ROOT}\\..\\evil",
    f"{ROOT}/evil\0.txt",
    f"{ROOT}//evil",
    f"{ROOT}/./evil",
    f"{ROOT}/folder/",
    "evil",
    "other/evil",
    f"{ROOT}/" + "a" * 5_000,
    f"{ROOT}/\x1b[31m",
    f"{ROOT}/<script>alert(1)</script>",
):
    REFUSED[f"a part named {name[:30]!r}"] = entry_named(name)


@refused
def a_name_that_is_not_unicode(parts, marker):
    return packed(parts, "néé").replace("néé".encode(), b"n\xff\xfe\xff\xfe")


@refused
def a_name_in_an_old_alphabet(parts, marker):
    return packed(parts, "xyz").replace(b"xyz/", b"x\x81z/")


@refused
def a_part_twice(parts, marker):
    return entry_named(f"{ROOT}/{NETWORK}")(parts, marker)


@refused
def a_bomb_of_zeros(parts, marker):
    entries = [(f"{ROOT}/{name}", content) for name, content in parts.items()]
    return zipped([*entries, (f"{ROOT}/data/weights/weight_9", b"\0" * (64 << 20))], zipfile.ZIP_DEFLATED)


@refused
def a_bomb_inside_a_bomb(parts, marker):
    inner = zipped([("a", b"\0" * (64 << 20))], zipfile.ZIP_DEFLATED)
    return packed(parts | {"data/weights/inner.zip": inner})


@refused
def parts_on_top_of_each_other(parts, marker):
    """Two entries of the table of contents share one content, as the densest bombs do."""
    archive = bytearray(packed(parts | {SAMPLES: b""}))
    first, second = found_all(archive, b"PK\x01\x02")[:2]
    archive[second + 42 : second + 46] = archive[first + 42 : first + 46]
    return bytes(archive)


def patched(signature: bytes, offset: int, value: int) -> Maker:
    """The second part's header with another number."""

    def make(parts: Parts, marker: Path) -> bytes:
        archive = bytearray(packed(parts | {SAMPLES: b""}))
        at = found_all(archive, signature)[1] + offset
        struct.pack_into("<I", archive, at, value)
        return bytes(archive)

    return make


def found_all(archive: bytearray, signature: bytes) -> list[int]:
    places, at = [], archive.find(signature)
    while at >= 0:
        places.append(at)
        at = archive.find(signature, at + 1)
    return places


REFUSED["a table that says that a part is shorter"] = patched(b"PK\x01\x02", 24, 1)
REFUSED["a table that says that a part is enormous"] = patched(b"PK\x01\x02", 24, 0xFFFFFFF0)
REFUSED["a table that says that a part is enormous when packed"] = patched(b"PK\x01\x02", 20, 0xFFFFFFF0)
REFUSED["a table with another checksum"] = patched(b"PK\x01\x02", 16, 1)
REFUSED["a table that leads behind the end"] = patched(b"PK\x01\x02", 42, 0x7FFFFFFF)
REFUSED["a part that says that it is shorter"] = patched(b"PK\x03\x04", 22, 1)
REFUSED["a part that says that it is enormous"] = patched(b"PK\x03\x04", 18, 0xFFFFFFF0)
REFUSED["a part that says that it is encrypted"] = patched(b"PK\x03\x04", 6, 1)


def end_with(offset: int, form: str, value: int) -> Maker:
    def make(parts: Parts, marker: Path) -> bytes:
        archive = bytearray(packed(parts))
        struct.pack_into(form, archive, archive.rfind(b"PK\x05\x06") + offset, value)
        return bytes(archive)

    return make


REFUSED["an end that counts more parts"] = end_with(10, "<H", 9999)
REFUSED["an end that counts fewer parts"] = end_with(10, "<H", 1)
REFUSED["an end with a shorter table"] = end_with(12, "<I", 46)
REFUSED["an end with a table elsewhere"] = end_with(16, "<I", 0)
REFUSED["an end with a comment"] = end_with(20, "<H", 9)


@refused
def a_damaged_weight(parts, marker):
    archive = bytearray(packed(parts))
    at = archive.find(parts["data/weights/weight_0"])
    archive[at] ^= 1
    return bytes(archive)


@refused
def an_empty_file(parts, marker):
    return b""


@refused
def text_instead_of_an_archive(parts, marker):
    return b"<html><script>alert(1)</script></html>"


@refused
def two_letters(parts, marker):
    return b"PK"


@refused
def only_the_beginning_of_an_archive(parts, marker):
    return b"PK\x03\x04"


@refused
def an_archive_of_nothing(parts, marker):
    return zipped([])


@refused
def half_a_file(parts, marker):
    return honest()[: len(honest()) // 2]


@refused
def a_file_without_its_last_byte(parts, marker):
    return honest()[:-1]


@refused
def a_file_with_something_behind(parts, marker):
    return honest() + pickle.dumps(Payload(marker))


@refused
def a_file_with_something_in_front(parts, marker):
    return b"#!/bin/sh\n" + honest()


@refused
def shapes_that_vary(parts, marker):
    dims = {"image": {0: torch.export.Dim("batch", min=2, max=8)}}
    return saved(Honest(), (torch.randn(4, 3, 8, 8),), dynamic_shapes=dims)
