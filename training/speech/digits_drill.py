"""What the recogniser of digits trains on: real and synthetic speakers mixed, and a loss that carries states along."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from training.sets.fsdd import RATE_HZ, WORDS, Clip
from training.speech.connected import Floats, Speaker
from training.speech.ctc import ctc_loss, end_loss
from training.speech.digit_voices import SyntheticSpeech
from training.speech.digits_net import FRAME, DigitsNet, Recogniser, States
from training.speech.disturbance import Disturbance, masked
from training.speech.mixture import Mixture, Source

N_BATCH = 32
SEQUENCE_S, TRAILING_S = 4.2, 0.5
N_MARKED = 6
"""Outputs that stand for a word at its end, while training begins: 120 ms."""


def speakers_of(clips: Sequence[Clip]) -> dict[str, Speaker]:
    """The clips of each speaker by digit."""
    speakers: dict[str, list[list[Floats]]] = {}
    for clip in sorted(clips, key=lambda clip: (clip.speaker, clip.digit, clip.index)):
        speakers.setdefault(clip.speaker, [[] for _ in WORDS])[clip.digit].append(clip.samples)
    return dict(speakers)


def mixture_of(clips: Sequence[Clip], synthetic: SyntheticSpeech | None) -> Mixture:
    """Real speakers for three fifths; the rest synthetic speech where there is some, other words, and no speech."""
    sources = [Source(0.6 if synthetic else 0.85, speakers=list(speakers_of(clips).values()))]
    if synthetic:
        sources += [
            Source(0.1, speakers=synthetic.speakers),
            Source(0.13, phrases=synthetic.phrases),
            Source(0.06, phrases=synthetic.other),
        ]
    return Mixture(sources, int(SEQUENCE_S * RATE_HZ), int(TRAILING_S * RATE_HZ), Disturbance())


class Drill:
    """The loss of a fresh batch; half of its sequences begin with the states that others of the last batch ended with.

    So the net learns that a session goes on for hours, though a sequence lasts four seconds. At first it is told where
    words end, less and less over `n_told` steps: alone, CTC has not found that out after a thousand.
    """

    def __init__(self, mixture: Mixture, recogniser: Recogniser, generator: torch.Generator, n_told: int) -> None:
        self.mixture, self.recogniser, self.generator, self.n_told = mixture, recogniser, generator, n_told
        self.n_steps = 0
        self.rng = np.random.default_rng(generator.initial_seed())
        self.states: States | None = None

    def __call__(self, net: DigitsNet) -> Tensor:
        """Draw a batch and give the loss."""
        batch = self.mixture.batch(N_BATCH, self.rng)
        features = masked(self.recogniser.features(batch.samples), self.generator)
        outputs, (h1, h2) = net.continued(features, self._before())
        self.states = (h1.detach(), h2.detach())
        told = max(0.0, 1.0 - self.n_steps / self.n_told)
        self.n_steps += 1
        ends = [[end // FRAME for end in some] for some in batch.ends]
        told_loss = end_loss(outputs, batch.labels, ends, N_MARKED) if told else 0.0
        return (1.0 - told) * ctc_loss(outputs, batch.labels) + told * told_loss

    def _before(self) -> States | None:
        if self.states is None:
            return None
        order = torch.randperm(N_BATCH, generator=self.generator)
        goes_on = (torch.rand(N_BATCH, 1, generator=self.generator) < 0.5).float()
        h1, h2 = self.states
        return h1[:, order] * goes_on, h2[:, order] * goes_on


class Examination:
    """The loss over a few batches that stay the same."""

    def __init__(self, mixture: Mixture, recogniser: Recogniser, n_batches: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        drawn = [mixture.batch(N_BATCH, rng) for _ in range(n_batches)]
        self.batches = [(recogniser.features(batch.samples), batch.labels) for batch in drawn]

    @torch.no_grad()
    def __call__(self, net: DigitsNet) -> float:
        """Mean loss a label, in nats."""
        return float(np.mean([float(ctc_loss(net(features), labels)) for features, labels in self.batches]))
