"""What a locked-down process can still do; each test asks a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PRELUDE = """
import json, os, sys
from pathlib import Path
from decc_core.load.limits import Limits
from decc_core.load.process.sandbox import locked_down
readable, writable = Path(sys.argv[1]), Path(sys.argv[2])
missing = locked_down(Limits(memory_bytes=6 << 30, time_s=30), [readable], writable)

def tried(work):
    try:
        work()
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return "done"

"""


@pytest.fixture
def places(tmp_path):
    """A file to read, a folder to write into, and the folder of somebody else."""
    given, own, other = tmp_path / "given", tmp_path / "own", tmp_path / "other"
    given.write_text("given")
    own.mkdir()
    other.mkdir()
    (other / "secret").write_text("secret")
    return given, own, other


def locked_down(script: str, given: Path, own: Path) -> dict[str, object]:
    """What the script leaves in `found`, after it was locked down."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script + "\nprint(json.dumps({'missing': missing, **found}))", given, own],
        cwd=own,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def skip_where_missing(found, what):
    if what in found["missing"]:
        pytest.skip(f"this system cannot take {what} away from a process")


def test_only_the_given_file_is_read_and_only_the_own_folder_written(places):
    given, own, other = places
    found = locked_down(
        f"""
other = Path({str(other)!r})
found = {{
    "reads given": tried(readable.read_text),
    "writes own": tried(lambda: (writable / "x").write_text("x")),
    "reads other": tried((other / "secret").read_text),
    "lists other": tried(lambda: list(os.scandir(other))),
    "writes other": tried(lambda: (other / "marker").write_text("x")),
    "writes given": tried(lambda: readable.write_text("x")),
    "removes other": tried((other / "secret").unlink),
    "reads home": tried(lambda: os.listdir(os.path.expanduser("~root"))),
}}""",
        given,
        own,
    )
    skip_where_missing(found, "other files")
    assert (found["reads given"], found["writes own"]) == ("done", "done")
    refused = {what for what, how in found.items() if how == "PermissionError"}
    assert refused == {"reads other", "lists other", "writes other", "writes given", "removes other", "reads home"}
    assert not (other / "marker").exists()
    assert given.read_text() == "given"


def test_no_connection_leaves_the_process_not_even_to_this_machine(places):
    given, own, _ = places
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = locked_down(
            f"""
import socket
found = {{"connects": tried(lambda: socket.create_connection(("127.0.0.1", {port}), timeout=5))}}""",
            given,
            own,
        )
    skip_where_missing(found, "the network")
    assert found["connects"] == "OSError"


def test_memory_beyond_the_limit_is_refused_and_the_process_goes_on(places):
    given, own, _ = places
    found = locked_down('found = {"allocates": tried(lambda: bytearray(8 << 30))}', given, own)
    assert found["allocates"] == "MemoryError"


def test_a_signal_does_not_reach_another_process(places):
    given, own, _ = places
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        found = locked_down(
            f"""
import signal
found = {{"kills": tried(lambda: os.kill({other.pid}, signal.SIGTERM))}}""",
            given,
            own,
        )
        alive = other.poll() is None
        assert other.stdin is not None
        other.stdin.close()
        other.kill()
    skip_where_missing(found, "other files")
    if found["kills"] == "done":
        pytest.skip("this kernel cannot yet keep signals inside")
    assert alive
