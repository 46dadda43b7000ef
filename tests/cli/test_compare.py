"""The comparison with PyTorch: it must agree with what is right and see what is wrong."""

import json
import sys

import numpy as np
import pytest
import torch

import streamrnn
from streamrnn import Model, Node, Spec
from training import compare
from training.offline import Offline


def graph():
    """A stack of an RNN, a GRU and an LSTM beside a hand-written recurrence, joined by concat and add."""
    nodes = (
        Node("x", "input", 2),
        Node("before", "previous", 3, ("hand.act",)),
        Node("joined", "concat", 5, ("x", "before")),
        Node("hand", "linear", 3, ("joined",)),
        Node("hand.act", "tanh", 3, ("hand",)),
        Node("rnn", "rnn", 4, ("x",), nonlinearity="relu"),
        Node("gru.l0", "gru", 3, ("rnn",), bias=False),
        Node("lstm", "lstm", 3, ("gru.l0",)),
        Node("sum", "add", 3, ("lstm", "hand.act")),
        Node("out", "log_softmax", 3, ("sum",)),
    )
    spec = Spec(nodes, "out")
    rng = np.random.default_rng(4)
    shapes = {"hand.weight": (3, 5), "hand.bias": (3,)}
    for name, n_in, n, rows in (("rnn", 2, 4, 4), ("gru.l0", 4, 3, 9), ("lstm", 3, 3, 12)):
        shapes |= {f"{name}.weight_ih": (rows, n_in), f"{name}.weight_hh": (rows, n)}
        if name != "gru.l0":
            shapes |= {f"{name}.bias_ih": (rows,), f"{name}.bias_hh": (rows,)}
    return Model(spec, {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()})


def streamed(model, frames):
    """What the engine answers."""
    engine = streamrnn.Engine()
    engine.add_model("model", model)
    return engine.open("model").run(frames)


def test_pytorch_and_the_engine_agree_on_any_graph():
    frames = np.random.default_rng(5).normal(size=(60, 2)).astype(np.float32)
    offline = Offline(graph())(torch.from_numpy(frames)).numpy()
    assert np.abs(offline - streamed(graph(), frames)).max() < 1e-5


def test_a_gru_that_resets_before_the_matmul_has_no_pytorch_form():
    spec = Spec((Node("x", "input", 1), Node("gru", "gru", 2, ("x",), bias=False, reset="before")), "gru")
    tensors = {"gru.weight_ih": np.ones((6, 1), np.float32), "gru.weight_hh": np.ones((6, 2), np.float32)}
    with pytest.raises(ValueError, match="gru: PyTorch has no GRU"):
        Offline(Model(spec, tensors))


@pytest.fixture
def files(tmp_path, model_files, recording):
    """The outputs of a perfect server for the recording, as `streamrnn stream` writes them."""
    frames = np.loadtxt(recording, delimiter=",", skiprows=1, usecols=1).astype(np.float32)[:, None]
    ys = streamed(streamrnn.load_model(model_files["temp"]), frames)
    lines = [json.dumps({"seq": n, "y": [float(value) for value in y]}) for n, y in enumerate(ys)]
    return lines, tmp_path / "outputs.jsonl"


@pytest.mark.parametrize(
    ("change", "code", "expected"),
    [
        (lambda lines: lines, 0, "ok: 500 outputs, largest error"),
        (lambda lines: lines[:-1], 1, "FAIL: (499, 1) outputs streamed, (500, 1) expected"),
        (lambda lines: [*lines[:7], '{"seq": 7, "y": [9.5]}', *lines[8:]], 1, "at seq 7"),
        (lambda lines: [*lines[:7], '{"seq": 7, "y": [NaN]}', *lines[8:]], 1, "FAIL"),
        (lambda lines: [*lines[:7], '{"seq": 7, "y": [null]}', *lines[8:]], 1, "error: "),
        (lambda lines: [*lines[:7], *lines[8:]], 1, "expected seq 7, got 8"),
        (lambda lines: ["not json"], 1, "error: "),
    ],
)
def test_what_differs_is_seen(files, model_files, recording, monkeypatch, capsys, change, code, expected):
    lines, path = files
    path.write_text("\n".join(change(lines)) + "\n")
    arguments = ["compare", str(model_files["temp"]), "--csv", str(recording), "--outputs", str(path)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert compare.main() == code
    printed = capsys.readouterr()
    assert expected in printed.out + printed.err
