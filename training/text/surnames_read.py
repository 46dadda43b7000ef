"""Surnames as token ids: padded for training, and one by one for a session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.sets.names import Surname, Surnames
from training.text.likelihood import UNKNOWN, negative_log_likelihood
from training.text.padded import in_lanes, pad

END = "end"
"""The mark behind a name's last character: with it the net knows that `ov` was the ending."""


class Alphabet:
    """Token ids of the characters, and of the mark behind them, which is the last one.

    Attributes:
        symbols: the characters, then END.
        n_frames: of the longest name, with its mark.
    """

    def __init__(self, surnames: Surnames) -> None:
        self.symbols = (*surnames.symbols, END)
        self._index = {symbol: i for i, symbol in enumerate(self.symbols)}
        every = (*surnames.train, *surnames.validation, *surnames.test)
        self.n_frames = max(len(name.text) for name in every) + 1

    def ids(self, text: str) -> list[int]:
        """Give the ids of a name's characters and of the mark behind them."""
        return [self._index[symbol] for symbol in (*text, END)]

    def padded(self, names: Sequence[Surname]) -> Tensor:
        """Give names as ids (n_names, n_frames) int64, the mark repeated to the end."""
        return pad([self.ids(name.text) for name in names], self.n_frames, len(self.symbols) - 1)

    def frames(self, text: str) -> NDArray[np.float32]:
        """Give a name as a session reads it: (n_chars + 1, n_symbols) float32, a one in each row."""
        return np.eye(len(self.symbols), dtype=np.float32)[self.ids(text)]


def labels_of(names: Sequence[Surname], languages: Sequence[str]) -> NDArray[np.int64]:
    """Give each name's language as its index, (n_names,)."""
    return np.array([languages.index(name.language) for name in names])


def at_ends(outputs: Tensor, names: Sequence[Surname]) -> Tensor:
    """Pick the outputs to the marks: (n_names, n_frames, n) to (n_names, n)."""
    return outputs[torch.arange(len(names)), torch.tensor([len(name.text) for name in names])]


class Drawn:
    """Epochs of names in lanes, drawn so that rare languages are not forgotten.

    A language of n names is drawn in proportion to n ** (1 - balance): 0 as they are, 1 all languages alike.
    """

    def __init__(
        self, surnames: Surnames, alphabet: Alphabet, n_lanes: int, balance: float, generator: torch.Generator
    ) -> None:
        names, self.n_lanes, self.generator = surnames.train, n_lanes, generator
        counts = Counter(name.language for name in names)
        self.weights = torch.tensor([counts[name.language] ** -balance for name in names])
        self.ids = alphabet.padded(names)
        labels = torch.tensor(labels_of(names, surnames.languages))[:, None]
        within = torch.arange(alphabet.n_frames) <= torch.tensor([len(name.text) for name in names])[:, None]
        self.targets = torch.where(within, labels, UNKNOWN)

    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Give (ids, targets), as many names as there are, one behind another in lanes; the target is the language."""
        drawn = torch.multinomial(self.weights, len(self.weights), replacement=True, generator=self.generator)
        return in_lanes(self.ids[drawn], self.n_lanes), in_lanes(self.targets[drawn], self.n_lanes)


def reading_loss(output: Tensor, target: Tensor) -> Tensor:
    """Give the loss of whole names: half of it that of the marks, half that of every frame, so that early ones count.

    Args:
        output: (n_names, n_frames, n_languages) log-probabilities.
        target: (n_names, n_frames) int64, UNKNOWN behind the mark.
    """
    ends = torch.where(before_mark(target), UNKNOWN, target)
    return 0.5 * negative_log_likelihood(output, ends) + 0.5 * negative_log_likelihood(output, target)


def foretelling_loss(output: Tensor, target: Tensor) -> Tensor:
    """Give the loss of whole names, and half of that of their characters and marks as the net foretold them.

    Args:
        output: (n_names, n_frames, n_languages + 1) log-probabilities, the last one that of the next character.
        target: (n_names, n_frames) int64, UNKNOWN behind the mark.
    """
    return reading_loss(output[..., :-1], target) - 0.5 * output[..., -1][before_mark(target)].mean()


def before_mark(target: Tensor) -> Tensor:
    """Say which frames of targets (n_names, n_frames) are a character's: not the mark's, and not behind it."""
    return torch.nn.functional.pad(target[:, 1:], (0, 1), value=UNKNOWN) != UNKNOWN
