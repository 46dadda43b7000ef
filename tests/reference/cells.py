"""One step of each kind of node that keeps a state: its output and the new state, from its inputs and the old state.

Sources: PyTorch's documentation of `nn.RNN`, `nn.LSTM` and `nn.GRU` (gate order i f g o and r z n); for the GRU whose
reset acts before the matmul, Cho et al. 2014, equations 5 to 8, with z keeping the old state as in PyTorch; for
peepholes, clipping and coupled gates, the operator `LSTM` of ONNX; Feng et al. 2024 (minimal GRU); Gu & Dao 2023 (ssm).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from streamrnn.model.spec import Activation, Node
from tests.reference.maps import MAPS, Array

Weights = Mapping[str, Array]
State = dict[str, Array]
Stepped = tuple[Array, State]
DEFAULT = {"rnn": ("tanh",), "gru": ("sigmoid", "tanh"), "lstm": ("sigmoid", "tanh", "tanh")}
LOWEST = float(np.finfo(np.float32).min)


def initial_state(node: Node, w: Weights, n_states: int) -> State:
    """The state before the first step; `n_states` of each channel of an `ssm`."""
    n, zeros = node.size, np.zeros
    match node.kind:
        case "lstm":
            return {"h": w.get("initial_h", zeros(n)), "c": w.get("initial_c", zeros(node.cell_size or n))}
        case "ssm":
            return {"h": zeros((n, n_states))}
        case "running_max":
            return {"h": np.full(n, LOWEST)}
        case "running_mean" | "running_norm":
            return {"mean": zeros(n), "squares": zeros(n), "count": zeros(1)}
        case "running_stats":
            return {"mean": zeros(n // 2), "squares": zeros(n // 2), "count": zeros(1)}
        case _:
            return {"h": w.get("initial_h", zeros(n))}


def _activations(node: Node) -> list[Callable[[Array], Array]]:
    kinds = [node.nonlinearity] if node.kind == "rnn" else DEFAULT[node.kind]
    return [_activation(a) for a in node.activations or [Activation(kind) for kind in kinds]]  # type: ignore[arg-type]


def _activation(activation: Activation) -> Callable[[Array], Array]:
    return lambda a: MAPS[activation.kind](a, activation.alpha, activation.beta)


def _clipped(node: Node, a: Array) -> Array:
    return np.clip(a, -node.clip, node.clip) if node.clip else a


def rnn(node: Node, w: Weights, inputs: list[Array], state: State) -> Stepped:
    """`h' = f(W_ih x + b_ih + W_hh h + b_hh)`."""
    (f,) = _activations(node)
    a = w["weight_ih"] @ inputs[0] + w["bias_ih"] + w["weight_hh"] @ state["h"] + w["bias_hh"]
    h = f(_clipped(node, a))
    return h, {"h": h}


def lstm(node: Node, w: Weights, inputs: list[Array], state: State) -> Stepped:
    """`c' = f c + i g`, `h' = o tanh(c')`, and `h' = W_hr h'` where it has a projection."""
    gate, candidate, output = _activations(node)
    c = state["c"]
    a = w["weight_ih"] @ inputs[0] + w["bias_ih"] + w["weight_hh"] @ state["h"] + w["bias_hh"]
    peep_i, peep_f, peep_o = np.split(w["peephole"], 3) if node.peepholes else (np.zeros_like(c),) * 3
    if node.coupled:
        i, g, o = np.split(a, 3)
        i = gate(_clipped(node, i + peep_i * c))
        f = 1 - i
    else:
        i, f, g, o = np.split(a, 4)
        i, f = gate(_clipped(node, i + peep_i * c)), gate(_clipped(node, f + peep_f * c))
    c = f * c + i * candidate(_clipped(node, g))
    h = gate(_clipped(node, o + peep_o * c)) * output(c)
    if node.cell_size:
        h = w["weight_hr"] @ h
    return h, {"h": h, "c": c}


def gru(node: Node, w: Weights, inputs: list[Array], state: State) -> Stepped:
    """`h' = (1 - z) n + z h`, with the reset r after the matmul of n, or before it."""
    gate, candidate = _activations(node)
    h = state["h"]
    x_r, x_z, x_n = np.split(w["weight_ih"] @ inputs[0] + w["bias_ih"], 3)
    h_r, h_z, h_n = np.split(w["weight_hh"] @ h + w["bias_hh"], 3)
    r, z = gate(_clipped(node, x_r + h_r)), gate(_clipped(node, x_z + h_z))
    if node.reset == "before":
        recurrent = np.split(w["weight_hh"], 3)[2] @ (r * h) + np.split(w["bias_hh"], 3)[2]
    else:
        recurrent = r * h_n
    n = candidate(_clipped(node, x_n + recurrent))
    h = (1.0 - z) * n + z * h
    return h, {"h": h}


def min_gru(node: Node, w: Weights, inputs: list[Array], state: State) -> Stepped:
    """`h' = h + z (n - h)`, whose gates see the input alone."""
    z, n = np.split(w["weight"] @ inputs[0] + w["bias"], 2)
    h = state["h"] + MAPS["sigmoid"](z, 0, 0) * (n - state["h"])
    return h, {"h": h}


def diagonal(node: Node, w: Weights, inputs: list[Array], state: State) -> Stepped:
    """`h' = decay h + x`."""
    if not node.is_complex:
        h = w["decay"] * state["h"] + inputs[0]
        return h, {"h": h}
    re, im = np.split(state["h"], 2)
    x_re, x_im = np.split(inputs[0], 2)
    number = (w["decay_re"] + 1j * w["decay_im"]) * (re + 1j * im) + x_re + 1j * x_im
    h = np.concatenate([number.real, number.imag])
    return h, {"h": h}


def ssm(node: Node, w: Weights, inputs: list[Array], state: State) -> Stepped:
    """`h' = exp(delta A) h + delta B x`, `y = C h' + D x`."""
    x, delta, b, c = inputs
    h = np.exp(delta[:, None] * w["a"]) * state["h"] + np.outer(delta * x, b)
    return h @ c + w["d"] * x, {"h": h}


def running_max(node: Node, w: Weights, inputs: list[Array], state: State) -> Stepped:
    """The largest so far."""
    h = np.maximum(state["h"], inputs[0])
    return h, {"h": h}


def running(node: Node, w: Weights, inputs: list[Array], state: State) -> Stepped:
    """`running_mean`, `running_stats` and `running_norm`. Source: Welford 1962."""
    x, count = inputs[0], state["count"] + 1
    mean = state["mean"] + (x - state["mean"]) / count
    squares = state["squares"] + (x - state["mean"]) * (x - mean)
    variance = squares / count
    new = {"mean": mean, "squares": squares, "count": count}
    if node.kind == "running_mean":
        return mean, new
    if node.kind == "running_stats":
        return np.concatenate([mean, np.sqrt(variance)]), new
    return (x - mean) / np.sqrt(variance + node.eps), new


STEPPED: dict[str, Callable[[Node, Weights, list[Array], State], Stepped]] = {
    "rnn": rnn,
    "lstm": lstm,
    "gru": gru,
    "min_gru": min_gru,
    "diagonal": diagonal,
    "ssm": ssm,
    "running_max": running_max,
    "running_mean": running,
    "running_stats": running,
    "running_norm": running,
}
