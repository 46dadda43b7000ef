"""Keras's recurrent layers: gate order, biases and activations made canonical."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from streamrnn.kernels.packing import FloatArray
from streamrnn.model.importers.keras_archive import Config, Weights, counted
from streamrnn.model.importers.keras_call import Call
from streamrnn.model.importers.keras_maps import SINGLE, cell_activation
from streamrnn.model.importers.tracing.symbol import Symbol

CellKind = Literal["rnn", "lstm", "gru"]
CELLS: dict[str, CellKind] = {
    "SimpleRNN": "rnn", "SimpleRNNCell": "rnn", "LSTM": "lstm", "LSTMCell": "lstm", "GRU": "gru", "GRUCell": "gru",
}  # fmt: skip


def cell_tensors(
    kind: CellKind, kernel: FloatArray, recurrent: FloatArray, bias: FloatArray | None, reset_after: bool = True
) -> dict[str, FloatArray]:
    """Keras's variables of a cell as canonical tensors.

    Args:
        kernel: (input_size, gates * units), gates i, f, c, o or z, r, h.
        recurrent: (units, gates * units).
        bias: (gates * units,), of a `gru` with `reset_after` (2, gates * units).
    """
    order = [1, 0, 2] if kind == "gru" else None
    tensors = {"weight_ih": _ordered(kernel.T, order), "weight_hh": _ordered(recurrent.T, order)}
    if bias is not None:
        both = bias if kind == "gru" and reset_after else np.stack([bias, np.zeros_like(bias)])
        tensors["bias_ih"], tensors["bias_hh"] = (_ordered(one, order) for one in both)
    return tensors


def _ordered(rows: FloatArray, order: list[int] | None) -> FloatArray:
    if order is None:
        return np.ascontiguousarray(rows)
    parts = np.split(rows, len(order))
    return np.concatenate([parts[i] for i in order])


def recurrent(call: Call) -> Any:
    """`LSTM`, `GRU`, `SimpleRNN`, and `RNN` of their cells or of a stack of them."""
    _check(call)
    x = call.x
    states: list[Symbol] = []
    for i, (cell, weights) in enumerate(_cells(call)):
        name = call.name if not i else f"{call.name}.{i}"
        x, last = _run(Call(call.trace, cell["class_name"], cell["config"], weights, name), x)
        states += last
    y = x if call.config.get("return_sequences") else call.trace.select(x, 1, -1)
    if not call.config.get("return_state"):
        return y
    return (y, *(call.trace.unsqueeze(state, [0]) for state in states))


def _check(call: Call) -> None:
    if call.config.get("go_backwards"):
        raise call.refuse("go_backwards reads the last frame first")
    if len(call.args) > 1 or call.kwargs.get("initial_state") is not None:
        raise call.refuse("its first state is handed in by another layer; a session begins from zeros")
    if call.x.ndim != 3:
        raise call.refuse(f"it reads a tensor of shape {call.x.shape}, expected (batch, time, channels)")


def _cells(call: Call) -> list[tuple[Config, Weights]]:
    """The cells of a layer, one on top of the other, with their variables."""
    held = call.weights.part("cell")
    if call.kind != "RNN":
        return [({"class_name": call.kind, "config": call.config}, held)]
    cell = call.config["cell"]
    stack = cell["config"]["cells"] if cell["class_name"] == "StackedRNNCells" else [cell]
    parts = counted(stack, held.part("cells")) if cell["class_name"] == "StackedRNNCells" else [held]
    for one in stack:
        if one["class_name"] not in CELLS or str(one.get("module")).split(".")[0] != "keras":
            raise call.refuse(f"its cell {one['class_name']!r} is not known here")
    return list(zip(stack, parts, strict=True))


def _run(call: Call, x: Symbol) -> tuple[Symbol, tuple[Symbol, ...]]:
    kind, config = CELLS[call.kind], call.config
    kernel, inner, bias = call.variables(True, True, bool(config.get("use_bias", True)))
    assert kernel is not None and inner is not None
    reset_after = bool(config.get("reset_after", True))
    options: Config = {"reset": "after" if reset_after else "before"} if kind == "gru" else {}
    f = cell_activation(call, "activation")
    if kind == "rnn":
        usual = f in (SINGLE["tanh"], SINGLE["relu"])
        options |= {"nonlinearity": f.kind} if usual else {"activations": (f,)}
    else:
        gates = cell_activation(call, "recurrent_activation")
        if (gates, f) != (SINGLE["sigmoid"], SINGLE["tanh"]):
            options["activations"] = (gates, f, f) if kind == "lstm" else (gates, f)
    tensors = cell_tensors(kind, kernel, inner, bias, reset_after)
    return call.trace.recurrent(kind, x, 1, tensors, name=call.name, **options)
