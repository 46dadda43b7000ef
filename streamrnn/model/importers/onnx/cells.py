"""Handlers of ONNX' recurrent operations: RNN, GRU and LSTM with all their attributes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.onnx.graph import Array, Operation
from streamrnn.model.importers.onnx.values import Handler, Inputs, Result, Value, constant, given, needed, symbol
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.importers.tracing.symbol import Symbol
from streamrnn.model.kinds import MapKind
from streamrnn.model.spec import Activation

CellKind = Literal["rnn", "lstm", "gru"]

ACTIVATIONS: dict[str, tuple[MapKind, tuple[float, ...]]] = {
    "relu": ("relu", ()),
    "tanh": ("tanh", ()),
    "sigmoid": ("sigmoid", ()),
    "softsign": ("softsign", ()),
    "softplus": ("softplus", ()),
    "affine": ("linear_map", (1.0, 0.0)),
    "leakyrelu": ("leaky_relu", (0.01,)),
    "thresholdedrelu": ("thresholded_relu", (1.0,)),
    "hardsigmoid": ("hard_sigmoid", (0.2, 0.5)),
    "elu": ("elu", (1.0,)),
    "scaledtanh": ("scaled_tanh", (1.0, 1.0)),
}
"""Ours, and the defaults of alpha and beta, which are those of the operation of that name."""
NO_DEFAULT = {
    "affine": "ONNX names no default",
    "scaledtanh": "ONNX names no default",
    "thresholdedrelu": "the default of ONNX is 1, that of onnxruntime 0",
}
"""Activations that are not read without their alpha."""
DEFAULT: dict[CellKind, tuple[str, ...]] = {
    "rnn": ("tanh",), "gru": ("sigmoid", "tanh"), "lstm": ("sigmoid", "tanh", "tanh"),
}  # fmt: skip
ORDER: dict[CellKind, tuple[int, ...]] = {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 2, 3, 1)}
"""Our gates (r z n; i f g o) among ONNX' (z r h; i o f c)."""
COUPLED = (0, 3, 1)
"""Of an LSTM whose f is 1 - i: i g o among ONNX' i o f c."""


def _recurrent(kind: CellKind, trace: Trace, op: Operation, inputs: Inputs) -> Result:
    x, layout = symbol(inputs), op.get("layout", 0)
    if (direction := op.get("direction", "forward")) != "forward":
        raise UnsupportedError(
            f"its direction is {direction!r}: each output needs the frames that come after it, so it cannot be streamed"
        )
    time, batch = (1, 0) if layout else (0, 1)
    if x.ndim != 3 or x.shape[batch] != 1 or x.stream == batch:
        raise UnsupportedError(
            f"it reads {x.shape}, a batch in dimension {batch}; a session is one sequence: expected one of them"
        )
    lengths = constant(inputs, 4, "sequence_lens")
    if lengths is not None and np.any(lengths != x.shape[time]):
        raise UnsupportedError(f"its sequence_lens are {np.ravel(lengths)}, expected the whole {x.shape[time]} steps")
    tensors, options = _tensors(kind, op, inputs)
    initial = [given(inputs, i) for i in ((5, 6) if kind == "lstm" else (5,))]
    y, last = trace.recurrent(kind, x, time, tensors, _ravelled(trace, initial), op.path or kind, **options)
    lasts: list[Value] = [trace.reshape(state, (1, 1, *state.shape)) for state in last]
    return [trace.unsqueeze(y, [2 if layout else 1]), *lasts]


def _ravelled(trace: Trace, initial: list[Value | None]) -> list[Value | None]:
    """The first states as vectors, zeros left out."""
    found: list[Value | None] = []
    for value in initial:
        if isinstance(value, Symbol):
            found.append(trace.reshape(value, (value.step_size,)))
        else:
            found.append(None if value is None or not np.any(value) else np.ravel(value))
    return found


def _tensors(kind: CellKind, op: Operation, inputs: Inputs) -> tuple[dict[str, Array], dict[str, Any]]:
    """The canonical tensors, and the fields of the node."""
    weight, recurrence, bias = needed(inputs, 1, "W"), needed(inputs, 2, "R"), constant(inputs, 3, "B")
    size = recurrence.shape[-1]
    if op.get("hidden_size", size) != size or len(weight) != 1:
        raise UnsupportedError(f"its hidden_size {op.get('hidden_size')} or directions do not fit R {recurrence.shape}")
    coupled = bool(op.get("input_forget", 0))
    order = COUPLED if coupled else ORDER[kind]

    def gates(rows: Array) -> Array:
        blocks = rows.reshape(-1, size, *rows.shape[1:])
        return np.concatenate([blocks[gate] for gate in order])

    tensors = {"weight_ih": gates(weight[0]), "weight_hh": gates(recurrence[0])}
    if bias is not None:
        parts = np.split(bias[0], 2)
        tensors |= {"bias_ih": gates(parts[0]), "bias_hh": gates(parts[1])}
    options: dict[str, Any] = {"clip": float(op.get("clip", 0.0))} | _activations(kind, op)
    if kind == "gru":
        options["reset"] = "after" if op.get("linear_before_reset", 0) else "before"
    if kind == "lstm":
        options["coupled"] = coupled
        peepholes = constant(inputs, 7, "P")
        if peepholes is not None and np.any(peepholes):
            i, o, f = np.split(np.ravel(peepholes), 3)
            tensors["peephole"] = np.concatenate([i, f, o])
            options["peepholes"] = True
    return tensors, options


def _activations(kind: CellKind, op: Operation) -> dict[str, Any]:
    """The cell's activations where they are not its usual ones; alpha and beta go to those that take them, in order."""
    names = tuple(name.lower() for name in op.get("activations", ())) or DEFAULT[kind]
    if names == DEFAULT[kind]:
        return {}
    if names == ("relu",):
        return {"nonlinearity": "relu"}
    alphas, betas = iter(op.get("activation_alpha", ())), iter(op.get("activation_beta", ()))
    found = []
    for name in names:
        if name not in ACTIVATIONS:
            raise UnsupportedError(f"its activation {name!r} is not known: it is not one of ONNX'")
        ours, defaults = ACTIVATIONS[name]
        if name in NO_DEFAULT and not op.get("activation_alpha"):
            raise UnsupportedError(f"its activation {name!r} has no activation_alpha: {NO_DEFAULT[name]}")
        values = [next(given, default) for given, default in zip((alphas, betas), defaults, strict=False)]
        alpha, beta = [*values, 0.0, 0.0][:2]
        found.append(Activation(ours, alpha if name != "softplus" else 1.0, beta))
    return {"activations": tuple(found)}


def _rnn(trace: Trace, op: Operation, inputs: Inputs) -> Result:
    return _recurrent("rnn", trace, op, inputs)


def _gru(trace: Trace, op: Operation, inputs: Inputs) -> Result:
    return _recurrent("gru", trace, op, inputs)


def _lstm(trace: Trace, op: Operation, inputs: Inputs) -> Result:
    return _recurrent("lstm", trace, op, inputs)


CELLS: dict[str, Handler] = {"RNN": _rnn, "GRU": _gru, "LSTM": _lstm}
"""Handlers by ONNX' op_type."""
