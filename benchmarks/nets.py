"""The networks that are measured: made from a seed, and the same weights as an ONNX graph with its states outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from streamrnn import Model, Node, Spec

Array = NDArray[np.float32]
N_GATES = {"rnn": 1, "lstm": 4, "gru": 3}
ONNX_ORDER = {"rnn": (0,), "lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}
"""From PyTorch's gate order (i f g o; r z n) to that of ONNX (i o f c; z r h)."""


@dataclass(frozen=True)
class Net:
    """Recurrent layers of one kind, all hidden values of the last as output."""

    kind: Literal["rnn", "lstm", "gru"]
    input_size: int
    hidden_size: int
    n_layers: int = 1

    @property
    def name(self) -> str:
        """As in the tables: `LSTM 64/128`, or `LSTM 128/128 x 2`."""
        layers = f" x {self.n_layers}" if self.n_layers > 1 else ""
        return f"{self.kind.upper()} {self.input_size}/{self.hidden_size}{layers}"

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states of a layer."""
        return ("h", "c") if self.kind == "lstm" else ("h",)


def make_model(net: Net, output_size: int | None = None, seed: int = 0) -> Model:
    """The net, its weights drawn as PyTorch does (uniform in +-1/sqrt(hidden)), with a linear head if asked for."""
    rng = np.random.default_rng(seed)
    bound = net.hidden_size**-0.5

    def draw(*shape: int) -> Array:
        return rng.uniform(-bound, bound, shape).astype(np.float32)

    rows = N_GATES[net.kind] * net.hidden_size
    nodes, size = [Node("x", "input", net.input_size)], net.input_size
    tensors: dict[str, Array] = {}
    for i in range(net.n_layers):
        name = f"cell{i}"
        nodes.append(Node(name, net.kind, net.hidden_size, (nodes[-1].name,)))
        tensors |= {
            f"{name}.weight_ih": draw(rows, size),
            f"{name}.weight_hh": draw(rows, net.hidden_size),
            f"{name}.bias_ih": draw(rows),
            f"{name}.bias_hh": draw(rows),
        }
        size = net.hidden_size
    if output_size is not None:
        nodes.append(Node("fc", "linear", output_size, (nodes[-1].name,)))
        tensors |= {"fc.weight": draw(output_size, net.hidden_size), "fc.bias": draw(output_size)}
    return Model(Spec(tuple(nodes), nodes[-1].name), tensors)


def onnx_gates(tensor: Array, kind: str) -> Array:
    """The rows of a weight tensor, gates in the order of ONNX instead of PyTorch's."""
    gates = np.split(tensor, N_GATES[kind])
    return np.concatenate([gates[i] for i in ONNX_ORDER[kind]])


def onnx_graph(net: Net, model: Model, n_frames: int, n_sessions: int) -> bytes:
    """An ONNX model of `n_frames` steps of `n_sessions` sessions, its states fed in and handed out.

    Inputs: x (n_frames, n_sessions, input_size), and h0 (and c0), h1, ... (1, n_sessions, hidden_size). Outputs: y
    (n_frames, n_sessions, hidden_size) of the last layer and the states as h0_out, ... Source: ONNX operators RNN, LSTM
    and GRU (`linear_before_reset` = 1), opset 14.
    """
    from onnx import TensorProto, helper, numpy_helper

    attributes: dict[str, Any] = {"hidden_size": net.hidden_size}
    if net.kind == "gru":
        attributes["linear_before_reset"] = 1
    weights = [numpy_helper.from_array(np.array([1], np.int64), "directions")]
    nodes, value = [], "x"
    for i in range(net.n_layers):
        w, r, b_x, b_h = (
            onnx_gates(model.tensors[f"cell{i}.{short}"], net.kind)
            for short in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        for name, array in ((f"W{i}", w), (f"R{i}", r), (f"B{i}", np.concatenate([b_x, b_h]))):
            weights.append(numpy_helper.from_array(array[None], name))
        states = [f"{state}{i}" for state in net.states]
        outs = [f"{state}_out" for state in states]
        operands = [value, f"W{i}", f"R{i}", f"B{i}", "", *states]
        value = "y" if i == net.n_layers - 1 else f"y{i}"
        nodes.append(helper.make_node(net.kind.upper(), operands, [f"Y{i}", *outs], **attributes))
        nodes.append(helper.make_node("Squeeze", [f"Y{i}", "directions"], [value]))

    def port(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    names = [f"{state}{i}" for i in range(net.n_layers) for state in net.states]
    shape = (1, n_sessions, net.hidden_size)
    graph = helper.make_graph(
        nodes,
        "step",
        [port("x", n_frames, n_sessions, net.input_size), *(port(name, *shape) for name in names)],
        [port("y", n_frames, n_sessions, net.hidden_size), *(port(f"{name}_out", *shape) for name in names)],
        initializer=weights,
    )
    exported = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return bytes(exported.SerializeToString())
