"""Maps of one value, softmaxes and norms of the channels of one step."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)


def sigmoid(a: Array) -> Array:
    """Logistic function."""
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-a))


def erf(a: Array) -> Array:
    """Error function."""
    return np.array([math.erf(x) for x in np.ravel(a)]).reshape(np.shape(a))


def softplus(a: Array) -> Array:
    """`log(1 + exp(a))`."""
    return np.logaddexp(0.0, a)


def gelu_tanh(a: Array) -> Array:
    """The usual approximation of `gelu`."""
    return 0.5 * a * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3)))


MAPS: dict[str, Callable[[Array, float, float], Array]] = {
    "tanh": lambda a, alpha, beta: np.tanh(a),
    "sigmoid": lambda a, alpha, beta: sigmoid(a),
    "relu": lambda a, alpha, beta: np.maximum(a, 0.0),
    "leaky_relu": lambda a, alpha, beta: np.where(a < 0, alpha * a, a),
    "thresholded_relu": lambda a, alpha, beta: np.where(a > alpha, a, 0.0),
    "elu": lambda a, alpha, beta: np.where(a > 0, a, alpha * np.expm1(np.minimum(a, 0.0))),
    "gelu": lambda a, alpha, beta: 0.5 * a * (1 + erf(a / math.sqrt(2))),
    "gelu_tanh": lambda a, alpha, beta: gelu_tanh(a),
    "silu": lambda a, alpha, beta: a * sigmoid(a),
    "mish": lambda a, alpha, beta: a * np.tanh(softplus(a)),
    "hard_sigmoid": lambda a, alpha, beta: np.clip(alpha * a + beta, 0.0, 1.0),
    "hard_swish": lambda a, alpha, beta: a * np.clip(a + 3.0, 0.0, 6.0) / 6.0,
    "clamp": lambda a, alpha, beta: np.clip(a, alpha, beta),
    "softplus": lambda a, alpha, beta: softplus(alpha * a) / alpha,
    "softsign": lambda a, alpha, beta: a / (1 + np.abs(a)),
    "exp": lambda a, alpha, beta: np.exp(a),
    "log": lambda a, alpha, beta: np.log(np.maximum(a, max(alpha, SMALLEST_NORMAL))),
    "sqrt": lambda a, alpha, beta: np.sqrt(a),
    "square": lambda a, alpha, beta: a**2,
    "abs": lambda a, alpha, beta: np.abs(a),
    "reciprocal": lambda a, alpha, beta: 1.0 / a,
    "erf": lambda a, alpha, beta: erf(a),
    "scaled_tanh": lambda a, alpha, beta: alpha * np.tanh(beta * a),
    "linear_map": lambda a, alpha, beta: alpha * a + beta,
}


def softmax(a: Array) -> Array:
    """Probabilities of logits."""
    powers = np.exp(a - a.max())
    return powers / powers.sum()


def log_softmax(a: Array) -> Array:
    """Logarithms of the probabilities of logits."""
    shifted = a - a.max()
    return shifted - np.log(np.exp(shifted).sum())


def layer_norm(a: Array, eps: float, groups: int = 1) -> Array:
    """Each group of channels less its mean, over its deviation."""
    parts = a.reshape(groups, -1)
    normed = (parts - parts.mean(1, keepdims=True)) / np.sqrt(parts.var(1, keepdims=True) + eps)
    return normed.reshape(-1)


def rms_norm(a: Array, eps: float) -> Array:
    """The channels over the root of their mean square."""
    return a / np.sqrt((a**2).mean() + eps)
