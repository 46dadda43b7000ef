"""Models from RTNeural's JSON: a chain of layers with Keras's weights.

Source: RTNeural's `python/model_utils.py`, which writes it, and `RTNeural/model_loader.h`, which reads it; for
the gains and the skip around an amplifier's model, `applyModel` of the AIDA-X plugin.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from streamrnn.errors import ModelFileError, UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.card import Card
from streamrnn.model.importers.keras_cells import CellKind, cell_tensors
from streamrnn.model.importers.proof import prove
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.importers.tracing.symbol import Symbol
from streamrnn.model.model import Model

__all__ = ["from_rtneural"]

N_EXAMPLE_STEPS = 1009
"""Length of the example that shapes are worked out for: a prime that no layer has as its size."""
MUTED_DB = -90.0
"""A gain this low or lower is silence, in AIDA-X."""
REASONS = {
    "conv2d": "convolutions over two dimensions cannot be read",
    "batchnorm2d": "it belongs to convolutions over two dimensions, which cannot be read",
    "unknown": "its writer did not know the layer, so what it computes is lost",
}

Layer = Mapping[str, Any]


def from_rtneural(path_or_dict: str | Path | Mapping[str, Any], *, card: Card | None = None) -> Model:
    """The model that RTNeural's JSON describes; each frame is one of its time steps.

    Nothing is run to compare with: the certificate says so (`passed` is None).

    Args:
        path_or_dict: the file, or what was read from it.
        card: description; its certificate is replaced.

    Raises:
        ModelFileError: it is not RTNeural's JSON, or its shapes disagree; OSError where it cannot be read.
        UnsupportedError: a layer cannot be read (named, with the reason).
    """
    described = path_or_dict if isinstance(path_or_dict, Mapping) else _read(path_or_dict)
    shape, layers = described.get("in_shape"), described.get("layers")
    if not isinstance(shape, list | tuple) or not isinstance(layers, list | tuple) or not layers:
        hint = "; weights by PyTorch's names go to streamrnn.from_state_dict" if "state_dict" in described else ""
        raise ModelFileError(f"expected RTNeural's JSON, with in_shape and layers{hint}")
    if len(shape) > 3 or not isinstance(shape[-1], int) or shape[-1] < 1:
        raise UnsupportedError(f"in_shape is {list(shape)}; only (batch, time, channels) can be read")
    trace = Trace(" -> ".join(str(layer.get("type")) for layer in layers))
    x = y = _louder(trace, described, "in_gain", trace.input((1, N_EXAMPLE_STEPS, shape[-1]), 1))
    for i, layer in enumerate(layers):
        y = _step(trace, layer, f"{layer.get('type')}_{i}", y)
    y = _louder(trace, described, "out_gain", _skipped(trace, described, x, y))
    return prove(trace.finish({"output": y}), None, card=card)


def _read(path: str | Path) -> Mapping[str, Any]:
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFileError(f"{path}: no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ModelFileError(f"{path}: expected RTNeural's JSON, with in_shape and layers")
    return found


def _louder(trace: Trace, described: Mapping[str, Any], key: str, x: Symbol) -> Symbol:
    """AIDA-X's gain in dB, of the first channel: the others are the positions of knobs."""
    gain_db = described.get(key) or 0.0
    if not isinstance(gain_db, int | float):
        raise ModelFileError(f"{key} must be a number of dB, got {gain_db!r}")
    if not gain_db:
        return x
    scale = np.ones(x.shape[2])
    scale[0] = 10.0 ** (gain_db / 20.0) if gain_db > MUTED_DB else 0.0
    return trace.affine(x, scale, np.zeros(x.shape[2]), name=key)


def _skipped(trace: Trace, described: Mapping[str, Any], x: Symbol, y: Symbol) -> Symbol:
    """AIDA-X's `in_skip`: the first channel of the input added to the output."""
    if described.get("in_skip") in {None, 0}:
        return y
    if described["in_skip"] != 1 or y.shape[2] != 1:
        raise UnsupportedError(f"in_skip is {described['in_skip']} of {y.shape[2]} outputs; only 1 of 1 can be read")
    return trace.binary("add", trace.slice(x, 2, 0, 1), y, name="skip")


def _step(trace: Trace, layer: Layer, name: str, x: Symbol) -> Symbol:
    kind = str(layer.get("type"))
    handler = READERS.get(kind)
    if handler is None:
        raise UnsupportedError(f"layer {name!r}: {REASONS.get(kind, f'the type {kind!r} is not known')}", layer=name)
    try:
        y = handler(trace, layer, name, x)
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise ModelFileError(f"layer {name!r}: its weights or fields do not fit: {error!r}") from None
    expected = layer.get("shape")
    if isinstance(expected, list | tuple) and expected and expected[-1] not in {None, y.shape[2]}:
        raise ModelFileError(f"layer {name!r} says it gives {expected[-1]} values, but its weights give {y.shape[2]}")
    return y


def _weights(layer: Layer, *ranks: int) -> list[FloatArray | None]:
    """Arrays of these ranks; None for those at the end that are not there.

    Raises:
        ValueError: an array has another rank.
    """
    given = layer["weights"]
    if len(given) > len(ranks):
        raise ValueError(f"{len(given)} weights, expected at most {len(ranks)}")
    found: list[FloatArray | None] = [None] * len(ranks)
    for i, (value, rank) in enumerate(zip(given, ranks, strict=False)):
        array = np.asarray(value, np.float32)
        if array.ndim != rank:
            raise ValueError(f"weight {i} has shape {array.shape}, expected {rank} dimensions")
        found[i] = array
    return found


def _activated(trace: Trace, layer: Layer, name: str, x: Symbol) -> Symbol:
    kind = str(layer.get("activation") or "")
    match kind:
        case "":
            return x
        case "tanh" | "relu" | "sigmoid":
            return trace.map(kind, x)
        case "elu":
            return trace.map("elu", x, 1.0)
        case "softmax":
            return trace.softmax("softmax", x, -1)
    raise UnsupportedError(f"layer {name!r}: the activation {kind!r} is not known", layer=name)


def _dense(trace: Trace, layer: Layer, name: str, x: Symbol) -> Symbol:
    kernel, bias = _weights(layer, 2, 1)
    if kernel is None:
        raise ValueError("no weights")
    return _activated(trace, layer, name, trace.linear(x, kernel.T, bias, name=name))


def _conv(trace: Trace, layer: Layer, name: str, x: Symbol) -> Symbol:
    kernel, bias = _weights(layer, 3, 1)
    if kernel is None or kernel.shape[0] != layer["kernel_size"][-1]:
        raise ValueError(f"kernel_size {layer['kernel_size']}")
    n_in, dilation = x.shape[2], int(layer["dilation"][-1])
    groups = int(layer.get("groups", n_in // kernel.shape[1]))
    if groups * kernel.shape[1] != n_in:
        raise ValueError(f"{groups} groups of {kernel.shape[1]} channels, but {n_in} come")
    if np.max(layer.get("strides", 1)) != 1:
        raise UnsupportedError(f"layer {name!r}: RTNeural's JSON has no strides", layer=name)
    y = trace.conv1d(
        trace.transpose(x, (0, 2, 1)), kernel.transpose(2, 1, 0), bias, pads=((kernel.shape[0] - 1) * dilation, 0),
        dilation=dilation, groups=groups, name=name,
    )  # fmt: skip
    return _activated(trace, layer, name, trace.transpose(y, (0, 2, 1)))


def _cell(trace: Trace, layer: Layer, name: str, x: Symbol) -> Symbol:
    if layer.get("activation") not in {None, "", "tanh"}:
        raise UnsupportedError(f"layer {name!r}: its activation is {layer['activation']!r}, not tanh", layer=name)
    kind: CellKind = "lstm" if layer["type"] == "lstm" else "gru"
    kernel, recurrent, bias = _weights(layer, 2, 2, 1 if kind == "lstm" else 2)
    if kernel is None or recurrent is None:
        raise ValueError("weights are missing")
    n_gates = {"lstm": 4, "gru": 3}[kind]
    if kernel.shape[1] != n_gates * recurrent.shape[0] or recurrent.shape[1] != kernel.shape[1]:
        raise ValueError(f"kernels of shapes {kernel.shape} and {recurrent.shape}")
    return trace.recurrent(kind, x, 1, cell_tensors(kind, kernel, recurrent, bias), name=name)[0]


def _prelu(trace: Trace, layer: Layer, name: str, x: Symbol) -> Symbol:
    (slope,) = _weights(layer, 2)
    if slope is None or slope.shape not in {(1, 1), (1, x.shape[2])}:
        raise ValueError("its slopes must be shared along the time (shared_axes=[1])")
    return trace.prelu(x, slope[None], name=name)


def _batch_norm(trace: Trace, layer: Layer, name: str, x: Symbol) -> Symbol:
    weights = _weights(layer, 1, 1, 1, 1)
    if weights[3] is None:
        weights = [None, None, *weights[:2]]
    gamma, beta, mean, variance = weights
    if mean is None or variance is None or mean.shape != (x.shape[2],):
        raise ValueError(f"expected 4 weights, or 2, of {x.shape[2]} values")
    return trace.batch_norm(x, mean, variance, gamma, beta, float(layer["epsilon"]), channel=2, name=name)


READERS: dict[str, Callable[[Trace, Layer, str, Symbol], Symbol]] = {
    "dense": _dense,
    "time-distributed-dense": _dense,
    "conv1d": _conv,
    "lstm": _cell,
    "gru": _cell,
    "prelu": _prelu,
    "batchnorm": _batch_norm,
    "activation": _activated,
}
