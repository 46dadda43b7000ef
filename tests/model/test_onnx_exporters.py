"""What PyTorch's two exporters make of random modules, and of two nets of speech in their real sizes."""

from __future__ import annotations

import logging
import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from torch import nn  # noqa: E402

import streamrnn  # noqa: E402
from benchmarks.shapes import exported, rnnoise_shape, silero_shape  # noqa: E402
from streamrnn.errors import UnsupportedError  # noqa: E402
from streamrnn.model.trial import play  # noqa: E402
from tests.laws.nets import random_frames  # noqa: E402
from tests.model.laws_of_one import hold_the_laws  # noqa: E402
from tests.model.random_modules import draw_module  # noqa: E402

N_GROUPS, N_IN_GROUP = 8, 15
N_DYNAMO = 4


@pytest.fixture(autouse=True)
def quiet():
    """The newer exporter warns of packages that it can do without."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def drawn(seed):
    return draw_module(random.Random(seed))


@pytest.mark.parametrize("group", range(N_GROUPS))
def test_random_modules_by_the_older_exporter(group, record_property):
    worst = 0.0
    for seed in range(group * N_IN_GROUP, (group + 1) * N_IN_GROUP):
        module, example = drawn(seed)
        axes = {"x": {1: "time"}} if seed % 4 else None
        model = streamrnn.from_onnx(exported(module, (example,), input_names=["x"], dynamic_axes=axes))
        worst = max(worst, model.card.certificate["max_rel_error"])
        assert worst < 1e-4, seed
        hold_the_laws(model, seed)
    text = f"{N_IN_GROUP} random modules by torch.onnx (group {group}): largest relative error {worst:.1e}"
    record_property("figure", text)


@pytest.mark.parametrize("seed", range(N_DYNAMO))
def test_random_modules_by_the_newer_exporter(seed):
    module, example = drawn(seed)
    model = streamrnn.from_onnx(exported(module, (example,), dynamo=True))
    assert model.card.certificate["max_rel_error"] < 1e-4
    hold_the_laws(model, seed)


class Stepped(nn.Module):
    """A cell whose state comes in and goes out."""

    def __init__(self, cell, n_states):
        super().__init__()
        self.cell, self.head, self.n_states = cell, nn.Linear(8, 3), n_states

    def forward(self, x, *states):
        y, states = self.cell(x, states if self.n_states == 2 else states[0])
        return self.head(y), *(states if self.n_states == 2 else (states,))


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize(("kind", "n_states"), [(nn.RNN, 1), (nn.GRU, 1), (nn.LSTM, 2)])
def test_stateful_exports(kind, n_states, dynamo):
    torch.manual_seed(1)
    module = Stepped(kind(5, 8, num_layers=2, batch_first=True), n_states).eval()
    example = (torch.randn(1, 1, 5), *[torch.zeros(2, 1, 8) for _ in range(n_states)])
    model = streamrnn.from_onnx(exported(module, example, dynamo=dynamo))
    assert "call by call" in model.card.certificate["call"]
    assert model.card.certificate["max_rel_error"] < 1e-5
    with torch.no_grad():
        frames = random_frames(model, 20, seed=3)
        expected = module(torch.from_numpy(frames)[None], *example[1:])[0][0].numpy()
    np.testing.assert_allclose(play(model, frames, 20), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"nonlinearity": "relu", "bias": False}, {"num_layers": 2}])
def test_the_loop_that_the_newer_exporter_makes_of_an_rnn_is_put_together_again(options):
    torch.manual_seed(2)
    proto = exported(nn.RNN(3, 4, **options).eval(), (torch.randn(9, 1, 3),), dynamo=True)
    model = streamrnn.from_onnx(proto)
    assert [n.kind for n in model.spec.nodes].count("rnn") == options.get("num_layers", 1)
    assert model.card.certificate["n_compared"] == 9


class Loop(nn.Module):
    """A recurrence of its own, over all steps."""

    def __init__(self):
        super().__init__()
        self.product = nn.Linear(3, 3)

    def forward(self, x):
        h, ys = torch.zeros(1, 3), []
        for k in range(x.shape[0]):
            h = torch.sigmoid(self.product(h) * x[k])
            ys.append(h)
        return torch.stack(ys)


@pytest.mark.parametrize("dynamo", [False, True])
def test_any_other_loop_is_refused_with_a_way(dynamo):
    proto = exported(Loop().eval(), (torch.randn(9, 1, 3),), dynamo=dynamo)
    with pytest.raises(UnsupportedError, match=r"a loop was written out\. Export RNN, GRU or LSTM as such"):
        streamrnn.from_onnx(proto)


def streamed(model, frames, chunks):
    engine = streamrnn.Engine()
    engine.add_model("net", model)
    session = engine.open("net")
    ys, start = [], 0
    for n in [*chunks, len(frames) - sum(chunks)]:
        ys.append(session.run(frames[start : start + n]))
        start += n
    return np.concatenate(ys)


@pytest.mark.parametrize("dynamo", [False, True])
def test_the_net_of_rnnoise_in_its_real_size(dynamo, record_property):
    module, data = rnnoise_shape(dynamo)
    model = streamrnn.from_onnx(data)
    assert (model.input_size, model.output_size, model.spec.delay) == (65, 33, 4)
    frames = random_frames(model, 100, seed=5)
    with torch.no_grad():
        gain, voice = module(torch.from_numpy(frames)[None])
    ys = streamed(model, frames, [1, 2, 7, 31, 13])[4:]
    error = np.abs(ys - np.concatenate([gain[0], voice[0]], axis=1)).max()
    assert error < 1e-4
    record_property("figure", f"net of RNNoise by torch.onnx (dynamo={dynamo}): largest error {error:.1e}")


@pytest.mark.parametrize("dynamo", [False, True])
def test_the_net_of_silero_in_its_real_size(dynamo, record_property):
    module, data = silero_shape(dynamo)
    model = streamrnn.from_onnx(data)
    assert (model.input_size, model.output_size, model.spec.delay) == (576, 1, 0)
    frames = random_frames(model, 60, seed=6)
    expected, state = [], torch.zeros(2, 1, 128)
    with torch.no_grad():
        for frame in frames:
            voice, state = module(torch.from_numpy(frame)[None], state)
            expected.append(voice[0].numpy())
    error = np.abs(streamed(model, frames, [1, 2, 7, 13]) - np.array(expected)).max()
    assert error < 1e-4
    record_property("figure", f"net of Silero by torch.onnx (dynamo={dynamo}): largest error {error:.1e}")
