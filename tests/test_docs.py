"""The documentation keeps its word: its commands are taken, its links lead somewhere, and what it names is there."""

from __future__ import annotations

import argparse
import ast
import builtins
import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

import decc_core.api
from decc_core import library
from decc_core.cli import main
from decc_core.cli.parser import make_parser
from decc_core.load.limits import VARIABLE, Limits
from decc_core.planner.strategies import STRATEGIES
from tests.test_rooms import ORDER

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
PLANNING = {"compare", "plan", "sweep", "pareto"}
RUN: set[tuple[str, ...]] = set()
PROGRAMS = {"decc", "python", "pip", "make", "openssl"}
SOURCES = ("decc_core", "app", "benchmarks", "tests")
ROOTS = (ROOT, *(ROOT / source for source in SOURCES))

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_lines_of_prose_fit_on_the_screen_that_code_fits_on(page):
    # Rows of tables and pictures have to be lines, however long.
    long = [line for line in prose(page).splitlines() if len(line) > 120 and not line.startswith(("|", "!["))]
    assert not long


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """The program and the arguments of every command line of a page; variables before it must be known ones."""
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and "=" in words[0]:
                require_variable(words.pop(0).split("=")[0])
            if words:
                yield words[0].removeprefix(".venv/bin/"), words[1:]


@cache
def source() -> str:
    """All Python that there is, but for this file."""
    files = sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*.py") if path != Path(__file__))
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@cache
def words() -> frozenset[str]:
    return frozenset(re.findall(r"\w+", source()))


def require_variable(name: str) -> None:
    limits = {VARIABLE + limit.name.upper() for limit in fields(Limits)}
    assert name in limits or f'"{name}"' in source(), name


def is_cheap(given: argparse.Namespace) -> bool:
    """Whether a command can be run here: it lists, writes a table, or plans for a network with shipped times."""
    if given.command not in PLANNING:
        return given.command == "models" or getattr(given, "template", None) is not None
    return given.model in library.shipped_models() and not given.weights and not getattr(given, "exact", None)


def subcommands() -> dict[str, argparse.ArgumentParser]:
    (action,) = (action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction))
    return action.choices


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings} - {"-h", "--help"}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pages
def test_every_command_is_of_a_program_that_is_known(page):
    assert {program for program, _ in commands(page)} <= PROGRAMS


@pages
def test_every_decc_command_is_taken_and_the_cheap_ones_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for program, arguments in commands(page):
        if program != "decc":
            continue
        # What several pages say is run once; nothing that is run reads what an earlier line wrote.
        if is_cheap(make_parser().parse_args(arguments)) and tuple(arguments) not in RUN:
            RUN.add(tuple(arguments))
            assert main(arguments) == 0, arguments
            assert any(capsys.readouterr()), arguments


@pages
def test_every_other_command_names_targets_modules_and_extras_that_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for program, arguments in commands(page):
        if program == "make":
            targets = [word for word in arguments if "=" not in word]
            assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets), arguments
        if program == "pip":
            (extra,) = re.findall(r"\[([\w-]+)\]", " ".join(arguments))
            assert extra in project["project"]["optional-dependencies"]
        if program == "python" and arguments[:2] == ["-m", "pytest"]:
            assert all((ROOT / word.split("::")[0]).exists() for word in arguments if word.startswith("tests/"))
        elif program == "python":
            (module,) = arguments[1:2] if arguments[0] == "-m" else [arguments[0].removesuffix(".py").replace("/", ".")]
            text = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
            assert all(f'"{word}"' in text for word in arguments if word.startswith("--") and word != "--help")


@pages
def test_python_is_python_and_what_needs_neither_torch_nor_names_of_yours_runs(page):
    """The blocks of a page follow each other: what one defines, the next may use."""
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and re.fullmatch(r"decc(\.\w+)+", ast.unparse(node.func)):
                require_call(node)
        if "import torch" not in block and unknown(tree) <= names.keys():
            exec(compile(tree, page.name, "exec"), names)


def unknown(tree: ast.Module) -> set[str]:
    """The names that a block reads, and neither defines nor imports."""
    used, defined = set(), set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, ast.alias):
            defined.add(node.asname or node.name)
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
        elif isinstance(node, ast.FunctionDef):
            defined.add(node.name)
    return used - defined


def require_call(call: ast.Call) -> None:
    """The function is there, and takes so many arguments by these names."""
    function = decc_core.api
    for name in ast.unparse(call.func).split(".")[1:]:
        function = getattr(function, name)
    inspect.signature(function).bind(*call.args, **{str(word.arg): word.value for word in call.keywords})


def anchors(page: Path) -> set[str]:
    """What a heading is called in an address: small letters and hyphens."""
    headings = HEADING.findall(BLOCK.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(prose(page)):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_the_readme_and_lists_its_sections():
    linked = set(LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    for page in PAGES[1:]:
        assert f"docs/{page.name}" in linked
        text = prose(page)
        sections = {
            re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in re.findall(r"^## (.+)$", text, re.M)
        }
        assert sections == set(re.findall(r"^- \[.+\]\(#(.+)\)$", text, re.MULTILINE)), page.name


@pages
def test_every_file_module_and_name_is_there(page):
    there = {path.name for folder in (*ROOTS[1:], ROOT / "examples") for path in folder.rglob("*")}
    for code in CODE.findall(prose(page)):
        if code.startswith((".venv/", ".hypothesis/")):
            continue
        if re.fullmatch(r"[\w.-]*/[\w./-]*", code) and code.rstrip("/") not in there:
            assert any((root / code).exists() for root in ROOTS), code
        elif re.fullmatch(r"\w+\.(py|js|css)", code):
            assert code in there, code
        elif re.fullmatch(rf"({'|'.join(SOURCES)})(\.\w+)+", code):
            require_module(code)
        elif re.fullmatch(r"DECC_\w+", code):
            require_variable(code)
        elif name := re.fullmatch(r"(?:\w+\.)*(\w+)\(.*\)|(?:\w+\.)*([A-Z]\w*[a-z]\w*)", code):
            assert (name[1] or name[2]) in words(), code


def require_module(code: str) -> None:
    """A module, or a name in one."""
    path = code.replace(".", "/")
    folder, _, name = path.rpartition("/")
    if (ROOT / path).exists() or (ROOT / f"{path}.py").exists():
        return
    inside = [file for file in (ROOT / f"{folder}.py", ROOT / folder / "__init__.py") if file.exists()]
    assert inside, code
    assert re.search(rf"\b{name}\b", inside[0].read_text(encoding="utf-8")), code


def test_every_option_is_explained_and_no_other():
    page = prose(DOCS / "command-line.md")
    explained = set(re.findall(r"(?<![\w-])(--?[a-z][\w-]*)", page)) - {"--help"}
    taken = set().union(*(options(parser) for parser in subcommands().values()))
    assert explained == taken
    listed = re.findall(r"^\| `decc (\w+)` \|", page, re.MULTILINE)
    assert listed == [name for name in listed if name in subcommands()]
    assert set(listed) == set(subcommands())


def test_the_table_of_limits_has_all_of_them_with_their_defaults():
    page = (DOCS / "security-and-limits.md").read_text(encoding="utf-8")
    table = {name: int(value.replace(",", "")) for name, value in re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", page, re.M)}
    assert table == {VARIABLE + limit.name.upper(): limit.default for limit in fields(Limits)}


def test_the_table_of_strategies_has_all_of_them_in_order():
    section = (DOCS / "how-it-plans.md").read_text(encoding="utf-8").split("## The strategies")[1].split("\n## ")[0]
    named = [name for row in re.findall(r"^\| (`.+?) [|(]", section, re.MULTILINE) for name in CODE.findall(row)]
    assert named == [*STRATEGIES, "exact"]


@pytest.mark.parametrize("room", [room for room in ORDER if room.count("/") <= 1])
def test_the_architecture_names_every_room_and_its_files_in_their_order(room):
    """A room's section names what stands in it; what it says beside that, it says after."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    section = page.split(f"### `{room}/`")[1].split("\n##")[0]
    named = [code.removesuffix(".py").rstrip("/") for code in CODE.findall(section) if code.endswith((".py", "/"))]
    inside = [name for name in ORDER[room].split() if name != "__init__"]
    assert [name for name in dict.fromkeys(named) if name in inside] == inside
