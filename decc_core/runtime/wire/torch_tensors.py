"""PyTorch's tensors to bytes and back, memory layout included; as they are, or coded."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from decc_core.formats import Format, carrier
from decc_core.models.tensors import DTYPES, dim_order, dtype_name, in_order, raw_bytes
from decc_core.network.graph import TensorSpec
from decc_core.runtime.wire.assembly import TensorHead


class Coded(NamedTuple):
    """A tensor in a wire format, as it travels."""

    head: TensorHead
    data: bytes | bytearray


def to_bytes(tensor: torch.Tensor) -> tuple[TensorHead, memoryview]:
    """Head and bytes of a tensor as it is."""
    tensor = tensor.detach().cpu()
    return _head(tensor), raw_bytes(tensor)


def from_bytes(head: TensorHead, data: bytearray | bytes) -> torch.Tensor:
    """The tensor, in the sender's memory layout."""
    kind = DTYPES[head.dtype]
    if data:
        flat = torch.frombuffer(bytearray(data) if isinstance(data, bytes) else data, dtype=kind)
    else:
        flat = torch.empty(0, dtype=kind)
    tensor = in_order(flat.reshape([head.shape[dim] for dim in head.order]), head.order)
    return _spaced(head, tensor) if head.strides else tensor


def encoded(tensor: torch.Tensor, form: Format) -> Coded:
    """A tensor in a wire format; its head has the layout that it had in memory, which decoding restores."""
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    head = _head(tensor)
    values = (tensor.view(torch.int16) if tensor.dtype is torch.bfloat16 else tensor).numpy()
    data = form.encode(values.view(carrier(head.dtype)), TensorSpec(head.shape, head.dtype))
    return Coded(TensorHead(head.dtype, head.shape, head.order, head.strides, form.name, len(data)), data)


def decoded(coded: Coded, form: Format) -> torch.Tensor:
    """The tensor of a coded message, in the sender's memory layout; `WireError` for a message that is none."""
    head = coded.head
    values = form.decode(coded.data, TensorSpec(head.shape, head.dtype))
    kind = DTYPES[head.dtype]
    # A copy where it lies on the message itself, which nobody may write to.
    values = np.ascontiguousarray(values) if values.flags.writeable else values.copy()
    tensor = torch.from_numpy(values.view(np.int16)).view(kind) if kind is torch.bfloat16 else torch.from_numpy(values)
    if head.strides:
        return _spaced(head, tensor)
    if head.order == tuple(range(len(head.shape))):
        return tensor
    return in_order(torch.empty([head.shape[dim] for dim in head.order], dtype=kind), head.order).copy_(tensor)


def there_and_back(tensor: torch.Tensor, form: Format) -> torch.Tensor:
    """What of a tensor arrives that is coded."""
    return decoded(encoded(tensor, form), form)


def _head(tensor: torch.Tensor) -> TensorHead:
    order = dim_order(tensor)
    head = TensorHead(dtype_name(tensor), tuple(tensor.shape), order)
    if not tensor.permute(order).is_contiguous():
        spaced = TensorHead(head.dtype, head.shape, order, tuple(tensor.stride()))
        return spaced if spaced.gaps_fit else head
    return head


def _spaced(head: TensorHead, tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with the gaps between rows that it had."""
    return torch.zeros(head.extent, dtype=tensor.dtype).as_strided(head.shape, head.strides).copy_(tensor)
