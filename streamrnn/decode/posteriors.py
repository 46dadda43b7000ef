"""Posteriors of a frame from the outputs of a model, whether they are logits, probabilities or their logarithms.

A row that holds NaN or +inf, or no value at all, is unknown: None, and whoever reads it passes it over. Rows are plain
lists of floats: for the few values that most models put out, that is several times faster than an array. Each row is
computed by itself in float64, so chunks change no bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from streamrnn.decode.decoder import Facts, Floats
from streamrnn.decode.ranges import check_choice

Row = list[float]

INPUTS = ("log", "probability", "logit")
"""What outputs may be."""

_WIDE = 100
"""Logits of a row from which on their softmax is faster with NumPy than in plain Python."""


class Posteriors:
    """The posteriors in one head of a model's outputs.

    Attributes:
        size: values in a row.
    """

    def __init__(self, head: str, kind: str, facts: Facts) -> None:
        """Read `head` of outputs that are of `kind`, one of `INPUTS`.

        Raises:
            OptionError: there is no such head or kind.
        """
        check_choice("input", kind, INPUTS)
        self._first, self._end = facts.part(head)
        self.size = self._end - self._first
        self._is_wide = kind == "logit" and self.size >= _WIDE
        self._to_probabilities = _PROBABILITIES[kind]
        self._to_logs = _LOGS[kind]

    def probabilities(self, ys: Floats) -> list[Row | None]:
        """For each output a row of probabilities, 0 .. 1, or None where it is unknown.

        Args:
            ys: (n, output_size) float32.
        """
        if self._is_wide:
            return [_wide_softmax(y) for y in ys[:, self._first : self._end]]
        convert = self._to_probabilities
        return [convert(row) if _is_known(row) else None for row in ys[:, self._first : self._end].tolist()]

    def logs(self, ys: Floats) -> list[Row | None]:
        """For each output a row of natural logarithms of probabilities, at most 0, or None where it is unknown.

        Args:
            ys: (n, output_size) float32.
        """
        if self._is_wide:
            return [_wide_log_softmax(y) for y in ys[:, self._first : self._end]]
        convert = self._to_logs
        return [convert(row) if _is_known(row) else None for row in ys[:, self._first : self._end].tolist()]


def _is_known(row: Row) -> bool:
    """Whether the values are numbers: a sum of float32 in float64 does not overflow, and NaN and +inf stay in it."""
    return sum(row) < math.inf and max(row) > -math.inf


def _exp(row: Row) -> Row | None:
    return [math.exp(value) if value < 0.0 else 1.0 for value in row]


def _clipped(row: Row) -> Row | None:
    return [0.0 if value < 0.0 else min(value, 1.0) for value in row]


def _softmax(row: Row) -> Row | None:
    top = max(row)
    powers = [math.exp(value - top) for value in row]
    scale = 1.0 / sum(powers)
    return [power * scale for power in powers]


def _wide_softmax(y: Floats) -> Row | None:
    row = _wide_log_softmax(y)
    return None if row is None else _exp(row)


def _at_most_zero(row: Row) -> Row | None:
    return row if max(row) <= 0.0 else [min(value, 0.0) for value in row]


def _log(row: Row) -> Row | None:
    if max(row) <= 0.0:
        return None
    return [math.log(min(value, 1.0)) if value > 0.0 else -math.inf for value in row]


def _log_softmax(row: Row) -> Row | None:
    top = max(row)
    total = top + math.log(sum([math.exp(value - top) for value in row]))
    return [value - total for value in row]


def _wide_log_softmax(y: Floats) -> Row | None:
    top = float(y.max())
    if not -math.inf < top < math.inf:
        return None
    wide = y.astype(np.float64) - top
    row: Row = (wide - math.log(np.exp(wide).sum())).tolist()
    return row


_Convert = Callable[[Row], Row | None]
_PROBABILITIES: dict[str, _Convert] = {"log": _exp, "probability": _clipped, "logit": _softmax}
_LOGS: dict[str, _Convert] = {"log": _at_most_zero, "probability": _log, "logit": _log_softmax}
