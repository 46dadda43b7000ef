"""A proportion with its interval: how far a figure of few trials can be trusted."""

import math

Z_95 = 1.959964
"""Of a normal distribution, 95 % are within so many deviations."""


def interval(n_right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of `n_right` in `n` >= 1 trials. Source: Wilson 1927."""
    share, square = n_right / n, Z_95 * Z_95 / n
    middle = (share + square / 2) / (1 + square)
    half = Z_95 / (1 + square) * math.sqrt(share * (1 - share) / n + square / (4 * n))
    return middle - half, middle + half
