"""Images of a folder: whatever a file holds, there are pixels or one sentence, and never much memory."""

from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from decc_core.errors import UnreadableFile
from decc_core.load import images
from decc_core.network.graph import Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.runtime.controller.images import image_inputs

SPEC = TensorSpec((1, 3, 8, 8), "uint8")
GRAPH = LayerGraph(
    "g", (Layer("x", "input", (), (SPEC,)), Layer("a", "op", (TensorRef("x"),), (SPEC,))), (TensorRef("a"),)
)


def png(chunks=(), width=10, height=10, header=None) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    first = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0) if header is None else header
    parts = (chunk(b"IHDR", first), *(chunk(*one) for one in chunks), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def drawn(kind: str, size=(20, 10), **more) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, (200, 10, 10)).save(content, kind, **more)
    return content.getvalue()


BOMB = b"k\0\0" + zlib.compress(bytes(70 << 20), 1)
BROKEN = {
    "unpacks to much text": png([(b"zTXt", BOMB), (b"IDAT", zlib.compress(bytes(310)))]),
    "short header": png(header=b"\0\0"),
    "no header": b"\x89PNG\r\n\x1a\n",
    "long chunk": png()[:-12] + b"\xff\xff\xff\xffIDATxx",
    "cut off": drawn("JPEG", (300, 300))[:700],
    "no width": b"GIF89a\0\0\x0a\0\0\0\0;",
    "noise after a mark": b"GIF89a" + bytes(range(256)) * 4,
    "huge claims": b"BM" + bytes(12) + struct.pack("<IiiHHIIiiII", 40, -(2**31), -(2**31), 1, 24, 0, 0, 0, 0, 0, 0),
    "a program": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n%%EOF\n",
    "another kind": b"II*\0\x08\0\0\0\xff\xff" + bytes(500),
    "nothing": b"",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_image_is_refused_by_name(tmp_path, kind):
    (tmp_path / "a.png").write_bytes(BROKEN[kind])
    with pytest.raises(UnreadableFile, match=r"a\.png") as caught:
        image_inputs(GRAPH, tmp_path, 1, 0)
    assert "readable image" in str(caught.value) or "million pixels" in str(caught.value)


@pytest.mark.parametrize("side", [9_000, 13_000, 60_000])
def test_an_image_of_very_many_pixels_is_refused_before_it_is_unpacked(tmp_path, side, monkeypatch):
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("it was unpacked"))
    (tmp_path / "a.png").write_bytes(png([(b"IDAT", zlib.compress(bytes(100)))], side, side))
    with pytest.raises(UnreadableFile, match="has more than 64 million pixels"):
        image_inputs(GRAPH, tmp_path, 1, 0)


def test_a_jpeg_is_unpacked_no_larger_than_it_is_needed(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(drawn("JPEG", (800, 800)))
    sizes, convert = [], Image.Image.convert
    monkeypatch.setattr(Image.Image, "convert", lambda image, mode: sizes.append(image.size) or convert(image, mode))
    image_inputs(GRAPH, tmp_path, 1, 0)
    assert sizes == [(100, 100)]


KINDS = {"jpg": "JPEG", "png": "PNG", "bmp": "BMP", "webp": "WEBP", "gif": "GIF"}


@pytest.mark.parametrize("suffix", KINDS)
def test_every_kind_of_image_is_taken(tmp_path, suffix):
    (tmp_path / f"a.{suffix}").write_bytes(drawn(KINDS[suffix]))
    [head, *chunks] = image_inputs(GRAPH, tmp_path, 1, 0)
    pixels = np.frombuffer(b"".join(chunk.data for chunk in (head, *chunks)), np.uint8).reshape(3, 8, 8)
    assert np.abs(pixels.astype(int).mean((1, 2)) - (200, 10, 10)).max() < 8


def test_an_image_that_several_requests_take_is_unpacked_once(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(drawn("PNG"))
    calls, resized = [], images._resized
    monkeypatch.setattr(images, "_resized", lambda *given: calls.append(given) or resized(*given))
    image_inputs(GRAPH, tmp_path, 5, -3)
    assert len(calls) == 1


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_no_image_and_nobody_waits_for_it(tmp_path, make):
    make(tmp_path / "a.png")
    with pytest.raises(UnreadableFile, match=r"Cannot read the image .*a\.png"):
        image_inputs(GRAPH, tmp_path, 1, 0)
