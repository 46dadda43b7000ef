"""The same network stepped by each contender: ours through Python, and PyTorch, onnxruntime and OpenVINO beside it.

Each keeps the sessions' states from call to call, on one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import streamrnn
from benchmarks.nets import Array, Net, onnx_graph

Step = Callable[[Array], Array]


@dataclass(frozen=True)
class Contender:
    """A way to step, called as its users call it.

    Attributes:
        name: of the call.
        step: from frames in `form` to outputs, float32.
        form: the shape of a call's frames, of the same values as (n_frames, n_sessions, input_size).
    """

    name: str
    step: Step
    form: tuple[int, ...]

    def call(self, x: Array) -> Callable[[], Array]:
        """A call without arguments that steps by frames x (n_frames, n_sessions, input_size)."""
        step, frames = self.step, x.reshape(self.form).copy()
        return lambda: step(frames)

    def outputs(self, x: Array) -> Array:
        """The outputs (n_frames, n_sessions, hidden_size) to frames x."""
        return self.step(x.reshape(self.form).copy()).reshape(*x.shape[:2], -1)


def ours(model: streamrnn.Model, n_frames: int, n_sessions: int) -> Contender:
    """The call that a user of the engine makes."""
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=n_sessions))
    engine.add_model("net", model)
    sessions = [engine.open("net") for _ in range(n_sessions)]
    size, lane = model.input_size, sessions[0].lane
    if n_frames == n_sessions == 1:
        return Contender("session.step", sessions[0].step, (size,))
    if n_frames == 1:
        return Contender("engine.step_many", lambda x: engine.step_many(sessions, x), (n_sessions, size))
    if n_sessions == 1:
        return Contender("session.run", sessions[0].run, (n_frames, size))
    slots = np.array([session.slot for session in sessions], np.int64)

    def run(x: Array) -> Array:
        y = np.empty((n_frames, n_sessions, model.output_size), np.float32)
        assert lane.run(slots, x, y) < 0
        return y

    return Contender("one kernel call", run, (n_frames, n_sessions, size))


def torch_cell(net: Net, model: streamrnn.Model, n_frames: int, n_sessions: int) -> Contender | None:
    """`nn.LSTMCell` and its like: one layer, one frame."""
    if n_frames > 1 or net.n_layers > 1:
        return None
    import torch

    torch.set_num_threads(1)
    kinds = {"rnn": torch.nn.RNNCell, "lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}
    cell = kinds[net.kind](net.input_size, net.hidden_size)
    cell.load_state_dict({name.removeprefix("cell0."): torch.from_numpy(t) for name, t in model.tensors.items()})
    zeros = torch.zeros(n_sessions, net.hidden_size)
    state: Any = (zeros, zeros) if net.kind == "lstm" else zeros

    @torch.inference_mode()
    def step(x: Array) -> Array:
        nonlocal state
        state = cell(torch.from_numpy(x), state)
        hidden = state[0] if net.kind == "lstm" else state
        output: Array = hidden.numpy()
        return output

    return Contender("torch cell", step, (n_sessions, net.input_size))


def torch_module(net: Net, model: streamrnn.Model, n_frames: int, n_sessions: int) -> Contender | None:
    """`nn.LSTM` and its like, any number of layers and frames."""
    import torch

    torch.set_num_threads(1)
    kinds = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    module = kinds[net.kind](net.input_size, net.hidden_size, net.n_layers)
    tensors = {}
    for name, tensor in model.tensors.items():
        cell, short = name.split(".")
        tensors[f"{short}_l{cell.removeprefix('cell')}"] = torch.from_numpy(tensor)
    module.load_state_dict(tensors)
    zeros = torch.zeros(net.n_layers, n_sessions, net.hidden_size)
    state: Any = (zeros, zeros) if net.kind == "lstm" else zeros

    @torch.inference_mode()
    def step(x: Array) -> Array:
        nonlocal state
        y, state = module(torch.from_numpy(x), state)
        output: Array = y.numpy()
        return output

    return Contender("torch module", step, (n_frames, n_sessions, net.input_size))


def _states(net: Net, n_sessions: int) -> dict[str, Array]:
    names = (f"{state}{i}" for i in range(net.n_layers) for state in net.states)
    return {name: np.zeros((1, n_sessions, net.hidden_size), np.float32) for name in names}


def onnxruntime_run(net: Net, model: streamrnn.Model, n_frames: int, n_sessions: int) -> Contender | None:
    """onnxruntime's `run`, the states fed back by hand as its users do."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    graph = onnx_graph(net, model, n_frames, n_sessions)
    run = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]).run
    feed = _states(net, n_sessions)
    names = tuple(feed)

    def step(x: Array) -> Array:
        feed["x"] = x
        y, *states = run(None, feed)
        feed.update(zip(names, states, strict=True))
        output: Array = y
        return output

    return Contender("onnxruntime", step, (n_frames, n_sessions, net.input_size))


def openvino_infer(net: Net, model: streamrnn.Model, n_frames: int, n_sessions: int) -> Contender | None:
    """OpenVINO's `infer`, compiled for latency in float32, the states fed back by hand."""
    import openvino

    core = openvino.Core()
    graph = core.read_model(onnx_graph(net, model, n_frames, n_sessions))
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    infer = core.compile_model(graph, "CPU", hints).create_infer_request().infer
    feed = _states(net, n_sessions)
    names = tuple(feed)

    def step(x: Array) -> Array:
        feed["x"] = x
        y, *states = infer(feed).to_tuple()
        for name, state in zip(names, states, strict=True):
            feed[name] = state.copy()  # the arrays that infer gives are written again by the next one
        output: Array = y.copy()
        return output

    return Contender("openvino", step, (n_frames, n_sessions, net.input_size))


PEERS: dict[str, Callable[[Net, streamrnn.Model, int, int], Contender | None]] = {
    "torch cell": torch_cell,
    "torch module": torch_module,
    "onnxruntime": onnxruntime_run,
    "openvino": openvino_infer,
}
