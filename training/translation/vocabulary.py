"""The tokens of a translator: what it may say first, then the token that begins a sentence, then what it reads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from training.translation.pieces import Pieces
from training.translation.translator import END, GO, N_MARKS


@dataclass(frozen=True)
class Vocabulary:
    """Pieces of both languages as tokens of one net.

    Attributes:
        source: pieces that are read.
        target: pieces that are said.
    """

    source: Pieces
    target: Pieces

    @classmethod
    def learn(cls, sources: Iterable[str], targets: Iterable[str], n_merges: int) -> "Vocabulary":
        """Learn both sides' pieces, at most `n_merges` each."""
        return cls(Pieces.learn(sources, n_merges), Pieces.learn(targets, n_merges))

    @property
    def n_targets(self) -> int:
        """Tokens that may be said; the token of that number begins a sentence."""
        return N_MARKS + len(self.target.vocabulary)

    @property
    def n_tokens(self) -> int:
        """All of them."""
        return self.n_targets + 1 + len(self.source.vocabulary)

    @property
    def labels(self) -> tuple[str, ...]:
        """What each output stands for."""
        return ("<end>", "<go>", *self.target.vocabulary)

    def source_tokens(self, text: str) -> list[int]:
        """The frames that make a net read a sentence."""
        return [self.n_targets, *(self.n_targets + 1 + i for i in self.source.ids(text))]

    def target_tokens(self, text: str) -> list[int]:
        """The tokens that a net should say, without GO and END."""
        return [N_MARKS + i for i in self.target.ids(text)]

    def text(self, tokens: Iterable[int]) -> str:
        """What a net said; marks are left out."""
        return self.target.text(token - N_MARKS for token in tokens if token >= N_MARKS)

    def as_plain(self) -> dict[str, Any]:
        """What `of_plain` reads, as plain values that a checkpoint and a model's provenance can hold."""
        plain: dict[str, Any] = {"start_token": self.n_targets, "go_token": GO, "end_token": END}
        for side, pieces in vars(self).items():
            plain[f"{side}_symbols"] = "".join(pieces.symbols)
            plain[f"{side}_merges"] = [" ".join(pair) for pair in pieces.merges]
        return plain

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> "Vocabulary":
        """The vocabulary that `as_plain` wrote down, whatever else stands beside it."""
        source, target = (
            Pieces([pair.split(" ") for pair in plain[f"{side}_merges"]], plain[f"{side}_symbols"])
            for side in ("source", "target")
        )
        return cls(source, target)
