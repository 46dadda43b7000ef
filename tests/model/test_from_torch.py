"""Every module that can be imported, against its own forward; what the certificate says; the module is left alone."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import streamrnn  # noqa: E402
from streamrnn.model.trial import play  # noqa: E402
from tests.laws.nets import random_frames, same_bits  # noqa: E402


class Affine(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.register_buffer("scale", torch.linspace(0.5, 2, n))
        self.register_buffer("shift", torch.linspace(-100, 30, n))

    def forward(self, x):
        return x * self.scale + self.shift


def sequential(*modules):
    """A chain in which the state that a cell returns is dropped."""

    class Chain(nn.Sequential):
        def forward(self, x):
            for module in self:
                x = module(x)
                x = x[0] if isinstance(x, tuple) else x
            return x

    return Chain(*modules)


PLAIN = {
    "rnn": lambda: nn.RNN(3, 20),
    "rnn relu, no bias": lambda: nn.RNN(3, 20, nonlinearity="relu", bias=False),
    "rnn, batch first, 3 layers": lambda: nn.RNN(3, 20, num_layers=3, batch_first=True),
    "lstm": lambda: nn.LSTM(3, 20),
    "lstm, no bias, 2 layers, dropout": lambda: nn.LSTM(3, 20, bias=False, num_layers=2, dropout=0.5),
    "gru": lambda: nn.GRU(3, 20),
    "gru, batch first, 2 layers, no bias": lambda: nn.GRU(3, 20, batch_first=True, num_layers=2, bias=False),
    "linear": lambda: nn.Linear(3, 5),
    "feed forward": lambda: nn.Sequential(
        nn.Linear(3, 9),
        nn.Tanh(),
        nn.Linear(9, 9, bias=False),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(9, 2),
        nn.Sigmoid(),
    ),
    "log-softmax, dim 1": lambda: nn.Sequential(nn.Linear(3, 4), nn.LogSoftmax(dim=1)),
    "softmax, last dim": lambda: sequential(nn.GRU(3, 8), nn.Linear(8, 4), nn.Softmax(dim=-1)),
    "normaliser": lambda: sequential(Affine(3), nn.LSTM(3, 8), nn.Identity(), nn.Linear(8, 4), Affine(4)),
    "nested": lambda: sequential(sequential(nn.Linear(3, 6), nn.Tanh()), sequential(nn.LSTM(6, 7), nn.GRU(7, 5))),
    "embedding": lambda: sequential(nn.Embedding(13, 6), nn.GRU(6, 8), nn.Linear(8, 13), nn.LogSoftmax(dim=-1)),
    "float64": lambda: sequential(nn.LSTM(3, 8), nn.Linear(8, 2)).double(),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_chain_of_known_layers(name):
    torch.manual_seed(2)
    module = PLAIN[name]().eval()
    model = streamrnn.from_torch(module)
    assert 0 <= model.card.certificate["max_abs_error"] < 1e-5
    xs = random_frames(model, 50, seed=3)
    sequence = torch.from_numpy(xs).to(next(module.parameters()).dtype)
    sequence = sequence[:, 0].long() if model.n_tokens else sequence
    with torch.no_grad():
        answer = module(sequence)
    answer = answer[0] if isinstance(answer, tuple) else answer
    np.testing.assert_allclose(play(model, xs, 50), answer.numpy(), rtol=1e-5, atol=1e-5)


CELLS_IN_SEQUENTIAL = {
    "heads": lambda chain: chain(nn.GRU(3, 8, num_layers=2), nn.Linear(8, 4), nn.LogSoftmax(-1)),
    "cell after cell": lambda chain: chain(Affine(3), nn.LSTM(3, 8), nn.Dropout(0.5), nn.RNN(8, 5), Affine(5)),
    "nested": lambda chain: chain(chain(nn.GRU(3, 4)), nn.Linear(4, 2)),
}


@pytest.mark.parametrize("name", CELLS_IN_SEQUENTIAL)
def test_a_sequential_that_pytorch_itself_cannot_run_drops_the_states(name):
    torch.manual_seed(3)
    plain = CELLS_IN_SEQUENTIAL[name](nn.Sequential).eval()
    with pytest.raises(TypeError):
        plain(torch.zeros(2, 1, 3))
    meant = CELLS_IN_SEQUENTIAL[name](sequential).eval()
    meant.load_state_dict(plain.state_dict())
    model = streamrnn.from_torch(plain)
    xs = random_frames(model, 50, seed=4)
    with torch.no_grad():
        answer = meant(torch.from_numpy(xs)[:, None])[:, 0]
    np.testing.assert_allclose(play(model, xs, 50), answer.numpy(), rtol=1e-5, atol=1e-5)
    with pytest.raises(TypeError):
        plain(torch.zeros(2, 1, 3))  # the module is as it was


class Functional(nn.Module):
    """Activations in the forward, a loss among the layers, and a state that comes in and goes out."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(5, 10, num_layers=2, batch_first=True)
        self.up = nn.Linear(10, 12)
        self.out = nn.Linear(12, 4)
        self.loss = nn.CrossEntropyLoss()

    def forward(self, x, state=None):
        y, state = self.gru(x, state)
        return self.out(torch.relu(self.up(y))), state


class NeedsState(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 9)
        self.fc = nn.Linear(9, 3)

    def forward(self, x, state):
        h, c = state
        y, state = self.lstm(x, (h, c))
        return self.fc(y), state


class LastStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.rnn = nn.RNN(6, 11, batch_first=True)
        self.head = nn.Linear(11, 3)

    def forward(self, tokens):
        _, h = self.rnn(self.embed(tokens))
        return torch.softmax(self.head(h[-1]), -1)


class NewHidden(nn.Module):
    """`i2o` reads the hidden state of this step, and the hidden state comes first."""

    def __init__(self):
        super().__init__()
        self.i2h = nn.Linear(4 + 9, 9)
        self.i2o = nn.Linear(4 + 9, 3)

    def forward(self, x, h):
        h = torch.relu(self.i2h(torch.cat((h, x), 1)))
        return self.i2o(torch.cat((h, x), 1)), h


class NoActivation(NewHidden):
    """The hidden state goes on without an activation, as in older tutorials."""

    def forward(self, x, h):
        both = torch.cat((x, h), 1)
        return torch.log_softmax(self.i2o(both), 1), self.i2h(both)


class Split(nn.Module):
    def __init__(self):
        super().__init__()
        self.i2h = nn.Linear(4, 9)
        self.h2h = nn.Linear(9, 9)
        self.h2o = nn.Linear(9, 3)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, x, h):
        h = torch.tanh(self.i2h(x) + self.h2h(h))
        return self.softmax(self.h2o(h)), h

    def init_hidden(self, batch_size):
        return torch.zeros(batch_size, 9)


OWN = {
    "functional": (Functional, "(1, T, 5)"),
    "needs its state": (NeedsState, "module(x (T, 1, 5), zeros)"),
    "last step of tokens": (LastStep, "(1, T)"),
    "i2o reads the new hidden state": (NewHidden, "stepwise"),
    "no activation": (NoActivation, "stepwise"),
    "i2h, h2h, h2o": (Split, "init_hidden(1)"),
}


@pytest.mark.parametrize("name", OWN)
def test_a_forward_of_its_own(name):
    torch.manual_seed(4)
    make, call = OWN[name]
    module = make()
    model = streamrnn.from_torch(module)
    assert model.card.certificate["max_abs_error"] < 1e-5
    assert call in model.card.certificate["call"]


def test_the_order_of_registration_need_not_be_that_of_use():
    class HeadFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(10, 4)
            self.gru = nn.GRU(5, 10)

        def forward(self, x):
            return self.fc(self.gru(x)[0])

    model = streamrnn.from_torch(HeadFirst())
    assert [node.kind for node in model.spec.nodes] == ["input", "gru", "linear"]


def test_the_state_may_be_three_arguments():
    class Three(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(5, 9)

        def forward(self, x, h, c):
            y, (h, c) = self.lstm(x, (h, c))
            return y, h, c

    assert streamrnn.from_torch(Three()).output_size == 9


def test_the_module_is_left_as_it_was():
    module = sequential(nn.LSTM(3, 8), nn.Dropout(0.5), nn.Linear(8, 2)).train()
    before = copy.deepcopy(module.state_dict())
    generator, n_threads = torch.get_rng_state(), torch.get_num_threads()
    streamrnn.from_torch(module)
    assert all(part.training for part in module.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert torch.equal(generator, torch.get_rng_state())
    assert torch.get_num_threads() == n_threads


def test_the_certificate_says_what_was_compared():
    certificate = streamrnn.from_torch(nn.LSTM(3, 8)).card.certificate
    assert certificate["framework"] == f"torch {torch.__version__}"
    assert certificate["n_frames"] == certificate["n_compared"] == 256
    assert certificate["call"] == "module(x (T, 1, 3))"
    assert certificate["reading"] == "lstm"
    assert certificate["chunkings"] == [256, 7, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_widened(dtype):
    module = nn.GRU(3, 8).to(dtype)
    model = streamrnn.from_torch(module)
    assert same_bits(model.tensors["gru.weight_ih"], module.weight_ih_l0.detach().float().numpy())
    assert module.weight_ih_l0.dtype == dtype


def test_a_card_is_kept_and_its_certificate_replaced():
    card = streamrnn.Card(name="vad", labels=("no", "yes"), certificate={"max_abs_error": 7.0})
    kept = streamrnn.from_torch(nn.Linear(3, 2), card=card).card
    assert (kept.name, kept.labels) == ("vad", ("no", "yes"))
    assert kept.certificate["max_abs_error"] < 1e-5


def test_a_normaliser_is_compared_on_frames_of_its_own_scale():
    """On unit frames the cell behind it would saturate, and any error would pass."""

    class Hot(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", torch.tensor([0.01]))
            self.register_buffer("shift", torch.tensor([-50.0]))

        def forward(self, x):
            return x * self.scale + self.shift

    Hot.__name__ = "Affine"
    model = streamrnn.from_torch(sequential(Hot(), nn.RNN(1, 4)))
    assert 0.5 < model.card.certificate["max_abs_output"] < 1


class TestExample:
    """`example` says how the module is called."""

    def test_its_shape_is_the_call(self):
        model = streamrnn.from_torch(nn.LSTM(3, 8), example=torch.randn(20, 1, 3))
        assert model.card.certificate["call"] == "module(x (T, 1, 3), ...)"

    def test_it_may_carry_a_state(self):
        example = (torch.randn(1, 5), torch.zeros(1, 9))

        class Cell(nn.Module):
            def __init__(self):
                super().__init__()
                self.i2h = nn.Linear(5 + 9, 9)
                self.i2o = nn.Linear(5 + 9, 3)

            def forward(self, x, h):
                both = torch.cat((x, h), 1)
                return self.i2o(both), torch.tanh(self.i2h(both))

        assert "stepwise" in streamrnn.from_torch(Cell(), example=example).card.certificate["call"]

    def test_frames_are_drawn_like_it(self):
        example = torch.randn(50, 1, 3) * 4 + 100
        model = streamrnn.from_torch(nn.Linear(3, 2), example=example)
        assert model.card.certificate["max_abs_output"] > 10

    @pytest.mark.parametrize("example", [torch.zeros(4, 2, 3), torch.zeros(5, 1, 7), "x"], ids=["batch", "size", "str"])
    def test_what_is_no_sequence_is_refused(self, example):
        with pytest.raises(streamrnn.errors.OptionError, match="example"):
            streamrnn.from_torch(nn.LSTM(3, 8), example=example)


def test_importing_the_package_does_not_import_torch():
    import subprocess
    import sys

    code = "import sys, streamrnn; streamrnn.from_torch; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
