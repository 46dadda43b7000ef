"""Surnames as tokens of a generator: first the language, then the characters, then the end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.sets.names import Surname, Surnames
from training.text.likelihood import UNKNOWN
from training.text.padded import in_lanes, pad
from training.text.surnames_read import END

MAX_CHARS = 20
"""Of a name, as the longest one has."""


class Tokens:
    """Token ids: the characters, the end, and one for each language.

    Attributes:
        labels: what each token is called: a character, END, or a language.
        end: the token behind a name.
    """

    def __init__(self, surnames: Surnames) -> None:
        self.labels = (*surnames.symbols, END, *surnames.languages)
        self.end = len(surnames.symbols)
        self._index = {label: i for i, label in enumerate(self.labels)}

    def language(self, language: str) -> int:
        """The token that asks for a name of this language."""
        return self._index[language]

    def ids(self, name: Surname) -> list[int]:
        """Give a whole name: its language, its characters, the end."""
        return [self.language(name.language), *(self._index[symbol] for symbol in name.text), self.end]

    def text(self, tokens: Sequence[int]) -> str | None:
        """Give the name that tokens behind the language spell, or None: it has no end, or a language in its midst."""
        if not tokens or tokens[-1] != self.end or any(token > self.end for token in tokens):
            return None
        return "".join(self.labels[token] for token in tokens[:-1])

    def frames(self, name: Surname) -> NDArray[np.float32]:
        """Give what a session reads of a name: (n_chars + 1, 1) float32, language first, without the end."""
        return np.array(self.ids(name)[:-1], dtype=np.float32)[:, None]

    def padded(self, names: Sequence[Surname]) -> tuple[Tensor, Tensor]:
        """Give (ids, targets), both (n_names, 21) int64: the target is the next token, UNKNOWN behind the end."""
        ids = pad([self.ids(name)[:-1] for name in names], MAX_CHARS + 1, self.end)
        return ids, pad([self.ids(name)[1:] for name in names], MAX_CHARS + 1, UNKNOWN)


class Shuffled:
    """Epochs of all names in lanes, one behind another, in another order each time."""

    def __init__(self, padded: tuple[Tensor, Tensor], n_lanes: int, generator: torch.Generator) -> None:
        self.ids, self.targets = padded
        self.n_lanes, self.generator = n_lanes, generator

    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Give (ids, targets), both (n_lanes, n_names // n_lanes * n_frames)."""
        order = torch.randperm(len(self.ids), generator=self.generator)
        return in_lanes(self.ids[order], self.n_lanes), in_lanes(self.targets[order], self.n_lanes)
