"""Files that are not taken, each made by a few lines; pickles carry a payload that would create a marker file."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tests.load.archives import zipped


class Marker:
    """Pickled, it asks for `open(marker, "w")`: whoever loads it creates that file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x):
        return self.norm(self.fc(x)).relu()


def saved(value: object, **options: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def tarred(name: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"data"))
    return file.getvalue()


def scripted() -> bytes:
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(Small().eval()), file)
    return file.getvalue()


def array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def safetensors_bytes(tensors: dict[str, object], data: bytes) -> bytes:
    header = json.dumps(tensors).encode()
    return struct.pack("<Q", len(header)) + header + data


def field(number: int, content: bytes | int) -> bytes:
    """One protobuf field with a small number and a short content."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found, value = found + bytes([value & 0x7F | 0x80]), value >> 7
    return found + bytes([value])


FOREIGN: dict[str, tuple[bytes, str]] = {
    # file name: content, and what the message has to say
    "list.pkl": (pickle.dumps([1, 2, 3]), "a pickle"),
    "old.pkl": (pickle.dumps([1, 2, 3], protocol=0), "a pickle"),
    "no_tensors.pt": (saved({"epoch": 3}), "without tensors"),
    "protocol4.pt": (saved(Small().state_dict(), pickle_protocol=4), "pickle protocol 4"),
    "sets.pt": (saved({"seen": {1, 2}, "w": torch.ones(2)}), "builtin"),
    "oldest.pt": (tarred("sys_info"), "oldest format"),
    "script.pt": (scripted(), "a TorchScript archive"),
    "old.pt2": (zipped({"serialized_exported_program.json": b"{}", "version": b"5"}), "before PyTorch 2.8"),
    "compiled.pt2": (zipped({"m/archive_format": b"pt2", "m/data/aotinductor/m/a.so": b"x"}), "AOTInductor"),
    "package.pt": (zipped({"p/.data/extern_modules": b"", "p/model.pkl": b""}), "torch.package"),
    "net.h5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "Keras"),
    "net.keras": (zipped({"metadata.json": b"{}", "config.json": b"{}", "model.weights.h5": b""}), "Keras"),
    "saved_model.zip": (zipped({"saved_model.pb": b"\x08\x01", "variables/variables.index": b""}), "SavedModel"),
    "saved_model.pb": (field(1, 1) + field(2, field(1, b"\x0a\x00")), "TensorFlow SavedModel"),
    "frozen.pb": (field(1, field(1, b"conv") + field(2, b"Conv2D")) + field(4, b"\x08\x02"), "frozen TensorFlow"),
    "net.tflite": (b"\x1c\0\0\0TFL3" + bytes(64), "TensorFlow Lite"),
    "net.pte": (b"\x1c\0\0\0ET12" + bytes(64), "ExecuTorch"),
    "net.mlmodel": (field(1, 4) + field(2, b"\x0a\x00") + field(500, b"\x0a\x00"), "Core ML"),
    "net.mlpackage.zip": (zipped({"n.mlpackage/Data/com.apple.CoreML/model.mlmodel": b""}), "Core ML"),
    "net.gguf": (b"GGUF\x03\0\0\0" + bytes(64), "GGUF"),
    "net.engine": (b"ftrt" + bytes(64), "TensorRT"),
    "openvino.xml": (b'<?xml version="1.0"?>\n<net name="n" version="11"><layers/></net>', "OpenVINO"),
    "net.param": (b"7767517\n2 2\nInput data 0 1 data\n", "ncnn"),
    "net.prototxt": (b'name: "n"\nlayer {\n  name: "conv"\n}\n', "Caffe"),
    "net.cfg": (b"[net]\nbatch=1\n", "Darknet"),
    "array.npy": (array(), "NumPy"),
    "arrays.npz": (zipped({"a.npy": array()}), "NumPy"),
    "model.joblib": (b"x\x9c" + bytes(64), "zlib"),
    "net.tar": (tarred("net.onnx"), "a packed file"),
    "net.onnx.gz": (b"\x1f\x8b\x08" + bytes(64), "a packed file"),
    "net.bz2": (b"BZh9" + bytes(64), "a packed file"),
    "net.xz": (b"\xfd7zXZ\0" + bytes(64), "a packed file"),
    "net.zst": (b"\x28\xb5\x2f\xfd" + bytes(64), "a packed file"),
    "net.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(64), "a packed file"),
    "net.rar": (b"Rar!\x1a\x07\x01" + bytes(64), "a packed file"),
    "net.zip": (zipped({"net/net.onnx": b"x", "net/README": b"x"}), "send 'net/net.onnx'"),
    "nets.zip": (zipped({"a.onnx": b"x", "b.pt2": b"x"}), "send one of 'a.onnx', 'b.pt2'"),
    "photos.zip": (zipped({"a.png": b"x"}), "an archive of other files"),
    "nothing.zip": (zipped({}), "nothing in it"),
    "app.jar": (zipped({"META-INF/MANIFEST.MF": b""}), "an archive of other files"),
    "thesis.docx": (zipped({"[Content_Types].xml": b""}), "an archive of other files"),
    "onnx.txt": (b'<\n   ir_version: 10,\n   opset_import: ["" : 18]\n>\nmain () => () {}', "ONNX as text"),
    "net.pbtxt": (b'ir_version: 8\nproducer_name: "p"\ngraph {\n}\n', "ONNX as text"),
    "onnx.json": (b'{"irVersion": "10", "graph": {}}', "ONNX as JSON"),
    "net.py": (b"# my net\nimport torch\n\nclass Net:\n    pass\n", "Python source"),
    "net.ipynb": (b'{"cells": [], "nbformat": 4}', "a notebook"),
    "profile.json": (b'{\n "kind": "decc-profile",\n "version": 1}', "a DECC device profile"),
    "graph.json": (b'{\n "kind": "decc-graph",\n "version": 1}', "a DECC layer graph"),
    "plan.json": (b'{\n "kind": "decc-plan",\n "version": 1}', "a DECC plan"),
    "manifest.json": (b'{\n "kind": "decc-split",\n "version": 1}', "the manifest of a split"),
    "trace.json": (b'{"traceEvents": []}', "a recorded trace"),
    "onnxruntime.json": (b'[{"cat" : "Session","pid" :1}]', "a recorded trace"),
    "model.safetensors.index.json": (b'{"weight_map": {}}', "the list of the parts"),
    "config.json": (b'{"model_type": "bert"}', "the configuration of a network"),
    "keras.json": (b'{"class_name": "Functional"}', "a Keras network"),
    "other.json": (b"[1, 2]", "JSON"),
    "profile.csv": (b"layer,seconds\nconv1,0.1\n", "a table"),
    "net.onnx": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a Git LFS pointer"),
    "net.html": (b"<!DOCTYPE html><html><body>Download</body></html>", "a saved web page"),
    "notes.txt": ("Grüße an das Netz\n".encode(), "text"),
    "utf16.txt": ("hello".encode("utf-16"), "text"),
    "cat.png": (b"\x89PNG\r\n\x1a\n" + bytes(64), "a picture, sound, film"),
    "cat.jpg": (b"\xff\xd8\xff\xe0" + bytes(64), "a picture, sound, film"),
    "cat.webp": (b"RIFF\0\0\0\0WEBP" + bytes(64), "a picture, sound, film"),
    "cat.bmp": (b"BM" + struct.pack("<I", 70) + bytes(64), "a picture, sound, film"),
    "paper.pdf": (b"%PDF-1.7\n" + bytes(64), "a picture, sound, film, document"),
    "tool": (b"\x7fELF\x02\x01\x01" + bytes(64), "a program, a library or a script"),
    "tool.exe": (b"MZ\x90\0" + bytes(64), "a program, a library or a script"),
    "tool.sh": (b"#!/bin/sh\necho hello\n", "a program, a library or a script"),
    "empty.safetensors": (safetensors_bytes({}, b""), "without tensors"),
    "zeros.bin": (bytes(1000), "of a kind that DECC does not know"),
    "noise.bin": (bytes(range(1, 256)) * 9, "of a kind that DECC does not know"),
}
