"""Small models as files, a server of them in a child process, and the command line as a user runs it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import streamrnn
from streamrnn import Card, Head, Model, Node, Spec
from streamrnn.cli import main
from streamrnn.commands.demonstration.server import ChildServer

LABELS = tuple("\nabcdefgh: ")


def made_up(spec: Spec, shapes: dict[str, tuple[int, ...]], card: Card) -> Model:
    """A model with random weights, the same each time."""
    rng = np.random.default_rng(1)
    return Model(spec, {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}, card)


def sensor_model() -> Model:
    """A GRU predictor of one value."""
    nodes = (
        Node("x", "input", 1),
        Node("norm", "affine", 1, ("x",)),
        Node("gru", "gru", 8, ("norm",)),
        Node("fc", "linear", 1, ("gru",)),
    )
    shapes: dict[str, tuple[int, ...]] = {"norm.scale": (1,), "norm.shift": (1,), "fc.weight": (1, 8), "fc.bias": (1,)}
    shapes |= {"gru.weight_ih": (24, 1), "gru.weight_hh": (24, 8), "gru.bias_ih": (24,), "gru.bias_hh": (24,)}
    return made_up(Spec(nodes, "fc"), shapes, Card(name="temp", input_names=("value",), provenance={"seed": 1}))


def text_model() -> Model:
    """An LSTM over a few characters."""
    n = len(LABELS)
    nodes = (
        Node("x", "input", 1, n_tokens=n),
        Node("emb", "embedding", 4, ("x",), n_tokens=n),
        Node("lstm", "lstm", 8, ("emb",)),
        Node("fc", "linear", n, ("lstm",)),
        Node("out", "log_softmax", n, ("fc",)),
    )
    shapes: dict[str, tuple[int, ...]] = {"emb.weight": (n, 4), "fc.weight": (n, 8), "fc.bias": (n,)}
    shapes |= {"lstm.weight_ih": (32, 4), "lstm.weight_hh": (32, 8), "lstm.bias_ih": (32,), "lstm.bias_hh": (32,)}
    return made_up(Spec(nodes, "out"), shapes, Card(name="text", labels=LABELS))


def headed_model() -> Model:
    """Two heads of a cell that comes a frame late; a frame is two steps of one value."""
    nodes = (
        Node("x", "input", 1, steps=2),
        Node("late", "delay", 1, ("x",), steps=2, lag=2),
        Node("mean", "mean_pool", 1, ("late",), kernel=2, stride=2),
        Node("gru", "gru", 4, ("mean",)),
        Node("speech", "linear", 1, ("gru",)),
        Node("noise", "linear", 2, ("gru",)),
        Node("both", "concat", 3, ("speech", "noise")),
    )
    shapes: dict[str, tuple[int, ...]] = {"speech.weight": (1, 4), "speech.bias": (1,), "noise.weight": (2, 4)}
    shapes |= {"gru.weight_ih": (12, 1), "gru.weight_hh": (12, 4), "gru.bias_ih": (12,), "gru.bias_hh": (12,)}
    shapes |= {"noise.bias": (2,)}
    spec = Spec(nodes, "both", (Head("speech", 1), Head("noise", 2)), delay=1)
    return made_up(spec, shapes, Card(name="headed", rate_hz=100.0))


def sound_model() -> Model:
    """Quiet or loud, every 10 ms of sound at 8 kHz; its card has a decoder."""
    nodes = (
        Node("x", "input", 1, steps=80),
        Node("power", "square", 1, ("x",), steps=80),
        Node("mean", "mean_pool", 1, ("power",), kernel=80, stride=80),
        Node("fc", "linear", 2, ("mean",)),
        Node("out", "log_softmax", 2, ("fc",)),
    )
    weight, bias = np.array([[-400.0], [400.0]], np.float32), np.array([2.0, -2.0], np.float32)
    card = Card(name="sound", labels=("quiet", "loud"), rate_hz=100.0, decoder={"kind": "labels", "mode": "label"})
    return Model(Spec(nodes, "out"), {"fc.weight": weight, "fc.bias": bias}, card)


@pytest.fixture(scope="session")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of the models by name."""
    folder = tmp_path_factory.mktemp("models")
    files = {name: folder / f"{name}.safetensors" for name in ("temp", "text", "headed", "sound")}
    sensor_model().save(files["temp"])
    text_model().save(files["text"])
    headed_model().save(files["headed"])
    sound_model().save(files["sound"])
    return files


@pytest.fixture(scope="session")
def server(model_files: dict[str, Path]) -> Iterator[ChildServer]:
    """`streamrnn serve` of all."""
    streamrnn.warmup()
    with ChildServer(model_files) as running:
        yield running


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `streamrnn` with arguments, in this process but with a real file as its standard input."""

    def call(*arguments: object, stdin: str = "") -> Done:
        (tmp_path / "stdin").write_text(stdin)
        capsys.readouterr()
        with (tmp_path / "stdin").open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            code = main([str(argument) for argument in arguments])
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A recording of 500 rows, five minutes apart."""
    path = tmp_path / "recording.csv"
    rng = np.random.default_rng(2)
    lines = [
        f"2026-01-{1 + n // 288:02d} {n % 288 // 12:02d}:{n % 12 * 5:02d}:00,{80 + rng.normal():.3f}"
        for n in range(500)
    ]
    path.write_text("timestamp,value\n" + "\n".join(lines) + "\n")
    return path
