"""The entry: what a file is, how much of it is taken, and who reads it. Any bytes end in a profile or a `DeccError`."""

from __future__ import annotations

import zlib
from dataclasses import replace

import msgspec

from decc_core import store
from decc_core.errors import InvalidProfile, UnreadableFile
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile, Provenance
from decc_core.profiling.imports.csv_times import read_csv
from decc_core.profiling.imports.imported import MAX_TIME_S, Imported, few, short
from decc_core.profiling.imports.kineto import read_kineto
from decc_core.profiling.imports.onnxruntime import is_onnxruntime, read_onnxruntime
from decc_core.profiling.imports.trace_events import read_events

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


def read_profile(
    data: bytes, file_name: str, graph: LayerGraph, device: str | None = None, limit_bytes: int = MAX_BYTES
) -> Imported:
    """The profile of `graph` in a file: DECC's own JSON, a CSV table, an ONNX Runtime profile or a PyTorch trace.

    `device` names the profile, which otherwise is called as the file says, or as the file. Raises `UnreadableFile` for
    what is none of these, `InvalidProfile` for times that do not fit the network, with the layers (`UnmappedTimes`).
    """
    file_name = short(file_name, 100)
    try:
        return _read(_unpacked(data, file_name, limit_bytes), file_name, graph, device, limit_bytes)
    except RecursionError:
        raise UnreadableFile(f"{file_name} is nested too deep to be a profile or a trace.") from None


def _read(data: bytes, file_name: str, graph: LayerGraph, device: str | None, limit_bytes: int) -> Imported:
    start = data[:1000].lstrip()[:1]
    if not start:
        raise UnreadableFile(f"{file_name} is empty.")
    if start not in b"{[":
        _require_size(data, file_name, min(limit_bytes, MAX_TABLE_BYTES))
        return read_csv(data, file_name, graph, device or _stem(file_name))
    if start == b"{" and not _is_trace(data, file_name):
        _require_size(data, file_name, min(limit_bytes, MAX_TABLE_BYTES))
        return Imported(_own_profile(data, file_name, graph, device))
    trace = read_events(data, file_name)
    reader = read_onnxruntime if is_onnxruntime(trace) else read_kineto
    return reader(trace, file_name, graph, device or _stem(file_name))


def _unpacked(data: bytes, file_name: str, limit_bytes: int) -> bytes:
    """The bytes without compression and byte order mark, never more than the limit."""
    if data[:2] == GZIP:
        unzip = zlib.decompressobj(wbits=31)
        try:
            data = unzip.decompress(data, limit_bytes + 1)
        except zlib.error as error:
            raise UnreadableFile(f"{file_name} is a damaged gzip file: {short(str(error))}.") from None
        if len(data) <= limit_bytes and not unzip.eof:
            raise UnreadableFile(f"{file_name} is a gzip file that ends early; copy it again.")
    _require_size(data, file_name, limit_bytes)
    return data[len(BYTE_ORDER_MARK) :] if data.startswith(BYTE_ORDER_MARK) else data


def _require_size(data: bytes, file_name: str, limit_bytes: int) -> None:
    if len(data) > limit_bytes:
        raise UnreadableFile(
            f"{file_name} holds more than {limit_bytes / 1e6:,.0f} MB, the limit for such a file; record fewer passes, "
            "and no stacks."
        )


def _is_trace(data: bytes, file_name: str) -> bool:
    try:
        return msgspec.json.decode(data, type=_Head).traceEvents is not msgspec.UNSET
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{file_name} is not JSON: {short(str(error), 200)}.") from None


def _own_profile(data: bytes, file_name: str, graph: LayerGraph, device: str | None) -> DeviceProfile:
    found = store.from_json(data, DeviceProfile, file_name)
    found.require_graph(graph)
    times = {**found.median_s, **{f"{name} (p95)": time_s for name, time_s in found.p95_s.items()}}
    huge = [name for name, time_s in times.items() if time_s > MAX_TIME_S]
    if huge or found.whole_s > MAX_TIME_S:
        raise InvalidProfile(f"{file_name} has times above {MAX_TIME_S:,.0f} s: {few(huge or ['whole_s'])}.")
    if found.total_s <= 0:
        raise InvalidProfile(f"All times in {file_name} are 0: fill in the seconds of each layer under 'median_s'.")
    # Who fills in a template gives times of layers; the whole is their sum then.
    found = found if found.whole_s > 0 else replace(found, whole_s=found.total_s)
    return replace(found, device=short(device or found.device) or "imported", provenance=_told(found.provenance))


def _told(found: Provenance) -> Provenance:
    """What the profile says of its origin, as long as anyone would read it."""
    machine, settings = (
        {short(name): short(value, MAX_VALUE) for name, value in list(told.items())[:MAX_FACTS]}
        for told in (found.machine, found.settings)
    )
    return replace(found, source=short(found.source, MAX_SOURCE), machine=machine, settings=settings)


def _stem(file_name: str) -> str:
    return file_name.removesuffix(".gz").rsplit(".", 1)[0] or "imported"
