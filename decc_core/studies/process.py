"""A process of this machine that plans lines for a study: it reads questions, answers each, and ends with its input.

Both ends are programs of this installation, and one started the other: what travels between them are pickles.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any

from decc_core.errors import DeccError
from decc_core.studies.materials import Kit
from decc_core.studies.work import planned

READY, DONE, REFUSED = "ready", "done", "refused"


def serve() -> None:
    """Answer one question after the other; what is printed meanwhile must not get among the answers."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    parts: dict[str, Any] = {}

    def answer(*message: Any) -> None:
        pickle.dump(message, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()

    answer(READY)
    while True:
        try:
            line, versions, keys, new, forgotten = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        for key in forgotten:
            parts.pop(key, None)
        parts.update(new)
        kit = Kit(*(parts[key] for key in keys))
        try:
            answer(DONE, planned(line, kit, versions))
        except DeccError as error:
            answer(REFUSED, str(error))


if __name__ == "__main__":
    serve()
