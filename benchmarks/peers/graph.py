"""The served network as the peers load it: one ONNX graph, with its head and its states outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.nets import Array, onnx_gates
from benchmarks.serving import NET, OUTPUT_SIZE, make_net

Run = Callable[[None, dict[str, Array]], Sequence[Array]]


def graph() -> bytes:
    """An ONNX model of one frame of any number of sessions, with the weights of `benchmarks.serving.make_net`.

    Inputs: x (1, n, 64), h and c (1, n, 128); outputs: y (n, 16) and the states as h_out and c_out. Of the forms that
    exporters write, onnxruntime runs the LSTM operator as fast as any; a fixed n gains nothing. Source: ONNX operators
    LSTM and Gemm, opset 14.
    """
    from onnx import TensorProto, helper, numpy_helper

    tensors = make_net().tensors
    shorts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    w, r, b_x, b_h = (onnx_gates(tensors[f"cell0.{short}"], NET.kind) for short in shorts)
    arrays: dict[str, Any] = {"W": w[None], "R": r[None], "B": np.concatenate([b_x, b_h])[None]}
    arrays |= {"head": tensors["fc.weight"], "bias": tensors["fc.bias"], "directions": np.array([0], np.int64)}
    nodes = [
        helper.make_node(
            "LSTM", ["x", "W", "R", "B", "", "h", "c"], ["", "h_out", "c_out"], hidden_size=NET.hidden_size
        ),
        helper.make_node("Squeeze", ["h_out", "directions"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "head", "bias"], ["y"], transB=1),
    ]

    def port(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    state = (1, "n", NET.hidden_size)
    made = helper.make_graph(
        nodes,
        "step",
        [port("x", 1, "n", NET.input_size), port("h", *state), port("c", *state)],
        [port("y", "n", OUTPUT_SIZE), port("h_out", *state), port("c_out", *state)],
        initializer=[numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    exported = helper.make_model(made, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return bytes(exported.SerializeToString())


def load() -> Run:
    """The graph in onnxruntime, on one thread: its bound `run`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    run: Run = onnxruntime.InferenceSession(graph(), options, providers=["CPUExecutionProvider"]).run
    return run


def zeros() -> Array:
    """A new state of one session (1, 1, 128)."""
    return np.zeros((1, 1, NET.hidden_size), np.float32)
