"""The house: rooms and files stand in one order and import upward only; the upper rooms of the core are pure."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ORDER = {
    "decc_core": "errors text ranges progress kernels network formats problem plans planner streams study pictures "
    "files unforeseen store library models profiling load runtime split printed studies cli api __main__",
    "decc_core/kernels": "codes nesting one_cut many_cuts sequencing schedules judging",
    "decc_core/network": "titles graph towers work arrays branches",
    "decc_core/formats": "format plain integers squeezed entropy jpeg catalogue __init__",
    "decc_core/problem": "constraints profile roofline link wire instance scenario",
    "decc_core/plans": "plan pieces schedule runs memory trace check judge",
    "decc_core/planner": "mincut delays cuts mixes candidates chains segment_search one_request bounds analysis "
    "many_requests sequences replan strategies",
    "decc_core/planner/strategies": "fixed neurosurgeon dads qdmp single_cut jps decc exact_result exact __init__ "
    "ablated",
    "decc_core/streams": "arrivals menu engine served policies online posted load",
    "decc_core/study": "compare ablation verdict explain reach sweep crossover regret pareto moves critical "
    "differences depth lesson findings warm_up",
    "decc_core/models": "device tensors model runtime torch onnx runtimes zoo_models zoo portable ref",
    "decc_core/models/torch": "operators extract checks data programs pieces runtime",
    "decc_core/models/onnx": "operators graph model pieces timing runtime",
    "decc_core/profiling": "settings machine profiler quick layer_times wire imports",
    "decc_core/profiling/imports": "imported tables traces mapping onnxruntime kineto __init__",
    "decc_core/load": "limits zips images onnx kinds pt2 weights process",
    "decc_core/load/kinds": "remedies kind foreign pickles detect",
    "decc_core/load/pt2": "schema sizes operators numbers graph network archive read",
    "decc_core/load/onnx": "scan nodes checks beside fold parts optimise examples file",
    "decc_core/load/weights": "files fit read",
    "decc_core/load/process": "messages syscalls apart sandbox loader child",
    "decc_core/runtime": "wire worker controller __main__",
    "decc_core/runtime/wire": "assembly pacing torch_tensors messages methods certificates transport handshake "
    "connections log strangers door pulse link_probe processes",
    "decc_core/runtime/worker": "tensors queues models ticking side driver stream stream_driver serve",
    "decc_core/runtime/controller": "images dilation outputs client report watch plan_run live "
    "stream_report stream_run",
    "decc_core/split": "readme write",
    "decc_core/studies": "study grid columns materials work process engines results run report",
    "decc_core/printed": "names table html sheet gantt graph charts sweep wire findings study",
    "decc_core/cli": "output progress options sources scenario models devices extract profile wire plan load study "
    "report split run_results run_stream run certificates worker link page parser __init__",
    "app": "text glossary memory state figures components jobs shell views warm_up main",
    "app/figures": "style strategy_style scene bars lines wire_depth sweep_map load_curve study trade_offs gantt "
    "overlay profile_bars proof svg branch_graph branch_scene layer_tree nested_layout layer_graph stream "
    "printed diamond",
    "app/components": "graph gantt copy table",
    "app/jobs": "planners planner job file upload wire bundle times inputs live live_stream profile proof trade_offs "
    "split sweep load studies reach",
    "app/shell": "door inbox answers foreword page choices timers address workspaces visit cached models profiles "
    "wires links bring report exports uploads limits widgets tour frame",
    "app/views": "network_state network_details network profile_own profile plan_table plan_what_if plan_pairs "
    "plan_proof plan_files plan_trade_offs plan_wire plan_why plan live_inputs live_stream live sweep load "
    "studies learn",
}
PURE = [
    "text",
    "ranges",
    "kernels",
    "network",
    "formats",
    "problem",
    "plans",
    "planner",
    "streams",
    "study",
    "pictures",
]
"""Rooms of the core that know no torch, no clock and no files."""
IMPURE = {
    *("torch", "torchvision", "time", "datetime", "os", "pathlib", "random"),
    *("rich", "streamlit", "psutil", "msgspec", "grpc", "safetensors"),
}
WITHOUT_STREAMLIT = ("app/figures", "app/jobs", "app/text.py", "app/glossary.py", "app/memory.py", "decc_core")


def files(place: str) -> list[Path]:
    path = ROOT / place
    return [path] if path.suffix else sorted(path.rglob("*.py"))


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Dotted names of everything that a file imports, wherever it does so."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(found)


def test_every_folder_and_file_has_its_place():
    for folder, order in ORDER.items():
        children = {path.stem for path in (ROOT / folder).iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
        assert sorted(children - {"__init__"}) == sorted(set(order.split()) - {"__init__"}), folder


def test_rooms_and_files_import_only_what_stands_above_them():
    for path in [*files("decc_core"), *files("app")]:
        own = path.relative_to(ROOT).with_suffix("").parts
        for name in imported(path):
            other = tuple(name.split("."))
            shared = next((i for i, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), None)
            if shared and (order := ORDER.get("/".join(own[:shared]), "").split()) and other[shared] in order:
                assert order.index(other[shared]) < order.index(own[shared]), f"{path} imports {name}"


def test_the_upper_rooms_know_no_torch_no_clock_and_no_files():
    for room in PURE:
        for path in files(f"decc_core/{room}" if (ROOT / "decc_core" / room).is_dir() else f"decc_core/{room}.py"):
            assert not {name.split(".")[0] for name in imported(path)} & IMPURE, path


def test_figures_jobs_and_the_core_know_no_streamlit():
    for place in WITHOUT_STREAMLIT:
        for path in files(place):
            assert not any(name.startswith("streamlit") for name in imported(path)), path


OPEN_FILES = {
    "decc_core/files.py": "the one reader of files that users name",
    "decc_core/load": "runs in a locked-down process of its own",
    "decc_core/models/onnx/pieces.py": "reads what it has written",
    "decc_core/models/onnx/timing.py": "reads what it has written",
    "decc_core/profiling/machine.py": "asks the system",
    "decc_core/runtime/wire/processes.py": "asks the system",
    "app/components": "reads what is shipped",
    "app/shell/foreword.py": "reads what is shipped",
    "app/state.py": "reads what is shipped",
    "app/jobs/split.py": "reads what it has written",
    "app/jobs/bundle.py": "unpacks what a process of its own reads then",
}


def test_files_of_users_are_opened_in_one_place():
    for path in [*files("decc_core"), *files("app")]:
        if any(path.is_relative_to(ROOT / place) for place in OPEN_FILES):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                owner = getattr(getattr(node.func, "value", None), "id", "")
                what = f"{path}, line {node.lineno}: {owner}.{called}"
                assert called not in {"read_bytes", "fromfile", "memmap"}, what
                assert called != "read_text" or owner == "files", what
                assert called != "open" or owner == "Image", what
