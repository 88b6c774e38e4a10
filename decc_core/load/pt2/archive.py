"""A `.pt2` archive that somebody sent: checked part by part, and written anew with nothing in it that could run.

What `torch.export.load` would execute is refused or left out here: pickles (weights, constants, sample inputs),
symbolic expressions, guards, and names and targets that it turns into Python source.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import msgspec
import torch

from decc_core.errors import DeccError, UnreadableFile
from decc_core.load import zips
from decc_core.load.limits import Limits
from decc_core.load.pt2 import network, schema
from decc_core.load.pt2.graph import Weight, plain_weight_name
from decc_core.load.pt2.schema import AGAIN
from decc_core.load.pt2.sizes import Sizes
from decc_core.load.zips import Archive
from decc_core.models.tensors import DTYPES
from decc_core.text import shown

ROOT = "network"
NETWORK = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
WEIGHTS = ("data/weights/", "weight_", "data/weights/model_weights_config.json")
CONSTANTS = ("data/constants/", "tensor_", "data/constants/model_constants_config.json")
PAYLOAD = re.compile(r"data/(weights/weight_|constants/tensor_)(0|[1-9][0-9]{0,6})")
SMALL = {
    "archive_format": rb"pt2",
    "archive_version": rb"0",
    "byteorder": rb"little",
    ".data/version": rb"[0-9]{1,2}\n?",
}
"""Parts that say of what kind the archive is, with what they must hold."""
REQUIRED = frozenset({NETWORK, WEIGHTS[2], CONSTANTS[2], "archive_format", "archive_version"})
OPTIONAL = frozenset({SAMPLES, "byteorder", ".data/version", ".data/serialization_id"})
BYTES_PER_LAYER = 4096
"""How much description a layer may have; torch writes about 1,500 bytes, most of them stack traces."""


def clean(source: Path, target: Path, limits: Limits, sizes: Sizes | None = None) -> None:
    """Write a fresh archive with the checked content of `source`, or raise `UnreadableFile` with one sentence.

    `sizes` are those to put where the network leaves one open.
    """
    whole = False
    try:
        with source.open("rb") as file:
            archive = zips.opened(file, limits).sound(limits)
            _check_parts(archive)
            _write(target, archive, _parts(archive, limits, sizes or Sizes()))
        whole = True
    except DeccError:
        raise
    except OSError as error:
        raise UnreadableFile(f"The file cannot be opened, or not written anew ({error.strerror}); try again.") from None
    except MemoryError:
        raise UnreadableFile("The file needs more memory than there is; save a smaller network.") from None
    except Exception as error:  # The last net: whatever a hostile file makes fail, the visitor gets a sentence.
        raise UnreadableFile(f"The file cannot be read ({type(error).__name__}); {AGAIN}") from error
    finally:
        if not whole:
            target.unlink(missing_ok=True)


def _check_parts(archive: Archive) -> None:
    for name in archive.parts:
        if name not in REQUIRED and name not in OPTIONAL and not PAYLOAD.fullmatch(name):
            raise UnreadableFile(_unknown_part(name))
    if missing := sorted(REQUIRED - archive.parts.keys()):
        raise UnreadableFile(f"The archive's part {shown(missing[0])} is missing; {AGAIN}")
    for name, expected in SMALL.items():
        if name in archive.parts and not re.fullmatch(expected, archive.read(name, 100)):
            raise UnreadableFile(f"The archive's part {shown(name)} names a version that is not read here; {AGAIN}")


def _unknown_part(name: str) -> str:
    part = f"The archive's part {shown(name)}"
    if name in ("version", "data/weights/model.pt", "data/constants/model.pt") or name.startswith("serialized_"):
        return f"{part} is of an older format, whose weights are pickled; load the file in your own torch, and {AGAIN}"
    if name.startswith(("data/constants/custom_obj_", "data/constants/opaque_obj_")):
        return f"{part} is a pickled object, which could run code; export the network with tensors and numbers only."
    if name.startswith("data/aotinductor/"):
        return f"{part} is compiled code; save the exported network itself with torch.export.save."
    if name.startswith("extra/"):
        return f"{part} is an extra file; save again without extra_files."
    return f"{part} is not one that torch.export.save writes; {AGAIN}"


def _parts(archive: Archive, limits: Limits, sizes: Sizes) -> dict[str, bytes]:
    """The parts that are written anew, checked; payloads of weights are copied later."""
    most = limits.layers * BYTES_PER_LAYER
    weights = _payloads(archive, WEIGHTS, most)
    constants = _payloads(archive, CONSTANTS, most)
    held_weights, held_constants = (
        {name: _weight(archive, kind[0], payload) for name, payload in payloads.items()}
        for kind, payloads in ((WEIGHTS, weights), (CONSTANTS, constants))
    )
    # Each weight counts in full, also where several share their bytes: they are laid out apart later.
    held = [*held_weights.values(), *held_constants.values()]
    limits.require(parameter_bytes=sum(schema.content_bytes(weight.meta) for weight in held))
    if archive.parts[NETWORK].size > most:
        raise limits.exceeded("layers", what="has a longer description than {} layers need")
    return {
        WEIGHTS[2]: msgspec.json.encode(schema.Payloads(weights)),
        CONSTANTS[2]: msgspec.json.encode(schema.Payloads(constants)),
        NETWORK: network.cleaned(archive.read(NETWORK, most), held_weights, held_constants, limits, sizes),
        SAMPLES: b"",
        "archive_format": b"pt2",
        "archive_version": b"0",
        "byteorder": b"little",
        ".data/version": b"6\n",
    }


def _weight(archive: Archive, folder: str, payload: schema.Payload) -> Weight:
    meta, part = payload.tensor_meta, folder + payload.path_name
    assert meta is not None

    def read() -> torch.Tensor:
        dtype = DTYPES[schema.DTYPES[meta.dtype][0]]
        flat = torch.frombuffer(bytearray(archive.read(part, archive.parts[part].size)), dtype=dtype)
        (offset,) = schema.numbers([meta.storage_offset])
        return flat.as_strided(schema.numbers(meta.sizes), schema.numbers(meta.strides), offset)

    return Weight(meta, read)


def _payloads(archive: Archive, kind: tuple[str, str, str], most: int) -> dict[str, schema.Payload]:
    """Which part holds which weight, with its shape in it; every part of that kind is used."""
    folder, prefix, config = kind
    payloads = schema.parsed(archive.read(config, most), schema.Payloads, f"The archive's part {shown(config)}")
    dtypes: dict[str, int] = {}
    checked: dict[str, schema.Payload] = {}
    for name, payload in payloads.config.items():
        plain = plain_weight_name(name)
        if plain in checked:
            raise UnreadableFile(f"Two weights have the name {shown(plain)}; rename the module of one of them.")
        meta = _checked(name, payload, archive, folder, prefix)
        if dtypes.setdefault(payload.path_name, meta.dtype) != meta.dtype:
            raise UnreadableFile(f"The weight {shown(name)} shares its bytes with one of another type; {AGAIN}")
        on_cpu = schema.meta_on_cpu(meta)
        checked[plain] = schema.Payload(payload.path_name, payload.is_param, False, on_cpu)
    for part in archive.parts:
        if part.startswith(folder + prefix) and part.removeprefix(folder) not in dtypes:
            raise UnreadableFile(f"The archive's part {shown(part)} belongs to no weight; {AGAIN}")
    return checked


def _checked(name: str, payload: schema.Payload, archive: Archive, folder: str, prefix: str) -> schema.TensorMeta:
    what = f"The weight {shown(name)}"
    meta = payload.tensor_meta
    if payload.use_pickle or meta is None:
        raise UnreadableFile(f"{what} is pickled, which could run code; make it an ordinary tensor and save again.")
    part = folder + payload.path_name
    if not payload.path_name.startswith(prefix) or part not in archive.parts:
        raise UnreadableFile(f"{what} lies in the part {shown(payload.path_name)}, which the archive lacks; {AGAIN}")
    schema.check_meta(meta, what)
    size = archive.parts[part].size
    if size % schema.DTYPES[meta.dtype][1]:
        raise UnreadableFile(f"{what} has {size} bytes, which is no whole number of elements; {AGAIN}")
    if size == 0 and schema.content_bytes(meta):
        raise UnreadableFile(f"{what} was saved without its values; export the network with real weights.")
    if schema.storage_bytes(meta) > size:
        raise UnreadableFile(f"{what} needs more than the {size} bytes that the archive has for it; {AGAIN}")
    return meta


def _write(target: Path, archive: Archive, parts: dict[str, bytes]) -> None:
    contents: dict[str, Iterable[bytes]] = {name: [content] for name, content in parts.items()}
    contents |= {name: archive.chunks(name) for name in archive.parts if PAYLOAD.fullmatch(name)}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as written:
        for name, chunks in contents.items():
            with written.open(zipfile.ZipInfo(f"{ROOT}/{name}"), "w", force_zip64=True) as part:
                for chunk in chunks:
                    part.write(chunk)
