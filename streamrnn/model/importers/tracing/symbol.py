"""A symbol: what a tensor of the original is in the streaming model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import UnsupportedError

Ids = NDArray[np.int64]
Constant = NDArray[Any]


class MisreadError(UnsupportedError):
    """The operation shows that the time was taken for another dimension than it is."""


@dataclass(frozen=True)
class Symbol:
    """A tensor of the original while its operations are replayed.

    A dimension is the stream (time, of which each frame brings some steps), has length 1, or is part of what one step
    holds. The latter stand in the node's value in the order of `layout`, row by row; the first `n_inner` of them are
    steps within the frame, the others channels. So a transposition or a reshape mostly costs nothing.

    Attributes:
        node: the node that computes it.
        shape: as the original had it; the stream's length is that of the example.
        stream: the dimension that is the stream; None where it has none: a frame is the whole, or it was pooled.
        layout: the dimensions that one step holds, longer than 1, in the order of the node's value.
        n_inner: how many of them are steps in the frame.
        rate: steps of the stream for one step of the input.
        delay: steps by which the stream comes behind the original's: step `i` of the original is there after
            `i + delay` others. Below 0 where the original has put zeros before it.
        first: the step of the stream from which on it holds something; what comes before counts as zeros.
        is_pooled: whether it sums up the stream so far.
        ids: where the values are those of a state: which one each is.
    """

    node: str
    shape: tuple[int, ...]
    stream: int | None
    layout: tuple[int, ...]
    n_inner: int = 0
    rate: Fraction = Fraction(1)
    delay: int = 0
    first: int = 0
    is_pooled: bool = False
    ids: Ids | None = field(default=None, compare=False)

    @property
    def ndim(self) -> int:
        """Dimensions of the original tensor."""
        return len(self.shape)

    @property
    def inner(self) -> int:
        """Steps in the frame, for each step of the stream."""
        return prod(self.shape[d] for d in self.layout[: self.n_inner])

    @property
    def size(self) -> int:
        """Channels of the node's value."""
        return prod(self.shape[d] for d in self.layout[self.n_inner :])

    @property
    def step_size(self) -> int:
        """Values that one step of the stream holds."""
        return self.inner * self.size

    @property
    def is_padded(self) -> bool:
        """Whether zeros before it are still to be made."""
        return self.delay < self.first

    def dim(self, d: int) -> int:
        """A dimension counted from the front."""
        return d + self.ndim if d < 0 else d

    def of(self, node: str, **changes: Any) -> Symbol:
        """The symbol of another node with, but for `changes`, the same shape and timing; it is no state."""
        return replace(self, node=node, **{"ids": None, **changes})

    def rows(self, array: Constant) -> NDArray[np.float64]:
        """The original's tensor (of any length along the stream) as the model gives it: (n_steps, step_size)."""
        order = ([] if self.stream is None else [self.stream]) + list(self.layout)
        rest = [d for d in range(self.ndim) if d not in order]
        moved = np.asarray(array, np.float64).transpose(order + rest)
        return moved.reshape(-1, self.step_size) if self.stream is not None else moved.reshape(1, -1)

    def array(self, rows: Constant) -> Constant:
        """The tensor of the original that holds rows (n_steps, step_size): the inverse of `rows`."""
        order = ([] if self.stream is None else [self.stream]) + list(self.layout)
        rest = [d for d in range(self.ndim) if d not in order]
        lengths = [len(rows) if d == self.stream else self.shape[d] for d in order + rest]
        return np.ascontiguousarray(rows.reshape(lengths).transpose(np.argsort(order + rest)))


def layout_of(shape: tuple[int, ...], stream: int | None) -> tuple[int, ...]:
    """The layout of a tensor as it stands: all dimensions that one step holds, in order."""
    return tuple(d for d, n in enumerate(shape) if n != 1 and d != stream)
