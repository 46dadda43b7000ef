"""Recurrent cells, embeddings and norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.aten.table import Call, Refused, constant, op
from streamrnn.model.importers.tracing.symbol import Constant, MisreadError, Symbol

Cell = Literal["rnn", "lstm", "gru"]
FLOAT32_EPS = float(np.finfo(np.float32).eps)


@op("lstm.input")
def lstm(call: Call, x: Symbol, initial: Sequence[Any], weights: Sequence[Any], *rest: Any) -> tuple[Any, Any, Any]:
    """Layers of cells with states h and c."""
    y, states = _layers(call, "lstm", x, initial, weights, *rest)
    return y, states[0], states[1]


@op("gru.input", "rnn_tanh.input", "rnn_relu.input")
def rnn(call: Call, x: Symbol, initial: Any, weights: Sequence[Any], *rest: Any) -> tuple[Any, Any]:
    """Layers of cells with a state h."""
    kind: Cell = "gru" if call.op == "aten.gru" else "rnn"
    options: dict[str, Any] = {"nonlinearity": "relu"} if call.op == "aten.rnn_relu" else {}
    y, states = _layers(call, kind, x, [initial], weights, *rest, **options)
    return y, states[0]


@op("lstm.data", "gru.data", "rnn_tanh.data", "rnn_relu.data")
def packed(call: Call, *_: Any) -> None:
    """Sequences of several lengths."""
    raise UnsupportedError("it reads packed sequences of several lengths; give it one sequence, unpacked")


def _layers(
    call: Call, kind: Cell, x: Symbol, initial: Sequence[Any], weights: Sequence[Any], has_biases: bool,
    n_layers: int, dropout: float, is_training: bool, is_bidirectional: bool, batch_first: bool, **options: Any,
) -> tuple[Symbol, list[Any]]:  # fmt: skip
    if is_bidirectional:
        raise UnsupportedError("it is bidirectional, so each output needs the frames that come after it")
    n = len(weights) // n_layers
    names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if has_biases else []), "weight_hr"][:n]
    finals: list[list[Symbol]] = [[] for _ in initial]
    for i in range(n_layers):
        tensors = {name: constant(w, name) for name, w in zip(names, weights[i * n : (i + 1) * n], strict=True)}
        states = [call.trace.select(s, 0, i) if isinstance(s, Symbol) else s[i] for s in initial]
        name = f"{call.layer}.l{i}" if n_layers > 1 and call.layer else f"l{i}" if n_layers > 1 else call.layer
        x, last = call.trace.recurrent(kind, x, 1 if batch_first else 0, tensors, states, name or kind, **options)
        for found, state in zip(finals, last, strict=True):
            found.append(call.trace.reshape(state, [1, 1, state.shape[0]]))
    return x, [_stacked(call, found) for found in finals]


def _stacked(call: Call, states: list[Symbol]) -> Any:
    try:
        return call.trace.concat(states, 0)
    except UnsupportedError as error:
        return Refused(error)


@op("lstm_cell")
def lstm_cell(
    call: Call, x: Symbol, initial: Sequence[Any], w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> tuple[Symbol, Symbol]:
    """One step of a cell."""
    h, c = _step(call, "lstm", x, initial, (w_ih, w_hh, b_ih, b_hh))
    return h, c


@op("gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def rnn_cell(call: Call, x: Symbol, h: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Symbol:
    """One step of a cell."""
    kind: Cell = "gru" if call.op == "aten.gru_cell" else "rnn"
    options: dict[str, Any] = {"nonlinearity": "relu"} if call.op == "aten.rnn_relu_cell" else {}
    return _step(call, kind, x, [h], (w_ih, w_hh, b_ih, b_hh), **options)[0]


def _step(
    call: Call, kind: Cell, x: Symbol, initial: Sequence[Any], weights: Sequence[Any], **options: Any
) -> list[Symbol]:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    tensors = {name: constant(w, name) for name, w in zip(names, weights, strict=True) if w is not None}
    if not isinstance(x, Symbol):
        raise UnsupportedError("it reads a constant")
    if x.stream is not None:
        raise MisreadError(
            f"a cell of one step reads {x.shape}, of which dimension {x.stream} is the time; give its module frame by "
            "frame, with a state that is handed in and back"
        )
    if call.is_written or any(isinstance(s, Symbol) and s.ids is None for s in initial):
        return _written_cell(call, kind, x, list(initial), tensors, options.get("nonlinearity", "tanh"))
    flat = call.trace.reshape(x, [1, x.step_size])
    _, last = call.trace.recurrent(kind, flat, 0, tensors, initial, call.layer or kind, **options)
    return [call.trace.reshape(state, [*x.shape[:-1], state.shape[0]]) for state in last]


def _written_cell(
    call: Call, kind: Cell, x: Symbol, initial: list[Any], tensors: dict[str, Constant], nonlinearity: Any
) -> list[Symbol]:
    """A cell whose state is computed by more than the cell: product by product."""
    t = call.trace
    h = initial[0]
    xs = t.linear(x, tensors["weight_ih"], tensors.get("bias_ih"), name=call.layer)
    hs = t.linear(h, tensors["weight_hh"], tensors.get("bias_hh"), name=call.layer)
    if kind == "rnn":
        return [t.map(nonlinearity, t.binary("add", xs, hs))]
    n = tensors["weight_hh"].shape[1]
    if kind == "gru":
        (x_r, x_z, x_n), (h_r, h_z, h_n) = (t.split(y, -1, [n, n, n]) for y in (xs, hs))
        r, z = (t.map("sigmoid", t.binary("add", a, b)) for a, b in ((x_r, h_r), (x_z, h_z)))
        new = t.map("tanh", t.binary("add", x_n, t.binary("mul", r, h_n)))
        return [t.binary("add", new, t.binary("mul", z, t.binary("sub", h, new)))]
    i, f, g, o = t.split(t.binary("add", xs, hs), -1, [n, n, n, n])
    i, f, o = (t.map("sigmoid", gate) for gate in (i, f, o))
    c = t.binary("add", t.binary("mul", f, initial[1]), t.binary("mul", i, t.map("tanh", g)))
    return [t.binary("mul", o, t.map("tanh", c)), c]


@op("embedding")
def embedding(call: Call, table: Any, x: Any, *_: Any) -> Symbol:
    """Rows of a table."""
    return call.trace.embedding(x, constant(table, "table"), name=call.layer)


@op("layer_norm")
def layer_norm(
    call: Call, x: Symbol, shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Symbol:
    """Over the last dimensions."""
    return call.trace.layer_norm(x, len(shape), weight, bias, eps, name=call.layer)


@op("rms_norm")
def rms_norm(call: Call, x: Symbol, shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Symbol:
    """The same without the mean."""
    return call.trace.rms_norm(x, len(shape), weight, FLOAT32_EPS if eps is None else eps, name=call.layer)


@op("group_norm")
def group_norm(
    call: Call, x: Symbol, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Symbol:
    """Over groups of channels; over the time it cannot be streamed."""
    return call.trace.group_norm(x, groups, weight, bias, eps, name=call.layer)


@op("batch_norm", "_native_batch_norm_legit_no_training")
def batch_norm(call: Call, x: Symbol, weight: Any, bias: Any, mean: Any, variance: Any, *rest: Any) -> Any:
    """A scale and a shift, as in inference."""
    is_plain = call.op == "aten.batch_norm"
    is_training, eps = (bool(rest[0]), rest[2]) if is_plain else (False, rest[1])
    if is_training or mean is None or variance is None:
        raise UnsupportedError("it has no running mean and variance, so it needs the frames that come after")
    y = call.trace.batch_norm(x, mean, variance, weight, bias, eps, name=call.layer)
    return y if is_plain else (y, None, None)


@op("instance_norm")
def instance_norm(
    call: Call, x: Symbol, weight: Any, bias: Any, mean: Any, variance: Any, from_input: bool, *rest: Any
) -> Symbol:
    """With the figures of training it is a batch norm."""
    if from_input or mean is None:
        raise UnsupportedError("it runs over the time, so it needs the frames that come after")
    return call.trace.batch_norm(x, mean, variance, weight, bias, rest[1], name=call.layer)
