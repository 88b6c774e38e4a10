"""One measurement at a time on the machine that serves the page."""

from __future__ import annotations

import threading

one_at_a_time = threading.Lock()
"""Live runs and measurements of several visitors would slow each other down, and their times would mean nothing."""
