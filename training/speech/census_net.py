"""The recogniser of AN4: cepstra in, log-probabilities of a blank and 99 words out (CTC)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.modules import Standardise

STRIDE = 3
"""Steps of 10 ms in a frame."""
BLANK_NAME = "<blank>"


class CensusNet(nn.Module):
    """Two causal convolutions that stride to 30 ms, two GRUs, linear, log-softmax.

    In training the first GRU also tells phones, by an outlet of its own: words share them, and are too rare alone.
    """

    def __init__(
        self,
        means: Sequence[float],
        deviations: Sequence[float],
        n_words: int,
        n_phones: int,
        channels: Sequence[int],
        hidden: Sequence[int],
        dropout: float,
    ) -> None:
        """Take the moments of each cepstrum, and the sizes of the layers; both outlets have a blank besides."""
        super().__init__()
        self.normalise = Standardise(means, deviations)
        self.pad1 = nn.ConstantPad1d((9 - STRIDE, 0), 0.0)  # the last window ends with its frame: no delay
        self.conv1 = nn.Conv1d(len(means), channels[0], 9, stride=STRIDE)
        self.norm1 = nn.BatchNorm1d(channels[0])
        self.pad2 = nn.ConstantPad1d((2, 0), 0.0)
        self.conv2 = nn.Conv1d(channels[0], channels[1], 3)
        self.norm2 = nn.BatchNorm1d(channels[1])
        self.gru1 = nn.GRU(channels[1], hidden[0], batch_first=True)
        self.gru2 = nn.GRU(hidden[0], hidden[1], batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.words = nn.Linear(hidden[1], 1 + n_words)
        self.phones = nn.Linear(hidden[0], 1 + n_phones)
        self.log_softmax = nn.LogSoftmax(dim=-1)

    def sounds(self, normalised: Tensor) -> Tensor:
        """Map (batch, 3 n, 13) to what the first GRU makes of it, (batch, n, hidden[0])."""
        x = torch.relu(self.norm1(self.conv1(self.pad1(normalised.transpose(1, 2)))))
        x = torch.relu(self.norm2(self.conv2(self.pad2(self.dropout(x)))))
        heard, _ = self.gru1(self.dropout(x.transpose(1, 2)))
        dropped: Tensor = self.dropout(heard)
        return dropped

    def judged(self, sounds: Tensor) -> tuple[Tensor, Tensor]:
        """The log-probabilities of words and of phones, (batch, n, 1 + n_words) and (batch, n, 1 + n_phones)."""
        heard, _ = self.gru2(sounds)
        return self.log_softmax(self.words(self.dropout(heard))), self.log_softmax(self.phones(sounds))

    def forward(self, features: Tensor) -> Tensor:
        """Map cepstra (batch, 3 n, 13) to log-probabilities of words (batch, n, 1 + n_words)."""
        heard, _ = self.gru2(self.sounds(self.normalise(features)))
        outputs: Tensor = self.log_softmax(self.words(self.dropout(heard)))
        return outputs
