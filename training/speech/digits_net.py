"""The recogniser of digits: a log mel front end and a small recurrent net with CTC outputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from msgspec.structs import replace
from torch import Tensor, nn

import streamrnn
from streamrnn.model.frontend.frontend import parse_frontend
from training.frontend import FrontendModule
from training.sets.fsdd import RATE_HZ, WORDS

LOGMEL = replace(parse_frontend(f"logmel40@{RATE_HZ}"), log_floor=1e-7)
"""Causal windows of 25 ms every 10 ms; the floor makes digital silence look like a quiet room."""
STRIDE = 2
FRAME = STRIDE * LOGMEL.hop
"""Samples in a frame: 20 ms."""
LABELS = ("<blank>", *WORDS)

States = tuple[Tensor, Tensor]


class DigitsNet(nn.Module):
    """Two causal convolutions, two GRUs, linear, log-softmax: normalised features to log-probabilities."""

    def __init__(self, channels: Sequence[int], hidden: Sequence[int], dropout: float = 0.1) -> None:
        super().__init__()
        self.pad1 = nn.ConstantPad1d((5 - STRIDE, 0), 0.0)  # the last window ends with its frame: no delay
        self.conv1 = nn.Conv1d(LOGMEL.size, channels[0], 5, stride=STRIDE)
        self.norm1 = nn.BatchNorm1d(channels[0])
        self.pad2 = nn.ConstantPad1d((2, 0), 0.0)
        self.conv2 = nn.Conv1d(channels[0], channels[1], 3)
        self.norm2 = nn.BatchNorm1d(channels[1])
        self.gru1 = nn.GRU(channels[1], hidden[0], batch_first=True)
        self.gru2 = nn.GRU(hidden[0], hidden[1], batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden[1], len(LABELS))
        self.log_softmax = nn.LogSoftmax(dim=-1)

    def continued(self, features: Tensor, states: States | None) -> tuple[Tensor, States]:
        """Map features (batch, 2 n, 40) and the states before them to outputs (batch, n, 11) and the states after."""
        x = torch.relu(self.norm1(self.conv1(self.pad1(features.transpose(1, 2)))))
        x = torch.relu(self.norm2(self.conv2(self.pad2(x)))).transpose(1, 2)
        x, h1 = self.gru1(x, states[0] if states else None)
        x, h2 = self.gru2(x, states[1] if states else None)
        return self.log_softmax(self.fc(self.dropout(x))), (h1, h2)

    def forward(self, features: Tensor) -> Tensor:
        """The same from a fresh state, and without the states after."""
        return self.continued(features, None)[0]


class Recogniser(nn.Module):
    """From samples to log-probabilities, over whole recordings; `as_model` is the same for streams."""

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], channels: Sequence[int], hidden: Sequence[int]
    ) -> None:
        """Take the mean and deviation of each of the 40 features, and the sizes of the layers."""
        super().__init__()
        self.chosen = replace(LOGMEL, normalisation="fixed", mean=tuple(mean), std=tuple(std))
        self.frontend = FrontendModule(self.chosen)
        self.net = DigitsNet(channels, hidden)

    @torch.no_grad()
    def features(self, samples: Tensor) -> Tensor:
        """Normalised features (batch, n, 40) of samples (batch, n_samples)."""
        features: Tensor = self.frontend(samples)
        return features

    def forward(self, samples: Tensor) -> Tensor:
        """Log-probabilities (batch, n, 11) of samples (batch, n * 160)."""
        outputs: Tensor = self.net(self.features(samples))
        return outputs

    def as_model(self, card: streamrnn.Card) -> streamrnn.Model:
        """The model whose frames are 160 samples; the net in it is proved equal to PyTorch.

        Raises:
            UnsupportedError: the import differs from PyTorch.
        """
        return streamrnn.with_frontend(streamrnn.from_torch(self.net.eval(), card=card), self.chosen)


def measured(samples: Tensor) -> tuple[list[float], list[float]]:
    """Mean and deviation of each feature over samples (batch, n_samples), for `Recogniser`."""
    features = FrontendModule(LOGMEL)(samples).flatten(0, 1).double()
    return features.mean(0).tolist(), features.std(0).tolist()
