"""The process that reads one file: `python -m decc_core.load.process.child`, an order on its standard input.

Whatever the file does to it, it can only end; what it writes is data, and is checked again by whoever reads it.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from decc_core.errors import DeccError, NeedsArchitecture, NeedsFiles, UnreadableFile
from decc_core.load.kinds.detect import kind_of
from decc_core.load.kinds.kind import Kind, extension_note
from decc_core.load.process import messages as m
from decc_core.load.process.sandbox import locked_down
from decc_core.text import first_line, network_name, shown

GARBAGE_AFTER = 100_000
"""New objects until lost cycles are looked for; in as short a life as this process has, looking costs a tenth of it."""
MOST_TABLE_BYTES = 100_000_000
"""Of a table, unpacked."""
OUT_OF_MEMORY = ("allocate memory", "failed to map segment")
"""What libraries say where memory is at its limit, the second where they are loaded."""
Report = Callable[[int, int, str], None]


def main() -> int:
    out = sys.stdout.buffer
    # What a library prints must not mix with what we say.
    sys.stdout = sys.stderr
    gc.set_threshold(GARBAGE_AFTER)
    order: m.AnyOrder = msgspec.json.decode(sys.stdin.buffer.readline(), type=m.AnyOrder)
    beside = [Path(path) for path in order.beside.values()] if isinstance(order, m.Order) else []
    missing = locked_down(order.limits, [Path(order.file), *beside], Path(order.folder))

    def tell(message: m.Told) -> None:
        out.write(msgspec.json.encode(message) + b"\n")
        out.flush()

    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    if missing:
        lacking = f"This system could not take {' and '.join(missing)} away from the process that reads the file"
        if order.locked:
            tell(m.Refused(f"{lacking}, and {m.SANDBOX}={m.REQUIRED} asks for that: {order.name} was not read."))
            return 2
        tell(m.Progress(0, 4, f"checking the file ({lacking[0].lower()}{lacking[1:]})"))
    try:
        if isinstance(order, m.TimesOrder):
            done: m.Read | m.ReadTimes | m.ReadImages | m.ReadTable = _read_times(order)
        elif isinstance(order, m.ImagesOrder):
            done = _read_images(order, lambda done, total, what: tell(m.Progress(done, total, what)))
        elif isinstance(order, m.TableOrder):
            done = _read_table(order)
        else:
            done = m.Read(*_read(order, lambda done, total, what: tell(m.Progress(done, total, what))))
    except NeedsFiles as error:
        tell(m.Lacks(str(error), error.names))
        return 2
    except DeccError as error:
        remedy, problems = getattr(error, "remedy", ""), getattr(error, "problems", ())
        tell(m.Refused(str(error), type(error).__name__, remedy, problems))
        return 2
    except Exception as error:
        tell(m.Refused(_unexpected(order, error)))
        return 2
    if missing:
        done = msgspec.structs.replace(done, notes=(*done.notes, f"{lacking}."))
    tell(done)
    return 0


def _end_with_the_parent() -> None:
    """The parent holds our standard input open for as long as it wants us."""
    sys.stdin.buffer.read()
    signal.raise_signal(signal.SIGKILL)


def _unexpected(order: m.AnyOrder, error: Exception) -> str:
    reason = first_line(error)
    if isinstance(error, MemoryError) or any(words in reason for words in OUT_OF_MEMORY):
        return str(order.limits.exceeded("memory_bytes"))
    return f"{order.name} cannot be read ({type(error).__name__}: {reason}); export it again."


def _read_times(order: m.TimesOrder) -> m.ReadTimes:
    """Make a profile of a file of times."""
    from decc_core import store
    from decc_core.network.graph import LayerGraph
    from decc_core.profiling.imports import MAX_BYTES, read_profile

    folder = Path(order.folder)
    with Path(order.file).open("rb") as file:
        # One byte more tells that there are too many.
        data = file.read(MAX_BYTES + 1)
    found = read_profile(data, order.name, store.load(folder / m.GRAPH, LayerGraph))
    store.save(found.profile, folder / m.TIMES)
    return m.ReadTimes(found.notes, found.problems)


def _read_images(order: m.ImagesOrder, report: Report) -> m.ReadImages:
    """Make pixels of images."""
    from decc_core.load.images import MAX_IMAGE_BYTES, image_pixels
    from decc_core.network.graph import TensorSpec

    folder, specs = Path(order.folder), [TensorSpec(shape, dtype) for shape, dtype in order.specs]
    with (folder / m.PIXELS).open("wb") as pixels:
        for place, name in enumerate(order.names):
            report(place, len(order.names), f"reading {shown(name)}")
            with (folder / f"{m.SENT}-{place}").open("rb") as file:
                content = file.read(MAX_IMAGE_BYTES)
            for spec in specs:
                pixels.write(image_pixels(content, spec, name))
    return m.ReadImages()


def _read_table(order: m.TableOrder) -> m.ReadTable:
    """Take the wanted columns out of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(order.file)
    except (OSError, pa.ArrowException) as error:
        raise UnreadableFile(f"{order.name} is no Parquet file that can be read: {first_line(error)}.") from None
    if file.metadata.num_rows > order.most_rows:
        raise UnreadableFile(
            f"{order.name} has {file.metadata.num_rows:,} rows; {order.most_rows:,} are the limit here."
        )
    for name, kind in order.columns.items():
        if file.schema_arrow.names.count(name) != 1 or str(file.schema_arrow.field(name).type) != kind:
            raise UnreadableFile(f"{order.name} has no column '{name}' of the kind that a study's results have.")
    try:
        table = file.read(list(order.columns), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise UnreadableFile(f"{order.name} is damaged: {first_line(error)}.") from None
    if table.nbytes > MOST_TABLE_BYTES:
        raise UnreadableFile(f"{order.name} unpacks to more than {MOST_TABLE_BYTES / 1e6:g} MB, the limit here.")
    held = file.schema_arrow.metadata or {}
    about = {key.decode("utf-8", "replace"): text.decode("utf-8", "replace") for key, text in held.items()}
    columns = m.Columns(about, {name: table[name].to_pylist() for name in order.columns})
    (Path(order.folder) / m.TABLE).write_bytes(msgspec.json.encode(columns))
    return m.ReadTable()


def _read(order: m.Order, report: Report) -> tuple[Kind, tuple[str, ...]]:
    """Read the file into the folder; returns what it was, and what its user should know."""
    report(0, 4, "checking the file")
    kind = kind_of(Path(order.file), order.name, order.limits)
    if order.architecture is None and kind in (Kind.SAFETENSORS, Kind.STATE_DICT):
        raise NeedsArchitecture(
            f"{order.name} holds weights without a network; name the built-in network that they are for."
        )
    if order.architecture is not None and kind in (Kind.PT2, Kind.ONNX):
        raise UnreadableFile(
            f"{order.name} holds a whole network; read it as it is, not as weights of {order.architecture}."
        )
    report(1, 4, "reading the network")
    model, notes = _READERS[kind](order, kind)
    odd = extension_note(kind, order.name)
    report(2, 4, "writing layers and weights")
    _write(order, model)
    # Also where nothing is measured, the network runs once: what ends a process is to end this one.
    if order.measured:
        notes += _measure(order, model, report)
    else:
        _run_once(model)
    return kind, (odd, *notes) if odd else notes


def _pt2(order: m.Order, kind: Kind) -> tuple[Any, tuple[str, ...]]:
    from decc_core.load.pt2 import archive as pt2_archive
    from decc_core.load.pt2 import read as pt2
    from decc_core.load.pt2.sizes import Sizes

    clean = Path(order.folder) / m.CLEAN
    sizes = Sizes(order.batch, order.dimensions)
    pt2_archive.clean(Path(order.file), clean, order.limits, sizes)
    try:
        model = pt2.read(clean, network_name(order.name))
        left_out = (f"Output {shown(output)} depends on no input; it is left out." for output in model.left_out)
        return model, (*sizes.notes, *left_out)
    finally:
        clean.unlink()


def _onnx(order: m.Order, kind: Kind) -> tuple[Any, tuple[str, ...]]:
    from decc_core.load.onnx import file as onnx_file

    beside = {name: Path(path) for name, path in order.beside.items()}
    name = network_name(order.name)
    return onnx_file.read(Path(order.file), name, order.limits, order.batch, order.dimensions, beside)


def _weights(order: m.Order, kind: Kind) -> tuple[Any, tuple[str, ...]]:
    from decc_core.load.weights import read as weights

    assert order.architecture is not None
    return weights.read(Path(order.file), kind, order.architecture)


_READERS: dict[Kind, Callable[[m.Order, Kind], tuple[Any, tuple[str, ...]]]] = {
    Kind.PT2: _pt2,
    Kind.ONNX: _onnx,
    Kind.SAFETENSORS: _weights,
    Kind.STATE_DICT: _weights,
}


def _write(order: m.Order, model: Any) -> None:
    """The graph for planners, and the form in which workers take the model."""
    from decc_core import store
    from decc_core.models import portable

    graph = model.graph
    order.limits.require(
        layers=len(graph.layers),
        parameter_bytes=sum(graph.parameter_bytes.values()),
        tensor_bytes=sum(spec.size_bytes for layer in graph.layers for spec in layer.outputs),
    )
    folder = Path(order.folder)
    store.save(graph, folder / m.GRAPH)
    portable.write(model, folder / m.LAYERS, folder / m.TENSORS)


def _run_once(model: Any) -> None:
    from decc_core.models.device import ONE_THREAD
    from decc_core.models.runtimes import runtime_of
    from decc_core.profiling.machine import torch_settings

    with torch_settings(ONE_THREAD):
        placed = runtime_of(model).place(model, ONE_THREAD)
        placed.run(placed.example_inputs)


def _measure(order: m.Order, model: Any, report: Report) -> tuple[str, ...]:
    """A few passes on one thread and on all: enough for a first plan, not for a last word; returns how doubtful."""
    from decc_core import store
    from decc_core.profiling.machine import keep_freed_memory
    from decc_core.profiling.profiler import profile
    from decc_core.profiling.quick import quick_profiles
    from decc_core.profiling.settings import ProfileSettings

    def measured(settings: ProfileSettings, done: int) -> Any:
        report(2 + done, 4, f"measuring the layers ({settings.device})")
        return profile(model, settings)

    keep_freed_memory()
    edge, cloud, doubts = quick_profiles(measured)
    store.save(edge, Path(order.folder) / m.EDGE)
    store.save(cloud, Path(order.folder) / m.CLOUD)
    return doubts


if __name__ == "__main__":
    sys.exit(main())
