"""What a process may still do while it reads a file of somebody else: little memory and time, no network, one folder,
no other process.

Each lock holds for the whole life of the process, so it is for a process of its own. Where the system lacks one
(network namespaces, Landlock and seccomp are Linux's), the others still hold, and `locked_down` says what is missing.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import sysconfig
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from decc_core.load.limits import Limits
from decc_core.load.process.apart import go_apart
from decc_core.load.process.syscalls import without_needless_calls

PR_SET_NO_NEW_PRIVS = 38
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
"""System calls, with the same numbers on every architecture."""
LANDLOCK_VERSION, PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
RIGHTS_OF_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1}
"""Later versions know one more right, to truncate."""
SCOPES_SINCE, OTHER_PROCESSES = 6, 3
"""Signals and abstract sockets of processes outside."""
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
OPEN_FILES = 512
OF_FOLDERS = READ_DIR | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8
"""Beside listing: remove folders and files, make folders and ordinary files; no devices, pipes, sockets or links."""
SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/sys/devices/system", "/sys/fs/cgroup",
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/filesystems",
    "/proc/sys/vm", "/proc/sys/kernel", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
)  # fmt: skip
"""What Python and PyTorch read to start; neither homes nor data nor other processes are among it."""
PR_CAPBSET_DROP, CAPABILITIES_VERSION, MOST_CAPABILITIES = 24, 0x20080522, 64


def locked_down(limits: Limits, readable: Iterable[Path], writable: Path) -> tuple[str, ...]:
    """Give up what reading a file does not need; returns what this system could not take away, in words.

    `readable` are the files to read, `writable` the one folder to write into. Call it before threads start.
    """
    _limit(resource.RLIMIT_AS, limits.memory_bytes)
    _limit(resource.RLIMIT_CPU, limits.time_s * (os.cpu_count() or 1))
    _limit(resource.RLIMIT_FSIZE, 2 * limits.parameter_bytes)
    readable = tuple(readable)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES + len(readable))
    _limit(resource.RLIMIT_CORE, 0)
    # The folder is where Python was started, and so among its places; nothing in it is to be run.
    places = [*map(Path, SYSTEM), *(place for place in _python() if place != writable), *readable]
    missing = []
    _never_again_capable()
    if not go_apart(places, writable):
        missing.append("the network")
    if not _inside(places, writable):
        missing.append("other files")
    _without_capabilities()
    if not without_needless_calls():
        missing.append("needless system calls")
    return tuple(missing)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    # Some systems (macOS) do not take every limit.
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (most, most))


def _never_again_capable() -> None:
    """No program that this process might start gets a root's rights back."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in range(MOST_CAPABILITIES):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def _without_capabilities() -> None:
    """What a root's process may do beyond its files: nothing. Others have none, and cannot drop what they lack."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0)
        libc.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))


def _python() -> list[Path]:
    """Where this Python, its packages and this one live."""
    places = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *sys.path]
    there = [Path(place) for place in places if place and Path(place).exists()]
    # Also by the names that lead there through links.
    return list(dict.fromkeys([*there, *(place.resolve() for place in there)]))


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def _inside(readable: Iterable[Path], writable: Path) -> bool:
    """Landlock: nothing can be read but some places, and nothing written but in one folder."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        syscall = libc.syscall
    except (OSError, AttributeError):
        return False
    version = syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), LANDLOCK_VERSION)
    if version < 1:
        return False
    rights = RIGHTS_OF_VERSION.get(version, (1 << 15) - 1)
    scoped = version >= SCOPES_SINCE
    asked = _Ruleset(rights, 0, OTHER_PROCESSES if scoped else 0)
    size = ctypes.sizeof(asked) if scoped else ctypes.sizeof(ctypes.c_uint64)
    ruleset = syscall(LANDLOCK_CREATE, ctypes.byref(asked), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        for place in readable:
            _allow(syscall, ruleset, place, rights & (EXECUTE | READ_FILE | READ_DIR))
        _allow(syscall, ruleset, Path("/dev/null"), rights & (READ_FILE | WRITE_FILE))
        _allow(syscall, ruleset, writable, rights & (OF_FILES & ~EXECUTE | OF_FOLDERS))
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return bool(syscall(LANDLOCK_RESTRICT, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(syscall: Any, ruleset: int, place: Path, rights: int) -> None:
    with suppress(OSError):
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = _Beneath(rights if place.is_dir() else rights & OF_FILES, opened)
            syscall(LANDLOCK_ADD, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(opened)
