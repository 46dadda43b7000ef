"""What the operations of a graph are handed: symbols and constants, and how each is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.onnx.graph import Array, Operation
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.importers.tracing.symbol import Symbol

Value = Symbol | Array
Inputs = Sequence[Value | None]
Result = Value | Sequence[Value]
Handler = Callable[[Trace, Operation, Inputs], Result]
"""Replays one operation; outputs left out at the end are not there."""


def given(inputs: Inputs, i: int) -> Value | None:
    """An optional input, or None."""
    return inputs[i] if i < len(inputs) else None


def symbol(inputs: Inputs, i: int = 0) -> Symbol:
    """An input that must be computed from the frames.

    Raises:
        UnsupportedError: it is a constant.
    """
    value = given(inputs, i)
    if not isinstance(value, Symbol):
        raise UnsupportedError(f"input {i} is a constant; expected what comes from the frames")
    return value


def constant(inputs: Inputs, i: int, what: str) -> Array | None:
    """An optional input that must be known beforehand.

    Raises:
        UnsupportedError: it is computed from the frames.
    """
    value = given(inputs, i)
    if isinstance(value, Symbol):
        raise UnsupportedError(f"its {what} is computed from the input ({value.node!r}), expected a constant")
    return value


def needed(inputs: Inputs, i: int, what: str) -> Array:
    """An input that must be there, and known beforehand.

    Raises:
        UnsupportedError: it is not.
    """
    value = constant(inputs, i, what)
    if value is None:
        raise UnsupportedError(f"it has no {what}")
    return value


def numbers(op: Operation, inputs: Inputs, name: str, i: int) -> list[int] | None:
    """Whole numbers that were an attribute once and are input `i` in newer versions; None where not given."""
    if name in op.attributes:
        return [int(n) for n in np.atleast_1d(op.attributes[name])]
    value = constant(inputs, i, name)
    return None if value is None else [int(n) for n in np.atleast_1d(value)]
