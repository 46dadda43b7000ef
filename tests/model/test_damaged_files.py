"""Files of other frameworks with bits flipped, bytes gone and lengths that lie: a typed error, or another model."""

from __future__ import annotations

import json
import os
import random
from collections import Counter

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")

import streamrnn
from streamrnn.errors import StreamrnnError

N_DAMAGED = 150


def of_onnx(path):
    pytest.importorskip("onnx")
    from tests.model.onnx_graphs import TIME, graph, node, weights

    nodes = [
        node("Transpose", "x", "t", perm=[0, 2, 1]),
        node("Conv", "t k", "c", kernel_shape=[3], pads=[2, 0], strides=[2]),
        node("LeakyRelu", "c", "r", alpha=0.2),
        node("Transpose", "r", "f", perm=[2, 0, 1]),
        node("GRU", "f w q", "g", hidden_size=5),
        node("Squeeze", "g one", "y"),
    ]
    tensors = {"k": weights(4, 3, 3), "w": weights(1, 15, 4), "q": weights(1, 15, 5), "one": np.array([1], np.int64)}
    path.write_bytes(graph(nodes, (1, TIME, 3), **tensors))


def of_keras(path):
    keras = pytest.importorskip("keras")
    layers = keras.layers
    net = keras.Sequential([keras.Input((None, 3)), layers.Conv1D(4, 3, padding="causal"), layers.LSTM(5)])
    net.save(path)


def of_rtneural(path):
    rng = np.random.default_rng(0)
    dense = {"type": "dense", "activation": "tanh", "shape": [None, None, 4]}
    gru = {"type": "gru", "activation": "", "shape": [None, None, 2]}
    dense["weights"] = [rng.random((3, 4)).round(3).tolist(), [0.1] * 4]
    gru["weights"] = [rng.random(shape).round(3).tolist() for shape in ((4, 6), (2, 6), (2, 6))]
    path.write_text(json.dumps({"in_shape": [None, None, 3], "layers": [dense, gru]}), encoding="utf-8")


FORMATS = {
    "x.onnx": (of_onnx, streamrnn.from_onnx),
    "x.keras": (of_keras, streamrnn.from_keras),
    "x.json": (of_rtneural, streamrnn.from_rtneural),
}


def damaged(blob: bytes, rng: random.Random) -> bytes:
    found = bytearray(blob)
    for _ in range(rng.choice([1, 1, 2, 5])):
        place = rng.randrange(len(found))
        if rng.random() < 0.8:
            found[place] ^= 1 << rng.randrange(8)
        else:
            del found[place : place + rng.randrange(1, 9)]
    return bytes(found)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_a_typed_error_or_another_model(name, seed, tmp_path):
    make, read = FORMATS[name]
    path = tmp_path / name
    make(path)
    read(path)
    blob, rng, fates = path.read_bytes(), random.Random(seed), Counter()
    for _ in range(N_DAMAGED):
        path.write_bytes(damaged(blob, rng))
        try:
            read(path)
            fates["read"] += 1
        except StreamrnnError:
            fates["refused"] += 1
    assert fates["refused"] > N_DAMAGED // 4
