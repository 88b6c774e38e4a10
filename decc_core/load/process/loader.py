"""A file that somebody sent, as a network, as times of one or as images for it: read by a process of its own, so that
nothing of it runs in this one.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from decc_core import files, ranges, store
from decc_core.errors import (
    DeccError,
    InvalidProfile,
    NeedsArchitecture,
    NeedsFiles,
    RefusedFile,
    UnmappedTimes,
    UnreadableFile,
)
from decc_core.load.kinds.kind import Kind
from decc_core.load.limits import Limits
from decc_core.load.onnx.beside import missing, require_plain
from decc_core.load.process import messages as m
from decc_core.network.graph import LayerGraph, TensorSpec
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling.imports import Imported
from decc_core.text import file_name, shown

ROOT = Path(__file__).resolve().parents[3]
MAX_LINE_BYTES = 1 << 20
"""Hundreds of layers may each have a sentence on what their times lack."""
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE")
"""All that the process gets of this one's environment, which may hold secrets."""
ASKED_S, ENDING_S = 2.0, 5.0
MAX_SIZE = 2**31 - 1
"""Of an open dimension."""
BYTES_PER_LAYER = 16_384
"""What graph, calls and times of one layer may take as JSON; ordinary ones take about a tenth."""
ReportProgress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class LoadedModel:
    """A network that was read from a file; `layers_file` and `tensors_file` are what workers take.

    The profiles are of a few quick passes on this machine, for a first plan; None where they were not asked for.
    """

    graph: LayerGraph
    kind: Kind
    layers_file: Path
    tensors_file: Path
    notes: tuple[str, ...] = ()
    edge: DeviceProfile | None = None
    cloud: DeviceProfile | None = None

    @property
    def name(self) -> str:
        return self.graph.name

    def data(self) -> tuple[bytes, bytes]:
        """Layers and tensors, as `portable.from_data` and the workers read them."""
        return files.read(self.layers_file), files.read(self.tensors_file)


def load_file(
    file: Path,
    folder: Path,
    name: str | None = None,
    limits: Limits | None = None,
    architecture: str | None = None,
    batch: int = 1,
    dimensions: Mapping[str, int] | None = None,
    beside: Mapping[str, Path] | None = None,
    measured: bool = True,
    progress: ReportProgress | None = None,
    started: Callable[[Callable[[], None]], None] | None = None,
) -> LoadedModel:
    """Read a `.pt2` or `.onnx` file, or weights for a zoo `architecture`, into a folder of its own.

    An ONNX network may keep weights in other files, which are looked for in the file's own folder, or, by name, in
    `beside`, if that is given. `started` hears how to kill the reading process. Raises `RefusedFile` for kinds of files
    that are not taken, with a remedy, and `UnreadableFile` for broken, hostile or oversized ones; time and memory are
    bounded by the limits. In the folder stays what the network needs, and nothing at all of a file that is not taken.
    """
    limits = limits or Limits.from_environment()
    name = file_name(name or file.name)
    ranges.require("size of 'batch'", batch, 1, MAX_SIZE)
    for what, size in (dimensions or {}).items():
        ranges.require(f"size of {shown(what)}", size, 0, MAX_SIZE)
    try:
        bytes_there = file.stat().st_size
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"Cannot read {file}: {files.reason(error)}.") from None
    limits.require(file_bytes=bytes_there)
    folder.mkdir(parents=True, exist_ok=True)
    locked = os.environ.get(m.SANDBOX) == m.REQUIRED
    order = m.Order(
        str(file.resolve()),
        name,
        str(folder.resolve()),
        limits,
        architecture,
        batch,
        dict(dimensions or {}),
        measured=measured,
        locked=locked,
    )
    there, owned = {path.name for path in folder.iterdir()}, folder.stat()
    taken = False
    try:
        heard, hear_killer = progress or (lambda *_: None), started or (lambda kill: None)
        try:
            done = _Reading(order, m.Read).run(heard, hear_killer)
        except NeedsFiles as error:
            # What it asks for is looked at here, and a second process sees those files and no others.
            _tidy(folder, there)
            _take_back(folder, owned)
            paths = _beside(file, error, beside)
            if sum(path.stat().st_size for path in paths.values()) + bytes_there > limits.file_bytes:
                raise limits.exceeded("file_bytes") from None
            order = msgspec.structs.replace(order, beside={name: str(path) for name, path in paths.items()})
            done = _Reading(order, m.Read).run(heard, hear_killer)
        loaded = _collected(order, done)
        taken = True
        return loaded
    finally:
        _tidy(folder, there | (m.WRITTEN if taken else set()))
        _take_back(folder, owned)


def _beside(file: Path, lacks: NeedsFiles, given: Mapping[str, Path] | None) -> dict[str, Path]:
    """Where the files are that a network asks for: ordinary ones, in its own folder, or among those that were given."""
    paths = {}
    for name in lacks.names:
        require_plain(name)
        path = file.parent.resolve() / name if given is None else given.get(name)
        try:
            mode = path.lstat().st_mode if path is not None else 0
        except (OSError, ValueError):
            mode = 0
        if path is None or not mode:
            raise missing(name)
        if not stat.S_ISREG(mode):
            raise RefusedFile(f"The file keeps weights in {shown(name)}, which is a link, a folder or a device; put an "
                              "ordinary file in its place.")  # fmt: skip
        paths[name] = path.absolute()
    return paths


def read_times(
    data: bytes,
    name: str,
    graph: LayerGraph,
    limits: Limits | None = None,
    progress: ReportProgress | None = None,
    started: Callable[[Callable[[], None]], None] | None = None,
) -> Imported:
    """The profile of a network in a file of any kind that holds one, as `profiling.imports.read_profile` takes them.

    `started` hears how to kill the reading process. Raises `UnmappedTimes`, with the layers, `InvalidProfile` and
    `UnreadableFile`.
    """
    limits = limits or Limits.from_environment()
    with tempfile.TemporaryDirectory(prefix="decc-times-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        store.save(graph, folder / m.GRAPH)
        (folder / m.SENT).write_bytes(data)
        locked = os.environ.get(m.SANDBOX) == m.REQUIRED
        order = m.TimesOrder(str(folder / m.SENT), file_name(name), place, limits, locked)
        done = _Reading(order, m.ReadTimes).run(progress or (lambda *_: None), started or (lambda kill: None))
        _require_plain(folder / m.TIMES, order)
        try:
            profile = store.load(folder / m.TIMES, DeviceProfile)
            profile.require_graph(graph)
        except DeccError as error:
            raise UnreadableFile(f"What was read from {order.name} does not fit together: {error}") from None
        return Imported(profile, done.notes, done.problems)


def read_images(
    contents: Mapping[str, bytes],
    specs: Sequence[TensorSpec],
    limits: Limits | None = None,
    progress: ReportProgress | None = None,
    started: Callable[[Callable[[], None]], None] | None = None,
) -> tuple[tuple[bytes, ...], ...]:
    """The pixels of images, by name, in every size that a network takes: for each image one entry a spec.

    `started` hears how to kill the reading process. Raises `UnreadableFile`, naming the image.
    """
    # Pillow is for images alone, and networks are read without it.
    from decc_core.load.images import MAX_IMAGE_BYTES

    limits = limits or Limits.from_environment()
    with tempfile.TemporaryDirectory(prefix="decc-images-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        for i, content in enumerate(contents.values()):
            if len(content) > MAX_IMAGE_BYTES:
                most = f"{MAX_IMAGE_BYTES / 1e6:g} MB"
                raise UnreadableFile(f"{shown(list(contents)[i])} has more than {most}, the limit for an image.")
            (folder / f"{m.SENT}-{i}").write_bytes(content)
        locked = os.environ.get(m.SANDBOX) == m.REQUIRED
        names, kinds = tuple(map(file_name, contents)), tuple((spec.shape, spec.dtype) for spec in specs)
        order = m.ImagesOrder(str(folder / f"{m.SENT}-0"), "the images", place, limits, names, kinds, locked)
        _Reading(order, m.ReadImages).run(progress or (lambda *_: None), started or (lambda kill: None))
        _require_plain(folder / m.PIXELS, order)
        sizes = [spec.size_bytes for spec in specs]
        data = files.read(folder / m.PIXELS, sum(sizes) * len(contents))
    if len(data) != sum(sizes) * len(contents):
        raise UnreadableFile("The process that read the images wrote something else than pixels; try again.")
    ends = list(accumulate(sizes * len(contents), initial=0))
    pieces = [data[first:end] for first, end in pairwise(ends)]
    return tuple(tuple(pieces[i : i + len(sizes)]) for i in range(0, len(pieces), len(sizes)))


def read_table(
    data: bytes,
    name: str,
    columns: Mapping[str, str],
    most_rows: int,
    limits: Limits | None = None,
    progress: ReportProgress | None = None,
    started: Callable[[Callable[[], None]], None] | None = None,
) -> m.Columns:
    """Columns of a Parquet file by their names, each of the kind that is asked for, as Arrow writes it.

    `started` hears how to kill the reading process. Raises `UnreadableFile`.
    """
    limits = limits or Limits.from_environment()
    with tempfile.TemporaryDirectory(prefix="decc-table-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        (folder / m.SENT).write_bytes(data)
        locked = os.environ.get(m.SANDBOX) == m.REQUIRED
        file = str(folder / m.SENT)
        order = m.TableOrder(file, file_name(name), place, limits, dict(columns), most_rows, locked)
        _Reading(order, m.ReadTable).run(progress or (lambda *_: None), started or (lambda kill: None))
        _require_plain(folder / m.TABLE, order)
        try:
            found = msgspec.json.decode(files.read(folder / m.TABLE), type=m.Columns)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            found = m.Columns({}, {})
    lengths = {len(column) for column in found.columns.values()}
    if found.columns.keys() != columns.keys() or len(lengths) != 1 or max(lengths) > most_rows:
        raise UnreadableFile(f"The process that read {order.name} wrote something else than its columns; try again.")
    return found


def _tidy(folder: Path, kept: set[str]) -> None:
    """Remove what else the process has left: caches of libraries, and whatever a file made it write."""
    for path in folder.iterdir():
        if path.name in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _take_back(folder: Path, owned: os.stat_result) -> None:
    """Where root asked, the process was somebody else, to whom the folder belonged meanwhile."""
    if folder.stat().st_uid != owned.st_uid:
        for path in (folder, *folder.iterdir()):
            os.chown(path, owned.st_uid, owned.st_gid, follow_symlinks=False)


Done = TypeVar("Done", m.Read, m.ReadTimes, m.ReadImages, m.ReadTable)


@dataclass
class _Reading(Generic[Done]):
    """The process, and what it says, line by line; `wanted` is what it says last."""

    order: m.AnyOrder
    wanted: type[Done]
    said: queue.SimpleQueue[bytes] = field(default_factory=queue.SimpleQueue)

    def run(self, progress: ReportProgress, started: Callable[[Callable[[], None]], None]) -> Done:
        process = subprocess.Popen(
            [sys.executable, "-m", "decc_core.load.process.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.order.folder,
            env=self._environment(),
            start_new_session=True,
        )
        started(partial(_stop, process))
        try:
            return self._listen(process, progress)
        finally:
            _end(process)
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    if stream is not None:
                        stream.close()

    def _environment(self) -> dict[str, str]:
        kept = {key: os.environ[key] for key in KEPT_VARIABLES if key in os.environ}
        # Numba asks for a place that can be written, also for functions that are never called.
        own = dict.fromkeys(("NUMBA_CACHE_DIR", "HOME", "TMPDIR"), self.order.folder)
        return {**kept, **own, "PYTHONPATH": str(ROOT), "ORT_DISABLE_TELEMETRY": "1"}

    def _listen(self, process: subprocess.Popen[bytes], progress: ReportProgress) -> Done:
        threading.Thread(target=self._hear, args=(process,), daemon=True).start()
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.write(msgspec.json.encode(self.order) + b"\n")
            process.stdin.flush()
        deadline = time.monotonic() + self.order.limits.time_s
        while True:
            try:
                line = self.said.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                raise self.order.limits.exceeded("time_s") from None
            if not line:
                raise UnreadableFile(self._died(process))
            told: m.Told | None
            try:
                told = msgspec.json.decode(line, type=m.Told)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                told = None
            if isinstance(told, m.Progress):
                progress(told.done, told.total, told.what)
            elif isinstance(told, m.Refused):
                raise _error(told)
            elif isinstance(told, m.Lacks) and isinstance(self.order, m.Order) and not self.order.beside and told.names:
                raise NeedsFiles(told.sentence, told.names)
            elif isinstance(told, self.wanted):
                return told
            else:
                raise UnreadableFile(f"The process that read {self.order.name} broke off; export it again.")

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        """Lines of bounded length; an empty one when there will be no more."""
        assert process.stdout is not None
        try:
            while line := process.stdout.readline(MAX_LINE_BYTES):
                self.said.put(line)
        except (OSError, ValueError):
            pass
        self.said.put(b"")

    def _died(self, process: subprocess.Popen[bytes]) -> str:
        try:
            status = process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            status = 0
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"The process that read {self.order.name} {how}: the file asks for too much, or is broken."


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the reader, unless it has ended: its number may be another process's by then."""
    if process.poll() is None:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the reader, whatever it does, with all that it may have started: it leads a group of its own."""
    # Asked to, it ends its child before itself, so that none is left for others to bury.
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(ASKED_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # A killed process that gives gigabytes back may take longer; nobody waits for that.
    with suppress(subprocess.TimeoutExpired):
        process.wait(ENDING_S)


def _error(told: m.Refused) -> DeccError:
    if told.error == RefusedFile.__name__:
        return RefusedFile(told.sentence, told.remedy)
    if told.error == UnmappedTimes.__name__:
        return UnmappedTimes(told.sentence, told.problems)
    kinds: dict[str, type[DeccError]] = {kind.__name__: kind for kind in (NeedsArchitecture, InvalidProfile)}
    return kinds.get(told.error, UnreadableFile)(told.sentence)


def _collected(order: m.Order, done: m.Read) -> LoadedModel:
    """What the process has written; it may have been anything's doing, and is read as data from strangers."""
    folder = Path(order.folder)
    for file in (m.GRAPH, m.LAYERS, m.TENSORS, *((m.EDGE, m.CLOUD) if order.measured else ())):
        _require_plain(folder / file, order)
    try:
        graph = store.load(folder / m.GRAPH, LayerGraph)
        edge, cloud = (
            store.load(folder / file, DeviceProfile) if order.measured else None for file in (m.EDGE, m.CLOUD)
        )
        for profile in (edge, cloud):
            if profile is not None:
                profile.require_graph(graph)
    except DeccError as error:
        raise UnreadableFile(f"What was read from {order.name} does not fit together: {error}") from None
    order.limits.require(layers=len(graph.layers))
    return LoadedModel(graph, done.kind, folder / m.LAYERS, folder / m.TENSORS, done.notes, edge, cloud)


def _require_plain(file: Path, order: m.AnyOrder) -> None:
    """An ordinary file: neither a link that leads to a secret, nor a pipe that never ends, nor too much to be read."""
    try:
        status = file.lstat()
    except OSError as error:
        raise UnreadableFile(f"What was read from {order.name} is not there ({error.strerror}); try again.") from None
    most = order.limits.layers * BYTES_PER_LAYER if file.suffix == ".json" else 2 * order.limits.parameter_bytes
    if not stat.S_ISREG(status.st_mode) or status.st_size > most:
        what = {"Order": "a network", "TimesOrder": "times", "TableOrder": "a table"}.get(
            type(order).__name__, "pixels"
        )
        raise UnreadableFile(f"The process that read {order.name} wrote something else than {what}; export it again.")
