"""Draws of a token: a function of the output, the seed and the seq, and of nothing else.

There is no generator whose state runs on: the number for a frame is computed from its seq, so a draw that is taken
again after a crash, in a fork or in another chunk is the same draw.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


def mix(x: int) -> int:
    """SplitMix64's finaliser: 64 bits in, 64 well-mixed bits out.

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014; constants of Vigna's
    splitmix64.c.
    """
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def uniform(seed: int, seq: int) -> float:
    """A number of [0, 1), 53 random bits, for a frame: SplitMix64 output `seq` of a generator keyed by `seed`.

    The seed is mixed first, so that neighbouring seeds do not give shifted copies of each other.
    """
    key = mix((seed + _GOLDEN) & _MASK)
    return float(mix((key + (seq + 1) * _GOLDEN) & _MASK) >> 11) * 2.0**-53


def softmax(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities (n,) float64 of logits or log probabilities; at least one is above -inf."""
    powers = np.exp(logs - logs.max())
    probabilities: NDArray[np.float64] = powers / powers.sum()
    return probabilities


def draw(logs: NDArray[np.float64], temperature: float, top_k: int, u: float) -> int:
    """Draw a token from a softmax.

    Args:
        logs: (n,) float64, logits or log probabilities; at least one is above -inf, none is NaN or +inf.
        temperature: at least 0; 0: the likeliest, of equals the one of the lowest index.
        top_k: only so many of the likeliest, of equals those of the lowest index; 0: all.
        u: 0 .. 1, below 1.
    """
    if temperature == 0.0:
        return int(logs.argmax())
    tokens = np.arange(len(logs))
    if 0 < top_k < len(logs):
        tokens = np.sort(np.argsort(-logs, kind="stable")[:top_k])
    with np.errstate(over="ignore"):  # a temperature near 0 leaves the likeliest alone
        powers = np.exp((logs[tokens] - logs.max()) / temperature)
    sums = powers.cumsum()
    place = int(np.searchsorted(sums, u * sums[-1], side="right"))
    return int(tokens[min(place, int(powers.nonzero()[0][-1]))])
