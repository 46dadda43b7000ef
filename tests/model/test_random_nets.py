"""Random nets: whatever layers, sizes and options PyTorch takes, the imported model streams the same outputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import streamrnn  # noqa: E402
from tests.laws.nets import random_frames  # noqa: E402
from tests.model.test_from_torch import Affine, sequential  # noqa: E402

SIZES = st.integers(1, 36)
HEADS = [nn.Tanh, nn.Sigmoid, nn.ReLU, lambda: nn.Softmax(-1), lambda: nn.LogSoftmax(-1), lambda: nn.Dropout(0.3)]


@st.composite
def nets(draw) -> tuple[nn.Module, bool]:
    """A module, and whether it is batch first."""
    torch.manual_seed(draw(st.integers(0, 2**32 - 1)))
    batch_first, size = draw(st.booleans()), draw(SIZES)
    layers: list[nn.Module] = []
    match draw(st.sampled_from(["dense", "dense", "affine", "embedding"])):
        case "affine":
            layers.append(Affine(size))
        case "embedding":
            layers.append(nn.Embedding(draw(st.integers(1, 20)), size))
    for _ in range(draw(st.integers(0 if layers == [] else 1, 3))):
        hidden, kind = draw(SIZES), draw(st.sampled_from([nn.RNN, nn.LSTM, nn.GRU]))
        options = {"nonlinearity": draw(st.sampled_from(["tanh", "relu"]))} if kind is nn.RNN else {}
        layers.append(
            kind(size, hidden, draw(st.integers(1, 3)), bias=draw(st.booleans()), batch_first=batch_first, **options)
        )
        size = hidden
    layers.append(nn.Linear(size, out := draw(SIZES), bias=draw(st.booleans())))
    layers += [draw(st.sampled_from(HEADS))() for _ in range(draw(st.integers(0, 2)))]
    return sequential(*layers, nn.Linear(out, out)), batch_first


@given(net=nets(), seed=st.integers(0, 1000))
def test_an_imported_net_streams_what_pytorch_computes(net, seed):
    module, batch_first = net
    model = streamrnn.from_torch(module)
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
    engine.add_model("m", model)
    session, xs = engine.open("m"), random_frames(model, 40, seed=seed)
    ys = np.array([session.step(x) for x in xs])
    sequence = torch.from_numpy(xs[:, 0]).long() if model.n_tokens else torch.from_numpy(xs)
    with torch.no_grad():
        expected = module.eval()(sequence[None] if batch_first else sequence[:, None]).reshape(40, -1)
    np.testing.assert_allclose(ys, expected.numpy(), rtol=1e-4, atol=2e-5)
