"""What is fuzzed: for each format the files to begin with, the damage to do, and what must hold for any bytes at all.

Every target takes bytes and returns; a `DeccError` with one plain sentence is as good, anything else is a find. Where
a file is taken, what was read is checked by something independent.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from math import fsum, isclose, prod
from pathlib import Path
from typing import Any

from app.jobs import bundle
from decc_core import formats, store
from decc_core.errors import DeccError, WireError
from decc_core.load.kinds import pickles
from decc_core.load.kinds.detect import kind_of
from decc_core.load.kinds.kind import Kind
from decc_core.load.limits import Limits
from decc_core.load.onnx import file as onnx_file
from decc_core.load.pt2.archive import clean
from decc_core.load.weights.files import open_weights
from decc_core.models import portable
from decc_core.models.tensors import dtype_name
from decc_core.network.graph import LayerGraph
from decc_core.plans.pieces import SplitManifest
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.wire import WireProfile
from decc_core.profiling.imports import read_profile
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire import methods
from decc_core.runtime.wire.assembly import Assembler, TensorChunk
from decc_core.runtime.wire.certificates import called, misnamed, read_shown, untimely
from decc_core.runtime.wire.torch_tensors import Coded, decoded, from_bytes
from decc_core.store import SavedPlan
from tests.fuzz import damage, seeds

LIMITS = Limits()
LONGEST_SENTENCE = 2000
Target = Callable[[bytes], None]


@dataclass(frozen=True)
class Format:
    read: Target
    seeds: Callable[[], seeds.Seeds]
    damaged: damage.Mutator


def checked(form: Format, data: bytes) -> bool:
    """Whether the file is taken; anything but that or one plain sentence is raised."""
    try:
        form.read(data)
    except DeccError as error:
        text = str(error)
        assert text.isprintable(), f"not on one plain line: {text!r:.300}"
        assert 0 < len(text) <= LONGEST_SENTENCE, f"{len(text)} letters: {text:.300}"
        assert "cannot be read (" not in text, f"only the last net caught it: {text:.300}"
        return False
    return True


class _Files:
    """One file, written anew for each input, for readers that want a path."""

    def __init__(self) -> None:
        self.held: tempfile.TemporaryDirectory[str] | None = None

    def path(self, name: str) -> Path:
        if self.held is None:
            memory = Path("/dev/shm")
            usable = memory.is_dir() and os.access(memory, os.W_OK)
            self.held = tempfile.TemporaryDirectory(prefix="decc-fuzz-", dir=memory if usable else None)
        return Path(self.held.name) / name

    def written(self, data: bytes) -> Path:
        path = self.path("sent")
        path.write_bytes(data)
        return path


_files = _Files()


def any_file(data: bytes) -> None:
    assert isinstance(kind_of(_files.written(data), "sent.bin", LIMITS), Kind)


def pt2(data: bytes) -> None:
    """What is left of a file that is taken has nothing more to clean, and nothing in it but what is expected."""
    once, twice = _files.path("once.pt2"), _files.path("twice.pt2")
    source = _files.written(data)
    with suppress(FileNotFoundError):
        once.unlink()
    try:
        clean(source, once, LIMITS)
    except DeccError:
        assert not once.exists()
        raise
    clean(once, twice, LIMITS)
    assert once.read_bytes() == twice.read_bytes()


def onnx(data: bytes) -> None:
    """A file that is taken is taken again as it was cleaned, and has the same layers."""
    proto, _ = onnx_file.validate(data, LIMITS)
    again, notes = onnx_file.validate(proto.SerializeToString(), LIMITS)
    assert not notes
    assert again == proto


BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "BF16": 16}
"""Of types whose names do not begin with a letter and their bits."""


def safetensors_file(data: bytes) -> None:
    """Every tensor of a file that is taken has the bytes of its shape, in a place of its own, and nothing is left."""
    path = _files.written(data)
    kind_of(path, "sent.safetensors", LIMITS)
    begin = end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    header.pop("__metadata__", None)
    specs = open_weights(path, Kind.SAFETENSORS).specs
    assert set(specs) == set(header)
    for name, tensor in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        start, stop = (begin + offset for offset in tensor["data_offsets"])
        bits = BITS.get(tensor["dtype"]) or int(re.findall(r"\d+", tensor["dtype"])[0])
        assert start == end
        assert 8 * (stop - start) == prod(specs[name].shape) * bits
        end = stop
    assert end == len(data)


def weights(data: bytes) -> None:
    """A file of torch.save: what is taken as weights asks for nothing but tensors."""
    any_file(data)


def pickle_walk(data: bytes) -> None:
    """Everything that a real unpickler would look up stands in the list that was read off without running it.

    Of a pickle that breaks off, which is never taken, an unpickler may read more: it takes the end of a file for
    that of a line. Where a module's name has spaces, it cannot be told where the name behind it begins, and letters
    beyond ASCII depend on an unpickler's encoding. A name that the pickle computes stands there as `?`, and is none of
    those that weights may ask for.
    """
    pickle = pickles.scan(BytesIO(data))
    pickles.checkpoint_kind(pickle)
    wanted, found = ({_plain(name) for name in names} for names in (_Looked(data).wanted, pickle.globals))
    unseen = wanted - found
    if any("?" in name for name in found):
        assert any("?" in name for name in pickle.harmful)
        return
    assert not pickle.whole or not unseen, f"{unseen} were looked up, {pickle.globals} were found"


def _plain(name: str) -> str:
    return "".join(letter for letter in name.replace(" ", ".") if " " < letter <= "~")


class _Stub:
    """Stands for whatever a pickle makes; it takes anything and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Stub:
        return object.__new__(cls)

    def __call__(self, *_: Any, **__: Any) -> _Stub:
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def append(self, *_: Any) -> None:
        pass

    add = extend = append

    def __setitem__(self, *_: Any) -> None:
        pass


class _Looked(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """Python's own unpickler, which looks nothing up: it only writes down what it was asked for."""

    def __init__(self, data: bytes) -> None:
        self.wanted: dict[str, None] = {}
        # A length that the file does not have would be allocated at once.
        if not any(opcode in data for opcode in (b"\x96", b"\x97")):
            super().__init__(BytesIO(data), encoding="utf-8", errors="replace")
            with suppress(Exception):
                self.load()

    def find_class(self, module: str, name: str) -> Any:
        self.wanted[f"{module}.{name}"[: pickles.MAX_NAME]] = None
        return _Stub

    def get_extension(self, code: int) -> None:
        self.wanted[f"copyreg.extension {code}"] = None
        self.append(_Stub)

    def persistent_load(self, saved_id: Any) -> Any:
        return _Stub()


def profile(data: bytes) -> None:
    """Whatever the file is: a profile that is taken fits the network, and its medians add up to the whole."""
    graph = seeds.chain().graph
    found = read_profile(data, "sent.json", graph)
    found.profile.require_graph(graph)
    assert all(time_s >= 0 for time_s in (*found.profile.median_s.values(), *found.profile.p95_s.values()))
    assert found.profile.total_s > 0
    origin = found.profile.provenance
    told = (
        *found.notes,
        *(text for problem in found.problems for text in problem),
        found.profile.device,
        origin.source,
    )
    assert max(map(len, told)) < LONGEST_SENTENCE, f"{max(told, key=len):.300}"


def trace(data: bytes) -> None:
    """As of any profile; and no time is lost or made up where it came from a trace."""
    profile(data)
    found = read_profile(data, "sent.json", seeds.chain().graph).profile
    assert isclose(fsum(found.median_s.values()), found.whole_s, rel_tol=1e-6) or found.calibration == 1.0


def workspace(data: bytes) -> None:
    """Of an archive that is taken every part is there in full, and a profile in it is one of the network or refused."""
    archive, contents = bundle.looked_into("sent.zip", data, LIMITS)
    for name, part in archive.parts.items():
        assert sum(map(len, archive.chunks(name))) == part.size
    for i in range(len(contents.profiles)):
        with suppress(DeccError):
            bundle.profile_in(archive, f"profile-{i}.json", seeds.chain().graph, DeviceProfile)


def stored(kind: type) -> Target:
    def read(data: bytes) -> None:
        """A value that is taken is written and read back as it is."""
        found: Any = store.from_json(data, kind, "sent.json")
        assert store.from_json(store.to_json(found), kind, "again.json") == found

    return read


def model(data: bytes) -> None:
    """What workers take: a model that is taken says the same of itself when it is written again."""
    found = portable.from_data(*damage.parted(data))
    again = portable.from_data(*portable.to_data(found))
    assert again.graph == found.graph


MESSAGES = tuple(
    dict.fromkeys(
        kind
        for method in vars(methods).values()
        if isinstance(method, methods.Method)
        for kind in (method.asks, method.answers, method.more)
        if kind not in (None, bytes)
    )
)
"""All that a worker is asked and answers, by the table of its calls."""


def message(data: bytes) -> None:
    """What is read as a message of some kind says the same when it is sent on."""
    refused = None
    for kind in MESSAGES:
        for frame in damage.unframed(data):
            try:
                found = m.decode(frame, kind, "edge worker")
            except WireError as error:
                refused = error
            else:
                assert m.encode(m.decode(m.encode(found), kind, "edge worker")) == m.encode(found)
                return
    if refused is not None:
        raise refused


def tensors(data: bytes) -> None:
    """Whatever arrives on a link: only tensors that the plan expects come out, each once and of the right shape."""
    link, arrived = Assembler("uplink", seeds.SENT, 2), set()
    for frame in damage.unframed(data):
        part = m.decode(frame, methods.LINK.answers, "edge worker")
        if not isinstance(part, TensorChunk) or (found := link.add(part)) is None:
            continue
        key = (part.request, part.tensor)
        tensor = from_bytes(*found)
        assert tuple(tensor.shape) == seeds.SENT[key].shape
        assert key not in arrived
        arrived.add(key)


def coded_tensors(data: bytes) -> None:
    """Whatever arrives coded: only tensors of the declared dtype and shape come out of it."""
    specs = {(0, number): spec for number, (_, spec) in seeds.SENT_CODED.items()}
    link = Assembler("uplink", specs, 1, {number: form for number, (form, _) in seeds.SENT_CODED.items()})
    for frame in damage.unframed(data):
        part = m.decode(frame, methods.LINK.more, "edge worker")
        if (found := link.add(part)) is not None:
            form, spec = seeds.SENT_CODED[part.tensor]
            tensor = decoded(Coded(*found), form)
            assert (tuple(tensor.shape), dtype_name(tensor)) == (spec.shape, spec.dtype)


def certificate(data: bytes) -> None:
    """What a worker shows in a handshake: all that is said of it is one line that a terminal can print."""
    shown = read_shown(data)
    for said in (misnamed(shown, "127.0.0.1"), called(shown.issuer), untimely(shown, datetime.now(UTC)) or "none"):
        assert said.isprintable()
        assert len(said) < LONGEST_SENTENCE


def _mixed(*inner: damage.Mutator) -> damage.Mutator:
    return lambda data, rng: rng.choice(inner)(data, rng)


def _by_content(data: bytes, rng: Any) -> bytes:
    """The damage that suits what the file is."""
    if data[:4] == b"PK\x03\x04":
        return damage.in_zip(data, rng)
    if data[8:9] == b"{":
        return damage.in_safetensors(data, rng)
    if data[:1] in b"{[":
        return damage.in_json(data, rng)
    return _mixed(damage.in_pickle, damage.in_protobuf, damage.of_bytes)(data, rng)


_in_profile = _mixed(damage.in_json, damage.in_trace)


def coded_tensor(data: bytes) -> None:
    """A byte that names the wire format, then its message."""
    name, spec = seeds.CODED[data[0] % len(seeds.CODED)] if data else seeds.CODED[0]
    values = formats.find(name).decode(data[1:], spec)
    assert (values.shape, values.dtype) == (spec.shape, formats.carrier(spec.dtype))


FORMATS: dict[str, Format] = {
    "any-file": Format(any_file, seeds.any_files, damage.either(_by_content)),
    "pt2": Format(pt2, seeds.pt2, damage.either(damage.in_zip, 0.95)),
    "onnx": Format(onnx, seeds.onnx_files, damage.either(damage.in_protobuf)),
    "safetensors": Format(safetensors_file, seeds.safetensors_files, damage.either(damage.in_safetensors)),
    "state-dict": Format(weights, seeds.checkpoints, damage.either(_by_content)),
    "pickle": Format(pickle_walk, seeds.pickles, damage.either(damage.in_pickle)),
    "profile-json": Format(profile, seeds.profiles, damage.either(damage.in_json)),
    "profile-csv": Format(profile, seeds.tables, damage.either(damage.in_table)),
    "kineto": Format(trace, seeds.kineto, damage.either(damage.in_trace)),
    "onnxruntime": Format(trace, seeds.onnxruntime_profiles, damage.either(damage.in_trace)),
    "profile-gz": Format(profile, seeds.packed, damage.either(damage.in_gzip(damage.either(_in_profile)))),
    "workspace": Format(workspace, seeds.workspaces, damage.either(damage.in_zip, 0.95)),
    "stored-graph": Format(stored(LayerGraph), seeds.graphs, damage.either(damage.in_json)),
    "stored-profile": Format(stored(DeviceProfile), seeds.profiles, damage.either(damage.in_json)),
    "stored-wire-profile": Format(stored(WireProfile), seeds.wire_profiles, damage.either(damage.in_json)),
    "coded-tensor": Format(coded_tensor, seeds.coded_tensors, damage.of_bytes),
    "stored-plan": Format(stored(SavedPlan), seeds.plans, damage.either(damage.in_json)),
    "stored-split": Format(stored(SplitManifest), seeds.manifests, damage.either(damage.in_json)),
    "message": Format(message, seeds.messages, damage.either(damage.in_messages)),
    "certificate": Format(certificate, seeds.certificates, damage.of_bytes),
    "tensors": Format(tensors, seeds.tensors_on_a_link, damage.either(damage.in_messages)),
    "coded-tensors": Format(coded_tensors, seeds.coded_tensors_on_a_link, damage.either(damage.in_messages)),
    "model": Format(
        model,
        seeds.models,
        damage.either(damage.in_pair(damage.either(damage.in_json), _mixed(damage.in_safetensors, damage.in_protobuf))),
    ),
}
