"""The command line: decc models | devices | estimate | extract | profile | plan | compare | sweep | pareto | split ...

One file for each command; `decc --help` lists them all.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from textwrap import indent

from decc_core.errors import DeccError, RefusedFile


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; expected errors are printed as one line, with status 2, and all others as one with status 1."""
    try:
        # Imported here, which takes a second or two, so that Ctrl-C meanwhile is heard, too.
        from decc_core.cli.parser import make_parser

        given = make_parser().parse_args(arguments)
        given.run(given)
    except DeccError as error:
        print(f"decc: {error}", file=sys.stderr)
        if isinstance(error, RefusedFile) and error.remedy:
            print(indent(error.remedy, "    ").rstrip(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("decc: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of the output (head, less) has seen enough.
        sys.stderr.close()
        return 0
    except Exception as error:
        from decc_core.unforeseen import sentence

        print(f"decc: {sentence(error, shlex.join(['decc', *(arguments or sys.argv[1:])]))}", file=sys.stderr)
        return 1
    return 0
