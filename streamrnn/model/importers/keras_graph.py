"""Keras models replayed on symbols: the layers of a `Sequential` in order, the nodes of a `Functional` as they join."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.keras_archive import Config, Weights, by_layer
from streamrnn.model.importers.keras_call import Call, refuse
from streamrnn.model.importers.keras_layers import called
from streamrnn.model.importers.keras_ops import operated
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.importers.tracing.symbol import Symbol

MODELS = frozenset({"Sequential", "Functional"})
RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN"})
OWN_CALL = "its call is Python code that an archive does not hold; only Sequential and functional models can be read"
Key = tuple[str, int, int]
"""A tensor: the layer that gives it, which call of it, and which of its outputs."""


def replay(trace: Trace, model: Config, weights: Weights, inputs: list[Any], name: str = "") -> dict[str, Any]:
    """The outputs of a model by name, for symbols as its inputs.

    Raises:
        UnsupportedError: a layer cannot be streamed; names it, and the reason.
    """
    if model["class_name"] not in MODELS or str(model.get("module", "keras")).split(".")[0] != "keras":
        raise refuse(model["class_name"], name or model["config"].get("name", ""), OWN_CALL)
    layers = model["config"]["layers"]
    held = by_layer([layer for layer in layers if _is_layer(layer)], weights)
    if model["class_name"] == "Sequential":
        value: Any = inputs[0]
        for layer in layers:
            if layer["class_name"] != "InputLayer":
                value = _called(trace, layer, held, [value], {}, name)
                value = value[0] if isinstance(value, tuple) else value
        return {layers[-1]["config"]["name"]: value}
    return _functional(trace, model["config"], held, inputs, name)


def _functional(
    trace: Trace, config: Config, held: dict[str, Weights], inputs: list[Any], name: str
) -> dict[str, Any]:  # fmt: skip
    values: dict[Key, Any] = {}
    for (_, key), value in zip(heads_of(config["input_layers"]), inputs, strict=True):
        values[key] = value
    waiting = [(layer, i, node) for layer in config["layers"] for i, node in enumerate(layer["inbound_nodes"])]
    while waiting:
        later = []
        for layer, i, node in waiting:
            if not isinstance(node, dict):
                raise UnsupportedError("the model was written by Keras 2; load it with Keras 3 and save it again")
            if not all(key in values for key in _read(node)):
                later.append((layer, i, node))
                continue
            found = _called(trace, layer, held, _filled(node["args"], values), _filled(node["kwargs"], values), name)
            for k, one in enumerate(found if isinstance(found, tuple) else (found,)):
                values[layer["config"]["name"], i, k] = one
        if len(later) == len(waiting):
            raise UnsupportedError(f"layer {later[0][0]['config']['name']!r} reads a tensor that nothing gives")
        waiting = later
    return {head: values[key] for head, key in heads_of(config["output_layers"])}


def heads_of(layers: Any) -> list[tuple[str, Key]]:
    """Names and keys of the tensors that a model reads or gives, in order."""
    if isinstance(layers, dict):
        return [(str(head), _key(ref)) for head, ref in layers.items()]
    if layers and isinstance(layers[0], str):
        layers = [layers]
    found: list[tuple[str, Key]] = []
    for ref in layers:
        key = _key(ref)
        taken = {head for head, _ in found}
        n = next(n for n in range(len(layers)) if (f"{key[0]}_{n}" if n else key[0]) not in taken)
        found.append((f"{key[0]}_{n}" if n else key[0], key))
    return found


def is_state(config: Config, key: Key) -> bool:
    """Whether a tensor of a functional model is the last state of a recurrent layer, which a session keeps."""
    kind = next(layer["class_name"] for layer in config["layers"] if layer["config"]["name"] == key[0])
    return kind in RECURRENT and key[2] > 0


def _key(ref: Any) -> Key:
    if not isinstance(ref, list) or len(ref) != 3:
        raise UnsupportedError(f"inputs and outputs in nested structures cannot be read: {ref}")
    return str(ref[0]), int(ref[1]), int(ref[2])


def _called(
    trace: Trace, layer: Config, held: dict[str, Weights], args: list[Any], kwargs: Config, path: str
) -> Any:  # fmt: skip
    kind, config = layer["class_name"], layer["config"]
    own = config["name"]
    name = f"{path}.{own}" if path else own
    weights = held.get(own, Weights())
    if kind in MODELS:
        found = replay(trace, layer, weights, args[0] if isinstance(args[0], list) else args[:1], name)
        return tuple(found.values())
    call = Call(trace, kind, config, weights, name, args, kwargs)
    for value in _symbols([args, kwargs]):
        if value.node.endswith(" (cell state)"):
            raise call.refuse("it reads the last cell state of another layer, which only a session holds")
    return called(call) if _is_layer(layer) else operated(call)


def _is_layer(layer: Config) -> bool:
    """Whether it is a layer of Keras, not an operation.

    Raises:
        UnsupportedError: it is a class of the user's own.
    """
    module = str(layer.get("module"))
    if module.split(".")[0] != "keras" or ">" in str(layer.get("registered_name")):
        raise refuse(layer["class_name"], layer["config"].get("name", ""), "it is a class of your own")
    return not module.startswith(("keras.src.ops", "keras.src.activations"))


def _read(node: Any) -> Iterator[Key]:
    """The tensors that a call reads."""
    if isinstance(node, dict) and node.get("class_name") == "__keras_tensor__":
        yield _key(node["config"]["keras_history"])
    elif isinstance(node, dict | list):
        for part in node.values() if isinstance(node, dict) else node:
            yield from _read(part)


def _filled(value: Any, values: dict[Key, Any]) -> Any:
    """The arguments of a call with symbols, slices and arrays in the place of their descriptions."""
    if isinstance(value, list):
        return [_filled(part, values) for part in value]
    if not isinstance(value, dict):
        return value
    config = value.get("config")
    match value.get("class_name"):
        case "__keras_tensor__":
            return values[_key(value["config"]["keras_history"])]
        case "__slice__":
            return slice(*(_filled(value["config"][key], values) for key in ("start", "stop", "step")))
        case "__ellipsis__":
            return Ellipsis
        case "__tensor__" | "__numpy__":
            return np.asarray(value["config"]["value"])
        case "__tuple__":
            return [_filled(part, values) for part in config or []]
    return {key: _filled(part, values) for key, part in value.items()}


def _symbols(value: Any) -> Iterator[Symbol]:
    if isinstance(value, Symbol):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _symbols(part)
