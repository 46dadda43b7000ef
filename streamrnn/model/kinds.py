"""The kinds of node a spec may hold, in families that share their shape rules."""

from __future__ import annotations

from typing import Literal

MapKind = Literal[
    "tanh", "sigmoid", "relu", "leaky_relu", "thresholded_relu", "elu", "gelu", "gelu_tanh", "silu", "mish",
    "hard_sigmoid", "hard_swish", "clamp", "softplus", "softsign", "exp", "log", "sqrt", "square", "abs",
    "reciprocal", "erf", "scaled_tanh", "linear_map",
]  # fmt: skip
"""One value to one value. `alpha` and `beta` of the node are: slope of `leaky_relu`; threshold of `thresholded_relu`;
scale of `elu`; slope and offset of `hard_sigmoid` and of `linear_map`; least and largest value of `clamp`; steepness
(`alpha`) of `softplus`: `log(1 + exp(alpha x)) / alpha`; height and steepness of `scaled_tanh`: `alpha tanh(beta x)`.
The others have none. `log` of values below `alpha` is that of `alpha`, which is at least the smallest normal float32.
"""

SoftKind = Literal["softmax", "log_softmax"]
BinaryKind = Literal["add", "sub", "mul", "div", "maximum", "minimum"]
PoolKind = Literal["max_pool", "mean_pool"]
RunningKind = Literal["running_mean", "running_max", "running_stats", "running_norm"]
NormKind = Literal["layer_norm", "rms_norm", "group_norm"]
CellKind = Literal["rnn", "lstm", "gru"]
OtherKind = Literal[
    "input", "previous", "constant", "embedding",
    "concat", "slice", "gather", "concat_steps", "slice_steps", "fold", "unfold", "delay",
    "linear", "conv", "affine", "prelu", "diagonal", "min_gru", "ssm",
]  # fmt: skip

Kind = MapKind | SoftKind | BinaryKind | PoolKind | RunningKind | NormKind | CellKind | OtherKind
"""See `Node` for what each computes."""
