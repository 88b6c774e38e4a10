"""Files to fill in with times that were measured elsewhere."""

from __future__ import annotations

import re

from decc_core import store
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind

COMMENTS = """\
# One row for each layer: its median time in seconds, and the 95th percentile where you know it.
# 'median_s' and 'p95_s' may as well be called 'median_ms' or 'median_us', in milliseconds or microseconds.
# Lines that begin with # are comments.
"""
NEEDS_QUOTES = re.compile(r"""[,;#"'\s]""")


def template_json(graph: LayerGraph) -> bytes:
    """A profile of the network with all times 0, to be filled in with times that were measured elsewhere."""
    times = {layer.name: 0.0 for layer in graph.layers if not layer.is_input}
    source = "filled in by hand: say here how and on what the times were measured"
    made = Provenance(ProvenanceKind.MEASURED, source, {"processor": "?"}, {"threads": "?", "measured_on": "?"})
    return store.to_json(DeviceProfile("my-device", graph.name, graph.fingerprint, times, times, 0.0, made))


def template_csv(graph: LayerGraph) -> bytes:
    """A table with a row for each layer of the network, whose times are to be filled in."""
    rows = [f"{_cell(layer.name)},,\n" for layer in graph.layers if not layer.is_input]
    return f"{COMMENTS}layer,median_s,p95_s\n{''.join(rows)}".encode()


def _cell(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if NEEDS_QUOTES.search(name) else name
