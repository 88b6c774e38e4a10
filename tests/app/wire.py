"""A wire profile of a shipped network, as `decc wire` writes them, with round figures."""

from __future__ import annotations

from decc_core import library
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import Provenance, ProvenanceKind
from decc_core.problem.wire import TensorCoding, WireProfile, tensor_name

FORMATS = {"int8": (4, 1.0), "int4": (8, 0.95)}
"""How many times smaller than raw, and the share of images whose best class stays the same."""


def wire_profile(model: str = "alexnet", trained: bool = True) -> WireProfile:
    return of_graph(library.load_graph(model), trained)


def of_graph(graph: LayerGraph, trained: bool = True) -> WireProfile:
    codings = {
        name: {
            tensor_name(graph, i): TensorCoding(
                tensor.spec.size_bytes // times, tensor.spec.size_bytes // times + 8, 1e-4, 5e-5, 0.01, 0.02,
                agreement if trained else None,
            )
            for i, tensor in enumerate(graph.tensors)
            if tensor.spec.dtype == "float32"
        }
        for name, (times, agreement) in FORMATS.items()
    }  # fmt: skip
    made = Provenance(ProvenanceKind.MEASURED, "measured on a bench")
    return WireProfile(graph.name, graph.fingerprint, "a core", made, 48, trained, codings, 0.1)
