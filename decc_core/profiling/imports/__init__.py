"""Profiles that were measured elsewhere: tables, ONNX Runtime's profiling files and traces of PyTorch's profiler."""

from decc_core.profiling.imports.imported import Imported
from decc_core.profiling.imports.read import FILE_ENDINGS, MAX_BYTES, read_profile
from decc_core.profiling.imports.templates import template_csv, template_json

__all__ = ["FILE_ENDINGS", "MAX_BYTES", "Imported", "read_profile", "template_csv", "template_json"]
