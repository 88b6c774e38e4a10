"""A worker started by a controller: its role on the command line, its token as the first line of its input."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from contextlib import suppress

ENDING_S = 5.0
"""Whoever started us is gone: so long the end may take in good order."""


def main() -> None:
    # Environment and command line could be read by others; what came through a pipe cannot.
    token, stop, status = sys.stdin.readline().strip(), threading.Event(), 1
    try:
        # Before the imports, which take seconds, in which the controller may go.
        threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
        from decc_core.network.work import Resource
        from decc_core.runtime.worker.serve import serve_controller

        serve_controller(Resource(sys.argv[1]), token, stop)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        # At once: where memory or threads are short, what Python would do now may wait for ever.
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def _stop_at_end_of_input(stop: threading.Event) -> None:
    """The controller holds our input open for as long as it lives, however it ends."""
    sys.stdin.read()
    stop.set()
    time.sleep(ENDING_S)
    os._exit(1)


main()
