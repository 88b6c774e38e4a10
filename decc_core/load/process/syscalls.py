"""System calls that a process which reads a file of somebody else does without: a seccomp filter, and the list.

Refused calls fail with EPERM, as if the system's owner had forbidden them. Numbers are Linux' own, from its headers.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable

X86_64, ARM64 = "x86_64", "aarch64"
AUDIT = {X86_64: 0xC000003E, ARM64: 0xC00000B7}
REFUSED = """
    socket 41 198, socketpair 53 199, connect 42 203, bind 49 200, listen 50 201, accept 43 202, accept4 288 242,
    sendto 44 206, sendmsg 46 211, mknod 133 -, mknodat 259 33, symlink 88 -, symlinkat 266 36, link 86 -,
    linkat 265 37, execve 59 221, execveat 322 281, fork 57 -, vfork 58 -, ptrace 101 117, process_vm_readv 310 270,
    process_vm_writev 311 271, kcmp 312 272, pidfd_open 434 434, pidfd_getfd 438 438, pidfd_send_signal 424 424,
    tkill 200 130, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240, process_madvise 440 440,
    process_mrelease 448 448, migrate_pages 256 238, move_pages 279 239, mount 165 40, umount2 166 39,
    pivot_root 155 41, chroot 161 51, setns 308 268, unshare 272 97, move_mount 429 429, open_tree 428 428,
    fsopen 430 430, fsmount 432 432, mount_setattr 442 442, bpf 321 280, perf_event_open 298 241, add_key 248 217,
    request_key 249 218, keyctl 250 219, init_module 175 105, finit_module 313 273, delete_module 176 106,
    kexec_load 246 104, kexec_file_load 320 294, reboot 169 142, swapon 167 224, swapoff 168 225,
    io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427, userfaultfd 323 282,
    open_by_handle_at 304 265, name_to_handle_at 303 264, quotactl 179 60, acct 163 89, settimeofday 164 170,
    clock_settime 227 112, adjtimex 159 171, clock_adjtime 305 266, sethostname 170 161, setdomainname 171 162,
    syslog 103 116, vhangup 153 58, personality 135 92, iopl 172 -, ioperm 173 -, modify_ldt 154 -,
    fanotify_init 300 262, sched_setscheduler 144 119, sched_setparam 142 118, sched_setattr 314 274,
    ioprio_set 251 30, setpriority 141 140
"""
"""Connections, new programs and processes, others' memory and signals, mounts, kernel settings: name, x86-64, Arm."""
OF_ITSELF = {"prlimit64": (302, 261), "sched_setaffinity": (203, 122), "kill": (62, 129), "tgkill": (234, 131)}
"""Allowed where the first argument is 0 or this process."""
CLONE, CLONE3 = (56, 220), (435, 435)
CLONE_THREAD = 0x10000
FOREIGN_NUMBERS = 0x40000000
"""Calls of x86-64's other interface, which would go around the list."""
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, MACHINE_AT, FIRST_ARGUMENT_AT = 0, 4, 16


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refused_numbers(machine: str) -> tuple[int, ...]:
    """The numbers of the list on one architecture."""
    column = (X86_64, ARM64).index(machine)
    rows = (entry.split()[1:] for entry in REFUSED.split(","))
    return tuple(int(row[column]) for row in rows if row[column] != "-")


def without_needless_calls() -> bool:
    """Install the filter for this process for ever; whether the system took it. Call it before threads start."""
    machine = platform.machine()
    if machine not in AUDIT:
        return False
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        code = b"".join(_instructions(machine))
        program = _Program(len(code) // 8, code)
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            return False
        return bool(libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _instructions(machine: str) -> Iterable[bytes]:
    column = (X86_64, ARM64).index(machine)
    no, without = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
    yield _step(LOAD, MACHINE_AT)
    yield _step(EQUAL, AUDIT[machine], 1, 0)
    yield _step(RETURN, no)
    yield _step(LOAD, NUMBER_AT)
    if machine == X86_64:
        yield _step(AT_LEAST, FOREIGN_NUMBERS, 0, 1)
        yield _step(RETURN, no)
    for number in refused_numbers(machine):
        yield _step(EQUAL, number, 0, 1)
        yield _step(RETURN, no)
    # The C library asks for threads by the older call where this one is not there; its flags lie in memory, unseen.
    yield _step(EQUAL, CLONE3[column], 0, 1)
    yield _step(RETURN, without)
    yield _step(EQUAL, CLONE[column], 0, 3)
    yield _step(LOAD, FIRST_ARGUMENT_AT)
    yield _step(ANY_BIT, CLONE_THREAD, 1, 0)
    yield _step(RETURN, no)
    yield _step(LOAD, NUMBER_AT)
    for numbers in OF_ITSELF.values():
        yield _step(EQUAL, numbers[column], 0, 5)
        yield _step(LOAD, FIRST_ARGUMENT_AT)
        yield _step(EQUAL, os.getpid(), 1, 0)
        yield _step(EQUAL, 0, 0, 1)
        yield _step(RETURN, ALLOW)
        yield _step(RETURN, no)
    yield _step(RETURN, ALLOW)


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_so, if_not, value)
