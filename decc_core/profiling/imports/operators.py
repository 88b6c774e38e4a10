"""Names of operators: what eager PyTorch, the exported graph and ONNX call the same computation."""

from __future__ import annotations

_SAME = """
batch_norm: native_batch_norm native_batch_norm_legit native_batch_norm_legit_no_training cudnn_batch_norm
batch_norm: miopen_batch_norm batch_norm_impl_index batch_norm_with_update
conv: convolution convolution_overrideable conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
conv: mkldnn_convolution cudnn_convolution thnn_conv2d slow_conv2d fusedconv
layer_norm: native_layer_norm layernormalization
group_norm: native_group_norm
scaled_dot_product_attention: scaled_dot_product_flash_attention scaled_dot_product_flash_attention_for_cpu
scaled_dot_product_attention: scaled_dot_product_efficient_attention scaled_dot_product_cudnn_attention
scaled_dot_product_attention: scaled_dot_product_attention_math
max_pool2d: max_pool2d_with_indices mkldnn_max_pool2d maxpool
avg_pool2d: averagepool
adaptive_avg_pool2d: globalaveragepool
linear: gemm fusedgemm
matmul: fusedmatmul
hardtanh: relu6
softmax: safe_softmax
pad: constant_pad_nd
cat: concat concatenate
view: unsafe_view reshape reshape_alias flatten unflatten view_as
permute: transpose t swapaxes swapdims movedim moveaxis numpy_t adjoint mt
split: split_with_sizes chunk unsafe_split unsafe_chunk
slice: narrow
expand: expand_as broadcast_to
alias: detach dropout feature_dropout alpha_dropout identity
clone: contiguous
to_copy: cast
div: true_divide divide
mul: multiply
sub: subtract
"""
_CANONICAL = {other: line.split(":")[0] for line in _SAME.strip().splitlines() for other in line.split(":")[1].split()}
_COSTLESS = """
view permute alias slice select squeeze unsqueeze expand split unbind diagonal unfold real imag view_as_real
view_as_complex lift_fresh_copy clone slice_scatter select_scatter
"""
COSTLESS = frozenset(_COSTLESS.split())
"""Operators that only look at a tensor differently, or that export adds: eager execution may do without them."""


def operator_of_layer(operator: str) -> str:
    """The common name of a layer's operator: `aten.conv2d.default` and `onnx.Conv` are `conv`."""
    parts = operator.split("+")[0].split(".")
    return common(parts[1] if parts[0] == "aten" and len(parts) > 1 else parts[-1])


_INSIDE = {"mm": "linear", "addmm": "linear", "bmm": "matmul"}
"""What composite operators call directly where the network has the operator around it."""


def known_operator(name: str, known: frozenset[str]) -> str | None:
    """The common name of an operator in a trace, if the network has such a layer."""
    word = operator_of_event(name)
    word = word if word in known else _INSIDE.get(word, word)
    return word if word in known else None


def operator_of_event(name: str) -> str:
    """The common name of an operator in a trace: `aten::relu_` is `relu`; of others than ATen's the whole name."""
    return common(name.removeprefix("aten::")) if name.startswith("aten::") else name


def common(name: str) -> str:
    plain = name.strip("_").lower()
    return _CANONICAL.get(plain, plain)
