"""What a session is asked to generate: how many tokens, drawn how, and which one ends it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from streamrnn.errors import OptionError

MAX_TOKENS = 2**31 - 1
MAX_SEED = 2**53 - 1


@dataclass(frozen=True)
class Generation:
    """Of one run of tokens.

    Attributes:
        n: most tokens, at least 1.
        temperature: 0: always the most probable token; 1: as the model says; above: more evenly.
        top_k: draw among so many of the most probable ones; 0: among all.
        seed: of the draws, 0 .. 2^53 - 1; a draw depends on nothing but it, the frame's seq and the output before.
        stop: token that ends the run, itself included; None: none does.

    Raises:
        OptionError: one is out of range.
    """

    n: int
    temperature: float = 1.0
    top_k: int = 0
    seed: int = 0
    stop: int | None = None

    def __post_init__(self) -> None:
        _check("n", self.n, 1, MAX_TOKENS)
        _check("top_k", self.top_k, 0, MAX_TOKENS)
        _check("seed", self.seed, 0, MAX_SEED)
        if self.stop is not None:
            _check("stop", self.stop, 0, MAX_TOKENS)
        if isinstance(self.temperature, bool) or not isinstance(self.temperature, int | float):
            raise OptionError(f"temperature: expected a number of at least 0, got {self.temperature!r}")
        if not 0.0 <= self.temperature < math.inf:
            raise OptionError(f"temperature: expected a number of at least 0, got {self.temperature}")


def _check(name: str, value: int, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise OptionError(f"{name}: expected an integer of {least} to {most}, got {value!r}")
