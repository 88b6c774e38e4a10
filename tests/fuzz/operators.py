"""Calls of single operators with odd arguments, in a child process, between pages that nobody may read.

What `decc_core.models.torch.checks` accepts must not read a byte beside its tensors, must not end the process, and must
give the shapes and dtypes that it promised. Run more of it with `python -m tests.fuzz.operators [SETS] [OPERATOR ...]`.
"""

from __future__ import annotations

import ast
import ctypes
import logging
import math
import mmap
import os
import random
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from decc_core.models.tensors import dtype_name
from decc_core.models.torch.checks import fake_outputs
from decc_core.models.torch.data import allowed_operator
from decc_core.models.torch.extract import Call

PAGE = mmap.PAGESIZE
ROOM = 16 * PAGE
ARENAS = 24
MOST_BYTES = 16 << 20
"""Of a result; larger ones are not computed here, and have limits of their own."""
MEMORY_BYTES = 3 << 30
"""More than a child has at the start, in which every set has to do."""
SECONDS_A_SET = 5
DIVIDES = frozenset(
    f"aten.{name}"
    for name in (
        "div.Tensor_mode", "div.Scalar_mode", "floor_divide.default", "floor_divide.Scalar",
        "remainder.Tensor", "remainder.Scalar", "fmod.Tensor", "fmod.Scalar",
    )
)  # fmt: skip
"""Whole numbers can trap here, by their values: the least one by -1. That ends a process, and reads nothing."""
STATISTICS = frozenset(
    f"aten.{name}"
    for name in (
        "native_batch_norm.default", "native_layer_norm.default", "native_group_norm.default",
        "_native_batch_norm_legit.no_stats", "_native_batch_norm_legit_no_training.default",
    )
)  # fmt: skip
"""Where half and single precision are mixed, the kernels save mean and deviation in single precision, whatever
PyTorch's rules promise; what reads them says so, as it would in PyTorch."""
FLOATS, WHOLE = (torch.float32, torch.float64, torch.float16), (torch.int64, torch.int32, torch.uint8, torch.bool)
WORDS = ("none", "tanh", "mean", "sum", "amax", "floor", "trunc", "same", "ij", "x")
EXTREMES = (0, -1, -2, 1 << 20, 1 << 31, (1 << 63) - 1, -(1 << 63), 255)


class Arenas:
    """Memory between two pages that cannot be read; tensors lie against the one behind, or the one before."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.maps = []
        for _ in range(ARENAS):
            mapped = mmap.mmap(-1, ROOM + 2 * PAGE)
            start = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
            for page in (start, start + PAGE + ROOM):
                if libc.mprotect(ctypes.c_void_p(page), PAGE, 0) != 0:
                    raise OSError(ctypes.get_errno(), "mprotect")
            self.maps.append(mapped)
        self.used = 0

    def tensor(self, values: torch.Tensor, at_the_end: bool) -> torch.Tensor:
        size = values.numel() * values.element_size()
        if not 0 < size <= ROOM or self.used == ARENAS:
            return values
        mapped = self.maps[self.used]
        self.used += 1
        offset = PAGE + (ROOM - size if at_the_end else 0)
        guarded = torch.frombuffer(mapped, dtype=values.dtype, count=values.numel(), offset=offset)
        return guarded.copy_(values.reshape(-1)).view(values.shape)


@dataclass
class Drawn:
    """One set of arguments, drawn around a base shape so that some of them fit each other."""

    rng: random.Random
    arenas: Arenas
    kinds: Sequence[torch.dtype]

    def __post_init__(self) -> None:
        self.base = self.shape(self.rng.choice((1, 2, 3, 4, 4, 5)))
        self.at_the_end = self.rng.random() < 0.7

    def shape(self, dims: int) -> tuple[int, ...]:
        shape = tuple(self.rng.choice((1, 2, 3, 4, 6)) for _ in range(dims))
        if self.rng.random() < 0.06 and shape:
            shape = (*shape[:-1], self.rng.choice((0, 1000)))
        return shape

    def tensor(self) -> torch.Tensor:
        roll, base = self.rng.random(), self.base
        if roll < 0.5:
            shape = base
        elif roll < 0.7:
            shape = (self.rng.choice(base),) if base else ()
        elif roll < 0.76:
            shape = ()
        elif roll < 0.8:
            shape = tuple(size * 2 for size in base)
        else:
            shape = self.shape(self.rng.choice((1, 2, 3, 4, 5)))
        dtype = self.rng.choice(self.kinds) if self.rng.random() < 0.85 else self.rng.choice(FLOATS + WHOLE)
        values: torch.Tensor
        if dtype.is_floating_point:
            values = torch.randn(shape).to(dtype)
            if self.rng.random() < 0.1:
                values = values * self.rng.choice((1e30, math.inf, math.nan))
        elif self.rng.random() < 0.3:
            values = torch.full(shape, self.rng.choice(EXTREMES) % (1 << 63)).to(dtype)
        else:
            values = torch.randint(0, self.rng.choice((2, 4, 40)), shape).to(dtype)
        guarded = self.arenas.tensor(values, self.at_the_end)
        if guarded.dim() > 1 and self.rng.random() < 0.1:
            guarded = guarded.transpose(0, 1)
        return guarded

    def whole(self) -> int:
        return self.rng.choice(EXTREMES) if self.rng.random() < 0.12 else self.rng.choice((0, 1, 1, 2, 2, 3, 4, -1))

    def wholes(self) -> list[int]:
        count = len(self.base) if self.rng.random() < 0.3 else self.rng.choice((0, 1, 1, 2, 2, 3))
        alike = self.whole()
        return [alike if self.rng.random() < 0.5 else self.whole() for _ in range(count)]

    def real(self) -> float:
        return self.rng.choice((0.0, 1.0, -1.0, 0.5, 2.0, 1e-5, 1e300, math.inf, math.nan))

    def value(self, kind: str) -> Any:
        """An argument of the type that a schema names."""
        if kind.startswith("Optional["):
            return None if self.rng.random() < 0.4 else self.value(kind[9:-1])
        makers: dict[str, Callable[[], Any]] = {
            "Tensor": self.tensor,
            "List[Tensor]": lambda: [self.tensor() for _ in range(self.rng.choice((0, 1, 2, 2, 4)))],
            "List[Optional[Tensor]]": lambda: [self.value("Optional[Tensor]") for _ in range(self.rng.choice((1, 2)))],
            "int": self.whole, "SymInt": self.whole, "List[int]": self.wholes, "List[SymInt]": self.wholes,
            "float": self.real, "List[float]": lambda: [self.real() for _ in range(self.rng.choice((1, 2)))],
            "bool": lambda: self.rng.random() < 0.5,
            "List[bool]": lambda: [self.rng.random() < 0.5 for _ in range(2)],
            "Scalar": lambda: self.rng.choice((self.whole, self.real))(),
            "number": lambda: self.rng.choice((self.whole, self.real))(),
            "str": lambda: self.rng.choice(WORDS),
            "ScalarType": lambda: self.rng.choice(FLOATS + WHOLE),
            "Layout": lambda: torch.strided,
            "MemoryFormat": lambda: self.rng.choice((torch.contiguous_format, torch.channels_last)),
            "Device": lambda: torch.device("cpu"),
        }  # fmt: skip
        return makers[kind]() if kind in makers else None


def drawn_call(name: str, seed: int, arenas: Arenas) -> Call:
    """The arguments of one set; half of those that may be left out are."""
    rng = random.Random(f"{name} {seed}")
    # The function of that name looks through the stack for other devices' sake, which takes a tenth of a set's time.
    torch.default_generator.manual_seed(seed)
    arenas.used = 0
    target = allowed_operator("fuzzed", name)
    drawn = Drawn(rng, arenas, rng.choice((FLOATS[:1], FLOATS, WHOLE, FLOATS + WHOLE)))
    args, kwargs = [], {}
    base = BASES.get(name.removeprefix("aten.")) if rng.random() < 0.9 else None
    for place, argument in enumerate(target._schema.arguments):  # type: ignore[attr-defined]
        if base is not None and rng.random() < 0.9:
            value = _fitting(drawn, base[place]) if place < len(base) else argument.default_value
        elif argument.has_default_value() and rng.random() < 0.5:
            value = argument.default_value
        else:
            value = drawn.value(str(argument.real_type))
        if argument.kwarg_only:
            kwargs[argument.name] = value
        else:
            args.append(value)
    return Call(target, tuple(args), kwargs)


BASES: dict[str, tuple[str, ...]] = {
    "torchvision.deform_conv2d.default": (
        "1 4 6 6", "6 2 3 3", "1 18 6 6", "1 9 6 6", "6",
        "=1", "=1", "=1", "=1", "=1", "=1", "=2", "=1", "=True",
    ),
    "lstm_cell.default": ("2 3", "[2 4|2 4]", "16 3", "16 4", "16", "16"),
    "gru_cell.default": ("2 3", "2 4", "12 3", "12 4", "12", "12"),
    "rnn_relu_cell.default": ("2 3", "2 4", "4 3", "4 4", "4", "4"),
    "max_unpool2d.default": ("1 2 3 3", "i 1 2 3 3", "=[6, 6]"),
    "max_unpool3d.default": ("1 2 3 3 3", "i 1 2 3 3 3", "=[6, 6, 6]", "=[2, 2, 2]", "=[0, 0, 0]"),
    "nll_loss.default": ("4 6", "i 4", "6"),
    "nll_loss_nd.default": ("4 6", "i 4", "6"),
    "nll_loss_forward.default": ("4 6", "i 4", "6", "=1", "=-100"),
    "nll_loss2d.default": ("2 6 3 3", "i 2 3 3", "6"),
    "nll_loss2d_forward.default": ("2 6 3 3", "i 2 3 3", "6", "=1", "=-100"),
    "scatter.reduce": ("4 6", "=1", "i 4 3", "4 3", "='add'"),
    "scatter.value_reduce": ("4 6", "=1", "i 4 3", "=2.0", "='add'"),
    "conv1d.default": ("1 4 8", "6 4 3", "6", "=[1]", "=[1]", "=[1]", "=1"),
    "conv1d.padding": ("1 4 8", "6 4 3", "6", "=[1]", "='same'", "=[1]", "=1"),
    "conv2d.default": ("1 4 6 6", "6 2 3 3", "6", "=[1, 1]", "=[1, 1]", "=[1, 1]", "=2"),
    "conv2d.padding": ("1 4 6 6", "6 4 3 3", "6", "=[1, 1]", "='same'", "=[1, 1]", "=1"),
    "conv3d.default": ("1 2 4 4 4", "3 2 2 2 2", "3", "=[1, 1, 1]", "=[0, 0, 0]", "=[1, 1, 1]", "=1"),
    "conv_transpose1d.default": ("1 4 8", "4 3 3", "3", "=[2]", "=[1]", "=[1]", "=1", "=[1]"),
    "conv_transpose2d.input": ("1 4 6 6", "4 3 3 3", "3", "=[2, 2]", "=[1, 1]", "=[1, 1]", "=1", "=[1, 1]"),
    "conv_transpose3d.input": ("1 2 3 3 3", "2 3 2 2 2", "3", "=[2, 2, 2]", "=[0, 0, 0]", "=[0, 0, 0]"),
    "convolution.default": ("1 4 6 6", "6 4 3 3", "6", "=[1, 1]", "=[1, 1]", "=[1, 1]", "=False", "=[0, 0]", "=1"),
    "embedding.default": ("40 4", "i 3 5"),
    "gather.default": ("4 6", "=1", "i 4 3"),
    "scatter.src": ("4 6", "=1", "i 4 3", "4 3"),
    "scatter.value": ("4 6", "=1", "i 4 3", "=2.0"),
    "scatter_add.default": ("4 6", "=1", "i 4 3", "4 3"),
    "scatter_reduce.two": ("4 6", "=1", "i 4 3", "4 3", "='amax'"),
    "index_select.default": ("4 6", "=1", "i 3"),
    "index_add.default": ("4 6", "=0", "i 3", "3 6"),
    "index_fill.int_Scalar": ("4 6", "=0", "i 3", "=1"),
    "take_along_dim.default": ("4 6", "i 4 3", "=1"),
    "masked_scatter.default": ("4 6", "b 4 6", "24"),
    "lstm.input": ("5 2 3", "[1 2 4|1 2 4]", "[16 3|16 4|16|16]", "=True", "=1", "=0.0", "=False", "=False", "=False"),
    "gru.input": ("5 2 3", "1 2 4", "[12 3|12 4|12|12]", "=True", "=1", "=0.0", "=False", "=False", "=False"),
    "rnn_tanh.input": ("5 2 3", "1 2 4", "[4 3|4 4|4|4]", "=True", "=1", "=0.0", "=False", "=False", "=False"),
    "rnn_relu.input": ("5 2 3", "1 2 4", "[4 3|4 4|4|4]", "=True", "=1", "=0.0", "=False", "=False", "=False"),
    "grid_sampler.default": ("1 2 4 4", "1 3 3 2", "=0", "=0", "=False"),
    "grid_sampler_2d.default": ("1 2 4 4", "1 3 3 2", "=0", "=0", "=False"),
    "scaled_dot_product_attention.default": ("1 2 6 4", "1 2 5 4", "1 2 5 4", "6 5"),
    "native_group_norm.default": ("2 4 3 3", "4", "4", "=2", "=4", "=9", "=2", "=1e-5"),
    "group_norm.default": ("2 4 3 3", "=2", "4", "4", "=1e-5"),
    "native_layer_norm.default": ("2 4 6", "=[6]", "6", "6", "=1e-5"),
    "layer_norm.default": ("2 4 6", "=[4, 6]", "4 6", "4 6", "=1e-5"),
    "rms_norm.default": ("2 4 6", "=[6]", "6"),
    "instance_norm.default": ("2 4 6", "4", "4", "4", "4", "=False", "=0.1", "=1e-5", "=False"),
    "col2im.default": ("1 8 9", "=[4, 4]", "=[2, 2]", "=[1, 1]", "=[0, 0]", "=[1, 1]"),
    "im2col.default": ("1 2 4 4", "=[2, 2]", "=[1, 1]", "=[0, 0]", "=[1, 1]"),
    "addmm.default": ("6", "3 4", "4 6"),
    "baddbmm.default": ("2 3 6", "2 3 4", "2 4 6"),
    "bmm.default": ("2 3 4", "2 4 6"),
    "mm.default": ("3 4", "4 6"),
    "linear.default": ("2 3 4", "6 4", "6"),
    "max_pool2d_with_indices.default": ("1 2 6 6", "=[2, 2]", "=[2, 2]", "=[1, 1]", "=[1, 1]", "=True"),
    "max_pool3d_with_indices.default": ("1 2 4 4 4", "=[2, 2, 2]", "=[2, 2, 2]", "=[1, 1, 1]", "=[1, 1, 1]", "=True"),
    "avg_pool2d.default": ("1 2 6 6", "=[3, 3]", "=[2, 2]", "=[1, 1]", "=True", "=True"),
    "avg_pool3d.default": ("1 2 4 4 4", "=[2, 2, 2]", "=[2, 2, 2]", "=[0, 0, 0]", "=True", "=True"),
    "_adaptive_avg_pool2d.default": ("1 2 6 6", "=[3, 2]"),
    "_adaptive_avg_pool3d.default": ("1 2 4 4 4", "=[3, 2, 1]"),
    "adaptive_max_pool2d.default": ("1 2 6 6", "=[3, 2]"),
    "affine_grid_generator.default": ("1 2 3", "=[1, 1, 4, 5]", "=False"),
    "upsample_bilinear2d.vec": ("1 2 4 4", "=[6, 7]", "=False", "=None"),
    "upsample_bicubic2d.vec": ("1 2 4 4", "=[6, 7]", "=True", "=None"),
    "upsample_nearest2d.vec": ("1 2 4 4", "=None", "=[2.0, 1.5]"),
    "_upsample_bilinear2d_aa.vec": ("1 2 6 6", "=[3, 4]", "=False", "=None"),
    "_upsample_bicubic2d_aa.vec": ("1 2 6 6", "=[3, 4]", "=False", "=None"),
    "reflection_pad1d.default": ("2 6", "=[2, 3]"),
    "reflection_pad2d.default": ("2 6 6", "=[2, 3, 1, 0]"),
    "reflection_pad3d.default": ("1 2 4 4 4", "=[2, 1, 1, 0, 3, 2]"),
    "replication_pad2d.default": ("2 6 6", "=[2, 3, 1, 0]"),
    "replication_pad3d.default": ("1 2 4 4 4", "=[2, 1, 1, 0, 3, 2]"),
    "pixel_shuffle.default": ("1 8 3 3", "=2"),
    "pixel_unshuffle.default": ("1 2 6 6", "=2"),
    "channel_shuffle.default": ("1 8 3 3", "=2"),
    "_fft_r2c.default": ("4 6", "=[1]", "=0", "=True"),
    "_fft_c2r.default": ("c 4 4", "=[1]", "=0", "=6"),
    "fft_irfft.default": ("c 4 4", "=6", "=1"),
    "_pdist_forward.default": ("5 3", "=2.0"),
    "einsum.default": ("='ij,jk->ik'", "[3 4|4 6]"),
    "topk.default": ("4 6", "=2", "=1", "=True", "=True"),
    "unfold.default": ("4 6", "=1", "=3", "=2"),
    "split_with_sizes.default": ("4 6", "=[2, 4]", "=1"),
    "_native_batch_norm_legit_no_training.default": ("2 4 3 3", "4", "4", "4", "4", "=0.1", "=1e-5"),
    "_native_batch_norm_legit.no_stats": ("2 4 3 3", "4", "4", "=True", "=0.1", "=1e-5"),
    "native_batch_norm.default": ("2 4 3 3", "4", "4", "4", "4", "=False", "=0.1", "=1e-5"),
    "batch_norm.default": ("2 4 3 3", "4", "4", "4", "4", "=False", "=0.1", "=1e-5", "=False"),
    "one_hot.default": ("i 5", "=40"),
    "index.Tensor": ("4 6", "[i 3]"),
    "index_put.default": ("40 6", "[i 3]", "3 6", "=True"),
    "_cdist_forward.default": ("1 4 6", "1 3 6", "=2.0", "=None"),
    "_conj.default": ("c 3 4",),
    "_euclidean_dist.default": ("4 6", "3 6"),
    "_fft_c2c.default": ("c 4 6", "=[1]", "=0", "=True"),
    "_linalg_eigh.default": ("2 4 4",),
    "_linalg_slogdet.default": ("2 4 4",),
    "_linalg_solve_ex.default": ("2 4 4", "2 4 3"),
    "_logcumsumexp.default": ("4 6", "=1"),
    "_trilinear.default": ("1 4 6", "1 4 6", "1 4 6", "=[]", "=[]", "=[]", "=[2]", "=1"),
    "_upsample_nearest_exact1d.default": ("1 2 4", "=[6]"),
    "_upsample_nearest_exact1d.vec": ("1 2 4", "=[6]", "=None"),
    "_upsample_nearest_exact2d.default": ("1 2 4 4", "=[6, 7]"),
    "_upsample_nearest_exact2d.vec": ("1 2 4 4", "=None", "=[2.0, 1.5]"),
    "_upsample_nearest_exact3d.default": ("1 2 3 4 4", "=[6, 7, 5]"),
    "_upsample_nearest_exact3d.vec": ("1 2 3 4 4", "=[6, 7, 5]", "=None"),
    "_weight_norm.default": ("6 4", "6 1", "=0"),
    "_weight_norm_interface.default": ("6 4", "6 1", "=0"),
    "adaptive_avg_pool1d.default": ("1 2 6", "=[3]"),
    "adaptive_avg_pool3d.default": ("1 2 4 4 4", "=[3, 2, 1]"),
    "adaptive_max_pool1d.default": ("1 2 6", "=[3]"),
    "adaptive_max_pool3d.default": ("1 2 4 4 4", "=[3, 2, 1]"),
    "addbmm.default": ("3 6", "2 3 4", "2 4 6"),
    "addmv.default": ("3", "3 4", "4"),
    "addr.default": ("3 4", "3", "4"),
    "avg_pool1d.default": ("1 2 6", "=[3]", "=[2]", "=[1]", "=True", "=True"),
    "bilinear.default": ("2 3", "2 4", "6 3 4", "6"),
    "binary_cross_entropy.default": ("p 4 6", "p 4 6", "4 6", "=1"),
    "cdist.default": ("1 4 6", "1 3 6", "=2.0"),
    "chain_matmul.default": ("[2 3|3 4|4 6]",),
    "cholesky_inverse.default": ("4 4",),
    "cholesky_solve.default": ("4 3", "4 4"),
    "conv3d.padding": ("1 2 4 4 4", "3 2 2 2 2", "3", "=[1, 1, 1]", "='same'", "=[1, 1, 1]", "=1"),
    "conv_tbc.default": ("6 2 4", "3 4 5", "5", "=1"),
    "cosine_embedding_loss.default": ("4 6", "4 6", "4", "=0.5", "=1"),
    "cross.default": ("4 3", "4 3", "=1"),
    "cross_entropy_loss.default": ("4 6", "i 4", "6", "=1", "=-100", "=0.1"),
    "det.default": ("2 4 4",),
    "diagonal_scatter.default": ("4 6", "4", "=0", "=0", "=1"),
    "dot.default": ("6", "6"),
    "gradient.scalararray": ("4 6", "=0.5", "=[0, 1]", "=1"),
    "gradient.scalarrayarray": ("4 6", "=[0.5, 2.0]", "=[0, 1]", "=1"),
    "gradient.scalarrayint": ("4 6", "=[0.5]", "=1", "=2"),
    "gradient.tensorarray": ("4 6", "[4|6]", "=[0, 1]", "=1"),
    "gradient.tensorarrayint": ("4 6", "[6]", "=1", "=1"),
    "grid_sampler_3d.default": ("1 2 4 4 4", "1 3 3 2 3", "=0", "=0", "=False"),
    "imag.default": ("c 3 4",),
    "real.default": ("c 3 4",),
    "index_copy.default": ("4 6", "=0", "i 3", "3 6"),
    "index_fill.int_Tensor": ("4 6", "=0", "i 3", ""),
    "index_reduce.default": ("4 6", "=0", "i 3", "3 6", "='amax'", "=True"),
    "inverse.default": ("2 4 4",),
    "kl_div.default": ("4 6", "p 4 6", "=1", "=False"),
    "linalg_cholesky.default": ("2 4 4",),
    "linalg_cholesky_ex.default": ("2 4 4",),
    "linalg_cond.p_str": ("2 4 4", "='nuc'"),
    "linalg_cross.default": ("4 3", "4 3", "=-1"),
    "linalg_eigh.default": ("2 4 4",),
    "linalg_eigvalsh.default": ("2 4 4",),
    "linalg_inv.default": ("2 4 4",),
    "linalg_matrix_norm.default": ("2 4 4", "=2"),
    "linalg_matrix_sqrth.default": ("2 4 4",),
    "linalg_multi_dot.default": ("[2 3|3 4|4 6]",),
    "linalg_norm.ord_str": ("2 4 4", "='fro'", "=[1, 2]"),
    "linalg_solve.default": ("2 4 4", "2 4 3"),
    "linalg_solve_ex.default": ("2 4 4", "2 4 3"),
    "linalg_solve_triangular.default": ("2 4 4", "2 4 3", "=True"),
    "linalg_tensorinv.default": ("4 6 24", "=2"),
    "linalg_tensorsolve.default": ("4 6 24", "4 6"),
    "linspace.Scalar_Tensor": ("=0.0", "", "=7"),
    "linspace.Tensor_Scalar": ("", "=2.0", "=7"),
    "linspace.Tensor_Tensor": ("", "", "=7"),
    "logspace.Scalar_Tensor": ("=0.0", "", "=7"),
    "logspace.Tensor_Scalar": ("", "=2.0", "=7"),
    "logspace.Tensor_Tensor": ("", "", "=7"),
    "masked_fill.Tensor": ("4 6", "b 4 6", ""),
    "max_pool1d.default": ("1 2 6", "=[2]", "=[2]", "=[1]", "=[1]", "=True"),
    "max_pool1d_with_indices.default": ("1 2 6", "=[2]", "=[2]", "=[1]", "=[1]", "=True"),
    "max_pool2d.default": ("1 2 6 6", "=[2, 2]", "=[2, 2]", "=[1, 1]", "=[1, 1]", "=True"),
    "max_pool3d.default": ("1 2 4 4 4", "=[2, 2, 2]", "=[2, 2, 2]", "=[1, 1, 1]", "=[1, 1, 1]", "=True"),
    "meshgrid.indexing": ("[3|4]", "='ij'"),
    "mv.default": ("3 4", "4"),
    "nanquantile.default": ("4 6", "p 3", "=1"),
    "nuclear_norm.dim": ("2 4 4", "=[1, 2]"),
    "permute.default": ("2 3 4", "=[2, 0, 1]"),
    "permute_copy.default": ("2 3 4", "=[2, 0, 1]"),
    "put.default": ("4 6", "i 3", "3"),
    "quantile.default": ("4 6", "p 3", "=1"),
    "rnn_tanh_cell.default": ("2 3", "2 4", "4 3", "4 4", "4", "4"),
    "select_scatter.default": ("4 6", "4", "=1", "=2"),
    "slice_scatter.default": ("4 6", "4 2", "=1", "=1", "=3"),
    "slogdet.default": ("2 4 4",),
    "split.sizes": ("4 6", "=[2, 4]", "=1"),
    "split_with_sizes_copy.default": ("4 6", "=[2, 4]", "=1"),
    "stft.default": ("2 60", "=16", "=4", "=16", "16", "=False", "=True", "=True"),
    "stft.center": ("2 60", "=16", "=4", "=16", "16", "=True", "='reflect'", "=False", "=True", "=True"),
    "take.default": ("4 6", "i 3 2"),
    "tensordot.default": ("4 6", "6 3", "=[1]", "=[0]"),
    "triangular_solve.default": ("2 4 3", "2 4 4"),
    "triplet_margin_loss.default": ("4 6", "4 6", "4 6"),
    "unflatten.int": ("4 6", "=1", "=[2, 3]"),
    "upsample_bicubic2d.default": ("1 2 4 4", "=[6, 7]", "=True"),
    "upsample_bilinear2d.default": ("1 2 4 4", "=[6, 7]", "=False"),
    "upsample_linear1d.default": ("1 2 4", "=[6]", "=True"),
    "upsample_linear1d.vec": ("1 2 4", "=[6]", "=False", "=None"),
    "upsample_nearest1d.default": ("1 2 4", "=[6]"),
    "upsample_nearest1d.vec": ("1 2 4", "=[6]", "=None"),
    "upsample_nearest2d.default": ("1 2 4 4", "=[6, 7]"),
    "upsample_nearest3d.default": ("1 2 3 4 4", "=[6, 7, 5]"),
    "upsample_nearest3d.vec": ("1 2 3 4 4", "=[6, 7, 5]", "=None"),
    "upsample_trilinear3d.default": ("1 2 3 4 4", "=[6, 7, 5]", "=False"),
    "upsample_trilinear3d.vec": ("1 2 3 4 4", "=[6, 7, 5]", "=True", "=None"),
    "vdot.default": ("6", "6"),
    "view_as_real.default": ("c 3 4",),
    "view_as_real_copy.default": ("c 3 4",),
    "view_as_complex.default": ("3 2",),
    "where.ScalarSelf": ("b 4 6", "=1.0", "4 6"),
    "where.ScalarOther": ("b 4 6", "4 6", "=1.0"),
    "where.self": ("b 4 6", "4 6", "4 6"),
}  # fmt: skip
"""Arguments that fit each other, which random ones would hardly do.

They are shapes (i: rows of a table, b: yes or no, p: shares between 0 and 1, c: complex numbers; in brackets several
tensors), and values after `=`. In a set some of them are drawn anew.
"""


def _fitting(drawn: Drawn, text: str) -> Any:
    """An argument as `BASES` describes it."""
    if text.startswith("="):
        return ast.literal_eval(text[1:])
    if text.startswith("["):
        return [_fitting(drawn, part) for part in text[1:-1].split("|")]
    kind, _, sizes = text.partition(" ") if text[:1] in ("i", "b", "c", "p") else ("", "", text)
    shape = tuple(map(int, sizes.split()))
    # One size off is the mistake that a kernel is most likely to take on trust.
    if shape and drawn.rng.random() < 0.08:
        place = drawn.rng.randrange(len(shape))
        shape = (
            *shape[:place],
            drawn.rng.choice((0, 1, shape[place] + 1, 2 * shape[place], 1000)),
            *shape[place + 1 :],
        )
    match kind:
        case "i":
            values = torch.randint(0, drawn.rng.choice((3, 3, 4, 50)), shape)
        case "b":
            values = torch.rand(shape) < 0.5
        case "c":
            return torch.randn(shape, dtype=torch.complex64)
        case "p":
            values = torch.rand(shape)
        case _:
            values = torch.randn(shape).to(drawn.kinds[0] if drawn.kinds[0].is_floating_point else torch.float32)
    return drawn.arenas.tensor(values, drawn.at_the_end)


def run_set(name: str, seed: int, arenas: Arenas, mode: FakeTensorMode) -> tuple[bool, str | None]:
    """Whether one set of arguments ran, and what is wrong with how, if anything; a trap ends the process.

    Fake tensors decide what is taken. They cost ten times what a call does, so tensors of the device `meta`, nearly the
    same, sort out first; every eleventh set asks fake tensors at once, in case the two differ.
    """
    call = drawn_call(name, seed, arenas)
    promised = _promised(call, torch.device("meta")) if seed % 11 and _takes_tensors(call) else _promised(call, mode)
    if promised is None or sum(math.prod(shape) * 8 for shape, _ in promised) > MOST_BYTES:
        return False, None
    try:
        with torch.no_grad():
            given = call.run({})
            # A view of guarded memory is read only when somebody uses it.
            said = _told(name, given)
            for one in given:
                one.clone()
    except (MemoryError, RuntimeError, ValueError, IndexError, TypeError, NotImplementedError):
        return False, None
    if said == promised:
        return True, None
    # `meta` was only asked first.
    promised = _promised(call, mode)
    return promised is not None, None if promised in (None, said) else f"gives {said} where {promised} was promised"


def _promised(call: Call, where: AbstractContextManager[Any]) -> list[tuple[tuple[int, ...], str]] | None:
    try:
        with torch.no_grad(), where:
            return _told(str(call.target), fake_outputs(call, {}))
    except Exception:
        return None


def _told(name: str, outputs: Sequence[torch.Tensor]) -> list[tuple[tuple[int, ...], str]]:
    told = [(tuple(one.shape), dtype_name(one)) for one in outputs]
    return [told[0], *((shape, "float") for shape, _ in told[1:])] if name in STATISTICS else told


def _takes_tensors(call: Call) -> bool:
    """Whether an operator reads tensors; those that only make some have their device from their arguments."""
    return "Tensor" in " ".join(str(argument.real_type) for argument in call.target._schema.arguments)  # type: ignore[attr-defined]


def finds(name: str, first: int, sets: int) -> tuple[int, list[str]]:
    """How many sets of arguments ran, and all that went wrong; each can end the process that runs it."""
    done, found = mmap.mmap(-1, 16), list[str]()
    end = first + sets
    # What PyTorch imports and looks up at its first call of a kind, 2 s, each child would do again.
    for seed in range(first, min(first + 3, end)):
        call = drawn_call(name, seed, Arenas())
        for where in (torch.device("meta"), FakeTensorMode()):
            _promised(call, where)
    while first < end:
        reads, writes = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reads)
            _run_sets(name, first, end, done, writes)
        os.close(writes)
        with os.fdopen(reads, "r") as said:
            found += said.read().splitlines()
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            at = int.from_bytes(done[:8], "little")
            trapped = number == signal.SIGFPE and name in DIVIDES
            if number != signal.SIGALRM and not trapped and _taken(name, at):
                found.append(f"{name}, set {at}: ended by {signal.Signals(number).name}")
            first = at + 1
        else:
            first = end
    return int.from_bytes(done[8:], "little"), found


def _taken(name: str, seed: int) -> bool:
    """Whether fake tensors take the set that ended a child; what only `meta` took does not count."""
    return _promised(drawn_call(name, seed, Arenas()), FakeTensorMode()) is not None


def _run_sets(name: str, first: int, end: int, done: mmap.mmap, writes: int) -> None:
    """In the child."""
    code = 1
    with suppress(BaseException):
        torch.set_num_threads(1)
        logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.dup2(devnull, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        held = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE
        resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY_BYTES, held + MEMORY_BYTES))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        arenas, mode, ran = Arenas(), FakeTensorMode(), int.from_bytes(done[8:], "little")
        for seed in range(first, end):
            done[:8] = seed.to_bytes(8, "little")
            signal.alarm(SECONDS_A_SET)
            taken, wrong = run_set(name, seed, arenas, mode)
            ran += taken
            done[8:] = ran.to_bytes(8, "little")
            if wrong:
                os.write(writes, f"{name}, set {seed}: {wrong}\n".encode())
        code = 0
    os._exit(code)


def main() -> None:
    from decc_core.models.torch.operators import every_operator

    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    total = 0
    for name in sys.argv[2:] or every_operator():
        ran, wrong = finds(name, 0, sets)
        print(f"{name}: {ran} of {sets} ran", flush=True)
        total += len(wrong)
        for line in wrong[:5]:
            print(line, flush=True)
    print(f"{total} finds")


if __name__ == "__main__":
    main()
