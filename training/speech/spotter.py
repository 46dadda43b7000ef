"""Spotter: a net that gives, 50 times a second, the probability of each word to have just ended.

A causal convolution takes two hops of 10 ms at a time, two layers of GRU remember. In training it goes over lanes with
its state carried from window to window; what is served and what is judged offline is `Posteriors`, its other form.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import streamrnn
from streamrnn import Frontend
from training.frontend import FrontendModule
from training.speech.soundtrack import Floats, Spoken

RATE_HZ = 16000
HOPS = 2
"""Hops of 10 ms in a frame."""
FRAME_SAMPLES = 320
FRAMES_PER_S = RATE_HZ / FRAME_SAMPLES
KERNEL = 5
IGNORED = -100

FRONTEND = Frontend(
    sample_rate_hz=RATE_HZ, frame_length_ms=20.0, window="hann_periodic", align="causal", remove_dc=False,
    preemphasis=0.0, round_to_power_of_two=False, n_mels=32, low_hz=60.0, high_hz=7000.0, mel_scale="slaney",
    log_floor=1e-6, input_scale=1.0,
)  # fmt: skip
"""Log mel energies, not normalised: 20 ms windows of 320 points, which keeps the matrices of the model file small."""

Carried = tuple[Tensor, Tensor] | None


class Spotter(nn.Module):
    """Normalised features (n_lanes, n_frames, 2 * n_features) to log-probabilities (n_lanes, n_frames, n_labels)."""

    def __init__(self, n_features: int, n_labels: int, n_channels: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_features, n_channels, KERNEL, stride=HOPS)
        self.gru = nn.GRU(n_channels, hidden_size, num_layers=2, dropout=dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden_size, n_labels)

    def forward(self, x: Tensor, state: Carried = None) -> tuple[Tensor, Carried]:
        """Map frames and the state before them to outputs and the state after: the last hops, and the GRU's."""
        hops = x.reshape(x.shape[0], x.shape[1] * HOPS, -1)
        past, h = (hops.new_zeros(x.shape[0], KERNEL - HOPS, hops.shape[-1]), None) if state is None else state
        hops = torch.cat([past, hops], 1)
        heard, h = self.gru(self.dropout(self.heard(hops)), h)
        return self.fc(self.dropout(heard)).log_softmax(-1), (hops[:, HOPS - KERNEL :], h)

    def heard(self, hops: Tensor) -> Tensor:
        """Convolve hops (n, n_hops + 3, n_features), the first 3 of the past, to (n, n_hops / 2, n_channels)."""
        convolved: Tensor = self.conv(hops.transpose(1, 2))
        return torch.relu(convolved).transpose(1, 2)


class Posteriors(nn.Module):
    """A spotter over whole recordings: features (1, n_hops, n_features) to probabilities (1, n_hops / 2, n_labels)."""

    def __init__(self, net: Spotter) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Map the features of a recording, an even number of hops."""
        padded = nn.functional.pad(x, (0, 0, KERNEL - HOPS, 0))
        h, _ = self.net.gru(self.net.heard(padded))
        return torch.softmax(self.net.fc(h), dim=-1)


def model_of(net: Spotter, frontend: Frontend, card: streamrnn.Card) -> streamrnn.Model:
    """The served model: a frame is 320 samples, an output the probability of each label.

    Raises:
        UnsupportedError: the engine and PyTorch disagree.
    """
    example = torch.randn(1, 64, frontend.size, generator=torch.Generator().manual_seed(0))
    model = streamrnn.from_torch(Posteriors(net).eval(), card=card, example=example)
    return streamrnn.with_frontend(model, frontend)


class OfflineSpotter:
    """The same in PyTorch, over whole recordings at once."""

    def __init__(self, net: Spotter, frontend: Frontend) -> None:
        """Take the trained net and its normalised front end."""
        self.features, self.posteriors = FrontendModule(frontend), Posteriors(net).eval()

    @torch.no_grad()
    def __call__(self, samples: Floats) -> Floats:
        """Map samples (n,) to probabilities (n // 320, n_labels) float32."""
        whole = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]
        outputs = self.posteriors(self.features(torch.from_numpy(whole)[None]))[0].numpy()
        return np.asarray(outputs, dtype=np.float32)


def frames_of(samples: Floats) -> Floats:
    """Samples (n,) as frames (n // 320, 320); what does not fill the last one is left out."""
    return samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


def targets_of(
    spoken: Sequence[Spoken], n_frames: int, labels: Sequence[str], before_s: float = 0.06, after_s: float = 0.3
) -> NDArray[np.int64]:
    """The wanted label of each frame: label 0, and around the end of a word its own.

    Frames within a word, before its end, count neither way (`IGNORED`), nor do those of 0.1 s after its label.

    Args:
        spoken: the words; those of label 0 ask for nothing.
        n_frames: frames of 320 samples.
        labels: all of them.
        before_s: how long before a word's end its label is wanted.
        after_s: how long after it.

    Returns:
        (n_frames,) int64.
    """
    targets = np.zeros(n_frames, np.int64)
    ends_s = (np.arange(n_frames) + 1) / FRAMES_PER_S
    for one in spoken:
        label = labels.index(one.label)
        if label:
            start_s, end_s = one.start / RATE_HZ, one.end / RATE_HZ
            targets[(ends_s > start_s) & (ends_s <= end_s + after_s + 0.1) & (targets == 0)] = IGNORED
            targets[(ends_s >= end_s - before_s) & (ends_s <= end_s + after_s)] = label
    return targets


def negative_log_likelihood(output: Tensor, target: Tensor) -> Tensor:
    """The mean of -log p of the wanted labels; output (..., n_labels) log-probabilities, target (...) or `IGNORED`."""
    return nn.functional.nll_loss(output.flatten(0, -2), target.flatten(), ignore_index=IGNORED)
