"""Connectionist temporal classification: its loss, and when each label of the greedy reading is said.

Source: Graves et al. 2006, "Connectionist temporal classification", sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streamrnn.decode import CtcSettings, Facts, make_decoder

SETTINGS = CtcSettings(endpoint=None, partials=False, max_symbols=10_000)
"""One utterance, told at its end."""
BLANK = 0
"""Output 0 is the blank; output k is label k - 1."""


@dataclass(frozen=True)
class Emission:
    """A label that was read, and the output at which it first stood."""

    label: int
    frame: int


def greedy(outputs: NDArray[np.float32]) -> list[Emission]:
    """Read a whole sequence of outputs (n_frames, 1 + n_labels): what a session with a greedy decoder tells of it."""
    n_frames, n_outputs = outputs.shape
    names = tuple(str(i - 1) for i in range(n_outputs))
    decoder = make_decoder(SETTINGS, Facts(1, n_outputs, names))
    events = decoder.feed(0, np.zeros((n_frames, 1), np.float32), outputs) + decoder.finish(n_frames)
    return [Emission(int(word.text), word.first_seq) for event in events for word in event.words]


def ctc_loss(
    log_probabilities: Tensor, labels: Sequence[Sequence[int]], n_outputs: Sequence[int] | None = None
) -> Tensor:
    """Mean of -log p(labels) a label over a batch, in nats; an empty target counts as one label.

    Args:
        log_probabilities: (batch, n_frames, 1 + n_labels); silence counts, too.
        labels: of each sequence.
        n_outputs: of each sequence, how many frames count, the rest being padding; None: all.
    """
    n_batch, n_frames, _ = log_probabilities.shape
    flat = torch.tensor([label + 1 for one in labels for label in one], dtype=torch.int64)
    n_labels = torch.tensor([len(one) for one in labels])
    lengths = torch.full((n_batch,), n_frames) if n_outputs is None else torch.tensor(n_outputs)
    losses = nn.functional.ctc_loss(
        log_probabilities.transpose(0, 1), flat, lengths, n_labels, BLANK,
        reduction="none", zero_infinity=True,
    )  # fmt: skip
    return (losses / n_labels.clamp(min=1)).mean()


def end_loss(
    log_probabilities: Tensor, labels: Sequence[Sequence[int]], ends: Sequence[Sequence[int]], n_marked: int
) -> Tensor:
    """Mean of -log p of the label at the outputs before each known end and of the blank elsewhere, both alike in all.

    What CTC finds out for itself, and slowly: where a label stands. It is what a training begins with.

    Args:
        log_probabilities: (batch, n_frames, 1 + n_labels).
        labels: of each sequence.
        ends: of each sequence, the output at which each label ends; a sequence with labels and no ends is left out.
        n_marked: outputs, up to and with that one, which stand for the label.
    """
    target = torch.zeros(log_probabilities.shape[:2], dtype=torch.int64)
    is_known = torch.tensor([len(some) == len(where) for some, where in zip(labels, ends, strict=True)])
    for i, (some, where) in enumerate(zip(labels, ends, strict=True)):
        for label, end in zip(some, where, strict=False):
            target[i, max(0, end - n_marked + 1) : end + 1] = label + 1
    losses = -log_probabilities.gather(-1, target[..., None])[..., 0]
    is_label, is_blank = (target != BLANK) & is_known[:, None], (target == BLANK) & is_known[:, None]
    of_labels, of_blanks = ((losses * some).sum() / some.sum().clamp(min=1) for some in (is_label, is_blank))
    return (of_labels + of_blanks) / 2
