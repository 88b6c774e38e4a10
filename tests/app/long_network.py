"""A page with nothing but the Network view of a network of 1,101 layers, all open: for `benchmarks/page.py`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from app.views import network  # noqa: E402
from app.views.network_state import open_all  # noqa: E402
from decc_core.problem.instance import CostInstance  # noqa: E402
from decc_core.problem.scenario import Scenario  # noqa: E402
from tests.builders import long_graph  # noqa: E402

st.set_page_config(layout="wide")
graph = st.cache_resource(long_graph)()
# Times of its own for each visit, so that nothing drawn for an earlier one is reused.
drawn = st.session_state.setdefault("drawn", time.perf_counter_ns() % 1_000_000)
times = tuple(0 if layer.is_input else 1_000_000 + drawn for layer in graph.layers)
sizes = tuple(1000 for _ in graph.tensors)
if "seen" not in st.session_state:
    st.session_state["seen"] = True
    open_all(graph)
network.view(Scenario("googlenet"), CostInstance(graph, times, times, sizes, sizes, sizes))
