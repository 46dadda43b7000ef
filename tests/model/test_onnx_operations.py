"""Each ONNX operation and its attributes, streamed and held against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import streamrnn
from tests.model.onnx_graphs import TIME, graph, node, weights

FEATURES = (1, TIME, 6)
CHANNELS = (1, 6, TIME)


def ints(*values):
    return np.array(values, np.int64)


def number(value):
    return np.array(value, np.float32)


def one(kind, **attributes):
    return graph([node(kind, "x", "y", **attributes)], FEATURES)


ELEMENTWISE: dict[str, dict[str, Any]] = {
    "Relu": {}, "Tanh": {}, "Sigmoid": {}, "Softsign": {}, "Erf": {}, "Exp": {}, "Abs": {}, "Neg": {}, "Mish": {},
    "HardSwish": {}, "Softplus": {}, "Sign": {}, "Identity": {}, "Dropout": {},
    "LeakyRelu": {"alpha": 0.2}, "ThresholdedRelu": {"alpha": 0.5}, "Elu": {"alpha": 0.7}, "Selu": {},
    "Celu": {"alpha": 0.7}, "HardSigmoid": {"alpha": 0.3, "beta": 0.4}, "Gelu": {"approximate": "tanh"},
    "Softmax": {"axis": -1}, "LogSoftmax": {"axis": 2}, "LpNormalization": {"axis": -1, "p": 2},
}  # fmt: skip
CASES = {f"{kind} {attributes or ''}": one(kind, **attributes) for kind, attributes in ELEMENTWISE.items()}
CASES |= {
    f"{kind} defaults": one(kind)
    for kind in ("LeakyRelu", "ThresholdedRelu", "Elu", "Celu", "HardSigmoid", "Gelu", "Softmax")
}
CASES |= {
    f"{kind} of positive values": graph(
        [node("Abs", "x", "a"), node("Add", "a half", "b"), node(kind, "b", "y")], FEATURES, half=number(0.5)
    )
    for kind in ("Sqrt", "Log", "Reciprocal")
}
CASES |= {
    f"Pow {exponent}": graph(
        [node("Abs", "x", "a"), node("Add", "a half", "b"), node("Pow", "b e", "y")],
        FEATURES, half=number(0.5), e=number(exponent),
    )
    for exponent in (2.0, 3.0, 4.0, 0.5, -0.5, -1.0, 1.0, 0.3, 1.7)
}  # fmt: skip
CASES |= {
    f"{kind} {what}": graph([node(kind, "x c", "y")], FEATURES, c=value)
    for kind in ("Add", "Sub", "Mul", "Div")
    for what, value in (("number", number(1.5)), ("vector", np.linspace(1, 2, 6).astype(np.float32)))
}
CASES |= {
    f"{kind} number first": graph(
        [node("Tanh", "x", "t"), node("Exp", "t", "e"), node(kind, "c e", "y")], FEATURES, c=number(1.5)
    )
    for kind in ("Sub", "Div", "Pow", "Max", "Min")
}
CASES |= {
    f"{kind} of two": graph([node("Tanh", "x", "a"), node("Exp", "a", "b"), node(kind, "a b", "y")], FEATURES)
    for kind in ("Add", "Sub", "Mul", "Div", "Max", "Min")
}
CASES |= {
    f"{kind} of three": graph([node("Tanh", "x", "a"), node(kind, "x a x", "y")], FEATURES)
    for kind in ("Sum", "Mean", "Max", "Min")
}
CASES |= {
    "Clip inputs": graph([node("Clip", "x lo hi", "y")], FEATURES, lo=number(-0.5), hi=number(0.8)),
    "Clip one bound": graph([node("Clip", "x _ hi", "y")], FEATURES, hi=number(0.8)),
    "Clip attributes": graph([node("Clip", "x", "y", min=-0.5, max=0.5)], FEATURES, opset=8),
    "PRelu number": graph([node("PRelu", "x s", "y")], FEATURES, s=np.array([0.2], np.float32)),
    "PRelu vector": graph([node("PRelu", "x s", "y")], FEATURES, s=weights(6)),
    "PRelu channels": graph([node("PRelu", "x s", "y")], CHANNELS, s=weights(6, 1)),
    "Where constant": graph(
        [node("Where", "m x c", "y")], FEATURES, m=np.arange(6) % 2 == 0, c=np.array([0.5], np.float32)
    ),
    "Greater, Where": graph(
        [node("Greater", "x c", "m"), node("Where", "m x d", "y")], FEATURES, c=number(0.3), d=number(-1.0)
    ),
    "LessOrEqual, Not, Or, And": graph(
        [
            node("LessOrEqual", "x c", "a"), node("Less", "x d", "b"), node("GreaterOrEqual", "x c", "e"),
            node("Not", "e", "f"), node("Or", "a b", "g"), node("And", "g f", "h"), node("Cast", "h", "y", to=1),
        ],
        FEATURES, c=number(0.3), d=number(-0.5),
    ),
    "Softmax of old, over the rest": graph([node("Softmax", "x", "y", axis=1)], (TIME, 2, 3), opset=11),
}  # fmt: skip
CASES |= {
    f"{kind} {where}": graph(
        [node(kind, "x" if opset < 18 else "x axes", "y", keepdims=keepdims, **({"axes": axes} if opset < 18 else {}))],
        (1, TIME, 2, 3), opset=opset, **({"axes": ints(*axes)} if opset >= 18 else {}),
    )
    for kind in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp")
    for where, axes, keepdims, opset in (
        ("attribute", [-1], 1, 11), ("input", [2, 3], 0, 18),
    )
}  # fmt: skip
CASES |= {
    "ReduceSum attribute": graph([node("ReduceSum", "x", "y", axes=[2])], FEATURES, opset=11),
    "ReduceSum input": graph([node("ReduceSum", "x a", "y", keepdims=0)], FEATURES, a=ints(-1)),
    "ReduceSum nothing": graph([node("ReduceSum", "x", "y", noop_with_empty_axes=1)], FEATURES),
    "ReduceMean over the time": graph([node("ReduceMean", "x a", "y")], FEATURES, a=ints(1)),
    "GlobalAveragePool": graph([node("GlobalAveragePool", "x", "y")], CHANNELS),
    "GlobalMaxPool": graph([node("GlobalMaxPool", "x", "y")], CHANNELS),
}

# Layers
CASES |= {
    "MatMul": graph([node("MatMul", "x w", "y")], FEATURES, w=weights(6, 4)),
    "MatMul, Add": graph(
        [node("MatMul", "x w", "a"), node("Add", "b a", "y")], FEATURES, w=weights(6, 4), b=weights(4)
    ),
    "MatMul of a vector": graph([node("MatMul", "x w", "y")], FEATURES, w=weights(6)),
    "MatMul, weights first": graph([node("MatMul", "w x", "y")], CHANNELS, w=weights(4, 6)),
    "MatMul, batch of one weights": graph([node("MatMul", "x w", "y")], FEATURES, w=weights(1, 6, 4)),
    "Gemm": graph(
        [node("Gemm", "x w b", "y", transB=1, alpha=0.5, beta=2.0)], (TIME, 6), w=weights(4, 6), b=weights(4)
    ),
    "Gemm without bias": graph([node("Gemm", "x w", "y")], (TIME, 6), w=weights(6, 4)),
    "Gemm of one number": graph([node("Gemm", "x w b", "y")], (TIME, 6), w=weights(6, 4), b=number(0.5)),
    "Gemm transposed": graph([node("Gemm", "x w b", "y", transA=1)], (6, TIME), w=weights(6, 4), b=weights(4)),
    "Gemm, weights first": graph([node("Gemm", "w x", "y", transA=1)], (6, TIME), w=weights(6, 4)),
    "Conv causal": graph(
        [node("Pad", "x p", "a"), node("Conv", "a w b", "y")], CHANNELS, p=ints(0, 0, 2, 0, 0, 0), w=weights(4, 6, 3),
        b=weights(4),
    ),
    "Conv padded": graph([node("Conv", "x w", "y", pads=[1, 1])], CHANNELS, w=weights(4, 6, 3)),
    "Conv groups, dilation": graph(
        [node("Conv", "x w", "y", group=3, dilations=[2])], CHANNELS, w=weights(9, 2, 3)
    ),
    "Conv stride": graph([node("Conv", "x w", "y", strides=[2])], CHANNELS, w=weights(4, 6, 3)),
    "Conv SAME_UPPER": graph([node("Conv", "x w", "y", auto_pad="SAME_UPPER")], CHANNELS, w=weights(4, 6, 4)),
    "Conv SAME_LOWER": graph([node("Conv", "x w", "y", auto_pad="SAME_LOWER")], CHANNELS, w=weights(4, 6, 4)),
    "Conv VALID": graph([node("Conv", "x w", "y", auto_pad="VALID")], CHANNELS, w=weights(4, 6, 3)),
    "Conv of two dimensions": graph(
        [node("Conv", "x w", "y", pads=[1, 1, 1, 1])], (1, 6, TIME, 1), w=weights(4, 6, 3, 3)
    ),
    "Conv within a step": graph(
        [node("Conv", "x w", "y", pads=[1, 0], strides=[2])], (TIME, 2, 9), w=weights(4, 2, 3)
    ),
    "BatchNormalization": graph(
        [node("BatchNormalization", "x s b m v", "y", epsilon=1e-3)], CHANNELS, s=weights(6), b=weights(6, seed=1),
        m=weights(6, seed=2), v=np.linspace(0.5, 2, 6).astype(np.float32),
    ),
    "LayerNormalization": graph(
        [node("LayerNormalization", "x s b", "y", epsilon=1e-3)], FEATURES, s=weights(6), b=weights(6, seed=1)
    ),
    "LayerNormalization of two": graph(
        [node("LayerNormalization", "x s", "y", axis=2)], (1, TIME, 2, 3), s=weights(2, 3)
    ),
    "GroupNormalization": graph(
        [node("GroupNormalization", "x s b", "y", num_groups=2)], (TIME, 6), s=weights(6), b=weights(6, seed=1)
    ),
    "InstanceNormalization within a step": graph(
        [node("InstanceNormalization", "x s b", "y")], (TIME, 2, 5), s=weights(2), b=weights(2, seed=1)
    ),
    "RMSNormalization": graph([node("RMSNormalization", "x s", "y")], FEATURES, s=weights(6), opset=23),
    "AveragePool": graph([node("AveragePool", "x", "y", kernel_shape=[3], strides=[1])], CHANNELS),
    "AveragePool padded": graph(
        [node("AveragePool", "x", "y", kernel_shape=[2], pads=[1, 0], count_include_pad=1)], CHANNELS
    ),
    "MaxPool": graph([node("MaxPool", "x", "y", kernel_shape=[3], strides=[2])], CHANNELS),
    "MaxPool padded, dilated": graph(
        [node("MaxPool", "x", "y", kernel_shape=[3], pads=[4, 0], dilations=[2])], CHANNELS
    ),
    "MaxPool within a step": graph(
        [node("MaxPool", "x", "y", kernel_shape=[2], strides=[2], pads=[1, 1])], (TIME, 2, 8)
    ),
    "MaxPool of two dimensions": graph(
        [node("MaxPool", "x", "y", kernel_shape=[2, 1], strides=[2, 1])], (1, 6, TIME, 1)
    ),
}  # fmt: skip

# Shapes
CASES |= {
    "Transpose": graph([node("Transpose", "x", "a", perm=[1, 0, 2]), node("Tanh", "a", "y")], FEATURES),
    "Transpose defaults": graph([node("Transpose", "x", "a"), node("Tanh", "a", "y")], FEATURES),
    "Reshape": graph(
        [node("Reshape", "x s", "a"), node("MatMul", "a w", "y")], FEATURES, s=ints(0, -1, 2, 3), w=weights(3, 4)
    ),
    "Flatten": graph([node("Flatten", "x", "y", axis=1)], (TIME, 2, 3)),
    "Squeeze, Unsqueeze": graph(
        [node("Squeeze", "x o", "a"), node("Unsqueeze", "a t", "b"), node("Tanh", "b", "y")], FEATURES,
        o=ints(0), t=ints(1, -1),
    ),
    "Squeeze, Unsqueeze of old": graph(
        [node("Squeeze", "x", "a", axes=[0]), node("Unsqueeze", "a", "y", axes=[1])], FEATURES, opset=11
    ),
    "Expand": graph(
        [node("Unsqueeze", "x o", "a"), node("Expand", "a s", "y")], FEATURES, o=ints(2), s=ints(1, 1, 3, 1)
    ),
    "Tile": graph([node("Tile", "x s", "y")], FEATURES, s=ints(1, 1, 2)),
    "Concat": graph([node("Tanh", "x", "a"), node("Concat", "x a", "y", axis=-1)], FEATURES),
    "Slice": graph(
        [node("Slice", "x b e d t", "y")], FEATURES, b=ints(1), e=ints(2**40), d=ints(2), t=ints(2)
    ),
    "Slice backwards": graph(
        [node("Slice", "x b e d t", "y")], FEATURES, b=ints(-1), e=ints(-(2**40)), d=ints(-1), t=ints(-1)
    ),
    "Slice of old": graph([node("Slice", "x", "y", starts=[1], ends=[-1], axes=[2])], FEATURES, opset=9),
    "Slice of the last step": graph(
        [node("Slice", "x b e d", "y")], FEATURES, b=ints(-1), e=ints(2**40), d=ints(1)
    ),
    "Split": graph(
        [node("Split", "x s", "a b", axis=-1), node("Concat", "b a", "y", axis=-1)], FEATURES, s=ints(4, 2)
    ),
    "Split evenly": graph(
        [node("Split", "x", "a b c d", axis=-1, num_outputs=4), node("Concat", "d b a c", "y", axis=-1)], (1, TIME, 7)
    ),
    "Gather": graph([node("Gather", "x i", "y", axis=2)], FEATURES, i=ints(5, 0, -2)),
    "Gather one": graph([node("Gather", "x i", "y", axis=2)], FEATURES, i=np.int64(-1)),
    "Gather of the last step": graph([node("Gather", "x i", "y", axis=1)], FEATURES, i=np.int64(-1)),
    "Gather table": graph([node("Gather", "x i", "y", axis=-1)], FEATURES, i=np.arange(6).reshape(2, 3)),
    "Pad reflect": graph([node("Pad", "x p", "y", mode="reflect")], FEATURES, p=ints(0, 0, 2, 0, 0, 3)),
    "Pad edge, axes": graph([node("Pad", "x p _ d", "y", mode="edge")], FEATURES, p=ints(1, 2), d=ints(-1)),
    "Pad value": graph([node("Pad", "x p v", "y")], FEATURES, p=ints(0, 0, 1, 0, 0, 0), v=number(1.5)),
    "Pad cuts": graph([node("Pad", "x p", "y")], FEATURES, p=ints(0, 0, -1, 0, 0, -2)),
    "Pad of old": graph([node("Pad", "x", "y", pads=[0, 0, 1, 0, 0, 1])], FEATURES, opset=10),
    "Cast": graph([node("Cast", "x", "y", to=1)], FEATURES),
    "Shape, Gather, Concat, ConstantOfShape": graph(
        [
            node("Shape", "x", "s"), node("Gather", "s two", "n", axis=0), node("Unsqueeze", "n zero", "m"),
            node("ConstantOfShape", "m", "z"), node("Add", "x z", "y"),
        ],
        FEATURES, two=np.int64(2), zero=ints(0),
    ),
    "Gather of a table by tokens": graph(
        [node("Gather", "t x", "y")], (1, TIME), dtype=7, t=weights(11, 5)
    ),
    "OneHot of tokens": graph(
        [node("OneHot", "x n v", "y")], (1, TIME), dtype=7, n=ints(7), v=np.array([-1, 2], np.float32)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_operation(name):
    certificate = streamrnn.from_onnx(CASES[name]).card.certificate
    assert certificate["passed"] and certificate["framework"].startswith("onnx")
    assert certificate["max_rel_error"] < 1e-5
    assert certificate["n_compared"] >= 9
