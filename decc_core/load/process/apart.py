"""A process apart from all others: no network, process numbers of its own, and where root starts it a tree of files and
a user of its own.

Linux's namespaces, as containers are made of, taken one by one where a system has them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NEW_MOUNTS, NEW_USER, NEW_PROCESSES, NEW_NETWORK = 0x00020000, 0x10000000, 0x20000000, 0x40000000
ALONE = NEW_MOUNTS | NEW_PROCESSES | NEW_NETWORK
READ_ONLY, NO_SUID, NO_DEVICES, NO_PROGRAMS, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
PROC_OPTIONS = NO_SUID | NO_DEVICES | NO_PROGRAMS | READ_ONLY
DETACH = 2
PR_SET_PDEATHSIG = 1
ROOT = Path("/tmp")
"""Where the new tree is put together; every system has this folder, and the rest of it is not seen again."""
ROOT_OPTIONS = b"mode=755,size=1m"
USERS, NOBODY = 2_000_000_000, 65534
"""Users whose numbers nobody has, one for each process; and the one that takes their place where there are fewer."""
BY_SIGNAL = 128
"""An exit status above stands for the end by a signal, as in shells."""


def go_apart(readable: Iterable[Path], folder: Path) -> bool:
    """Go on in a process that is alone, which ends as this one will; whether the network is gone.

    In its tree of files there is what is `readable` and, to write into, the folder. Call it before threads start.
    """
    libc, user = _libc(), USERS + os.getpid()
    flags = next((flags for flags in _WAYS if libc is not None and libc.unshare(flags) == 0), 0)
    if libc is not None and flags & NEW_PROCESSES:
        _go_on_in_a_child(libc)  # the first one has other rules for signals, so it only waits for the second
        _go_on_in_a_child(libc)
        places = [place for place in readable if not place.is_relative_to("/proc") and place != folder]
        # Where that fails, as in a plain chroot, mounts would be seen by everybody else.
        if _mount(libc, None, Path("/"), None, RECURSIVE | PRIVATE) and (
            flags & NEW_USER or not _tree_of_its_own(libc, places, folder)
        ):
            _mount(libc, "proc", Path("/proc"), "proc", PROC_OPTIONS)
    _be_somebody_else(user, [place for place in readable if place.exists()], folder)
    return bool(flags)


_WAYS = (ALONE, NEW_USER | ALONE, NEW_NETWORK, NEW_USER | NEW_NETWORK)


def _libc() -> Any:
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return libc if hasattr(libc, "unshare") else None
    except OSError:
        return None


def _go_on_in_a_child(libc: Any) -> None:
    """Returns in a new process; this one waits for it and ends as it does."""
    child = os.fork()
    if child == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        return
    signal.signal(signal.SIGTERM, lambda *_: _kill(child))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    ended_by = -code if code < 0 else max(0, code - BY_SIGNAL)
    if ended_by:
        with suppress(OSError, ValueError):
            signal.signal(ended_by, signal.SIG_DFL)
        os.kill(os.getpid(), ended_by)
    os._exit(BY_SIGNAL + ended_by if ended_by else code)


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _mount(libc: Any, source: str | None, target: Path, kind: str | None, flags: int, options: bytes = b"") -> bool:
    told = (None if text is None else os.fsencode(text) for text in (source, target, kind))
    return bool(libc.mount(*told, ctypes.c_ulong(flags), options or None) == 0)


def _tree_of_its_own(libc: Any, readable: Iterable[Path], folder: Path) -> bool:
    """Another root, with these places alone in it, which cannot be written, and the folder, which can."""
    with _opened([*_highest(readable), folder]) as places:
        if not _mount(libc, "tmpfs", ROOT, "tmpfs", NO_SUID | NO_DEVICES, ROOT_OPTIONS):
            return False
        mask = os.umask(0o022)
        try:
            (ROOT / "proc").mkdir()
            if not _mount(libc, "proc", ROOT / "proc", "proc", PROC_OPTIONS):
                raise OSError
            for place, source in places.items():
                there = _made(ROOT / place.relative_to("/"), stat.S_ISDIR(os.fstat(source).st_mode))
                if not _mount(libc, f"/proc/self/fd/{source}", there, None, BIND | RECURSIVE):
                    raise OSError
                if place != folder:
                    _mount(libc, None, there, None, BIND | REMOUNT | READ_ONLY)
            os.chdir(ROOT)
            if libc.pivot_root(b".", b".") != 0:
                raise OSError
        except OSError:
            libc.umount2(os.fsencode(ROOT), DETACH)
            os.chdir(folder)
            return False
        finally:
            os.umask(mask)
    libc.umount2(b".", DETACH)
    os.chdir(folder)
    return True


def _highest(places: Iterable[Path]) -> list[Path]:
    """Those that do not lie inside another one."""
    kept: list[Path] = []
    for place in sorted({place.absolute() for place in places}, key=lambda place: len(place.parts)):
        if not any(place.is_relative_to(other) for other in kept):
            kept.append(place)
    return kept


@contextmanager
def _opened(places: Iterable[Path]) -> Iterator[dict[Path, int]]:
    """Those of the places that are there, each with a number under which it is found wherever it is mounted."""
    numbers: dict[Path, int] = {}
    try:
        for place in dict.fromkeys(places):
            with suppress(OSError):
                numbers[place] = os.open(place, os.O_PATH | os.O_CLOEXEC)
        yield numbers
    finally:
        for number in numbers.values():
            os.close(number)


def _made(place: Path, is_folder: bool) -> Path:
    """Something of the same kind, to mount it on."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if is_folder:
        place.mkdir(exist_ok=True)
    elif not place.exists():
        place.touch()
    return place


def _be_somebody_else(user: int, readable: Iterable[Path], folder: Path) -> None:
    """Where root runs this: a user who has nothing but the folder, if what is needed can be read by others."""
    if os.geteuid() != 0 or not hasattr(os, "setresuid"):
        return
    owned, groups = folder.stat(), os.getgroups()
    with suppress(OSError):
        user, able = _given(folder, user), False
        os.setgroups([])
        try:
            os.setegid(user)
            os.seteuid(user)
            able = all(map(_is_open, readable)) and os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=True)
        finally:
            os.seteuid(0)
            os.setegid(0)
            if not able:
                os.setgroups(groups)
        if able:
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            return
    for place in (folder, *folder.iterdir()):
        os.chown(place, owned.st_uid, owned.st_gid, follow_symlinks=False)


def _is_open(place: Path) -> bool:
    return os.access(place, os.R_OK | os.X_OK if place.is_dir() else os.R_OK, effective_ids=True)


def _given(folder: Path, user: int) -> int:
    """Make the folder, and what is in it, a user's; returns whose it is now."""
    for owner in (user, NOBODY):
        with suppress(OSError):
            os.chown(folder, owner, owner)
            for place in folder.iterdir():
                os.chown(place, owner, owner, follow_symlinks=False)
            return owner
    raise PermissionError
