"""Judged surnames: what a net answers to the test names, character by character and at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

import streamrnn
from training.sets.names import Surname
from training.streamed import frame_us, session_of
from training.tbptt import run
from training.text.surname_nets import Reader
from training.text.surnames_read import Alphabet, at_ends, labels_of


@dataclass(frozen=True)
class JudgedSurnames:
    """What one net answers to names: labels (n_names,), and how far engine and PyTorch are apart.

    Attributes:
        streaming, offline: the likeliest language at each name's end mark.
        by_length: characters typed -> share of the names of that length or more whose language is the likeliest then.
        n_parameters: of the net.
        max_abs_difference: largest difference of any of their outputs.
        frame_us: microseconds a frame takes.
    """

    streaming: NDArray[np.int64]
    offline: NDArray[np.int64]
    by_length: Mapping[str, float]
    n_parameters: int
    max_abs_difference: float
    frame_us: float

    @classmethod
    def of(
        cls,
        net: nn.Module,
        model: streamrnn.Model,
        names: Sequence[Surname],
        languages: Sequence[str],
        alphabet: Alphabet,
    ) -> JudgedSurnames:
        """Let a session read every name, each from its start, and PyTorch all at once."""
        truth = labels_of(names, languages)
        whole = run(Reader(net, len(alphabet.symbols)), alphabet.padded(names))
        session, ends, largest, by_length = session_of(model), [], 0.0, np.zeros((alphabet.n_frames, 2))
        for name, label, expected in zip(names, truth, whole.numpy(), strict=True):
            session.reset()
            outputs = session.run(alphabet.frames(name.text))
            largest = max(largest, float(np.abs(outputs - expected[: len(outputs)]).max()))
            ends.append(int(outputs[-1].argmax()))
            right = outputs[:-1].argmax(axis=1) == label
            by_length[: len(right)] += np.stack([right, np.ones(len(right))], axis=1)
        return cls(
            streaming=np.array(ends),
            offline=at_ends(whole, names).argmax(dim=-1).numpy(),
            by_length={str(n + 1): float(right / max(1.0, count)) for n, (right, count) in enumerate(by_length[:10])},
            n_parameters=sum(parameter.numel() for parameter in net.parameters()),
            max_abs_difference=largest,
            frame_us=frame_us(model, alphabet.frames(names[0].text)),
        )
