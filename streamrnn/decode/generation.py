"""Generation: what is asked of a sampler."""

from __future__ import annotations

import msgspec

from streamrnn.decode.ranges import check_range

MAX_TOKENS = 1_000_000
"""Most tokens of one generation."""

MAX_SEED = 2**63 - 1
MAX_TEMPERATURE = 1e6


class Generation(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How many tokens to draw, and how.

    Attributes:
        n: most tokens, 1 .. 1,000,000.
        temperature: logits are divided by it, 0 .. 1e6; 0: the likeliest token is taken.
        top_k: only so many of the likeliest tokens are drawn from; 0: all.
        seed: of the draws, 0 .. 2**63 - 1.
        stop: the token that ends it, -1: none.

    Raises:
        OptionError: one is out of range; it names the field.
    """

    n: int
    temperature: float = 1.0
    top_k: int = 0
    seed: int = 0
    stop: int = -1

    def __post_init__(self) -> None:
        check_range("n", self.n, 1, MAX_TOKENS)
        check_range("temperature", self.temperature, 0.0, MAX_TEMPERATURE)
        check_range("top_k", self.top_k, 0, 2**31 - 1)
        check_range("seed", self.seed, 0, MAX_SEED)
        check_range("stop", self.stop, -1, 2**31 - 1)
