"""One command for the files of every framework: what is written streams what the original computes."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import streamrnn  # noqa: E402
from streamrnn.commands.importing import choose_keras_backend  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
"""Keras's torch backend turns tensors into arrays in the old way."""


class Headed(nn.Module):
    """A convolution that strides and looks ahead, a cell, two heads by name."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 6, 5, stride=2, padding=2)
        self.gru = nn.GRU(6, 8, batch_first=True)
        self.speech = nn.Linear(8, 1)
        self.noise = nn.Linear(8, 2)

    def forward(self, x):
        """Answer x (batch, time, 3)."""
        h, _ = self.gru(torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2))
        return {"speech": torch.sigmoid(self.speech(h)), "noise": self.noise(h)}


def streamed(path, xs):
    """The outputs of a session of a model file."""
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
    engine.add_model("m", streamrnn.load_model(path))
    return engine.open("m").run(np.asarray(xs, np.float32))


@pytest.fixture
def xs(tmp_path):
    """A recording of 30 frames of 3 values, also as a file."""
    frames = np.random.default_rng(5).normal(1.0, 2.0, (30, 3)).astype(np.float32)
    np.save(tmp_path / "recording.npy", frames)
    return frames


def test_keras(run, tmp_path, xs):
    keras = pytest.importorskip("keras")
    from tests.model.keras_nets import L, chain

    net = chain(L.Conv1D(4, 3, padding="causal"), L.GRU(5, return_sequences=True), L.Dense(2), shape=(None, 3))
    net.save(tmp_path / "net.keras")
    out = tmp_path / "out.safetensors"
    done = run("convert", tmp_path / "net.keras", out, "--example", tmp_path / "recording.npy", "--name", "net")
    assert done.returncode == 0, done.stderr
    assert f"framework   keras {keras.__version__} on torch" in done.stdout
    assert "example     30 frames, 30 outputs" in done.stdout
    expected = keras.ops.convert_to_numpy(net(xs[None], training=False))[0]
    np.testing.assert_allclose(streamed(out, xs), expected, atol=1e-5)
    assert streamrnn.load_model(out).card.name == "net"
    wrong = run("convert", tmp_path / "net.keras", out, "--frame-steps", "2")
    assert wrong.returncode == 0, wrong.stderr
    assert "frame       2 steps of 3 values" in wrong.stdout


def test_rtneural_is_written_with_a_note_that_nothing_was_compared(run, tmp_path):
    weights = [[[2.0], [1.0], [0.0]], [0.5]]
    dense = {"type": "dense", "activation": "", "shape": [None, None, 1], "weights": weights}
    (tmp_path / "amp.json").write_text(json.dumps({"in_shape": [None, None, 3], "layers": [dense]}))
    done = run("convert", tmp_path / "amp.json", tmp_path / "out.safetensors")
    assert done.returncode == 0, done.stderr
    assert "note: certificate none: it was never compared" in done.stderr
    np.testing.assert_array_equal(streamed(tmp_path / "out.safetensors", [[1, 2, 3]]), [[4.5]])


@pytest.mark.parametrize("ending", [".json", ".keras", ".onnx"])
def test_a_damaged_file_is_one_line(run, tmp_path, ending):
    for content in (b"", b"{", b"not that at all", b"PK\x03\x04"):
        (tmp_path / f"m{ending}").write_bytes(content)
        done = run("convert", tmp_path / f"m{ending}", tmp_path / "out.safetensors")
        assert (done.returncode, "error [bad_model_file]" in done.stderr) == (1, True), (content, done.stderr)


def test_a_front_end_before_a_model_of_features(run, tmp_path):
    nodes = (streamrnn.Node("x", "input", 40), streamrnn.Node("fc", "linear", 2, ("x",), bias=False))
    weight = np.random.default_rng(0).normal(0, 0.1, (2, 40)).astype(np.float32)
    streamrnn.Model(streamrnn.Spec(nodes, "fc"), {"fc.weight": weight}).save(tmp_path / "net.safetensors")
    out = tmp_path / "out.safetensors"
    done = run("convert", tmp_path / "net.safetensors", out, "--frontend", "logmel40")
    assert done.returncode == 0, done.stderr
    assert "160 steps of 1 value" in done.stdout
    assert "behind the front end 'logmel40'" in streamrnn.load_model(out).certificate.reading
    assert run("convert", tmp_path / "net.safetensors", out, "--frontend", "nope").returncode == 2


def test_onnx(run, tmp_path, xs):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    tensors = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in
               {"W": (1, 15, 3), "R": (1, 15, 5), "B": (1, 30)}.items()}  # fmt: skip
    gru = helper.make_node("GRU", ["x", "W", "R", "B", "", "h"], ["y", "h2"], hidden_size=5, linear_before_reset=1)
    graph = helper.make_graph(
        [gru], "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 3]),
         helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, 1, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1, 1, 5]),
         helper.make_tensor_value_info("h2", TensorProto.FLOAT, [1, 1, 5])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    out = tmp_path / "out.safetensors"
    options = ("--state", "h=h2", "--time-axis", "0", "--example", tmp_path / "recording.npy")
    done = run("convert", tmp_path / "m.onnx", out, *options)
    assert done.returncode == 0, done.stderr
    assert "verdict     passed" in done.stdout
    assert "example     30 frames, 30 outputs" in done.stdout
    assert streamed(out, xs).shape == (30, 5)
    refused = run("convert", tmp_path / "m.onnx", out, "--state", "h=nope")
    assert (refused.returncode, "error [" in refused.stderr) == (2, True)


def test_a_module_whose_forward_is_a_graph(run, tmp_path, xs):
    torch.save(Headed().eval(), tmp_path / "net.pt")
    out = tmp_path / "out.safetensors"
    done = run("convert", tmp_path / "net.pt", out, "--trust-pickle", "--example", tmp_path / "recording.npy")
    assert done.returncode == 0, done.stderr
    for expected in (
        "frame       2 steps of 3 values",
        "speech 1, noise 2",
        "delay       1 frame: output n belongs to frame n - 1",
        "verdict     passed",
        "head speech: largest error",
        "example     15 frames",
    ):
        assert expected in done.stdout, done.stdout


def test_an_onnx_graph_that_its_own_runtime_computes_otherwise_is_written_by_force_alone(run, tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    from streamrnn.model.importers.onnx import importer

    graph = helper.make_graph(
        [helper.make_node("Tanh", ["x"], ["y"])], "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "n", 3])],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    monkeypatch.setattr(importer, "runner_of", lambda *_: ("other 1.0", lambda inputs: {"y": np.sin(inputs["x"])}))
    out = tmp_path / "out.safetensors"
    assert run("convert", tmp_path / "m.onnx", out).returncode == 1
    assert not out.exists()
    forced = run("convert", tmp_path / "m.onnx", out, "--force")
    assert forced.returncode == 0, forced.stderr
    assert "differs from other 1.0" in forced.stderr


@pytest.mark.parametrize(
    ("chosen", "written", "expected"),
    [("jax", None, "jax"), (None, None, "torch"), (None, "tensorflow", "torch"), (None, "no json", "torch")],
)
def test_keras_computes_with_what_is_installed(chosen, written, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if chosen:
        monkeypatch.setenv("KERAS_BACKEND", chosen)
    if written:
        text = written if written == "no json" else json.dumps({"backend": written})
        (tmp_path / "keras.json").write_text(text, encoding="utf-8")
    choose_keras_backend()
    assert os.environ["KERAS_BACKEND"] == expected
