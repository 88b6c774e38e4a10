"""Profiles that were measured elsewhere: tables, ONNX Runtime's profiling files and traces of PyTorch's profiler.

Here is told what a file is, how much of it is taken, and who reads it. Any bytes end in a profile or a `DeccError`.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import msgspec

from decc_core import files, library, store
from decc_core.errors import InvalidProfile, UnreadableFile
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile, Provenance
from decc_core.profiling.imports.imported import MAX_TIME_S, Imported, Reading, few, short
from decc_core.profiling.imports.kineto import read_kineto
from decc_core.profiling.imports.onnxruntime import is_onnxruntime, read_onnxruntime
from decc_core.profiling.imports.tables import read_csv, template_csv, template_json
from decc_core.profiling.imports.traces import read_events, without_infinities

__all__ = [
    "FILE_ENDINGS",
    "Imported",
    "find_profile",
    "import_profile",
    "read_profile",
    "template_csv",
    "template_json",
]

MAX_BYTES = 128_000_000
"""Of a file, unpacked. A trace of ten passes over a network of a thousand layers holds about a tenth of that."""
MAX_TABLE_BYTES = 16_000_000
"""Of a table and of a profile: one line for each layer."""
MAX_SOURCE, MAX_VALUE, MAX_FACTS = 1000, 200, 50
"""Letters of the sentence on a profile's origin, of one fact beside it, and how many of those are kept."""
FILE_ENDINGS = (".json", ".csv", ".tsv", ".json.gz")
GZIP = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Head(msgspec.Struct):
    """What tells a trace from a profile."""

    traceEvents: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def find_profile(model: str, device: str, graph: LayerGraph | None = None) -> DeviceProfile:
    """A profile by the name of a device, shipped for the network or estimated, or from a file that holds one.

    A file's times are for the `graph`, where the network is not known by its name.
    """
    if is_profile_file(model, device):
        return import_profile(graph or library.load_graph(model), Path(device)).profile
    return library.load_profile(model, device, graph)


def is_profile_file(model: str, device: str) -> bool:
    """Whether a device of a network stands for a file; names of shipped devices go first."""
    is_file = device.endswith(FILE_ENDINGS) or files.is_file(device)
    return is_file and device not in library.shipped_devices(model) and device not in library.catalogue()


def import_profile(graph: LayerGraph, path: Path, device: str | None = None) -> Imported:
    """A profile of a network from a file, of no more bytes than are taken; `device` is what to call it."""
    return read_profile(files.read(path, MAX_BYTES), path.name, graph, device)


def read_profile(
    data: bytes, file_name: str, graph: LayerGraph, device: str | None = None, limit_bytes: int = MAX_BYTES
) -> Imported:
    """The profile of `graph` in a file: DECC's own JSON, a CSV table, an ONNX Runtime profile or a PyTorch trace.

    `device` names the profile, which otherwise is called as the file says, or as the file. Raises `UnreadableFile` for
    what is none of these, `InvalidProfile` for times that do not fit the network, with the layers (`UnmappedTimes`).
    """
    file = short(file_name, 100)
    reading = Reading(file, graph, device or file.removesuffix(".gz").rsplit(".", 1)[0] or "imported")
    try:
        data = _unpacked(data, file, limit_bytes)
        start = data[:1000].lstrip()[:1]
        if not start:
            raise UnreadableFile(f"{file} is empty.")
        readable = without_infinities(data, file) if start in (b"[", b"{") else data
        if start == b"[" or (start == b"{" and _is_trace(readable, file)):
            trace = read_events(readable, file)
            return (read_onnxruntime if is_onnxruntime(trace) else read_kineto)(trace, reading)
        _require_size(data, file, min(limit_bytes, MAX_TABLE_BYTES))
        return Imported(_own_profile(data, file, graph, device)) if start == b"{" else read_csv(data, reading)
    except RecursionError:
        raise UnreadableFile(f"{file} is nested too deep to be a profile or a trace.") from None


def _unpacked(data: bytes, file: str, limit_bytes: int) -> bytes:
    """The bytes without compression and byte order mark, never more than the limit."""
    if data[:2] == GZIP:
        unzip = zlib.decompressobj(wbits=31)
        try:
            data = unzip.decompress(data, limit_bytes + 1)
        except zlib.error as error:
            raise UnreadableFile(f"{file} is a damaged gzip file: {short(str(error))}.") from None
        if len(data) <= limit_bytes and not unzip.eof:
            raise UnreadableFile(f"{file} is a gzip file that ends early; copy it again.")
    _require_size(data, file, limit_bytes)
    return data[len(BYTE_ORDER_MARK) :] if data.startswith(BYTE_ORDER_MARK) else data


def _require_size(data: bytes, file: str, limit_bytes: int) -> None:
    if len(data) > limit_bytes:
        raise UnreadableFile(
            f"{file} holds more than {limit_bytes / 1e6:,.0f} MB, the limit for such a file; record fewer passes, "
            "and no stacks."
        )


def _is_trace(data: bytes, file: str) -> bool:
    try:
        return msgspec.json.decode(data, type=_Head).traceEvents is not msgspec.UNSET
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{file} is not JSON: {short(str(error), 200)}.") from None


def _own_profile(data: bytes, file: str, graph: LayerGraph, device: str | None) -> DeviceProfile:
    profile = store.from_json(data, DeviceProfile, file)
    profile.require_graph(graph)
    times = {**profile.median_s, **{f"{name} (p95)": time_s for name, time_s in profile.p95_s.items()}}
    huge = [name for name, time_s in times.items() if time_s > MAX_TIME_S]
    if huge or profile.whole_s > MAX_TIME_S:
        raise InvalidProfile(f"{file} has times above {MAX_TIME_S:,.0f} s: {few(huge or ['whole_s'])}.")
    if profile.total_s <= 0:
        raise InvalidProfile(f"All times in {file} are 0: fill in the seconds of each layer under 'median_s'.")
    # Who fills in a template gives times of layers; the whole is their sum then.
    profile = profile if profile.whole_s > 0 else replace(profile, whole_s=profile.total_s)
    return replace(profile, device=short(device or profile.device) or "imported", provenance=_told(profile.provenance))


def _told(origin: Provenance) -> Provenance:
    """What the profile says of its origin, as long as anyone would read it."""
    machine, settings = (
        {short(name): short(value, MAX_VALUE) for name, value in list(told.items())[:MAX_FACTS]}
        for told in (origin.machine, origin.settings)
    )
    return replace(origin, source=short(origin.source, MAX_SOURCE), machine=machine, settings=settings)
