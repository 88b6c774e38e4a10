"""What a locked-down process can still do; each test asks a process of its own."""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from decc_core.load.process import syscalls

HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
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
    except (OSError, MemoryError, ValueError) as error:
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
    refused = {what for what, how in found.items() if how in ("PermissionError", "FileNotFoundError", "OSError")}
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
    assert found["connects"] in ("OSError", "PermissionError")


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


def test_other_processes_cannot_be_seen_or_touched_and_none_can_be_started(places):
    given, own, _ = places
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        pid = bystander.pid
        found = locked_down(
            f"""
import ctypes, resource, socket, subprocess, threading
def node(kind):
    os.mknod(writable / "node", kind | 0o600, os.makedev(1, 11))
ran = []
thread = threading.Thread(target=lambda: ran.append(1))
thread.start()
thread.join()
libc = ctypes.CDLL(None, use_errno=True)
def called(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
found = {{
    "reads environ": tried(Path("/proc/{pid}/environ").read_bytes),
    "reads the parent's environ": tried(Path(f"/proc/{{os.getppid()}}/environ").read_bytes),
    "lists processes": tried(lambda: os.listdir("/proc")),
    "makes a socket": tried(lambda: socket.socket(socket.AF_UNIX)),
    "starts a program": tried(lambda: subprocess.run(["/bin/true"], check=True)),
    "forks": tried(os.fork),
    "limits it": tried(lambda: resource.prlimit({pid}, resource.RLIMIT_CPU, (1, 1))),
    "slows it": tried(lambda: os.setpriority(os.PRIO_PROCESS, {pid}, 19)),
    "binds it": tried(lambda: os.sched_setaffinity({pid}, {{0}})),
    "kills it": tried(lambda: os.kill({pid}, 9)),
    "makes a device": tried(lambda: node(0o020000)),
    "makes a pipe": tried(lambda: os.mkfifo(writable / "pipe")),
    "makes a link": tried(lambda: os.symlink("/etc/passwd", writable / "link")),
    "gets another root": tried(lambda: os.chroot(writable)),
    "mounts": tried(lambda: called("mount", b"none", b"/tmp", b"tmpfs", 0, None)),
    "traces": tried(lambda: called("ptrace", 16, {pid}, 0, 0)),
    "gets a namespace": tried(lambda: called("unshare", 0x10000000)),
    "takes a limit back": tried(lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1))),
}}
allowed = {{
    "thread": ran == [1],
    "itself": Path("/proc/self/status").read_text(),
    "folder": tried((writable / "inner").mkdir),
    "own limit": tried(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))),
}}
found = {{**found, "allowed": allowed}}""",
            given,
            own,
        )
        alive = bystander.poll() is None
        assert bystander.stdin is not None
        bystander.stdin.close()
        bystander.kill()
    for what in ("other files", "needless system calls"):
        skip_where_missing(found, what)
    allowed = found.pop("allowed")
    assert isinstance(allowed, dict)
    errors = {"PermissionError", "FileNotFoundError", "ProcessLookupError", "OSError", "ValueError"}
    assert {how for what, how in found.items() if what != "missing"} <= errors, found
    assert alive
    assert (allowed["thread"], allowed["folder"], allowed["own limit"]) == (True, "done", "done")
    status = dict(line.split(":\t", 1) for line in allowed["itself"].splitlines())
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
    assert list(own.iterdir()) == [own / "inner"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a user to give up, and may have others' numbers")
def test_what_root_starts_is_nobody_with_numbers_and_files_of_its_own(places):
    given, own, other = places
    (own / "earlier").write_text("written by whoever owns the folder")
    found = locked_down(
        f"""
found = {{
    "user": os.getresuid(),
    "groups": os.getgroups(),
    "number": os.getpid(),
    "parent": os.getppid(),
    "sees other": os.path.exists({str(other)!r}),
    "folders open": [name for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd/" + name)],
    "leads out": tried(lambda: os.open("../../../../etc/passwd", os.O_RDONLY, dir_fd=os.open(".", os.O_PATH))),
    "replaces": tried(lambda: (writable / "earlier").write_text("new")),
}}""",
        given,
        own,
    )
    skip_where_missing(found, "the network")
    if found["number"] != 2:
        pytest.skip("this system gives a process no numbers of its own")
    user = found["user"]
    assert isinstance(user, list)
    assert user == [user[0]] * 3
    assert user[0] >= 65534
    assert (found["groups"], found["sees other"], found["replaces"]) == ([], False, "done")
    assert found["parent"] == 1
    assert found["folders open"] == []
    assert found["leads out"] != "done"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads what nobody else may")
def test_a_file_that_only_root_may_read_is_read_by_root_without_its_rights(places):
    given, own, _ = places
    given.chmod(0o600)
    found = locked_down(
        """
found = {
    "reads": tried(readable.read_text),
    "user": os.geteuid(),
    "writes": tried((writable / "x").touch),
}""",
        given,
        own,
    )
    assert (found["reads"], found["writes"], found["user"]) == ("done", "done", 0)
    assert (own.stat().st_uid, (own / "x").stat().st_uid) == (0, 0)


@pytest.mark.parametrize("end", ["signal.raise_signal(8)", "os.abort()", "os._exit(7)", "sys.exit(3)"])
def test_whoever_waits_is_told_how_the_process_ended(places, end):
    given, own, _ = places
    command = [sys.executable, "-c", f"{PRELUDE}\nimport signal\n{end}", given, own]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=own, env=environment, stderr=subprocess.DEVNULL, timeout=60, check=False)
    assert done.returncode == {"signal.raise_signal(8)": -8, "os.abort()": -6, "os._exit(7)": 7, "sys.exit(3)": 3}[end]


def test_the_refused_calls_have_one_number_each_on_both_architectures():
    for machine in (syscalls.X86_64, syscalls.ARM64):
        numbers = syscalls.refused_numbers(machine)
        own = {pair[(syscalls.X86_64, syscalls.ARM64).index(machine)] for pair in syscalls.OF_ITSELF.values()}
        assert len(set(numbers)) == len(numbers) > 50
        assert not own.intersection(numbers)


@pytest.mark.skipif(platform.machine() != "x86_64" or not HEADER.is_file(), reason="needs the system's header")
def test_the_numbers_are_those_of_the_systems_header():
    known = dict(re.findall(r"#define __NR_(\w+)\s+(\d+)", HEADER.read_text()))
    for entry in syscalls.REFUSED.split(","):
        name, number, _ = entry.split()
        assert known.get(name, number) == number, name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a user to give up")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_own_tree_can_be_walked_whatever_mask_new_files_have(places, mask):
    given, own, _ = places
    before = os.umask(mask)
    try:
        found = locked_down('found = {"user": os.geteuid(), "reads": tried(readable.read_text)}', given, own)
    finally:
        os.umask(before)
    skip_where_missing(found, "the network")
    assert found["reads"] == "done"
    assert found["user"] != 0
