"""Fuzzing guided by coverage: `python -m tests.fuzz.with_atheris FORMAT [-runs=100000]` and what else libFuzzer takes.

Files that reach new code are kept in `.hypothesis/corpus/FORMAT`, where the next run begins; those that fail are kept
as in the ordinary tests. Without a FORMAT the known ones are listed.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

INSTRUMENTED, COMPILED = "decc_core", "decc_core.kernels"
"""Atheris takes whole packages; what numba compiles must stay as it is."""
CORPUS = Path(__file__).resolve().parents[2] / ".hypothesis" / "corpus"
RUNS = "-runs=100000"
SECONDS_A_FILE = "-timeout=60"
MEMORY = "-rss_limit_mb=6000"
OWN_SHARE = 0.8
"""Of the damage; the rest is libFuzzer's own, which compares bytes with what the code compares them with."""


def main(arguments: list[str]) -> int:
    try:
        import atheris
    except ImportError:
        print(
            "atheris is not installed; `pip install atheris` adds it where its makers offer a wheel for this Python "
            f"({sys.version_info.major}.{sys.version_info.minor}), and `pytest -m fuzz tests/fuzz` needs none.",
            file=sys.stderr,
        )
        return 2
    with atheris.instrument_imports(include=[INSTRUMENTED], exclude=[COMPILED]):
        from tests.fuzz.targets import FORMATS
        from tests.fuzz.watch import Watch
    name = next((one for one in arguments if not one.startswith("-")), "")
    if name not in FORMATS:
        print(f"Name a format: {', '.join(FORMATS)}.", file=sys.stderr)
        return 2
    options = [one for one in arguments if one.startswith("-")]
    _fuzz(atheris, Watch(name), [RUNS, SECONDS_A_FILE, MEMORY, *options])
    return 0


def _fuzz(atheris: ModuleType, watch: Any, options: list[str]) -> None:
    from tests.fuzz.damage import LONGEST

    def damaged(data: bytes, most_bytes: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() > OWN_SHARE:
            found: bytes = atheris.Mutate(data, most_bytes)
            return found
        return bytes(watch.form.damaged(data, rng)[:most_bytes])

    grown = CORPUS / watch.name
    grown.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as seeds:
        for number, seed in enumerate(dict.fromkeys(watch.form.seeds())):
            (Path(seeds) / str(number)).write_bytes(seed)
        arguments = [sys.argv[0], f"-max_len={LONGEST}", "-print_final_stats=1", *options, str(grown), seeds]
        atheris.Setup(arguments, watch.look, custom_mutator=damaged)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
