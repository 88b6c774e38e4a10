"""PyTorch's tensors to bytes and back, memory layout included."""

from __future__ import annotations

import torch

from decc_core.network.graph import FLOAT_DTYPES
from decc_core.problem.instance import WireDtype
from decc_core.runtime.wire.assembly import TensorHead

DTYPES = {
    name: getattr(torch, name)
    for name in (
        "bool", "uint8", "int8", "int16", "int32", "int64",
        "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
    )
}  # fmt: skip


def to_bytes(tensor: torch.Tensor, wire: WireDtype = WireDtype.FP32) -> tuple[TensorHead, memoryview]:
    """Head and bytes of a tensor in the wire format."""
    tensor = tensor.detach().cpu()
    if wire is WireDtype.FP16 and str(tensor.dtype).removeprefix("torch.") in FLOAT_DTYPES:
        tensor = tensor.to(torch.float16)
    order = tuple(sorted(range(tensor.dim()), key=lambda dim: (-tensor.stride()[dim], dim)))
    laid_out = tensor.permute(order).contiguous()
    head = TensorHead(str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), order)
    if not laid_out.numel():
        return head, memoryview(b"")
    if laid_out.is_complex():
        laid_out = torch.view_as_real(laid_out)
    return head, laid_out.reshape(-1).view(torch.uint8).numpy().data


def from_bytes(head: TensorHead, data: bytearray | bytes, dtype: str) -> torch.Tensor:
    """The tensor, in the sender's memory layout and in the dtype that the graph says."""
    shape = [head.shape[dim] for dim in head.order]
    if data:
        flat = torch.frombuffer(bytearray(data) if isinstance(data, bytes) else data, dtype=DTYPES[head.dtype])
    else:
        flat = torch.empty(0, dtype=DTYPES[head.dtype])
    back = sorted(range(len(head.order)), key=lambda i: head.order[i])
    return flat.reshape(shape).permute(back).to(DTYPES[dtype])
