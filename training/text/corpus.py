"""Corpus: one long text, its symbols and its parts, as token ids for a language model."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.data import split_contiguous
from training.tbptt import fold


@dataclass(frozen=True)
class Corpus:
    """The text, its symbols in order of their code points, and its parts."""

    text: str
    symbols: str
    train: slice
    validation: slice
    test: slice

    @classmethod
    def of(cls, text: str, n_chars: int | None = None) -> "Corpus":
        """Part a text, or only its first `n_chars`; the symbols are those of all of it."""
        kept = text[:n_chars]
        return cls(kept, "".join(sorted(set(text))), *split_contiguous(len(kept)))

    def ids(self, part: slice) -> Tensor:
        """Give a part as token ids, (n_chars,) int64."""
        index = {symbol: i for i, symbol in enumerate(self.symbols)}
        return torch.tensor([index[symbol] for symbol in self.text[part]])


class Epochs:
    """Epochs of one text in lanes, each cut a little elsewhere, so that windows do not always end at the same place."""

    def __init__(self, ids: Tensor, n_lanes: int, window_frames: int, generator: torch.Generator) -> None:
        """Take ids: (n_chars,) int64, more than `n_lanes` lanes of 2 windows."""
        self.ids, self.n_lanes, self.window_frames, self.generator = ids, n_lanes, window_frames, generator
        self.n_frames = ((len(ids) - 1 - window_frames) // n_lanes) // window_frames * window_frames

    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Give (x, target), both (n_lanes, n_frames) int64; the target is the next token."""
        start = int(torch.randint(0, self.window_frames, (1,), generator=self.generator))
        stop = start + self.n_frames * self.n_lanes
        return fold(self.ids[start:stop], self.n_lanes), fold(self.ids[start + 1 : stop + 1], self.n_lanes)
