"""`python -m decc_core` is the `decc` command."""

import sys

from decc_core.cli import main

sys.exit(main())
