"""Files of profiles, made by hand for a chain of four layers."""

from __future__ import annotations

import json
from dataclasses import replace

from decc_core.network.graph import LayerGraph

PASSES = 3
"""So often a recorded network is run."""
FULL = ("conv,0.4", "relu,0.1", "view,0", "fc,0.5")


def named_operators(graph: LayerGraph, operators: dict[str, str], flops: dict[str, int] | None = None) -> LayerGraph:
    flops = flops or {}
    layers = (
        replace(layer, operator=operators.get(layer.name, layer.operator), flops=flops.get(layer.name, 0))
        for layer in graph.layers
    )
    return replace(graph, layers=tuple(layers))


def table(*rows: str, header: str = "layer,median_s") -> bytes:
    return "\n".join([header, *rows]).encode()


def event(name: str, start_us: float, time_us: float, category: str = "cpu_op", thread: int = 1, **args) -> dict:
    return {
        "ph": "X", "cat": category, "name": name, "ts": start_us, "dur": time_us, "pid": 1, "tid": thread, "args": args,
    }  # fmt: skip


def one_pass(start_us: float, conv_us: float = 40) -> list[dict]:
    return [
        event("aten::conv2d", start_us, conv_us),
        event("aten::convolution", start_us + 1, conv_us - 2),
        event("aten::relu_", start_us + 100, 10),
        event("aten::clamp_min_", start_us + 101, 8),
        event("aten::flatten", start_us + 150, 2),
        event("aten::view", start_us + 150, 1),
        event("aten::linear", start_us + 200, 48),
        event("aten::addmm", start_us + 201, 46),
    ]


def trace(*events: dict, **more) -> bytes:
    return json.dumps({"traceEvents": events, **more}).encode()


def launched(operator: dict, number: int, kernel_us: float) -> list[dict]:
    return [
        event("cudaLaunchKernel", operator["ts"] + 1, 1, "cuda_runtime", correlation=number),
        event("gemm", operator["ts"] + 5000, kernel_us, "kernel", 7, correlation=number),
    ]


def node(name: str, operator: str, start_us: float, time_us: float) -> dict:
    args = {"op_name": operator, "provider": "CPUExecutionProvider"}
    return event(f"{name}_kernel_time", start_us, time_us, "Node", **args)


def one_run(start_us: float, conv_us: float, fused: bool) -> list[dict]:
    first = (
        [node("relu_nchwc", "Conv", start_us + 1, conv_us)]
        if fused
        else [node("node_conv", "Conv", start_us + 1, conv_us - 5), node("relu", "Relu", start_us + 300, 5)]
    )
    rest = [
        node("ReorderOutput", "ReorderOutput", start_us + 400, 4),
        node("view", "Reshape", start_us + 410, 1),
        node("fc", "Gemm", start_us + 420, 45),
    ]
    return [event("model_run", start_us, 900, "Session"), *first, *rest]
