"""The networks that are measured: made from a seed, and the same weights as an ONNX graph of one stateful step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from streamrnn import Model, Node, Spec

N_GATES = {"lstm": 4, "gru": 3}


@dataclass(frozen=True)
class Net:
    """One recurrent layer, all its hidden values as output."""

    kind: Literal["lstm", "gru"]
    input_size: int
    hidden_size: int

    @property
    def name(self) -> str:
        """As in the tables: `LSTM 64/128`."""
        return f"{self.kind.upper()} {self.input_size}/{self.hidden_size}"


def make_model(net: Net, output_size: int | None = None, seed: int = 0) -> Model:
    """The net, its weights drawn as PyTorch does (uniform in +-1/sqrt(hidden)), with a linear head if asked for."""
    rng = np.random.default_rng(seed)
    bound = net.hidden_size**-0.5

    def draw(*shape: int) -> NDArray[np.float32]:
        return rng.uniform(-bound, bound, shape).astype(np.float32)

    rows = N_GATES[net.kind] * net.hidden_size
    nodes = [Node("x", "input", net.input_size), Node("cell", net.kind, net.hidden_size, ("x",))]
    tensors = {
        "cell.weight_ih": draw(rows, net.input_size),
        "cell.weight_hh": draw(rows, net.hidden_size),
        "cell.bias_ih": draw(rows),
        "cell.bias_hh": draw(rows),
    }
    if output_size is not None:
        nodes.append(Node("fc", "linear", output_size, ("cell",)))
        tensors |= {"fc.weight": draw(output_size, net.hidden_size), "fc.bias": draw(output_size)}
    return Model(Spec(tuple(nodes), nodes[-1].name), tensors)


def _onnx_gates(tensor: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    """From PyTorch's gate order (i f g o; r z n) to that of ONNX (i o f c; z r h)."""
    gates = np.split(tensor, N_GATES[kind])
    order = (0, 3, 1, 2) if kind == "lstm" else (1, 0, 2)
    return np.concatenate([gates[i] for i in order])


def onnx_step(net: Net, model: Model) -> bytes:
    """An ONNX model of one step: inputs x (1, 1, n) and the states, outputs y and the new states, each (1, 1, hidden).

    Source: ONNX operators LSTM and GRU (`linear_before_reset` = 1), opset 14.
    """
    from onnx import TensorProto, helper, numpy_helper

    tensors = model.tensors
    w, r, b_x, b_h = (
        _onnx_gates(tensors[f"cell.{short}"], net.kind) for short in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    weights = [
        numpy_helper.from_array(array[None], name)
        for name, array in (("W", w), ("R", r), ("B", np.concatenate([b_x, b_h])))
    ]
    states = ["h", "c"] if net.kind == "lstm" else ["h"]
    attributes: dict[str, Any] = {"hidden_size": net.hidden_size}
    if net.kind == "gru":
        attributes["linear_before_reset"] = 1
    node = helper.make_node(
        net.kind.upper(), ["x", "W", "R", "B", "", *states], ["", *(f"{state}_out" for state in states)], **attributes
    )

    def port(name: str, size: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, size])

    graph = helper.make_graph(
        [node],
        "step",
        [port("x", net.input_size), *(port(state, net.hidden_size) for state in states)],
        [port(f"{state}_out", net.hidden_size) for state in states],
        initializer=weights,
    )
    exported = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return bytes(exported.SerializeToString())
