"""Sentence pairs as rows of tokens, cut into epochs that `training.fit` can take: a window holds whole sentences."""

from collections.abc import Sequence

import torch
from torch import Tensor

from training.sets.tatoeba import Sentence
from training.translation.translator import END, GO, IGNORED
from training.translation.vocabulary import Vocabulary


class SentencePairs:
    """Each English sentence beside each of its translations; one that is too long is cut.

    Attributes:
        x: (n_pairs, n_slots + max_tokens) int64: source, END until all slots are there, GO, target, END to the end.
        target: the same shape: under GO and what follows it the token to be said next, else IGNORED.
        n_frames: of one row.
    """

    def __init__(self, sentences: Sequence[Sentence], vocabulary: Vocabulary, n_slots: int, max_tokens: int) -> None:
        """Make the rows: at most `n_slots` tokens are read, and `max_tokens` said, END among them."""
        self.n_frames = n_slots + max_tokens
        xs, targets = [], []
        for sentence in sentences:
            source = vocabulary.source_tokens(sentence.english)[:n_slots]
            for french in sentence.french:
                said = vocabulary.target_tokens(french)[: max_tokens - 1]
                n_left = max_tokens - 1 - len(said)
                xs.append([*source, *[END] * (n_slots - len(source)), GO, *said, *[END] * n_left])
                targets.append([*[IGNORED] * n_slots, *said, END, *[IGNORED] * n_left])
        self.x, self.target = torch.tensor(xs), torch.tensor(targets)

    def epoch(self, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """All pairs in a new order, less those that fill no batch: (batch_size, n_batches * n_frames), by windows.

        Args:
            batch_size: lanes, 1 .. n_pairs.
            generator: draws the order.
        """
        n_batches = len(self.x) // batch_size
        order = torch.randperm(len(self.x), generator=generator)[: n_batches * batch_size].reshape(n_batches, -1)
        x, target = (rows[order].transpose(0, 1).reshape(batch_size, -1) for rows in (self.x, self.target))
        return x, target
