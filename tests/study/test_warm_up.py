"""Every compiled loop that the planner calls is there after the warm-up."""

from __future__ import annotations

import re
from pathlib import Path

import decc_core
from decc_core import kernels
from decc_core.study.warm_up import warm_up


def test_after_the_warm_up_no_loop_waits_to_be_compiled():
    source = "\n".join(path.read_text() for path in Path(decc_core.__file__).parent.rglob("*.py"))
    called = {name for name in re.findall(r"kernels\.(\w+)\(", source) if hasattr(getattr(kernels, name), "signatures")}
    assert len(called) > 20
    warm_up()
    assert {name for name in called if not getattr(kernels, name).signatures} == set()
