"""Every compiled loop that the planner calls is there after the warm-up, and is never older than what it calls."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from types import ModuleType

from numba.core.dispatcher import Dispatcher

import decc_core
from decc_core.study.warm_up import warm_up

CORE = Path(decc_core.__file__).parent
KERNELS: dict[str, ModuleType] = {
    path.stem: import_module(f"decc_core.kernels.{path.stem}") for path in (CORE / "kernels").glob("[!_]*.py")
}


def loops(file: ModuleType) -> dict[str, Dispatcher]:
    return {name: loop for name, loop in vars(file).items() if isinstance(loop, Dispatcher)}


def test_after_the_warm_up_no_loop_waits_to_be_compiled():
    called = {
        getattr(KERNELS[node.value.id], node.attr)
        for path in CORE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in KERNELS
        if node.attr in loops(KERNELS[node.value.id])
    }
    assert len(called) > 20
    warm_up()
    assert [loop.__name__ for loop in called if not loop.signatures] == []


def test_a_loop_calls_only_loops_of_its_own_file_as_no_other_change_would_renew_it():
    for file in [*KERNELS.values(), import_module("decc_core.streams.engine")]:
        assert {name for name, loop in loops(file).items() if loop.__module__ != file.__name__} == set()
        assert not any(isinstance(value, ModuleType) and loops(value) for value in vars(file).values())
