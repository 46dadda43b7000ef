"""The whole of what a spec means, in NumPy float64, written plainly from the equations and as slow as it likes.

Sources: PyTorch's documentation of `nn.RNN`, `nn.LSTM` and `nn.GRU` (gate order i f g o and r z n); for the GRU whose
reset acts before the matmul, Cho et al. 2014, equations 5 to 8, with z keeping the old state as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from streamrnn.model.spec import Node, Spec

Array = NDArray[np.float64]


def sigmoid(a: Array) -> Array:
    """Logistic function."""
    return 1.0 / (1.0 + np.exp(-a))


def softmax(a: Array) -> Array:
    """Probabilities of logits."""
    powers = np.exp(a - a.max())
    return powers / powers.sum()


def log_softmax(a: Array) -> Array:
    """Logarithms of the probabilities of logits."""
    shifted = a - a.max()
    return shifted - np.log(np.exp(shifted).sum())


def relu(a: Array) -> Array:
    """`max(0, a)`."""
    return np.maximum(a, 0.0)


def tanh(a: Array) -> Array:
    """Hyperbolic tangent."""
    return np.asarray(np.tanh(a))


MAPS: dict[str, Callable[[Array], Array]] = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "relu": relu,
    "softmax": softmax,
    "log_softmax": log_softmax,
}


def rnn(w: Mapping[str, Array], nonlinearity: str, x: Array, h: Array) -> Array:
    """`h' = f(W_ih x + b_ih + W_hh h + b_hh)`."""
    a = w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"]
    return tanh(a) if nonlinearity == "tanh" else relu(a)


def lstm(w: Mapping[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """`c' = f c + i g`, `h' = o tanh(c')`."""
    a = w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"]
    i, f, g, o = np.split(a, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru(w: Mapping[str, Array], reset: str, x: Array, h: Array) -> Array:
    """`h' = (1 - z) n + z h`, with the reset r after the matmul of n, or before it."""
    x_r, x_z, x_n = np.split(w["weight_ih"] @ x + w["bias_ih"], 3)
    h_r, h_z, h_n = np.split(w["weight_hh"] @ h + w["bias_hh"], 3)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    if reset == "before":
        h_n = np.split(w["weight_hh"], 3)[2] @ (r * h) + np.split(w["bias_hh"], 3)[2]
        n = np.tanh(x_n + h_n)
    else:
        n = np.tanh(x_n + r * h_n)
    return (1.0 - z) * n + z * h


class Reference:
    """One session of a spec; `step` answers one frame."""

    def __init__(self, spec: Spec, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        self.spec = spec
        self._weights = {node.name: self._of_node(node, tensors) for node in spec.nodes}
        self.reset()

    @staticmethod
    def _of_node(node: Node, tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, Array]:
        prefix = f"{node.name}."
        found = {
            name.removeprefix(prefix): tensor.astype(np.float64)
            for name, tensor in tensors.items()
            if name.rpartition(".")[0] == node.name
        }
        if not node.bias:
            rows = {"rnn": 1, "lstm": 4, "gru": 3}.get(node.kind, 1) * node.size
            found |= {name: np.zeros(rows) for name in ("bias", "bias_ih", "bias_hh")}
        return found

    def reset(self) -> None:
        """As before the first frame."""
        self.h = {node.name: np.zeros(node.size) for node in self.spec.nodes}
        self.c = {node.name: np.zeros(node.size) for node in self.spec.nodes}
        self.before = {node.name: np.zeros(node.size) for node in self.spec.nodes}

    def step(self, x: NDArray[np.float32]) -> Array:
        """The output (output_size,) to a frame (input_size,)."""
        values: dict[str, Array] = {}
        for node in self.spec.nodes:
            inputs = [] if node.kind == "previous" else [values[name] for name in node.inputs]
            values[node.name] = x.astype(np.float64) if node.kind == "input" else self._value(node, inputs)
        for node in self.spec.nodes:
            if node.kind == "previous":
                self.before[node.name] = values[node.inputs[0]]
        return values[self.spec.output]

    def _value(self, node: Node, inputs: list[Array]) -> Array:
        name, kind, w = node.name, node.kind, self._weights[node.name]
        if kind in MAPS:
            return MAPS[kind](inputs[0])
        if kind == "previous":
            return self.before[name]
        if kind == "concat":
            return np.concatenate(inputs)
        if kind == "add":
            return inputs[0] + inputs[1]
        if kind == "affine":
            return inputs[0] * w["scale"] + w["shift"]
        if kind == "embedding":
            return w["weight"][int(inputs[0][0])]
        if kind == "linear":
            return w["weight"] @ inputs[0] + w["bias"]
        if kind == "lstm":
            self.h[name], self.c[name] = lstm(w, inputs[0], self.h[name], self.c[name])
        elif kind == "gru":
            self.h[name] = gru(w, node.reset, inputs[0], self.h[name])
        else:
            assert kind == "rnn"
            self.h[name] = rnn(w, node.nonlinearity, inputs[0], self.h[name])
        return self.h[name]

    def run(self, xs: NDArray[np.float32]) -> Array:
        """The outputs (n_frames, output_size) to frames (n_frames, input_size)."""
        return np.array([self.step(x) for x in xs])
