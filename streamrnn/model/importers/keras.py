"""Models from Keras 3: a `.keras` archive, read without Keras and, where it is installed, proved against it."""

from __future__ import annotations

import io
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from streamrnn.errors import ModelFileError, OptionError, UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.card import Card
from streamrnn.model.importers.keras_archive import Archive, Config, read_archive
from streamrnn.model.importers.keras_call import refuse
from streamrnn.model.importers.keras_graph import MODELS, OWN_CALL, heads_of, is_state, replay
from streamrnn.model.importers.keras_original import loosened, original_of, parts_of, reads_tokens, saved
from streamrnn.model.importers.proof import prove
from streamrnn.model.importers.tracing.graph import Traced
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.model import Model

__all__ = ["from_keras"]

N_EXAMPLE_STEPS = 1009
"""Length of the example that shapes are worked out for: a prime that no layer has as its size."""
MAX_NAMES = 12
"""Layers that the certificate names."""


def from_keras(
    path_or_model: str | Path | Any,
    *,
    card: Card | None = None,
    example: Any = None,
    frame_steps: int = 0,
    is_forced: bool = False,
) -> Model:
    """The model that computes what a Keras 3 model computes in inference, one frame at a time.

    The archive is read with h5py alone. Where Keras and its backend are installed, the model is run there too, and its
    answers are compared; else the certificate says that nothing was (`passed` is None).

    Args:
        path_or_model: a `.keras` archive, a folder written with `zipped=False`, or a live `keras.Model`. The dimension
            after the batch is the time; an input (batch, channels) has none: each frame is one of it.
        card: description; its certificate is replaced.
        example: one input, with or without the batch of one; it is compared too, and the random frames have its mean
            and deviation.
        frame_steps: steps of the input in a frame, a multiple of what an output needs; 0 for just that.
        is_forced: keep a model whose answers differ; its certificate then says that it failed.

    Raises:
        ModelFileError: no such archive, or a damaged one.
        OptionError: the example does not fit the input.
        UnsupportedError: a layer cannot be streamed (named, with the reason), or the answers differ.
    """
    is_live = not isinstance(path_or_model, str | Path)
    archive = read_archive(io.BytesIO(saved(path_or_model)) if is_live else path_or_model)
    try:
        config, traced, heads = _read(archive, frame_steps)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelFileError(f"the configuration and the variables do not fit: {error!r}") from error
    is_token = "int" in _input_of(config)[1] or traced.draft.spec.nodes[0].n_tokens > 0
    original = original_of(config, archive.file, archive.version, heads, is_token)
    return prove(traced, original, card=card, like=_like(traced, example), is_forced=is_forced)


def _read(archive: Archive, frame_steps: int) -> tuple[Config, Traced, dict[int, str]]:
    """The configuration that was read, what it made, and the outputs that it answers."""
    config = loosened(archive.config)
    try:
        return config, *_traced(config, archive, has_time=True, frame_steps=frame_steps)
    except UnsupportedError as error:
        try:  # the whole input as one frame, where nothing in the model goes on from one to the next
            return archive.config, *_traced(archive.config, archive, has_time=False)
        except UnsupportedError:
            raise error from None


def _traced(config: Config, archive: Archive, has_time: bool, frame_steps: int = 0) -> tuple[Traced, dict[int, str]]:
    """The model of a configuration, and the outputs that it answers: all but the states that a session keeps."""
    shape, _ = _input_of(config)
    is_sequence = len(shape) > 2 or reads_tokens(config)
    if not has_time and (not is_sequence or None in shape[1:]):
        raise UnsupportedError("a frame of no fixed size cannot be read")
    trace = Trace(_reading(config))
    n_steps = N_EXAMPLE_STEPS * _strides(config)
    lengths = [1, *shape[1:]]
    if is_sequence and has_time:
        lengths[1] = n_steps
    if None in lengths:
        raise UnsupportedError(f"the input has the shape {shape}; only the batch and the time may be of any length")
    x = trace.input(lengths, 1 if is_sequence and has_time else None)
    outputs = replay(trace, config, archive.weights, [x])
    heads = dict(enumerate(outputs))
    if config["class_name"] == "Functional":
        keys = [key for _, key in heads_of(config["config"]["output_layers"])]
        heads = {i: name for i, name in heads.items() if not is_state(config["config"], keys[i])}
    return trace.finish({name: outputs[name] for name in heads.values()}, frame_steps=frame_steps), heads


def _input_of(config: Config) -> tuple[list[Any], str]:
    """Shape and type of the only input.

    Raises:
        UnsupportedError: there are several, or none that says its shape.
    """
    inner = config["config"]
    layers = inner.get("layers", [])
    if config["class_name"] not in MODELS:
        raise refuse(config["class_name"], inner.get("name", ""), OWN_CALL)
    if config["class_name"] == "Functional":
        names = [key[0] for _, key in heads_of(inner["input_layers"])]
        if len(names) != 1:
            raise UnsupportedError(f"the model reads {len(names)} inputs ({', '.join(names)}); a frame is one vector")
        layers = [layer for layer in layers if layer["config"]["name"] == names[0]]
    if layers and layers[0]["class_name"] == "InputLayer":
        return list(layers[0]["config"]["batch_shape"]), str(layers[0]["config"].get("dtype") or "float32")
    if not inner.get("build_input_shape"):
        raise UnsupportedError("no layer says the shape of the input: call the model once, or add an Input, and save")
    return list(inner["build_input_shape"]), "float32"


def _strides(config: Config) -> int:
    """The product of all strides: a length that it divides is a whole number of steps in every layer."""
    found = 1
    for part in parts_of(config):
        stride = part.get("strides") or 1
        found *= prod(stride) if isinstance(stride, list) else int(stride)
    return found


def _reading(config: Config) -> str:
    layers = [layer for layer in config["config"]["layers"] if layer["class_name"] != "InputLayer"]
    names = [f"{layer['config'].get('name')} ({layer['class_name']})" for layer in layers[:MAX_NAMES]]
    more = f", {len(layers) - MAX_NAMES} more" if len(layers) > MAX_NAMES else ""
    return (" -> " if config["class_name"] == "Sequential" else ", ").join(names) + more


def _like(traced: Traced, example: Any) -> FloatArray | None:
    """The example's frames (n, input_size), for their mean and deviation."""
    if example is None:
        return None
    source, array = traced.input, np.asarray(example, np.float32)
    batched = array if array.ndim == source.ndim or source.stream is None else array[None]
    expected = tuple(n for d, n in enumerate(source.shape) if d not in {0, source.stream})
    if batched.ndim != source.ndim or tuple(np.delete(batched.shape, [0, source.stream or 0])) != expected:
        raise OptionError(f"the example has shape {array.shape}, expected (batch, time, ...) ending in {expected}")
    if source.stream is None:
        return np.ascontiguousarray(batched.reshape(len(batched), -1))
    rows = source.rows(batched[:1])
    n = len(rows) // traced.frame_steps
    return np.asarray(rows[: n * traced.frame_steps].reshape(n, -1), np.float32)
