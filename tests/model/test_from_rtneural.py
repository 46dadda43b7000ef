"""RTNeural's JSON, written from Keras models as RTNeural's own script writes it, streams what Keras computes."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")

import streamrnn
from streamrnn.errors import ModelFileError, UnsupportedError
from tests.laws.nets import random_frames

ARRAY = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
"""Keras's torch backend turns tensors into arrays in the old way."""


def streamed(model, xs):
    """The outputs of a session to frames, one by one."""
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
    engine.add_model("m", model)
    session = engine.open("m")
    return np.array([session.step(x) for x in xs])


# Written from Keras


def save_model(net):
    """What RTNeural's `python/model_utils.py` writes for a Sequential (time and batch of any length)."""
    types = {"TimeDistributed": "time-distributed-dense", "PReLU": "prelu", "BatchNormalization": "batchnorm"}
    layers = []
    for layer in net.layers:
        kind = type(layer).__name__
        inner = layer.layer if kind == "TimeDistributed" else layer
        activation = getattr(getattr(inner, "activation", None), "__name__", "")
        described = {
            "type": types.get(kind, kind.lower()),
            "activation": activation if activation in {"tanh", "relu", "sigmoid", "softmax", "elu"} else "",
            "shape": list(layer.output.shape),
        }
        if kind == "Conv1D":
            described |= {"kernel_size": layer.kernel_size, "dilation": layer.dilation_rate}
        if kind == "BatchNormalization":
            described["epsilon"] = layer.epsilon
        layers.append(described | {"weights": [weight.tolist() for weight in layer.get_weights()]})
    return {"in_shape": list(net.input_shape), "layers": layers}


@pytest.fixture(scope="module")
def nets():
    """Keras models of the layers that RTNeural knows."""
    if os.environ.get("CI") != "true":
        pytest.importorskip("keras")
    from keras import layers as L

    from tests.model.keras_nets import chain

    return {
        "dense": chain(L.Dense(5, "tanh"), L.Dense(4, "relu"), L.TimeDistributed(L.Dense(3, "sigmoid")), L.Dense(1)),
        "lstm": chain(L.LSTM(6, return_sequences=True), L.Dense(1), shape=(None, 1)),
        "gru": chain(L.GRU(6, return_sequences=True), L.Dense(2, "softmax"), shape=(None, 3)),
        "conv1d": chain(
            L.Conv1D(6, 3, padding="causal", activation="elu"),
            L.Conv1D(4, 2, padding="causal", dilation_rate=4, groups=2),
            L.Activation("tanh"),
        ),
        "norms": chain(
            L.Dense(4),
            L.BatchNormalization(),
            L.PReLU(shared_axes=[1]),
            L.BatchNormalization(scale=False, center=False),
        ),
    }


@pytest.mark.filterwarnings(ARRAY)
@pytest.mark.parametrize("name", ["dense", "lstm", "gru", "conv1d", "norms"])
def test_what_keras_wrote_is_what_keras_computes(nets, name, tmp_path):
    net = nets[name]
    path = tmp_path / "net.json"
    path.write_text(json.dumps(save_model(net)))
    model = streamrnn.from_rtneural(path)
    assert model.card.certificate["passed"] is None
    xs = random_frames(model, 40, seed=3)
    expected = np.asarray(net(xs[None], training=False).detach())[0]
    np.testing.assert_allclose(streamed(model, xs), expected, rtol=1e-4, atol=2e-5)


# Against the equations


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm(xs, kernel, recurrent, bias):
    """Gates i, f, c, o."""
    h = c = np.zeros(len(recurrent))
    ys = []
    for x in xs:
        i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        ys.append(h)
    return np.array(ys)


def gru(xs, kernel, recurrent, bias):
    """Gates z, r, h, the reset after the product."""
    h = np.zeros(len(recurrent))
    ys = []
    for x in xs:
        a, b = np.split(x @ kernel + bias[0], 3), np.split(h @ recurrent + bias[1], 3)
        z, r = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
        h = z * h + (1 - z) * np.tanh(a[2] + r * b[2])
        ys.append(h)
    return np.array(ys)


def drawn(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape) * 0.5


def amplifier(kind, n_in=1, **more):
    """A recurrent layer and a dense one, as guitar amplifiers are modelled."""
    n_gates = 4 if kind == "lstm" else 3
    bias = drawn(4 * 5) if kind == "lstm" else drawn(2, 3 * 5)
    weights = [drawn(n_in, n_gates * 5), drawn(5, n_gates * 5), bias]
    dense = [drawn(5, 1), drawn(1)]
    layers = [
        {"type": kind, "activation": "", "shape": [None, None, 5], "weights": [w.tolist() for w in weights]},
        {"type": "dense", "activation": "", "shape": [None, None, 1], "weights": [w.tolist() for w in dense]},
    ]
    return {"in_shape": [None, None, n_in], "layers": layers, **more}, weights, dense


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_cells_follow_the_equations(kind):
    described, weights, (kernel, bias) = amplifier(kind)
    model = streamrnn.from_rtneural(described, card=streamrnn.Card(name="amp"))
    assert model.card.name == "amp" and model.card.certificate["reading"] == f"{kind} -> dense"
    xs = random_frames(model, 60, seed=1)
    expected = (lstm if kind == "lstm" else gru)(xs.astype(np.float64), *weights) @ kernel + bias
    np.testing.assert_allclose(streamed(model, xs), expected, rtol=1e-5, atol=1e-5)


def test_the_gains_and_the_skip_of_an_amplifier_are_part_of_the_model():
    described, weights, (kernel, bias) = amplifier("lstm", 2, in_skip=1, in_gain=-6.0, out_gain=3.0)
    model = streamrnn.from_rtneural(described)
    xs = random_frames(model, 40, seed=1)
    louder = xs.astype(np.float64) * [10 ** (-6 / 20), 1.0]
    expected = (lstm(louder, *weights) @ kernel + bias + louder[:, :1]) * 10 ** (3 / 20)
    np.testing.assert_allclose(streamed(model, xs), expected, rtol=1e-5, atol=1e-5)


# Refused


def one(layer, n_in=2):
    return {"in_shape": [None, None, n_in], "layers": [{"shape": [None, None, 2], "activation": "", **layer}]}


@pytest.mark.parametrize(
    ("described", "words"),
    [
        (one({"type": "conv2d", "weights": []}), ["conv2d_0", "two dimensions"]),
        (one({"type": "batchnorm2d", "weights": []}), ["batchnorm2d_0", "two dimensions"]),
        (one({"type": "unknown", "weights": []}), ["unknown_0", "lost"]),
        (one({"type": "maxpool", "weights": []}), ["'maxpool'", "not known"]),
        (one({"type": "activation", "activation": "swish", "weights": []}), ["'swish'"]),
        (one({"type": "lstm", "activation": "relu", "weights": []}), ["lstm_0", "not tanh"]),
        ({"in_shape": [None, None, 8, 2], "layers": [{}]}, ["in_shape"]),
        (amplifier("lstm", in_skip=2)[0], ["in_skip"]),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(described, words):
    with pytest.raises(UnsupportedError) as caught:
        streamrnn.from_rtneural(described)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ({"layers": []}, "in_shape"),
        ({"state_dict": {"rec.weight_ih_l0": []}, "model_data": {}}, "from_state_dict"),
        (one({"type": "dense"}), "dense_0"),
        (one({"type": "dense", "weights": [[[1.0, 2.0]], [0.0, 0.0]]}), None),
        (one({"type": "dense", "weights": [[[1.0, 2.0], [1.0]], [0.0, 0.0]]}), "do not fit"),
        (one({"type": "dense", "weights": [[[1.0], [1.0]], [0.0]]}), "gives 2 values"),
        (one({"type": "conv1d", "kernel_size": [3], "dilation": [1], "weights": [[[[1.0, 1.0]] * 2]]}), "kernel_size"),
        (one({"type": "lstm", "weights": [[[1.0] * 8] * 2, [[1.0] * 4] * 2, [0.0] * 8]}), "kernels of shapes"),
        (one({"type": "prelu", "weights": [[[1.0, 1.0, 1.0]]]}), "shared along the time"),
        (one({"type": "batchnorm", "epsilon": 0.1, "weights": [[1.0], [1.0]]}), "2 values"),
        (amplifier("gru", in_gain="loud")[0], "in_gain"),
    ],
)
def test_what_does_not_fit_is_refused(described, words):
    with pytest.raises((ModelFileError, UnsupportedError), match=words):
        streamrnn.from_rtneural(described)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_file_that_is_no_such_json_is_refused(tmp_path, text):
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(ModelFileError, match=r"net\.json"):
        streamrnn.from_rtneural(tmp_path / "net.json")
