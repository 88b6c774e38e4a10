"""A process that plans for the page, which `planners` starts: `python -m app.jobs.planner`."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

LITTLE_PRIORITY = 15
"""Of work that nobody waits for, to the system: the page and its visitors' browsers come first."""


def main() -> None:
    """Get ready without being in anybody's way, and answer questions until the server goes."""
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    # What a library prints must not mix with what we say.
    sys.stdout = sys.stderr
    with ThreadPoolExecutor(1, initializer=_step_back) as aside:
        answer_questions = aside.submit(_get_ready).result()
    answer_questions(questions, answers)


def _step_back() -> None:
    # On Linux alone a thread has a priority of its own, and the one that answers keeps its.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LITTLE_PRIORITY)


def _get_ready() -> Callable[[BinaryIO, BinaryIO], None]:
    # Not at the top: the imports take a second as well.
    from app.jobs.planners import answer_questions
    from decc_core.study.warm_up import warm_up

    warm_up()
    return answer_questions


if __name__ == "__main__":
    main()
