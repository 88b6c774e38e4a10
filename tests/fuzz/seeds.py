"""Small real files of every format, made on the fly, and the hostile ones that the tests of the readers know."""

from __future__ import annotations

import functools
import gzip
import io
import json
import pickle
import random
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.torch
import torch
from cryptography.hazmat.primitives.serialization import Encoding
from onnx import helper, numpy_helper
from torch import nn

from app.jobs.bundle import packed as packed_workspace
from app.jobs.upload import OwnModel, Sent
from decc_core import formats, store
from decc_core.load.kinds.kind import Kind
from decc_core.load.process.loader import LoadedModel
from decc_core.models import portable
from decc_core.models.device import ONE_THREAD
from decc_core.models.torch.extract import ExtractedModel, extract
from decc_core.network.graph import TensorSpec
from decc_core.network.work import Resource
from decc_core.planner.strategies import solve
from decc_core.plans.pieces import manifest_of
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.problem.wire import TensorCoding, WireProfile, tensor_name
from decc_core.profiling.imports import template_csv, template_json
from decc_core.profiling.settings import ProfileSettings
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import TensorChunk, TensorHead
from decc_core.runtime.wire.certificates import Authority, read_certificates
from decc_core.runtime.wire.pacing import LinkShape
from tests.builders import random_graph, random_instance
from tests.fuzz.damage import LONGEST, frames, pair
from tests.load import hostile_onnx, hostile_pt2
from tests.load.archives import zipped
from tests.load.foreign_files import FOREIGN, Marker, Small, safetensors_bytes, saved
from tests.runtime.onnx_networks import fork_proto, onnx_fork

NOWHERE = Path("/nonexistent/decc-fuzz-marker")
"""Payloads would create this file, which no process can; the corpus of each format proves apart that none runs."""
PASSES = 3
Seeds = tuple[bytes, ...]


def _short(files: Iterable[bytes]) -> Seeds:
    return tuple(file for file in files if len(file) <= LONGEST)


@functools.cache
def pt2() -> Seeds:
    """The honest file several times: most damage shall be done to what would otherwise be taken."""
    parts = hostile_pt2.parts_of(hostile_pt2.honest())
    makers = (hostile_pt2.REFUSED | hostile_pt2.DISARMED).items()
    hostile = (make(dict(parts), NOWHERE) for name, make in makers if "million" not in name and "vary" not in name)
    honest = hostile_pt2.packed(parts | {hostile_pt2.SAMPLES: b""})
    return (*[honest] * 60, *[hostile_pt2.honest()] * 20, *_short(hostile))


@functools.cache
def onnx_files() -> Seeds:
    hostile = (hostile_onnx.data_of(made()) for made, _ in (hostile_onnx.CASES | hostile_onnx.LATER).values())
    small = hostile_onnx.add_weight(hostile_onnx.small()).SerializeToString()
    return (*[fork_proto().SerializeToString()] * 30, *[small] * 30, *_short(hostile))


@functools.cache
def safetensors_files() -> Seeds:
    tensors = {"w": torch.ones(2, 3), "b": torch.zeros(3, dtype=torch.int64), "none": torch.zeros(0)}
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    return (
        safetensors.torch.save(dict(Small().state_dict())),
        safetensors.torch.save(tensors, {"format": "pt"}),
        safetensors_bytes({"w": entry, "__metadata__": {"a": "b"}}, b"1234"),  # type: ignore[dict-item]
        safetensors_bytes({}, b""),
    )


@functools.cache
def checkpoints() -> Seeds:
    """Files of torch.save in both formats, with and without objects that would run."""
    weights = Small().state_dict()
    return (
        saved(weights),
        saved({"epoch": 3, "state_dict": weights, "lr": 0.5}),
        saved(weights, _use_new_zipfile_serialization=False),
        saved(Small()),
        saved({"w": torch.ones(2), "payload": Marker(NOWHERE)}),
        saved(Marker(NOWHERE), _use_new_zipfile_serialization=False),
        zipped([("a/data.pkl", pickle.dumps(Marker(NOWHERE))), ("a/version", b"3")], zipfile.ZIP_DEFLATED),
    )


@functools.cache
def pickles() -> Seeds:
    """The pickles inside of those, and plain ones of every protocol."""
    found = [pickle.dumps({"a": [1, 2.5, "x", None, b"y"], "b": (1,)}, protocol) for protocol in range(6)]
    found += [pickle.dumps(Marker(NOWHERE), protocol) for protocol in range(6)]
    for file in checkpoints():
        if zipfile.is_zipfile(io.BytesIO(file)):
            with zipfile.ZipFile(io.BytesIO(file)) as archive:
                found += [archive.read(name) for name in archive.namelist() if name.endswith(".pkl")]
        else:
            found.append(file)
    return tuple(found)


@functools.cache
def any_files() -> Seeds:
    foreign = _short(content for content, _ in FOREIGN.values())
    taken = (pt2()[0], pt2()[60], onnx_files()[0], *safetensors_files(), *checkpoints(), *pickles())
    beginnings = (b"PK\x03\x04", b"\x80\x02", b"\x80\x04", b"\x08\x08", b"\n", b"{", b"\x10\0\0\0\0\0\0\0{")
    return (*foreign, *_short(taken), *beginnings)


class Chain(nn.Module):
    """A convolution, an activation in place, a view, a matrix: each kind of layer that mapping treats apart."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(64, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu_(self.conv(image)).flatten(1))


@functools.cache
def chain() -> ExtractedModel:
    torch.manual_seed(0)
    return extract(Chain().eval(), (torch.randn(1, 3, 6, 6),), "chain")


@functools.cache
def device_profile() -> DeviceProfile:
    times = {layer.name: 0.25 for layer in chain().graph.layers if not layer.is_input}
    made = Provenance(ProvenanceKind.MEASURED, "made up", {"cores": "2"}, {"threads": "1"})
    return DeviceProfile("board", "chain", chain().graph.fingerprint, times, dict(times), sum(times.values()), made)


@functools.cache
def profiles() -> Seeds:
    return (store.to_json(device_profile()), template_json(chain().graph), store.to_json(chain().graph))


@functools.cache
def workspaces() -> Seeds:
    """One with nothing but profiles, and one with a network of two files."""
    profiles = [("own: chain", "own: board", device_profile()), ("alexnet", "own: other", device_profile())]
    place = tempfile.TemporaryDirectory()
    sent = Sent.into(place, "chain.onnx", ("chain.data",), dimensions={"length": 3})
    for file in (sent.file, *sent.beside.values()):
        file.write_bytes(b"layers")
    loaded = LoadedModel(chain().graph, Kind.ONNX, sent.file, sent.file, (), device_profile(), device_profile())
    network = {"own: chain": OwnModel(loaded, "chain.onnx", place, sent)}
    return packed_workspace({}, profiles, {"requests": "3"}), packed_workspace(network, profiles[:1], {})


@functools.cache
def tables() -> Seeds:
    graph = chain().graph
    filled = template_csv(graph).replace(b",,\n", b",0.25,0.5\n")
    lines = [line for line in filled.splitlines() if not line.startswith(b"#")]
    plain = b"\n".join(lines)
    return filled, template_csv(graph), plain.replace(b",", b";"), b"\xef\xbb\xbf" + plain.replace(b"_s", b"_ms")


@functools.cache
def kineto() -> Seeds:
    """A trace as the profiler writes it, and one that looks as if a GPU had run it."""
    from torch.profiler import ProfilerActivity, profile

    module, inputs = Chain().eval(), (torch.randn(1, 3, 6, 6),)
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        for _ in range(PASSES):
            module(*inputs)
            profiler.step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        trace = json.loads(path.read_bytes())
    operators = [one for one in trace["traceEvents"] if one.get("cat") == "cpu_op"]
    steps = [one for one in trace["traceEvents"] if one.get("name", "").startswith("ProfilerStep")]
    for one in (*operators, *steps):
        one["args"] = {key: one["args"][key] for key in ("Input Dims", "External id") if key in one["args"]}
    trace = {"traceEvents": steps + operators}
    recorded = json.dumps(trace).encode()
    trace["traceEvents"] = operators[: len(operators) // PASSES]
    for number, one in enumerate(trace["traceEvents"][:]):
        start_us = one["ts"] + one["dur"] / 2
        trace["traceEvents"] += [
            _event("cudaLaunchKernel", "cuda_runtime", start_us, 0.1, one["tid"], {"correlation": number}),
            _event("gemm", "kernel", start_us + 50, 5, 7, {"correlation": number}),
        ]
    return recorded, json.dumps(trace | {"deviceProperties": [{"name": "GPU"}], "host_name": "box"}).encode()


def _event(name: str, category: str, start_us: float, time_us: float, thread: Any, args: dict[str, Any]) -> Any:
    return {"ph": "X", "cat": category, "name": name, "ts": start_us, "dur": time_us, "pid": 1, "tid": thread,
            "args": args}  # fmt: skip


@functools.cache
def onnxruntime_profiles() -> Seeds:
    """A profiling file as ONNX Runtime writes it, for the same chain."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/run"
        session = onnxruntime.InferenceSession(_chain_proto().SerializeToString(), options)
        for _ in range(PASSES):
            session.run(None, {"image": np.zeros((1, 3, 6, 6), np.float32)})
        events = json.loads(Path(session.end_profiling()).read_bytes())
    for one in events:
        # On a busy machine any node may take longest, and then the file would fit the network less well.
        if one["cat"] == "Node":
            one["dur"] = 20 if one["args"].get("op_name") == "Conv" else 4
    return (json.dumps(events).encode(),)


def _chain_proto() -> onnx.ModelProto:
    conv, relu, view, linear = (layer.name for layer in chain().graph.layers if not layer.is_input)
    weights = [
        numpy_helper.from_array(np.ones(shape, np.float32), name)
        for name, shape in (("w", (4, 3, 3, 3)), ("m", (5, 64)), ("b", (5,)))
    ]
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], conv),
        helper.make_node("Relu", ["a"], ["r"], relu),
        helper.make_node("Flatten", ["r"], ["f"], view),
        helper.make_node("Gemm", ["f", "m", "b"], ["y"], linear, transB=1),
    ]
    image, out = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("image", [1, 3, 6, 6]), ("y", [1, 5]))
    )
    graph = helper.make_graph(nodes, "chain", [image], [out], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@functools.cache
def packed() -> Seeds:
    """Profiles of all sorts in gzip."""
    return tuple(
        gzip.compress(file, mtime=0) for file in (profiles()[0], tables()[0], *kineto(), *onnxruntime_profiles())
    )


@functools.cache
def graphs() -> Seeds:
    return store.to_json(chain().graph), store.to_json(random_graph(random.Random(1), 12))


@functools.cache
def wire_profiles() -> Seeds:
    graph = chain().graph
    codings = {"int8+zstd": {tensor_name(graph, 0): TensorCoding(100, 120, 1e-4, 1e-4, 0.01, 0.02, 0.99)}}
    made = Provenance(ProvenanceKind.MEASURED, "made up for a test")
    profile = WireProfile(graph.name, graph.fingerprint, "here", made, 10, True, codings, 0.1)
    return (store.to_json(profile),)


CODED = [
    (name, TensorSpec((1, 3, 24, 20), "uint8") if name in formats.IMAGES else TensorSpec((1, 4, 6, 5), "float32"))
    for name in formats.NAMES
]
"""What is coded in each wire format."""


def coded_tensors() -> Seeds:
    """A message of every wire format, behind a byte that names it."""
    found = []
    for place, (name, spec) in enumerate(CODED):
        values = np.linspace(0, 200, spec.n_elements).astype(spec.dtype).reshape(spec.shape)
        found.append(bytes([place]) + formats.find(name).encode(values, spec))
    return tuple(found)


def plans() -> Seeds:
    return tuple(store.to_json(one) for one in _saved_plans())


@functools.cache
def manifests() -> Seeds:
    rng = random.Random(2)
    instance = random_instance(rng, random_graph(rng, 12), 2)
    orders = {i: tuple(range(len(one.spec.shape))) for i, one in enumerate(instance.graph.tensors)}
    found = [
        manifest_of(instance.graph, solve(instance, name).plan, name, ".pt2", orders) for name in ("decc", "edge-only")
    ]
    return tuple(store.to_json(one) for one in found)


def _saved_plans() -> list[store.SavedPlan]:
    rng = random.Random(2)
    instance = random_instance(rng, random_graph(rng, 12), 2)
    graph = instance.graph
    return [
        store.SavedPlan(graph.name, graph.fingerprint, solve(instance, name).plan, name)
        for name in ("decc", "cloud-only")
    ]


SENT = {(request, 0): TensorSpec((2, 3), "float32") for request in range(2)} | {(0, 1): TensorSpec((4,), "int64")}
"""Tensors that a link expects, by request and number."""


@functools.cache
def tensors_on_a_link() -> Seeds:
    """All of those, in parts, as one worker sends them to the other."""
    found = [m.Hello("run-1")]
    for (request, number), spec in SENT.items():
        head = TensorHead(spec.dtype, spec.shape, tuple(reversed(range(len(spec.shape)))))
        half = spec.size_bytes // 2
        found += [
            TensorChunk(request, number, 0, bytes(half), head),
            TensorChunk(request, number, half, bytes(spec.size_bytes - half), due_ns=5),
        ]
    return (frames([m.encode(one) for one in found]),)


SENT_CODED = {
    number: (form, spec) for number, (name, spec) in enumerate(CODED) if (form := formats.find(name)).takes(spec)
}
"""Tensors that a link expects coded, by number: in which format, and what they are."""


@functools.cache
def coded_tensors_on_a_link() -> Seeds:
    """Each of those in two parts, as the edge sends it."""
    found = []
    for number, (form, spec) in SENT_CODED.items():
        values = np.linspace(0, 200, spec.n_elements).astype(spec.dtype).reshape(spec.shape)
        data = form.encode(values, spec)
        head = TensorHead(spec.dtype, spec.shape, (0, 1, 2, 3), (), form.name, len(data))
        half = len(data) // 2
        parts = (
            TensorChunk(0, number, 0, data[:half], head),
            TensorChunk(0, number, half, data[half:], due_ns=5),
        )
        found.append(frames([m.encode(part) for part in parts]))
    return tuple(found)


@functools.cache
def certificates() -> Seeds:
    """An authority's and a host's, as they are shown in a handshake."""
    authority = Authority.new()
    host = read_certificates(authority.sign(("192.0.2.1", "board.example.org"), 30).certificate, Path("host.pem"))[0]
    return tuple(one.public_bytes(Encoding.DER) for one in (host, authority.certificate))


@functools.cache
def messages() -> Seeds:
    """One of each that workers and the controller send."""
    device, link, handle = ONE_THREAD, LinkShape(1e6, 1e6), "0f" * 32
    found = [
        m.Description(Resource.EDGE, "1", {"cores": "2"}, 2, "boot", 1), m.LoadModel("alexnet"), m.ModelChunk(b"1234"),
        m.Loaded(handle, "f", "w"), m.ProfileModel(handle, ProfileSettings("board", device, 3)),
        m.ProfileProgress(1, 2, "conv"), m.Profiled(b"{}"),
        m.PrepareRun("run", handle, b"{}", device, {3: "int8"}, True, "fp16", 1, m.Peer("a:1"), (0, 1)),
        m.Prepared((0.1, 0.2)), m.Pace("run", link, (1, 2), 9.0), m.Pace("run", link, (1,), 9.0, (3,)),
        m.RunRef("run", (0,)), m.Beat(3), m.Started(5), m.Done(0, 7),
        m.Spans("edge", [(0, 1, 2, 3)]), m.Spans("edge", [(0, 1, 2, 3)], True), m.Sizes("uplink", [(0, 1, 4, 2)]),
        m.Arrivals("uplink", [(0, 1, 2)]), m.Finished(0.1), m.Failed("no", True),
    ]  # fmt: skip
    return tuple(frames([m.encode(one)]) for one in found)


@functools.cache
def models() -> Seeds:
    """Networks as workers take them: layers and tensors."""
    return tuple(pair(*portable.to_data(model)) for model in (chain(), chain(), onnx_fork()))
