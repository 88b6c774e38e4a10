"""decc app: the page, from any folder."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from decc_core.cli.options import Commands, runs
from decc_core.errors import NotPossible
from decc_core.ranges import whole_number

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"


@dataclass(frozen=True)
class PageOptions:
    port: int
    address: str


def add_commands(commands: Commands) -> None:
    parser = commands.add_parser("app", help="open the dashboard in the browser")
    parser.add_argument("--port", type=whole_number, default=8501, help="port to listen on (default: 8501)")
    parser.add_argument(
        "--address",
        default="localhost",
        help="where to listen (default: this machine only); for others, name the page's hosts in DECC_PAGE_HOSTS, too",
    )
    runs(parser, serve_page, PageOptions)


def serve_page(options: PageOptions) -> None:
    """Becomes the page's server; ends with it."""
    if not MAIN.is_file() or importlib.util.find_spec("streamlit") is None:
        raise NotPossible("The dashboard is not installed here; clone the repository and call `make app` there.")
    more = ("--server.port", str(options.port), "--server.address", options.address)
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(MAIN), *more])
