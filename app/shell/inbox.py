"""Files that browsers have sent and that nothing of the page has taken yet: limited together, and let go after a while.

Streamlit keeps a file in memory from the moment it was sent, whether a box of the page asks for it or not, until its
visit ends.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from app.jobs.file import FILES_AT_A_TIME
from app.shell.door import Application, Message, Receive, Send
from decc_core.load.limits import Limits
from decc_core.text import bytes_text

PLACE = "/_stcore/upload_file/"
ARRIVES_S = 1200.0
"""A file that is longer on its way is given up."""
KEPT_S = 60.0
"""The page takes a file as soon as it is there; what lies longer nobody waits for."""
LOOK_S = 5.0


class Inbox:
    """Refuses what is too much, before a byte of it is read."""

    def __init__(self, app: Application, held: Callable[[], int] | None = None) -> None:
        self.app, self.held, self.coming = app, held or (lambda: FILES.bytes_held()), 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "PUT" or not scope["path"].startswith(PLACE):
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"").decode("latin-1")
        most = FILES_AT_A_TIME * Limits.from_environment().file_bytes
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            await _refuse(send, 411, "Say how long the file is.")
        elif (waiting := self.held() + self.coming) + int(length) > most:
            sentence = f"Files of all visitors, {bytes_text(waiting)} of them, wait to be read; try again in a minute."
            await _refuse(send, 413, sentence)
        else:
            await self._let_in(scope, receive, send, most)

    async def _let_in(self, scope: Message, receive: Receive, send: Send, most: int) -> None:
        """Count what arrives: who says that much is coming, and sends nothing, takes no room from others."""
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            size = len(message.get("body", b""))
            arrived, self.coming = arrived + size, self.coming + size
            return message if self.held() + self.coming <= most else {"type": "http.disconnect"}

        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(ARRIVES_S):
                    await self.app(scope, counted, send)
        finally:
            self.coming -= arrived


async def _refuse(send: Send, status: int, sentence: str) -> None:
    head = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": f"{sentence}\n".encode()})


@dataclass
class Files:
    """What Streamlit's manager holds, and since when."""

    since_s: dict[tuple[str, str], float] = field(default_factory=dict)

    def held(self) -> dict[tuple[str, str], int]:
        """Bytes of each file, by visit and file."""
        manager = _manager()
        visits = list(manager.file_storage.items()) if manager is not None else []
        return {(visit, name): len(file.data) for visit, files in visits for name, file in list(files.items())}

    def bytes_held(self) -> int:
        return sum(self.held().values())

    def let_go(self, now_s: float) -> None:
        """Forget files that were there long enough."""
        held = self.held()
        self.since_s = {file: self.since_s.get(file, now_s) for file in held}
        for (session, name), since_s in self.since_s.items():
            if now_s - since_s >= KEPT_S and (manager := _manager()) is not None:
                manager.remove_file(session, name)


FILES = Files()
"""The server's."""


def start_keeper() -> None:
    """The thread that lets files go; it ends with the server."""
    threading.Thread(target=_keep_house, name="inbox", daemon=True).start()


def _manager() -> MemoryUploadedFileManager | None:
    manager = runtime.get_instance().uploaded_file_mgr if runtime.exists() else None
    return manager if isinstance(manager, MemoryUploadedFileManager) else None


def _keep_house() -> None:
    while True:
        time.sleep(LOOK_S)
        FILES.let_go(time.monotonic())
