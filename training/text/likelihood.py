"""Likelihood of tokens: how many bits a language model needs for what came."""

import math

from torch import Tensor, nn

from training.tbptt import fold, run

UNKNOWN = -1
"""A target that does not count."""


def negative_log_likelihood(output: Tensor, target: Tensor) -> Tensor:
    """Give the mean of -log p of the targets in nats; targets that are UNKNOWN do not count.

    Args:
        output: (..., n_symbols) log-probabilities.
        target: (...) int64 ids, or UNKNOWN; at least one known.
    """
    known = target != UNKNOWN
    losses = -output.gather(-1, target.clamp_min(0)[..., None])[..., 0]
    return losses[known].mean()


def bits(nats: float) -> float:
    """The same amount in bits."""
    return nats / math.log(2.0)


def bits_per_token(net: nn.Module, ids: Tensor, n_lanes: int = 1) -> float:
    """Give the mean of -log2 p over ids (n_tokens,) from the second on; lanes are faster, and each starts afresh."""
    output = run(net, fold(ids[:-1], n_lanes))
    return bits(float(negative_log_likelihood(output, fold(ids[1:], n_lanes))))
