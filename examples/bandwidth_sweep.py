"""Which strategy is best at which uplink, for a network that is shipped: `python examples/bandwidth_sweep.py`.

Graph and times come from `sample_profiles/`; nothing is measured and PyTorch is not needed.
"""

import decc_core.api as decc

NETWORK = "googlenet"
REQUESTS = 4

graph = decc.load_graph(NETWORK)
edge = decc.load_profile(NETWORK, "cpu-1-thread").scaled(5, "5 times slower")
cloud = decc.load_profile(NETWORK, "cpu-2-threads-channels-last")

print(f"{NETWORK}, {REQUESTS} requests, the edge five times slower than one core of the machine that was measured")
print(f"{'uplink':>14}  {'best':<12} {'makespan':>11}  {'edge alone':>11}  {'cloud alone':>11}  {'gap':>6}")
for mbps in (0.13, 1.1, 5.85, 18.88, 50, 100, 400, 1000):
    found = decc.compare(graph, edge, cloud, decc.Link.mbps(mbps, rtt_ms=10), requests=REQUESTS)
    times_s = [outcome.makespan_s for outcome in (found.best, found["edge-only"], found["cloud-only"])]
    columns = "  ".join(f"{1e3 * time_s:8,.0f} ms" for time_s in times_s)
    print(f"{mbps:7g} Mbit/s  {found.best.strategy:<12} {columns}  {found.best.gap:6.1%}")
