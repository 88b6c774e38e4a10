"""PyTorch's tensors as bytes: dtypes by name, the order in memory, which must survive, and random ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from decc_core.network.graph import ITEM_BYTES

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in ITEM_BYTES}


def dtype_name(tensor: torch.Tensor) -> str:
    """As the graph says it: `float32`."""
    return str(tensor.dtype).removeprefix("torch.")


def dim_order(tensor: torch.Tensor) -> tuple[int, ...]:
    """The dimensions as they lie in memory, the slowest first; kernels, and last bits, follow from it."""
    return tuple(sorted(range(tensor.dim()), key=lambda dim: (-tensor.stride()[dim], dim)))


def in_order(laid_out: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
    """The tensor whose dimensions, taken in that order, are those of `laid_out`: undoes `permute(order)`."""
    return laid_out.permute(sorted(range(len(order)), key=lambda i: order[i]))


def raw_bytes(tensor: torch.Tensor) -> memoryview:
    """The elements one after the other, as they lie in memory."""
    # Conjugates and negatives may be marks on another tensor's memory.
    laid_out = tensor.detach().cpu().resolve_conj().resolve_neg()
    laid_out = laid_out.permute(dim_order(laid_out)).contiguous()
    if not laid_out.numel():
        return memoryview(b"")
    if laid_out.is_complex():
        laid_out = torch.view_as_real(laid_out)
    # A single element counts as contiguous whatever its strides are, which `view` looks at.
    return laid_out.as_strided((laid_out.numel(),), (1,)).view(torch.uint8).numpy().data


def random_like(example: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random floats and 8-bit values; other whole numbers, which may choose a row of a table, stay the example's.

    Where the example has no 0, there is none: it may divide.
    """
    if example.dtype == torch.uint8:
        least = int(example.numel() > 0 and bool((example > 0).all()))
        return torch.randint(least, 256, example.shape, dtype=torch.uint8, generator=generator)
    if example.dtype.is_floating_point:
        return torch.randn(example.shape, generator=generator).to(example.dtype)
    return example
