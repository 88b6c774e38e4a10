"""decc wire: what every tensor weighs on the link in every wire format, and what that does to the results."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from decc_core import files, formats, store
from decc_core.cli import output
from decc_core.cli.options import Commands, runs
from decc_core.cli.progress import bar
from decc_core.cli.sources import NetworkOptions, add_source, network_of, runnable
from decc_core.errors import InvalidInstance, UnknownName
from decc_core.network.graph import TensorSpec
from decc_core.problem.wire import WireProfile
from decc_core.ranges import whole_number
from decc_core.text import counted

if TYPE_CHECKING:
    import torch

    from decc_core.models.model import Model

USUAL = (
    *("raw", "fp16", "int8", "int8+zstd", "int6+zstd", "int4", "int4+zstd", "int4-channel+zstd"),
    *("range3-channel", *formats.IMAGES),
)
"""Formats that are measured where none are named."""
IMAGES = 64
RANDOM_SAMPLES = 4
KEPT = 0.99
FEATURES, IMAGE = TensorSpec((1, 64, 56, 56), "float32"), TensorSpec((1, 3, 224, 224), "uint8")
"""Of which sizes are told where formats are listed."""
THUMBNAIL = TensorSpec((1, 3, 8, 8), "uint8")
JUDGES = ("auto", "top1", "error")


@dataclass(frozen=True)
class WireOptions:
    network: NetworkOptions
    list: bool
    images: Path | None
    images_limit: int
    formats: str | None
    tensors: str
    judge: str
    threads: int
    device: str
    output: Path | None

    def __post_init__(self) -> None:
        if not self.names:
            raise InvalidInstance("--formats names no wire format; `decc wire --list` lists all.")
        if self.images_limit < 1:
            raise InvalidInstance(f"{self.images_limit} images measure nothing; choose 1 or more.")

    @property
    def names(self) -> tuple[str, ...]:
        """The wire formats, each once, as they are called in files; with raw, which others are compared with."""
        asked = [name.strip() for name in (self.formats or ",".join(USUAL)).split(",") if name.strip()]
        return tuple(dict.fromkeys((formats.RAW, *(formats.find(name).name for name in asked)))) if asked else ()


def add_commands(commands: Commands) -> None:
    parser = commands.add_parser(
        "wire", help="measure what tensors weigh in every wire format, and what that does to the network's results"
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a name from `decc models`, or a model file")
    parser.add_argument("--list", action="store_true", help="list the wire formats, and measure nothing")
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="images of the kind that the network will meet (default: random inputs, of which only certain sizes are "
        "told)",
    )
    parser.add_argument(
        "--images-limit", type=whole_number, default=IMAGES, metavar="N",
        help=f"how many of the images, by name (default: {IMAGES})",
    )  # fmt: skip
    parser.add_argument(
        "--formats",
        metavar="NAMES",
        help=f"wire formats, comma-separated; --list tells all (default: {', '.join(USUAL)})",
    )
    parser.add_argument(
        "--tensors",
        choices=("candidates", "all"),
        default="all",
        help="only those that cross at waists and in plans, or the others after them (default: all)",
    )
    parser.add_argument(
        "--judge",
        choices=JUDGES,
        default="auto",
        help="whether results are as good as before: top1 looks whether the best class stays, error how far outputs "
        "are off, auto takes scores of classes for the first (default: auto)",
    )
    parser.add_argument("--threads", type=whole_number, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--device", default="this-machine", help="what to call this device (default: this-machine)")
    parser.add_argument(
        "--output", "-o", type=Path,
        help="file to write; what stands in it already is not measured again (default: MODEL-wire.json)",
    )  # fmt: skip
    add_source(parser)
    runs(parser, measure, WireOptions, network=network_of)


@dataclass(frozen=True)
class Samples:
    """The inputs to measure on, read and checked: which they are in words, and how to have one of them."""

    count: int
    named: str
    read: Callable[[Model, int], Sequence[torch.Tensor]]

    @classmethod
    def random(cls) -> Samples:
        return cls(RANDOM_SAMPLES, "random", lambda model, number: model.random_inputs(number))

    @classmethod
    def of_folder(cls, folder: Path, limit: int) -> Samples:
        """Images, one a sample; where a network takes several, each takes the next."""
        from decc_core.load.images import MAX_IMAGE_BYTES, image_pixels
        from decc_core.runtime.controller.images import image_files

        paths = image_files(folder)[:limit]
        digest = hashlib.sha256()
        for path in paths:
            content = files.read(path, MAX_IMAGE_BYTES, "the image")
            # One that cannot be read is told now, and not after an hour.
            image_pixels(content, THUMBNAIL, path.name)
            digest.update(content)

        def read(model: Model, number: int) -> Sequence[torch.Tensor]:
            return _with_images(model, paths, number)

        return cls(len(paths), f"{counted(len(paths), 'image')} ({digest.hexdigest()[:16]})", read)


def _with_images(model: Model, paths: Sequence[Path], number: int) -> Sequence[torch.Tensor]:
    """Inputs of one sample: its images, and what is no image drawn at random."""
    import torch

    from decc_core.load.images import MAX_IMAGE_BYTES, image_pixels, is_image
    from decc_core.models.tensors import DTYPES

    given, place = list(model.random_inputs(number)), number
    for position, name in enumerate(model.input_names):
        if name is None:
            continue
        spec = model.graph.layers[model.graph.index[name]].outputs[0]
        if is_image(spec):
            path = paths[place % len(paths)]
            data = image_pixels(files.read(path, MAX_IMAGE_BYTES, "the image"), spec, path.name)
            given[position] = torch.frombuffer(bytearray(data), dtype=DTYPES[spec.dtype]).reshape(spec.shape)
            place += 1
    return given


def measure(options: WireOptions) -> None:
    if options.list:
        _list()
        return
    if not options.network.model:
        raise UnknownName("Name a network: a name from `decc models`, or a model file; --list lists wire formats.")
    # Everything that can be refused is, before a network is built.
    target = options.output or Path(f"{Path(options.network.model).stem}-wire.json")
    files.require_place(target)
    known = store.load(target, WireProfile) if target.exists() else None
    samples = Samples.of_folder(options.images, options.images_limit) if options.images else Samples.random()
    if not options.network.is_from_file:
        options.network.built_in()
    with runnable(options.network) as network, bar(f"Measuring {network.name}") as progress:
        progress(0, 1, "building the network")
        profile = _measured(options, network.build(), samples, known, target, progress)
    _tell(profile)
    output.say(f"Wrote {target}.")


def _measured(
    options: WireOptions,
    model: Model,
    samples: Samples,
    known: WireProfile | None,
    target: Path,
    progress: Callable[[int, int, str], None],
) -> WireProfile:
    from decc_core.profiling.wire import Judge, WireSettings, measure_wire
    from decc_core.runtime.controller.images import image_specs

    if options.images:
        image_specs(model.graph)
    settings = WireSettings(
        formats=options.names,
        samples=samples.count,
        sampled=samples.named,
        trained=options.network.is_from_file,
        real=options.images is not None,
        everything=options.tensors == "all",
        judge=Judge(options.judge),
        device=options.device,
        threads=options.threads,
    )
    for note in _doubts(settings.trained, settings.real, options.network.model):
        output.note(note)
    return measure_wire(
        model,
        lambda number: samples.read(model, number),
        settings,
        known,
        progress,
        lambda profile: files.replace(target, store.to_json(profile)),
    )


def _doubts(trained: bool, real: bool, name: str) -> Iterator[str]:
    """Why nothing is said of what depends on the values."""
    if not trained:
        yield (f"'{name}' has random weights here; give trained ones with --weights FILE, or a file of your own.")
    if not real:
        yield "the inputs are random; give images with --images FOLDER."
    if not (trained and real):
        yield (
            "with random weights or inputs, sizes after entropy coding and agreement mean nothing: only formats whose "
            "sizes are certain are measured, and nothing is said of the results."
        )


def _list() -> None:
    """All wire formats, and what each is."""
    output.print_table(
        f"{len(formats.NAMES)} wire formats",
        ("format", "lossless", "size known beforehand"),
        [(name, *_traits(formats.find(name))) for name in formats.NAMES],
    )


def _traits(one: formats.Format) -> tuple[str, str]:
    spec = next(spec for spec in (FEATURES, IMAGE) if one.name == formats.RAW or one.takes(spec))
    certain = one.certain_bytes(spec)
    return "yes" if one.lossless else "no", "-" if certain is None else f"{spec.size_bytes / certain:.3g}x smaller"


def _tell(profile: WireProfile) -> None:
    """A row for each format: how much smaller, how long, and how many tensors keep the results."""
    raw = profile.codings.get(formats.RAW, {})
    rows = []
    for name, tensors in profile.codings.items():
        both = [(coding, raw[tensor]) for tensor, coding in tensors.items() if tensor in raw]
        if not both:
            continue
        smaller = statistics.median(before.bytes_median / max(coding.bytes_median, 1) for coding, before in both)
        per_mb = statistics.median(
            (coding.encode_s + coding.decode_s) / max(before.bytes_median, 1) for coding, before in both
        )
        known = [coding.kept for coding, _ in both if coding.kept is not None]
        kept = f"{sum(share >= KEPT for share in known)} of {len(known)}" if known else "-"
        rows.append((name, str(len(tensors)), f"{smaller:.2f}x", f"{per_mb * 1e9:.2f} ms", kept))
    output.print_table(
        f"{profile.graph_name}: {counted(len(raw), 'tensor')}, {profile.provenance.settings.get('inputs', '')}",
        ("format", "tensors", "smaller, median", "encode + decode of 1 MB", f"tensors that keep {100 * KEPT:g} %"),
        rows,
    )
