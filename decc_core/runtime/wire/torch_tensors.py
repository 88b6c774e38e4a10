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
    order = dim_order(tensor)
    head = TensorHead(dtype_name(tensor), tuple(tensor.shape), order)
    if not tensor.permute(order).is_contiguous():
        spaced = TensorHead(head.dtype, head.shape, order, tuple(tensor.stride()))
        head = spaced if spaced.gaps_fit else head
    return head, raw_bytes(tensor)


def from_bytes(head: TensorHead, data: bytearray | bytes, dtype: str) -> torch.Tensor:
    """The tensor, in the sender's memory layout and in the dtype that the graph says."""
    kind = DTYPES[head.dtype]
    if data:
        flat = torch.frombuffer(bytearray(data) if isinstance(data, bytes) else data, dtype=kind)
    else:
        flat = torch.empty(0, dtype=kind)
    tensor = in_order(flat.reshape([head.shape[dim] for dim in head.order]), head.order)
    if head.strides:
        tensor = torch.zeros(head.extent, dtype=kind).as_strided(head.shape, head.strides).copy_(tensor)
    return tensor.to(DTYPES[dtype])
