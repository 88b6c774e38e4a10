"""How much memory the page's server holds on to: `python -m benchmarks.page_memory [--changes N] [--layers N]`.

Everything happens in this process, by Streamlit's own test harness:
- zoo: so many changes of the uplink, spread over all shipped networks, with one and with eight requests
- own: a visitor's own network of 3,000 layers with 64 requests on the Plan view, 50 changes of the uplink, and then
  the visit ends

Memory is the process's resident set, told above what a server has that is up and warm. Before each measurement garbage
is collected and freed memory is given back, as the server does when a visit ends.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import logging
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from streamlit.testing.v1 import AppTest

from app.jobs.upload import OwnModel
from app.memory import MEMORY
from app.state import RATES, network_order
from app.warm_up import warm_up
from decc_core import library
from decc_core.load.process.loader import LoadedModel
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from tests.app.server import MAIN
from tests.builders import make_graph

MB = 1e6
DEADLINE_S = 600
OWN = "own: chain"


def resident_mb() -> float:
    """After whatever can be given back was given back."""
    gc.collect()
    time.sleep(0.5)  # the thread that forgets what visitors left
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss / MB


def opened() -> AppTest:
    return AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)


def changed(page: AppTest, **controls: object) -> None:
    for name, value in controls.items():
        page.session_state[name] = value
    page.run()
    if page.exception or page.error:
        raise SystemExit(f"The page failed at {controls}: {[one.value for one in (*page.exception, *page.error)]}")


def zoo(changes: int, start_mb: float) -> None:
    """Changes on shipped networks, in one visit; the highest and the last resident set."""
    networks = network_order(library.shipped_models())
    page, highest = opened(), 0.0
    for i in range(changes):
        changed(
            page,
            model=networks[i % len(networks)],
            requests=(1, 8)[i // len(networks) % 2],
            uplink_mbps=RATES[i % len(RATES)],
        )
        highest = max(highest, psutil.Process().memory_info().rss / MB)
    during_mb = resident_mb()
    del page
    told("zoo", changes, highest - start_mb, during_mb - start_mb, resident_mb() - start_mb)


def own(changes: int, layers: int, requests: int, start_mb: float) -> None:
    """Changes on a visitor's own network of many layers; then the visit ends."""
    graph = long_chain(layers)
    with TemporaryDirectory() as place:
        loaded = LoadedModel(
            graph, "onnx", Path(place), Path(place), (), times(graph, "edge", 4e-4), times(graph, "cloud", 1e-4)
        )
        page, highest = opened(), 0.0
        page.session_state["visit"].workspace.networks[OWN] = OwnModel(loaded, "chain.onnx", TemporaryDirectory())
        changed(page, model=OWN, edge="edge", cloud="cloud", requests=requests)
        for i in range(changes):
            changed(page, uplink_mbps=RATES[i % len(RATES)])
            highest = max(highest, psutil.Process().memory_info().rss / MB)
        during_mb = resident_mb()
        del page, loaded, graph
        told("own", changes, highest, during_mb, resident_mb() - start_mb)


def told(what: str, changes: int, highest_mb: float, last_mb: float, after_mb: float) -> None:
    print(
        f"{what}_changes={changes} {what}_highest_mb={highest_mb:.0f} {what}_last_mb={last_mb:.0f} "
        f"{what}_after_visit_mb={after_mb:.0f} kept_mb={MEMORY.size / MB:.0f}",
        flush=True,
    )


def long_chain(layers: int) -> LayerGraph:
    edges: dict[str, list[str]] = {"x": []}
    for i in range(layers - 1):
        edges[f"c{i}"] = [f"c{i - 1}" if i else "x"]
    return make_graph(edges, name="chain")


def times(graph: LayerGraph, device: str, layer_s: float) -> DeviceProfile:
    names = [layer.name for layer in graph.layers if not layer.is_input]
    each = {name: layer_s * (1 + i % 7) for i, name in enumerate(names)}
    made = Provenance(ProvenanceKind.MEASURED, "made up for a benchmark")
    return DeviceProfile(device, graph.name, graph.fingerprint, each, each, sum(each.values()), made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--zoo-changes", type=int, default=240)
    parser.add_argument("--own-changes", type=int, default=50)
    parser.add_argument("--layers", type=int, default=3000, help="of the visitor's own network")
    parser.add_argument("--requests", type=int, default=64)
    options = parser.parse_args()
    # The harness has no browser, of which Streamlit would warn at every step.
    logging.disable(logging.WARNING)
    warm_up()
    # A first visit brings what every server has in the end.
    page = opened()
    changed(page, requests=1)
    del page
    start_mb = resident_mb()
    print(f"start_mb={start_mb:.0f} budget_mb={MEMORY.budget_bytes / MB:.0f}", flush=True)
    if options.zoo_changes:
        zoo(options.zoo_changes, start_mb)
    if options.own_changes:
        own(options.own_changes, options.layers, options.requests, start_mb)


if __name__ == "__main__":
    main()
