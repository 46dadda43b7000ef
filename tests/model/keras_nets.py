"""Keras models for the tests, one or more for every layer that can be imported."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras import layers as L
from keras import ops


def with_weights(model, seed=0):
    """The model with random weights, variances above 0.3."""
    rng = np.random.default_rng(seed)

    def drawn(variable):
        values = rng.normal(size=variable.shape) * 0.4
        return np.abs(values) + 0.3 if variable.name == "moving_variance" else values

    for variable in model.weights:
        if "seed" not in variable.path and variable.name != "count":
            variable.assign(np.asarray(drawn(variable), variable.dtype))
    return model


def chain(*layers, shape=(None, 4), **options):
    """A Sequential with random weights."""
    return with_weights(keras.Sequential([keras.Input(shape, **options), *layers]))


def graph(function, shape=(None, 4), **options):
    """A functional model with random weights."""
    x = keras.Input(shape, **options)
    return with_weights(keras.Model(x, function(x)))


def batch_stateful():
    """A model that keeps its state from call to call, built for a batch of one and one step."""
    layers = [keras.Input(batch_shape=(1, 1, 4)), L.LSTM(3, stateful=True, return_sequences=True)]
    return with_weights(keras.Sequential(layers))


def adapted():
    """A normaliser that has seen data."""
    layer = L.Normalization()
    layer.adapt(np.random.default_rng(0).normal(2.0, 3.0, (50, 7, 4)).astype(np.float32))
    return keras.Sequential([keras.Input((None, 4)), layer])


def quantized():
    """A model of int8 weights."""
    net = chain(L.Dense(3))
    net.layers[0].quantize("int8")
    return net


def activation(name):
    """A net of one activation behind a dense layer, which it is part of."""
    return lambda: chain(L.Dense(6, activation=name))


ACTIVATIONS = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "mish", "tanh", "sigmoid",
    "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "softplus", "softsign", "exponential", "linear", "softmax",
    "log_softmax", "log_sigmoid", "tanh_shrink", "soft_shrink", "hard_shrink", "squareplus", "glu",
)  # fmt: skip

CELLS = {
    "lstm": lambda: chain(L.LSTM(5, return_sequences=True), L.LSTM(3, use_bias=False, return_sequences=True)),
    "gru": lambda: chain(L.GRU(5, return_sequences=True), L.GRU(3, use_bias=False, return_sequences=True)),
    "gru before": lambda: chain(
        L.GRU(5, reset_after=False, return_sequences=True),
        L.GRU(3, reset_after=False, use_bias=False, return_sequences=True),
    ),
    "simple rnn": lambda: chain(
        L.SimpleRNN(5, return_sequences=True), L.SimpleRNN(3, activation="relu", use_bias=False, return_sequences=True)
    ),
    "other activations": lambda: chain(
        L.GRU(5, activation="relu", recurrent_activation="hard_sigmoid", return_sequences=True),
        L.LSTM(3, activation="softsign", return_sequences=True),
        L.SimpleRNN(3, activation="linear", return_sequences=True),
    ),
    "rnn of cells": lambda: chain(
        L.RNN(L.SimpleRNNCell(4, activation="relu"), return_sequences=True),
        L.RNN([L.LSTMCell(4), L.GRUCell(3), L.LSTMCell(2)], return_sequences=True),
    ),
    "one channel": lambda: chain(L.LSTM(1, return_sequences=True), L.Dense(1), shape=(None, 1)),
    "stateful": batch_stateful,
    "return state": lambda: graph(lambda x: L.LSTM(3, return_sequences=True, return_state=True)(x)),
    "of fixed length": lambda: chain(L.Reshape((16, 4)), L.GRU(3, return_sequences=True), shape=(16, 4)),
    "dropout": lambda: chain(L.LSTM(3, dropout=0.2, recurrent_dropout=0.2, return_sequences=True)),
}

WHOLE = {
    "last step": lambda: chain(L.LSTM(5), L.Dense(2, "sigmoid")),
    "last state": lambda: graph(lambda x: L.Dense(2)(L.GRU(3, return_state=True)(x)[1])),
    "mean": lambda: chain(L.LSTM(3, return_sequences=True), L.GlobalAveragePooling1D(), L.Dense(2)),
    "max": lambda: chain(L.Dense(3), L.GlobalMaxPooling1D(keepdims=True)),
    "last of windows": lambda: chain(L.Conv1D(8, 5, 2), L.GRU(6, return_sequences=True), L.GRU(3), L.Dense(2)),
    "mean of windows": lambda: chain(L.Conv1D(8, 5), L.GlobalAveragePooling1D()),
    "tokens of fixed length": lambda: chain(L.Embedding(11, 4), L.GRU(4), shape=(20,)),
}
"""Models that answer once for a sequence."""

STEPS = {
    "embedding": lambda: chain(L.Embedding(11, 4), L.GRU(4, return_sequences=True), shape=(None,), dtype="int32"),
    "time distributed": lambda: chain(L.TimeDistributed(L.Dense(3, "tanh")), L.TimeDistributed(L.BatchNormalization())),
    "batch norm": lambda: chain(L.BatchNormalization(), L.Dense(2), L.BatchNormalization(scale=False, center=False)),
    "layer norm": lambda: chain(L.LayerNormalization(), L.Dense(5), L.LayerNormalization(center=False, epsilon=0.1)),
    "rms norm": lambda: chain(L.RMSNormalization()),
    "group norm of a step": lambda: chain(L.TimeDistributed(L.GroupNormalization(2))),
    "normaliser": lambda: chain(L.Normalization(mean=[1.0, 2, 3, 4], variance=[1.0, 2, 3, 4])),
    "inverse normaliser": lambda: chain(L.Normalization(mean=0.5, variance=3.0, axis=None, invert=True)),
    "adapted normaliser": adapted,
    "rescaling": lambda: chain(L.Rescaling(2.0, offset=[1.0, 2, 3, 4])),
    "relu": lambda: chain(L.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.2)),
    "relu 6": lambda: chain(L.ReLU(6.0), L.Dense(3), L.ReLU(), L.Dense(3), L.ReLU(negative_slope=0.3)),
    "leaky relu": lambda: chain(L.LeakyReLU(), L.Dense(3, activation=L.LeakyReLU(0.1))),
    "elu": lambda: chain(L.ELU(0.5)),
    "prelu": lambda: chain(L.PReLU(shared_axes=[1]), L.Dense(3), L.PReLU(shared_axes=[1, 2])),
    "softmax": lambda: chain(L.Softmax(), L.Activation("log_softmax")),
    "no-ops": lambda: chain(
        L.Dropout(0.1), L.SpatialDropout1D(0.1), L.GaussianNoise(0.1), L.GaussianDropout(0.1), L.AlphaDropout(0.2),
        L.ActivityRegularization(0.1), L.Identity(), L.Dense(2),
    ),
    "merging": lambda: graph(
        lambda x: L.Concatenate()(
            [
                L.Add()([x, x]), L.Subtract()([x, L.Dense(4)(x)]), L.Multiply()([x, L.Dense(4)(x)]),
                L.Maximum()([x, L.Dense(4)(x)]), L.Minimum()([x, L.Dense(4)(x)]), L.Average()([x, L.Dense(4)(x), x]),
            ]
        )
    ),
    "shapes": lambda: chain(
        L.Reshape((-1, 2, 2)), L.Permute((1, 3, 2)), L.TimeDistributed(L.Flatten()), L.Dense(3)
    ),
    "positions in a step": lambda: chain(
        L.TimeDistributed(L.Conv1D(3, 3, padding="same", activation="relu")), L.TimeDistributed(L.MaxPooling1D(2)),
        L.TimeDistributed(L.Flatten()), L.GRU(4, return_sequences=True), shape=(None, 8, 2),
    ),
    "heads": lambda: graph(lambda x: {"slow": L.GRU(3, return_sequences=True)(x), "fast": L.Dense(2)(x)}),
    "shared layer": lambda: graph(lambda x: (lambda layer: layer(layer(x)))(L.GRU(4, return_sequences=True))),
    "nested": lambda: chain(
        keras.Sequential([L.Dense(4), L.Dense(4)]), graph(lambda x: L.Add()([x, L.Dense(4)(x)])), L.Dense(2)
    ),
    "mixed precision": lambda: chain(L.Dense(3, dtype="mixed_bfloat16"), L.GRU(3, return_sequences=True)),
    "operations": lambda: graph(
        lambda x: ops.concatenate(
            [
                ops.relu(x * 2.0 + 1), (1 - x) / 3, -x[:, :, 1:3], ops.tanh(x) ** 2, ops.clip(x, -1, 1),
                ops.mean(x, -1, keepdims=True), ops.gelu(x, approximate=True), ops.gelu(x, approximate=False),
                ops.expand_dims(x[..., 0], -1), ops.sqrt(ops.abs(x)), ops.maximum(x, 0.5), ops.exp(ops.minimum(x, 0.1)),
                ops.leaky_relu(x, 0.3), ops.squeeze(ops.max(x, -1, keepdims=True)[:, :, None], 2), ops.glu(x),
            ],
            -1,
        )
    ),
    "a frame without time": lambda: chain(L.Dense(3, "tanh"), L.GroupNormalization(3), L.Dense(2), shape=(4,)),
    "a window as a frame": lambda: chain(L.Conv1D(3, 3, padding="same"), L.Flatten(), L.Dense(2), shape=(8, 4)),
}  # fmt: skip

OTHERWISE = ("a window as a frame", "mixed precision")
"""Those of `STEPS` that are compared in a test of their own."""

WINDOWS = {
    "causal": (lambda: chain(L.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu")), 0),
    "valid": (lambda: chain(L.Conv1D(6, 3, groups=2), L.Conv1D(4, 2, use_bias=False)), 3),
    "same": (lambda: chain(L.Conv1D(4, 5, padding="same"), L.Conv1D(4, 4, padding="same")), 4),
    "strides": (lambda: chain(L.Conv1D(6, 4, 2, padding="same"), L.Conv1D(4, 3, 3, padding="causal")), 0),
    "depthwise": (lambda: chain(L.DepthwiseConv1D(3, depth_multiplier=2, padding="same", activation="tanh")), 1),
    "separable": (lambda: chain(L.SeparableConv1D(4, 3, depth_multiplier=2, padding="same", activation="gelu")), 1),
    "padding": (lambda: chain(L.ZeroPadding1D((2, 0)), L.Conv1D(4, 3)), 0),
    "cropping": (lambda: chain(L.Dense(3), L.Cropping1D((2, 1)), L.GRU(3, return_sequences=True)), 2),
    "max pool": (lambda: chain(L.MaxPooling1D(2), L.Dense(3), L.MaxPooling1D(3, 1, padding="same")), 1),
    "average pool": (lambda: chain(L.AveragePooling1D(3), L.GRU(3, return_sequences=True)), 0),
    "a skip over a look-ahead": (lambda: graph(lambda x: L.Add()([x, L.Conv1D(4, 5, padding="same")(x)])), 2),
}  # fmt: skip
"""Models that look at several steps, and how many of their own steps they come late."""

REFUSED = {
    "bidirectional": (lambda: chain(L.Bidirectional(L.LSTM(3))), ["Bidirectional 'bidirectional", "come after"]),
    "backwards": (lambda: chain(L.LSTM(3, go_backwards=True)), ["LSTM 'lstm", "last frame first"]),
    "attention": (lambda: graph(lambda x: L.MultiHeadAttention(2, 4)(x, x)), ["MultiHeadAttention", "no longer has"]),
    "lambda": (lambda: chain(L.Lambda(lambda x: x)), ["Lambda 'lambda", "Python code"]),
    "mask zero": (lambda: chain(L.Embedding(3, 4, mask_zero=True), shape=(None,)), ["Embedding", "mask_zero"]),
    "masking": (lambda: chain(L.Masking(), L.Dense(2)), ["Masking 'masking", "each frame"]),
    "group norm": (lambda: chain(L.GroupNormalization(2, name="gn")), ["'gn'", "over the time"]),
    "first state": (
        lambda: graph(lambda x: L.GRU(3)(x, initial_state=L.GRU(3, return_state=True)(x)[1])),
        ["GRU", "first state"],
    ),
    "cell state": (lambda: graph(lambda x: L.Dense(2)(L.LSTM(3, return_state=True)(x)[2])), ["Dense", "cell state"]),
    "flatten": (lambda: chain(L.GRU(3, return_sequences=True), L.Flatten(), shape=(16, 4)), ["mixes the time"]),
    "upsampling": (lambda: chain(L.UpSampling1D(2)), ["UpSampling1D", "more steps"]),
    "repeating": (lambda: chain(L.GRU(3), L.RepeatVector(4)), ["RepeatVector", "end only"]),
    "transposed": (lambda: chain(L.Conv1DTranspose(3, 2)), ["Conv1DTranspose", "more steps"]),
    "softmax over time": (lambda: chain(L.Softmax(axis=1)), ["softmax over the time"]),
    "called with a mask": (lambda: graph(lambda x: L.Softmax()(x, mask=x)), ["Softmax", "mask"]),
    "quantized": (quantized, ["Dense", "quantize the converted model"]),
    "not known": (lambda: chain(L.UnitNormalization()), ["UnitNormalization", "not known"]),
    "channels first": (
        lambda: chain(L.Dense(3), L.MaxPooling1D(2, data_format="channels_first"), shape=(8, 4)),
        ["MaxPooling1D", "channels_first"],
    ),
    "slopes of each step": (lambda: chain(L.PReLU(), L.GRU(2), shape=(16, 4)), ["PReLU", "shared_axes=[1]"]),
    "mean of the edges": (
        lambda: chain(L.AveragePooling1D(3, 1, padding="same")),
        ["AveragePooling1D", "ends of the sequence"],
    ),
    "operation": (lambda: graph(lambda x: ops.cumsum(x, 1)), ["Cumsum", "operation"]),
    "activation of a cell": (lambda: chain(L.LSTM(3, activation="selu")), ["LSTM", "'selu'"]),
}  # fmt: skip
"""Models that are refused, and what the message says."""
