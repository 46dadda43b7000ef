"""What cannot be streamed is refused by name, with the reason; what is not understood is never taken."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations  # noqa: E402

import streamrnn  # noqa: E402
from streamrnn.errors import UnsupportedError  # noqa: E402
from tests.model.test_from_torch import sequential  # noqa: E402


def hooked(module):
    module.register_forward_hook(lambda *_: None)
    return module


class Own(nn.Module):
    """A layer with a tensor of its own."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)
        self.gain = nn.Parameter(torch.ones(4))

    def forward(self, x):
        return self.fc(x) * self.gain


class Affine(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.ones(3, 2))
        self.register_buffer("shift", torch.ones(3))


REFUSED = {
    "bidirectional": (
        lambda: sequential(nn.Linear(3, 4), nn.LSTM(4, 5, bidirectional=True)),
        ["LSTM at '1'", "bidirec"],
    ),
    "bidirectional itself": (lambda: nn.GRU(4, 5, bidirectional=True), ["GRU itself", "come after"]),
    "projection": (lambda: nn.LSTM(4, 8, proj_size=3), ["proj_size=3"]),
    "convolution": (lambda: nn.Sequential(nn.Conv1d(3, 4, 2)), ["Conv1d at '0'", "convolution"]),
    "batch norm": (lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), ["BatchNorm1d at '1'"]),
    "layer norm": (lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), ["LayerNorm at '1'"]),
    "attention": (lambda: nn.TransformerEncoderLayer(8, 2), ["TransformerEncoderLayer"]),
    "flatten": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3, 4)), ["Flatten at '0'", "shape"]),
    "gelu": (lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU()), ["GELU at '1'", "not known"]),
    "lstm cell": (lambda: nn.LSTMCell(3, 4), ["LSTMCell itself", "nn.LSTM"]),
    "softmax over time": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=0)), ["Softmax at '1'", "dimension 0"]),
    "own tensor": (lambda: Own(), ["Own itself", "'gain'"]),
    "bad affine": (lambda: nn.Sequential(Affine()), ["Affine at '0'", "(3, 2)"]),
    "hook": (lambda: nn.Sequential(hooked(nn.Linear(3, 4))), ["Linear at '0'", "hooks"]),
    "old weight norm": (
        lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4))),
        ["at '0'", "parametrized"],
    ),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(4)), ["at '0'", "run one forward"]),
    "meta": (lambda: nn.Linear(3, 4, device="meta"), ["'weight'", "meta"]),
    "max_norm": (lambda: nn.Embedding(5, 3, max_norm=1.0), ["Embedding itself", "max_norm"]),
    "embedding later": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Embedding(5, 3)), ["'1'", "not the first"]),
    "no weights": (lambda: nn.Sequential(nn.Tanh(), nn.ReLU()), ["how many values"]),
    "no layers": (lambda: nn.Sequential(), ["cannot be streamed"]),
    "sizes": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2)), ["'1'", "reads 5", "gives 4"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name_with_the_reason(name):
    make, words = REFUSED[name]
    with pytest.raises(UnsupportedError) as refusal:
        streamrnn.from_torch(make())
    assert refusal.value.code == "unsupported"
    for word in words:
        assert word in refusal.value.message


class Scaled(nn.Module):
    """Computes more than its layers tell."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 5)
        self.fc = nn.Linear(5, 2)

    def forward(self, x):
        return self.fc(self.lstm(x)[0]) * 1.01


class Reversed(Scaled):
    def forward(self, x):
        return self.fc(self.lstm(x.flip(0))[0])


class OverTime(Scaled):
    def forward(self, x):
        return torch.softmax(self.fc(self.lstm(x)[0]), 0)


class Shared(Scaled):
    def forward(self, x):
        return self.fc(self.lstm(x + x.mean())[0])


class SkipsOne(Scaled):
    def forward(self, x):
        return self.lstm(x)[0]


class Fails(Scaled):
    def forward(self, x):
        raise RuntimeError("no such thing")


class StartsElsewhere(nn.Module):
    """A hidden state that does not start at zero."""

    def __init__(self):
        super().__init__()
        self.i2h = nn.Linear(3 + 4, 4)
        self.i2o = nn.Linear(3 + 4, 2)

    def forward(self, x, h):
        both = torch.cat((x, h), 1)
        return self.i2o(both), torch.tanh(self.i2h(both))

    def initHidden(self):
        return torch.ones(1, 4)


@pytest.mark.parametrize("kind", [Scaled, Reversed, OverTime, Shared, SkipsOne, Fails])
def test_a_forward_that_is_not_understood_is_refused(kind):
    torch.manual_seed(0)
    with pytest.raises(UnsupportedError) as refusal:
        streamrnn.from_torch(kind())
    text = refusal.value.message
    assert "agrees with none of" in text
    assert "module(x (T, 1, 3))" in text
    assert "from_state_dict" in text
    assert ("no such thing" in text) == (kind is Fails)


def test_an_example_narrows_what_is_tried():
    with pytest.raises(UnsupportedError) as refusal:
        streamrnn.from_torch(Scaled(), example=torch.zeros(5, 1, 3))
    assert refusal.value.message.count("module(x") == 1


def test_a_state_that_starts_elsewhere_is_refused():
    torch.manual_seed(0)
    with pytest.raises(UnsupportedError, match=r"initHidden\(\)"):
        streamrnn.from_torch(StartsElsewhere())


def test_a_module_that_cannot_be_copied_is_refused():
    module = nn.Sequential(nn.Linear(3, 4))
    module.kept = module[0](torch.zeros(1, 3))  # part of a graph: torch refuses to copy it
    with pytest.raises(UnsupportedError, match="cannot be copied"):
        streamrnn.from_torch(module)
