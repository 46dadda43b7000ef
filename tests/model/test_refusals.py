"""What cannot be streamed is refused by name, with the reason; what is not understood is never taken."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import streamrnn  # noqa: E402
from streamrnn.errors import OptionError, UnsupportedError  # noqa: E402
from tests.model.test_from_torch import sequential  # noqa: E402


class Sine(nn.Module):
    def forward(self, x):
        return torch.sin(x)


class TwoStreams(nn.Module):
    """A second argument that is no state, though zeros in its place would agree with a chain."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 6, batch_first=True)

    def forward(self, x, y):
        return self.gru(x)[0] + y


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
    "two streams": (TwoStreams, ["GRU at 'gru'", "not handed in", "time_dim"]),
    "bidirectional itself": (lambda: nn.GRU(4, 5, bidirectional=True), ["GRU itself", "come after"]),
    "attention": (lambda: nn.TransformerEncoderLayer(8, 2), ["TransformerEncoderLayer itself", "no longer has"]),
    "batch norm of the batch": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 1), nn.BatchNorm1d(4, track_running_stats=False)),
        ["BatchNorm1d at '1'", "running mean"],
    ),
    "instance norm": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 1), nn.InstanceNorm1d(4)),
        ["InstanceNorm1d at '1'", "time"],
    ),
    "transposed": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 1), nn.ConvTranspose1d(4, 4, 2, 2)),
        ["ConvTranspose1d at '1'", "more steps"],
    ),
    "lp pool": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 1), nn.AdaptiveAvgPool1d(3)),
        ["AdaptiveAvgPool1d at '1'", "one"],
    ),
    "unknown": (lambda: sequential(nn.Linear(3, 4), Sine()), ["Sine at '1'", "sin:", "not known", "from_state_dict"]),
    "softmax over time": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=0)), ["Softmax at '1'", "dimension 0"]),
    "bad affine": (lambda: nn.Sequential(Affine()), ["Affine at '0'", "(3, 2)"]),
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


class Reversed(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 5)
        self.fc = nn.Linear(5, 2)

    def forward(self, x):
        return self.fc(self.lstm(x.flip(0))[0])


class OverTime(Reversed):
    def forward(self, x):
        return torch.softmax(self.fc(self.lstm(x)[0]), 0)


class Shared(Reversed):
    def forward(self, x):
        return self.fc(self.lstm(x + x.mean())[0])


class Attends(Reversed):
    def forward(self, x):
        y = self.lstm(x)[0].transpose(0, 1)
        return y @ y.transpose(1, 2) @ y


class Sums(Reversed):
    def forward(self, x):
        return self.fc(self.lstm(x)[0]).cumsum(0)


class Loops(Reversed):
    def forward(self, x):
        return torch.stack([self.fc(self.lstm.weight_ih_l0[:5] @ x[t, 0]) for t in range(len(x))])


class Branches(Reversed):
    def forward(self, x):
        return self.fc(self.lstm(x)[0]) if x.sum() > 0 else self.lstm(x)[0]


class Keeps(Reversed):
    """A state in a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("last", torch.zeros(2))

    def forward(self, x):
        y = self.fc(self.lstm(x)[0]) + self.last
        self.last.copy_(y[-1, 0])
        return y


class Fails(Reversed):
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


NOT_UNDERSTOOD = {
    Reversed: ["Reversed itself", "flip: it turns the time round", "(T, 1, 3)"],
    OverTime: ["softmax over the time", "time_dim="],
    Shared: ["sums up the whole sequence"],
    Attends: ["matmul", "as in attention"],
    Sums: ["cumsum", "without end"],
    Loops: ["select", "give the module of one step"],
    Branches: ["torch.export"],
    Keeps: ["'last'", "as an argument"],
    Fails: ["agrees with none of", "module(x (T, 1, 3))", "no such thing", "from_state_dict"],
}


@pytest.mark.parametrize("kind", NOT_UNDERSTOOD)
def test_a_forward_that_is_not_understood_is_refused(kind):
    torch.manual_seed(0)
    with pytest.raises(UnsupportedError) as refusal:
        streamrnn.from_torch(kind())
    for word in NOT_UNDERSTOOD[kind]:
        assert word in refusal.value.message


def test_an_example_narrows_what_is_tried():
    with pytest.raises(OptionError, match="example") as refusal:
        streamrnn.from_torch(Fails(), example=torch.zeros(5, 1, 3))
    assert "(T, 1, 3)" in refusal.value.message
    assert "(1, T, 3)" not in refusal.value.message


def test_a_state_that_starts_elsewhere_is_refused():
    torch.manual_seed(0)
    with pytest.raises(UnsupportedError, match=r"initHidden\(\)"):
        streamrnn.from_torch(StartsElsewhere())


def test_a_module_that_cannot_be_copied_is_refused():
    module = nn.Sequential(nn.Linear(3, 4))
    module.kept = module[0](torch.zeros(1, 3))  # part of a graph: torch refuses to copy it
    with pytest.raises(UnsupportedError, match="cannot be copied"):
        streamrnn.from_torch(module)
