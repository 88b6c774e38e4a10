"""The operators that a `.pt2` file may name: those that reach a worker, and those that export turns into them.

Exported files hold in-place work and operators that do nothing outside training. After `run_decompositions({})` only
the operators of `decc_core.models.torch.operators` are left, or the network is refused by the layer's name.
"""

from __future__ import annotations

from decc_core.models.torch.operators import ALLOWED

_IN_PLACE = """
abs_.default add_.Scalar add_.Tensor addcdiv_.default addcmul_.default addmm_.default baddbmm_.default
bitwise_and_.Scalar bitwise_and_.Tensor bitwise_not_.default bitwise_or_.Scalar bitwise_or_.Tensor ceil_.default
celu_.default clamp_.Tensor clamp_.default clamp_max_.default clamp_min_.default copy_.default cos_.default
cumsum_.default detach_.default div_.Scalar div_.Tensor div_.Scalar_mode div_.Tensor_mode elu_.default erf_.default
exp_.default expm1_.default fill_.Scalar fill_.Tensor floor_.default floor_divide_.Scalar gelu_.default
hardsigmoid_.default hardswish_.default hardtanh_.default index_add_.default index_fill_.int_Scalar
index_put_.default leaky_relu_.default lerp_.Scalar log1p_.default log_.default logical_and_.default
logical_not_.default logical_or_.default masked_fill_.Scalar masked_fill_.Tensor masked_scatter_.default mish_.default
mul_.Scalar mul_.Tensor nan_to_num_.default neg_.default pow_.Scalar pow_.Tensor reciprocal_.default relu6_.default
relu_.default remainder_.Scalar round_.default rsqrt_.default scatter_.src scatter_.value scatter_add_.default
selu_.default sigmoid_.default sign_.default silu_.default sin_.default sqrt_.default square_.default
squeeze_.default squeeze_.dim sub_.Scalar sub_.Tensor t_.default tan_.default tanh_.default threshold_.default
transpose_.default tril_.default triu_.default trunc_.default unsqueeze_.default zero_.default
"""
_IN_TRAINING_ONLY = """
alpha_dropout.default alpha_dropout_.default dropout.default dropout_.default feature_alpha_dropout.default
feature_dropout.default feature_dropout_.default
"""
_CHECKS = "_assert_tensor_metadata.default"
_OTHER_WORDS = """
absolute.default adjoint.default arctan.default arctan2.default atleast_1d.default atleast_2d.default
atleast_3d.default cdist.default clip.default column_stack.default concat.default concatenate.default
conv3d.padding cosine_similarity.default data.default det.default diag.default
divide.Scalar divide.Tensor dstack.default dsplit.int fix.default greater.Scalar greater.Tensor
greater_equal.Scalar greater_equal.Tensor hsplit.int inner.default kron.default less.Scalar less.Tensor
less_equal.Scalar less_equal.Tensor lift_fresh.default linalg_norm.default linalg_vecdot.default log_softmax.int
logaddexp.default mH.default mT.default matrix_H.default max_pool1d_with_indices.default multiply.Scalar
multiply.Tensor negative.default not_equal.Scalar not_equal.Tensor numpy_T.default positive.default ravel.default
reshape_as.default rnn_relu.input special_expit.default special_expm1.default
special_log1p.default special_softmax.default split.sizes split.default squeeze.dims std_mean.correction subtract.Scalar
subtract.Tensor swapdims.default tensor_split.sections tensordot.default type_as.default unflatten.int
unsafe_chunk.default unsafe_split.Tensor var_mean.correction vsplit.int
"""
EXPORTED = ALLOWED | {f"aten.{name}" for name in (_IN_PLACE + _IN_TRAINING_ONLY + _CHECKS + _OTHER_WORDS).split()}
