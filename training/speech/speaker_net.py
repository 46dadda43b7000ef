"""Speaker net: who speaks, by a running mean over all that was heard, and an embedding that tells strangers apart.

Each frame goes through a GRU; a gate weighs it; the weighted mean of all frames so far is cut to length 1 and compared
with one direction a speaker. In training every frame of a short piece is judged; what is served and what is judged
offline is `Listener`, which answers once for a whole recording, and in a session after each frame for all so far.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.modules import Affine

IGNORED = -100
SCALE = 16.0
"""Cosines are multiplied by it before the softmax; a margin needs it. Source: Wang et al. 2018, "CosFace", 3.1."""
LEAST = 1e-6


class SpeakerNet(nn.Module):
    """Features (n_lanes, n_frames, n_features) of pieces to log-probabilities (n_lanes, n_frames, n_speakers).

    Every piece begins afresh: no state is handed on.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        n_speakers: int,
        hidden_size: int,
        embedding_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        scale = 1.0 / torch.tensor(std)
        self.normalise = Affine(scale, -torch.tensor(mean) * scale)
        self.gru = nn.GRU(len(mean), hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.gate = nn.Linear(hidden_size, 1)
        self.embed = nn.Linear(hidden_size, embedding_size)
        self.speakers = nn.Linear(embedding_size, n_speakers, bias=False)

    def forward(self, x: Tensor, state: None = None) -> tuple[Tensor, None]:
        """Map pieces to what is known after each frame."""
        h, weight = self.weighed(x)
        pooled = (weight * h).cumsum(1) / weight.cumsum(1)
        return self.log_probabilities(self.embedding(self.dropout(pooled))), None

    def weighed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The hidden states of all frames, and how much each counts: (..., hidden_size) and (..., 1) in 0 .. 1."""
        h, _ = self.gru(self.normalise(x))
        return h, torch.sigmoid(self.gate(h)) + LEAST

    def embedding(self, pooled: Tensor) -> Tensor:
        """A vector of length 1."""
        return nn.functional.normalize(self.embed(pooled), dim=-1)

    def log_probabilities(self, embedding: Tensor) -> Tensor:
        """Of each speaker of the training."""
        directions = nn.functional.normalize(self.speakers.weight, dim=-1)
        return (SCALE * nn.functional.linear(embedding, directions)).log_softmax(-1)


class Listener(nn.Module):
    """A speaker net over whole recordings: features (1, n_frames, n_features) to heads `embedding` and `speaker`."""

    def __init__(self, net: SpeakerNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map the features of a recording to (1, embedding_size) and (1, n_speakers)."""
        h, weight = self.net.weighed(x)
        embedding = self.net.embedding((weight * h).mean(1) / weight.mean(1))
        return {"embedding": embedding, "speaker": self.net.log_probabilities(embedding)}


def loss(output: Tensor, target: Tensor) -> Tensor:
    """The mean of -log p of the speakers; output (..., n_speakers), target (...) or `IGNORED` where a piece begins."""
    return nn.functional.nll_loss(output.flatten(0, -2), target.flatten(), ignore_index=IGNORED)
