"""Modules stand on floors and import downward only; the pure floors know no torch, no clock and no files."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[1] / "decc_core"
FLOORS = (
    ("errors",),
    ("graph", "span", "kernels", "operators"),
    ("topology", "branches", "profile", "reach", "constraints"),
    ("cost", "layer_times"),
    ("plan", "mincut"),
    ("mixes", "schedule", "delays", "segments"),
    ("memory",),
    ("plan_check", "schedule_check", "candidates", "shapes", "trace", "critical", "plan_diff", "pieces"),
    ("stretch_search", "split_readme"),
    ("one_request",),
    ("bounds",),
    ("strategies",),
    ("compare", "replan"),
    ("ablation", "explain", "sweep", "pareto", "moves", "regret", "lesson"),
    ("crossover", "notebook"),
    ("store", "zoo_models", "model", "onnx_operators"),
    ("profile_import", "extract", "onnx_graph"),
    ("onnx_model",),
    ("library", "zoo", "device", "portable", "onnx_timing", "onnx_pieces"),
    ("profiler",),
    ("load",),
    ("runtime",),
    ("split_model",),
    ("cli", "api"),
    ("__main__",),
)
FLOOR_OF = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}
FIRST_SHELL_FLOOR = next(floor for floor, modules in enumerate(FLOORS) if "store" in modules)
IMPURE = {
    "torch",
    "torchvision",
    "time",
    "datetime",
    "os",
    "pathlib",
    "random",
    "rich",
    "streamlit",
    "psutil",
    "msgspec",
    "grpc",
    "safetensors",
}


def module_of(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Dotted names of everything that a file imports, wherever it does so."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = sorted(path for path in CORE.rglob("*.py") if module_of(path) != "__init__")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_modules_import_only_from_floors_below(path):
    own = module_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "decc_core" and len(parts) > 1 and parts[1] not in ("__version__", own):
            assert FLOOR_OF[parts[1]] < FLOOR_OF[own], f"{own} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_the_pure_floors_know_no_torch_no_clock_and_no_files(path):
    if FLOOR_OF[module_of(path)] < FIRST_SHELL_FLOOR:
        assert not {name.split(".")[0] for name in imports(path)} & IMPURE


def test_figures_know_no_streamlit():
    for path in (CORE.parent / "app" / "figures").glob("*.py"):
        assert not any(name.startswith("streamlit") for name in imports(path))
