"""A small branched ONNX network for live tests, written node by node, and the file that an exporter would make."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from decc_core.load.limits import Limits
from decc_core.load.onnx import file as onnx_file
from decc_core.load.onnx.optimise import optimised
from decc_core.models.onnx.model import OnnxModel

FLOAT = TensorProto.FLOAT


def fork_proto(batch: int | str = 1) -> onnx.ModelProto:
    """An 8-bit image, a stem, two branches, one head: eight layers, of which one is a fused run of two operators."""
    draw = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(draw.standard_normal(shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], "/input/Cast", to=FLOAT),
        helper.make_node("Conv", ["pixels", "stem.w", "stem.b"], ["stem"], "/stem/Conv", pads=[1] * 4),
        helper.make_node("Conv", ["stem", "left.w"], ["left0"], "/left/left.0/Conv", pads=[1] * 4),
        helper.make_node("Relu", ["left0"], ["left"], "/left/left.1/Relu"),
        helper.make_node("Conv", ["stem", "right.w"], ["right0"], "/right/right.0/Conv"),
        helper.make_node("Sigmoid", ["right0"], ["right"], "/right/right.1/Sigmoid"),
        helper.make_node("Concat", ["left", "right"], ["both"], "/Concat", axis=1),
        helper.make_node("GlobalAveragePool", ["both"], ["pooled"], "/Pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "/Flatten"),
        helper.make_node("Gemm", ["flat", "head.w", "head.b"], ["scores"], "/head/Gemm", transB=1),
    ]
    weights = [
        weight("stem.w", 8, 3, 3, 3),
        weight("stem.b", 8),
        weight("left.w", 8, 8, 3, 3),
        weight("right.w", 8, 8, 1, 1),
        weight("head.w", 4, 16),
        weight("head.b", 4),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [batch, 3, 16, 16])
    scores = helper.make_tensor_value_info("scores", FLOAT, [batch, 4])
    graph = helper.make_graph(nodes, "fork", [image], [scores], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@lru_cache(maxsize=1)
def onnx_fork() -> OnnxModel:
    return read(fork_proto(), "onnx-fork")


def read(proto: onnx.ModelProto, name: str) -> OnnxModel:
    found, _ = onnx_file.validate(proto.SerializeToString(), Limits())
    return OnnxModel.of(optimised(found, name, Limits())[0])
