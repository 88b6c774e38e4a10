"""Kinds of files that their first bytes give away, none of which is taken."""

from __future__ import annotations

from dataclasses import dataclass

from decc_core.load.kinds import remedies


@dataclass(frozen=True)
class Foreign:
    """A kind that is not taken: what it is, as the end of "... is", why not, and what to do instead."""

    what: str
    why: str
    remedy: str = remedies.ORIGINAL


PACKED = "it has to be unpacked first"
NO_NETWORK = "it holds no network"
RUNS = "nothing that runs as a program is taken"
OTHER_RUNTIME = "it belongs to another runtime, and DECC runs PyTorch and ONNX networks"
KERAS_FILE = Foreign("a Keras or other HDF5 file", "networks are taken as pt2 or ONNX", remedies.KERAS)
SIGNATURES: tuple[tuple[int, bytes, Foreign], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", KERAS_FILE),
    (4, b"TFL3", Foreign("a TensorFlow Lite file", "networks are taken as pt2 or ONNX", remedies.TFLITE)),
    (4, b"ET12", Foreign("an ExecuTorch program", OTHER_RUNTIME)),
    (4, b"ORTM", Foreign("an ONNX Runtime (.ort) file", "the ONNX file that it was made from is taken", remedies.ONNX)),
    (0, b"GGUF", Foreign("a GGUF file", OTHER_RUNTIME)),
    (0, b"ggjt", Foreign("a GGML file", OTHER_RUNTIME)),
    (0, b"ftrt", Foreign("a TensorRT engine", OTHER_RUNTIME)),
    (0, b"ptrt", Foreign("a TensorRT engine", OTHER_RUNTIME)),
    (0, b"\x93NUMPY", Foreign("a NumPy array", "arrays alone are no network", remedies.PT2)),
    (0, b"\x1f\x8b", Foreign("a gzip-compressed file", PACKED, "gunzip FILE.gz\n")),
    (0, b"BZh", Foreign("a bzip2-compressed file", PACKED, "bunzip2 FILE.bz2\n")),
    (0, b"\xfd7zXZ\x00", Foreign("an xz-compressed file", PACKED, "unxz FILE.xz\n")),
    (0, b"\x28\xb5\x2f\xfd", Foreign("a Zstandard-compressed file", PACKED, "unzstd FILE.zst\n")),
    (0, b"\x04\x22\x4d\x18", Foreign("an LZ4-compressed file", PACKED, "lz4 -d FILE.lz4\n")),
    (0, b"7z\xbc\xaf\x27\x1c", Foreign("a 7z archive", PACKED, "7z x FILE.7z\n")),
    (0, b"Rar!\x1a\x07", Foreign("a RAR archive", PACKED, "unrar x FILE.rar\n")),
    (0, b"PK\x05\x06", Foreign("an archive with nothing in it", NO_NETWORK, remedies.PT2)),
    (0, b"PK\x07\x08", Foreign("one part of a split archive", "the parts have to be joined and unpacked first")),
    (0, b"\x7fELF", Foreign("a program or library for Linux", RUNS)),
    (0, b"MZ", Foreign("a program or library for Windows", RUNS)),
    (0, b"\xfe\xed\xfa\xce", Foreign("a program or library for macOS", RUNS)),
    (0, b"\xfe\xed\xfa\xcf", Foreign("a program or library for macOS", RUNS)),
    (0, b"\xce\xfa\xed\xfe", Foreign("a program or library for macOS", RUNS)),
    (0, b"\xcf\xfa\xed\xfe", Foreign("a program or library for macOS", RUNS)),
    (0, b"\xca\xfe\xba\xbe", Foreign("a program for macOS or for Java", RUNS)),
    (0, b"\x00asm", Foreign("a WebAssembly program", RUNS)),
    (0, b"!<arch>\n", Foreign("a static library", RUNS)),
    (0, b"#!", Foreign("a script", RUNS)),
    (0, b"\x89PNG", Foreign("a PNG image", NO_NETWORK, remedies.PT2)),
    (0, b"\xff\xd8\xff", Foreign("a JPEG image", NO_NETWORK, remedies.PT2)),
    (0, b"GIF8", Foreign("a GIF image", NO_NETWORK, remedies.PT2)),
    (0, b"II*\x00", Foreign("a TIFF image", NO_NETWORK, remedies.PT2)),
    (0, b"MM\x00*", Foreign("a TIFF image", NO_NETWORK, remedies.PT2)),
    (8, b"WEBP", Foreign("a WebP image", NO_NETWORK, remedies.PT2)),
    (8, b"WAVE", Foreign("a sound", NO_NETWORK, remedies.PT2)),
    (8, b"AVI ", Foreign("a film", NO_NETWORK, remedies.PT2)),
    (4, b"ftyp", Foreign("a film or an image of a telephone", NO_NETWORK, remedies.PT2)),
    (0, b"OggS", Foreign("a sound or a film", NO_NETWORK, remedies.PT2)),
    (0, b"ID3", Foreign("a sound", NO_NETWORK, remedies.PT2)),
    (0, b"%PDF-", Foreign("a PDF document", NO_NETWORK, remedies.PT2)),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Foreign("an office document", NO_NETWORK, remedies.PT2)),
    (0, b"SQLite format 3\x00", Foreign("a SQLite database", NO_NETWORK, remedies.PT2)),
    (0, b"PAR1", Foreign("a Parquet table", NO_NETWORK, remedies.PT2)),
    (0, b"ARROW1", Foreign("an Arrow table", NO_NETWORK, remedies.PT2)),
)
ZLIB_HEADS = (b"\x78\x01", b"\x78\x9c", b"\x78\xda")
ZLIB = Foreign("a zlib-compressed file, as joblib writes, mostly a pickle", "a pickle can run code", remedies.PT2)
BMP = Foreign("a BMP image", NO_NETWORK, remedies.PT2)


def foreign(head: bytes, size: int) -> Foreign | None:
    """The kind that the first bytes stand for, if it is one of these."""
    for offset, magic, found in SIGNATURES:
        if head.startswith(magic, offset):
            return found
    if head[:2] in ZLIB_HEADS:
        return ZLIB
    if head[:2] == b"BM" and int.from_bytes(head[2:6], "little") == size:
        return BMP
    return None
