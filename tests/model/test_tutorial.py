"""The tutorial's modules, imported and streamed frame by frame for 1,000 steps, beside PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import streamrnn  # noqa: E402
from tests.laws.nets import random_frames  # noqa: E402
from tests.model.tutorial_modules import GRUModel, LSTMModel, VanillaRNN  # noqa: E402

N_STEPS = 1000
MAX_ERROR = 1e-5
SIZES = [(57, 128, 18), (10, 20, 2)]


def streamed(model, xs):
    """Outputs of a session stepped frame by frame."""
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
    engine.add_model("tutorial", model)
    session = engine.open("tutorial")
    return np.array([session.step(x) for x in xs])


def check(name, ys, expected, record_property):
    error = float(np.abs(ys.astype(np.float64) - expected.numpy()).max())
    record_property("figure", f"{name}: largest error to PyTorch over {len(ys)} steps: {error:.2g}")
    assert error < MAX_ERROR


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_vanilla_rnn(sizes, record_property):
    torch.manual_seed(1)
    module = VanillaRNN(*sizes)
    model = streamrnn.from_torch(module)
    xs = random_frames(model, N_STEPS)
    hidden, outputs = module.initHidden(), []
    with torch.no_grad():
        for x in torch.from_numpy(xs):
            output, hidden = module(x[None], hidden)
            outputs.append(output[0])
    check(f"VanillaRNN{sizes}", streamed(model, xs), torch.stack(outputs), record_property)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("kind", [LSTMModel, GRUModel])
def test_lstm_and_gru_with_fc(kind, sizes, record_property):
    torch.manual_seed(1)
    module = kind(*sizes)
    model = streamrnn.from_torch(module)
    xs = random_frames(model, N_STEPS)
    ys = streamed(model, xs)
    sequence = torch.from_numpy(xs)[:, None]
    cell = module.lstm if kind is LSTMModel else module.gru
    with torch.no_grad():
        check(f"{kind.__name__}{sizes}", ys, module.fc(cell(sequence)[0])[:, 0], record_property)
        for n in (1, 2, 10, 100, N_STEPS):
            assert np.abs(ys[n - 1] - module(sequence[:n])[0].numpy()).max() < MAX_ERROR
