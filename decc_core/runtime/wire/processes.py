"""Worker processes on this machine: started on free loopback ports, and never left behind."""

from __future__ import annotations

import mmap
import os
import resource
import secrets
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from decc_core.errors import WorkerFailed
from decc_core.network.work import Resource
from decc_core.runtime.wire.transport import Address, Security
from decc_core.unforeseen import enough_for

START_S = 120.0
"""Importing PyTorch takes a few seconds, and much longer on a busy machine."""
THREADS_BYTES = 768 << 20
"""Address space, most of which is never touched: stacks and heaps of a controller's threads, gRPC's included."""
STOPPED_S = 7.0
"""One that is frozen meanwhile is given up sooner."""
POLL_S = 0.2
STOP_S = 5.0
DYING_S = 0.5
"""A process that just closed its connections is given so long to be gone."""
ROOT = Path(__file__).resolve().parents[3]
BOOT_FILE = Path("/proc/sys/kernel/random/boot_id")
PROCESSORS = Path("/sys/devices/system/cpu")


def machine_id() -> str:
    """Equal for all processes that share a monotonic clock; empty where that is not known."""
    try:
        return BOOT_FILE.read_text().strip()
    except OSError:
        return ""


def cores_apart() -> list[int]:
    """One logical processor of each core that this process may run on: two threads of one core slow each other."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    of_core: dict[str, int] = {}
    for processor in allowed:
        try:
            core = (PROCESSORS / f"cpu{processor}" / "topology" / "thread_siblings_list").read_text().strip()
        except OSError:
            core = str(processor)
        of_core.setdefault(core, processor)
    return list(of_core.values())


def require_room_for_threads() -> None:
    """Refuses to begin where this process may hardly grow: threads that die at birth are waited for without an end."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    try:
        mmap.mmap(-1, THREADS_BYTES).close()
    except OSError as error:
        raise MemoryError(f"{THREADS_BYTES >> 20} MB more for threads") from error


@dataclass
class LocalWorker:
    """One worker process; it ends by itself when this process does, because its standard input closes then."""

    role: Resource
    process: subprocess.Popen[bytes]
    security: Security
    address: Address = field(init=False)
    complaints: deque[str] = field(default_factory=lambda: deque(maxlen=20))

    @classmethod
    @enough_for("a worker", WorkerFailed)
    def start(cls, role: Resource) -> LocalWorker:
        """Start a process; `wait_ready` tells when it listens."""
        require_room_for_threads()
        token = secrets.token_hex(16)
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [sys.executable, "-m", "decc_core.runtime", role.value],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            # Ctrl-C at the terminal is for the controller, which then stops its workers in good order.
            start_new_session=True,
        )
        worker = cls(role, process, Security(token))
        assert process.stdin is not None
        with suppress(OSError):
            # One that has ended already is told by `wait_ready`, with its last words.
            process.stdin.write(f"{token}\n".encode())
            process.stdin.flush()
        threading.Thread(target=worker._listen_to_complaints, daemon=True).start()
        return worker

    def _listen_to_complaints(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.complaints.append(line.decode(errors="replace").rstrip())

    def wait_ready(self) -> None:
        """Wait until the worker listens; raises `WorkerFailed`, with its last words, if it ends before or is slow."""
        said: list[bytes] = []
        assert self.process.stdout is not None
        reader = threading.Thread(target=lambda out: said.append(out.readline()), args=(self.process.stdout,))
        reader.daemon = True
        reader.start()
        began_s = moved_s = time.monotonic()
        while reader.is_alive() and (now_s := time.monotonic()) - began_s < START_S:
            reader.join(POLL_S)
            if not self._is_stopped():
                moved_s = now_s
            elif now_s - moved_s > STOPPED_S:
                self.stop(gently=False)
                raise WorkerFailed(f"The {self.role.value} worker was stopped from outside before it was ready.")
        if not said or not said[0].strip():
            # One that closes its output is about to end.
            death = self.death
            self.stop()
            trouble = f"{death} before it was ready" if death else f"is not ready after {START_S:.0f} s"
            raise WorkerFailed(f"The {self.role.value} worker {trouble}. {self.last_words()}".strip())
        self.address = Address("127.0.0.1", int(msgspec.json.decode(said[0])["port"]))

    def _is_stopped(self) -> bool:
        """Whether somebody has frozen the process, where the system tells; it is then in state T."""
        try:
            return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except (OSError, IndexError):
            return False

    def last_words(self) -> str:
        return self.complaints[-1] if self.complaints else ""

    @property
    def death(self) -> str | None:
        """How the process ended, or None while it lives."""
        try:
            status = self.process.wait(DYING_S)
        except subprocess.TimeoutExpired:
            return None
        return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"

    def stop(self, gently: bool = True) -> None:
        """End the process, gently first unless it does not listen any more; returns when it is gone."""
        with suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        if not gently:
            self.process.kill()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_S)
        for stream in (self.process.stdout, self.process.stderr):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
