"""The Keras model itself, run on sequences of any length, to compare with."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.keras_archive import CONFIG, METADATA, VARIABLES, Config
from streamrnn.model.importers.proof import Original

HALF = frozenset({"mixed_float16", "mixed_bfloat16", "float16", "bfloat16"})
Array = NDArray[Any]


def loosened(config: Config) -> Config:
    """The configuration with a batch and a time of any length, no state kept between calls, all in float32.

    The weights stay what they are, and so does what a sequence is answered.
    """
    inputs = [layer for layer in parts_of(config) if layer.get("class_name") == "InputLayer"]
    shapes = [layer["config"].get("batch_shape") or [] for layer in inputs]
    lengths = {shape[1] for shape in shapes if len(shape) > 2 and shape[1] is not None}
    found: Config = _loose(config, lengths)
    if reads_tokens(config):
        for layer in parts_of(found["config"].get("layers", [])[:1]):
            if layer.get("class_name") == "InputLayer":
                layer["config"]["batch_shape"] = [None, None]
        if len(found["config"].get("build_input_shape") or []) == 2:
            found["config"]["build_input_shape"] = [None, None]
    return found


def reads_tokens(config: Config) -> bool:
    """Whether an embedding is among the layers, so that an input (batch, n) is n steps of a token each."""
    return any(layer.get("class_name") == "Embedding" for layer in parts_of(config))


def parts_of(value: Any) -> list[Config]:
    """Every object in a configuration, outermost first."""
    if isinstance(value, list):
        return [part for one in value for part in parts_of(one)]
    if isinstance(value, dict):
        return [value, *(part for one in value.values() for part in parts_of(one))]
    return []


def _loose(value: Any, lengths: set[int]) -> Any:
    if isinstance(value, list):
        return [_loose(part, lengths) for part in value]
    if not isinstance(value, dict):
        return value
    found = {key: _loose(part, lengths) for key, part in value.items() if key != "build_config"}
    if "build_input_shape" in found:
        found["build_input_shape"] = _any_length(found["build_input_shape"])
    config = found.get("config")
    if not isinstance(config, dict):
        return found
    if config.get("stateful"):
        config["stateful"] = False
    match found.get("class_name"):
        case "InputLayer":
            config["batch_shape"] = _any_length(config["batch_shape"])
        case "Reshape" if config.get("target_shape") and config["target_shape"][0] in lengths:
            if -1 not in config["target_shape"]:
                config["target_shape"] = [-1, *config["target_shape"][1:]]
        case "DTypePolicy" if config.get("name") in HALF:
            config["name"] = "float32"
    return found


def _any_length(shape: Any) -> Any:
    """(batch, time, ...) with both of any length; (batch, channels) with the batch."""
    if not isinstance(shape, list) or not shape:
        return shape
    return [None, None, *shape[2:]] if len(shape) > 2 else [None, *shape[1:]]


def saved(model: Any) -> bytes:
    """The archive of a live model."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def original_of(
    config: Config, weights: bytes, version: str, heads: Mapping[int, str], is_token: bool
) -> Original | None:
    """The model in Keras on the CPU; None where Keras, or its backend, is not installed.

    Args:
        config: loosened.
        weights: the bytes of its HDF5 file.
        version: of Keras, that wrote it.
        heads: which of its outputs to answer: their places, and their names where it gives them as a dict.
        is_token: whether its input holds whole numbers.
    """
    try:
        import keras
    except ImportError:
        return None
    backend = keras.backend.backend()
    with warnings.catch_warnings(), keras.device("cpu"):
        warnings.simplefilter("ignore")
        try:
            model = _loaded(keras, config, weights, version)
        except Exception as error:
            raise UnsupportedError(f"Keras cannot make the model for sequences of any length: {error}") from error

    def answer(inputs: Sequence[Array]) -> list[list[Array]]:
        found = []
        with warnings.catch_warnings(), keras.device("cpu"):
            warnings.simplefilter("ignore")
            for x in inputs:
                outputs = model(x.astype(np.int32 if is_token else np.float32), training=False)
                found.append([_array(keras, outputs, i, name) for i, name in heads.items()])
        return found

    return Original(f"keras {keras.__version__} on {backend}", answer, "model(inputs, training=False)")


def _array(keras: Any, outputs: Any, i: int, name: str) -> Array:
    """One output of a model; a dict may come in another order than it was made in."""
    if isinstance(outputs, dict):
        output = outputs[name]
    else:
        output = outputs[i] if isinstance(outputs, list | tuple) else outputs
    return np.asarray(keras.ops.convert_to_numpy(output))


def _loaded(keras: Any, config: Config, weights: bytes, version: str) -> Any:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(METADATA, json.dumps({"keras_version": version}))
        file.writestr(CONFIG, json.dumps(config))
        file.writestr(VARIABLES, weights)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(archive.getvalue())
        return keras.models.load_model(path, compile=False)
