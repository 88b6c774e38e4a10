"""PyTorch's tensors to bytes and back, memory layout included."""

from __future__ import annotations

import torch

from decc_core.models.tensors import DTYPES, dim_order, dtype_name, in_order, raw_bytes
from decc_core.network.graph import FLOAT_DTYPES
from decc_core.problem.link import WireDtype
from decc_core.runtime.wire.assembly import TensorHead


def to_bytes(tensor: torch.Tensor, wire: WireDtype = WireDtype.FP32) -> tuple[TensorHead, memoryview]:
    """Head and bytes of a tensor in the wire format."""
    tensor = tensor.detach().cpu()
    if wire is WireDtype.FP16 and dtype_name(tensor) in FLOAT_DTYPES:
        tensor = tensor.to(torch.float16)
    return TensorHead(dtype_name(tensor), tuple(tensor.shape), dim_order(tensor)), raw_bytes(tensor)


def from_bytes(head: TensorHead, data: bytearray | bytes, dtype: str) -> torch.Tensor:
    """The tensor, in the sender's memory layout and in the dtype that the graph says."""
    kind = DTYPES[head.dtype]
    if data:
        flat = torch.frombuffer(bytearray(data) if isinstance(data, bytes) else data, dtype=kind)
    else:
        flat = torch.empty(0, dtype=kind)
    laid_out = flat.reshape([head.shape[dim] for dim in head.order])
    return in_order(laid_out, head.order).to(DTYPES[dtype])
