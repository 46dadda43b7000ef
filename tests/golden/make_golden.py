"""Makes the golden files: state dicts, frames and outputs of PyTorch, so that the core is tested where torch is not.

Run from the repository's root: `python -m tests.golden.make_golden`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parent
N_FRAMES = 50


class Golden(NamedTuple):
    """A module, its form for `from_state_dict`, and what it computes: frames (n, ...) to outputs (n, output_size)."""

    module: nn.Module
    form: dict[str, Any]
    compute: Callable[[Tensor], Tensor]
    input_size: int = 0
    n_tokens: int = 0


def cell(kind: type[nn.RNNBase], name: str, *args: Any, **options: Any) -> Golden:
    """A stack of cells alone."""
    layer = {"kind": name} | ({"nonlinearity": options["nonlinearity"]} if "nonlinearity" in options else {})
    module = kind(*args, **options)
    return Golden(module, {"layers": [layer]}, lambda x: module(x)[0], args[0])


def classic() -> Golden:
    """The tutorial's recurrence: the output from the hidden state before the step."""
    module = nn.ModuleDict({"i2h": nn.Linear(6 + 18, 18), "i2o": nn.Linear(6 + 18, 5)})

    def compute(x: Tensor) -> Tensor:
        hidden, outputs = torch.zeros(1, 18), []
        for frame in x:
            combined = torch.cat((frame[None], hidden), 1)
            hidden = torch.tanh(module["i2h"](combined))
            outputs.append(torch.log_softmax(module["i2o"](combined), 1)[0])
        return torch.stack(outputs)

    return Golden(module, {"layers": [{"kind": "classic_rnn"}, {"kind": "log_softmax"}]}, compute, 6)


def language_model() -> Golden:
    """Token ids in, log-probabilities out."""
    module = nn.ModuleDict({"emb": nn.Embedding(23, 7), "lstm": nn.LSTM(7, 19), "fc": nn.Linear(19, 23)})
    layers = [
        {"kind": "embedding", "name": "emb"},
        {"kind": "lstm", "name": "lstm"},
        {"kind": "linear", "name": "fc"},
        {"kind": "log_softmax"},
    ]

    def compute(x: Tensor) -> Tensor:
        return torch.log_softmax(module["fc"](module["lstm"](module["emb"](x))[0]), -1)

    return Golden(module, {"input_tokens": 23, "layers": layers}, compute, n_tokens=23)


def heads() -> Golden:
    """A cell and one of each activation, one after the other."""
    module = nn.ModuleDict({"gru": nn.GRU(4, 20), "a": nn.Linear(20, 33), "b": nn.Linear(33, 6)})
    layers = [
        {"kind": "gru", "name": "gru"},
        {"kind": "linear", "name": "a"},
        {"kind": "relu"},
        {"kind": "linear", "name": "b"},
        {"kind": "sigmoid"},
        {"kind": "tanh"},
        {"kind": "softmax"},
    ]

    def compute(x: Tensor) -> Tensor:
        hidden = torch.relu(module["a"](module["gru"](x)[0]))
        return torch.softmax(torch.tanh(torch.sigmoid(module["b"](hidden))), -1)

    return Golden(module, {"layers": layers}, compute, 4)


def residual() -> Golden:
    """A graph: two cells, a skip connection and a concat, as a full spec."""
    module = nn.ModuleDict({"up": nn.Linear(5, 17, bias=False), "a": nn.GRU(17, 17), "b": nn.LSTM(22, 9)})
    nodes = [
        {"name": "input", "kind": "input", "size": 5},
        {"name": "up", "kind": "linear", "size": 17, "inputs": ["input"], "bias": False},
        {"name": "a", "kind": "gru", "size": 17, "inputs": ["up"]},
        {"name": "sum", "kind": "add", "size": 17, "inputs": ["up", "a"]},
        {"name": "all", "kind": "concat", "size": 22, "inputs": ["sum", "input"]},
        {"name": "b", "kind": "lstm", "size": 9, "inputs": ["all"]},
    ]

    def compute(x: Tensor) -> Tensor:
        up = module["up"](x)
        return module["b"](torch.cat((up + module["a"](up)[0], x), -1))[0]

    return Golden(module, {"nodes": nodes, "output": "b"}, compute, 5)


GOLDEN: dict[str, Callable[[], Golden]] = {
    "rnn_tanh": lambda: cell(nn.RNN, "rnn", 3, 18, nonlinearity="tanh"),
    "rnn_relu": lambda: cell(nn.RNN, "rnn", 3, 18, nonlinearity="relu"),
    "lstm_2_layers": lambda: cell(nn.LSTM, "lstm", 5, 17, num_layers=2),
    "lstm_no_bias": lambda: cell(nn.LSTM, "lstm", 1, 16, bias=False),
    "gru": lambda: cell(nn.GRU, "gru", 7, 33),
    "gru_3_layers_no_bias": lambda: cell(nn.GRU, "gru", 2, 9, num_layers=3, bias=False),
    "classic": classic,
    "language_model": language_model,
    "heads": heads,
    "residual": residual,
}


def arrays(name: str) -> dict[str, Any]:
    """The arrays of one golden file, the same in every run."""
    seed = list(GOLDEN).index(name)
    torch.manual_seed(seed)
    golden, rng = GOLDEN[name](), np.random.default_rng(seed)
    if golden.n_tokens:
        frames = rng.integers(0, golden.n_tokens, (N_FRAMES, 1)).astype(np.float32)
    else:
        frames = (2 * rng.standard_normal((N_FRAMES, golden.input_size))).astype(np.float32)
    x = torch.from_numpy(frames)
    with torch.no_grad():
        outputs = golden.compute(x[:, 0].long() if golden.n_tokens else x).numpy()
    state = {f"state.{key}": value.numpy() for key, value in golden.module.state_dict().items()}
    return {"form": np.array(json.dumps(golden.form)), "xs": frames, "ys": outputs} | state


if __name__ == "__main__":
    for made in GOLDEN:
        np.savez_compressed(FOLDER / f"{made}.npz", **arrays(made))
