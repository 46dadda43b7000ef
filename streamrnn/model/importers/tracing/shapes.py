"""Operations that take values apart and name them anew: reshapes, transpositions, slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.tracing.arranging import Arranging
from streamrnn.model.importers.tracing.symbol import Symbol
from streamrnn.model.spec import Node


class Shapes(Arranging):
    """Operations on the shape of tensors; each takes and gives symbols, dimensions may be counted from the back."""

    def transpose(self, x: Symbol, order: Sequence[int]) -> Symbol:
        """Dimensions in another order (NumPy's `transpose`)."""
        order = [x.dim(d) for d in order]
        place = {d: i for i, d in enumerate(order)}
        return replace(
            x,
            shape=tuple(x.shape[d] for d in order),
            stream=None if x.stream is None else place[x.stream],
            layout=tuple(place[d] for d in x.layout),
            ids=None if x.ids is None else x.ids.transpose(order),
        )

    def reshape(self, x: Symbol, shape: Sequence[int]) -> Symbol:
        """The same values in row-major order; one length may be -1.

        Raises:
            UnsupportedError: it would mix the stream with what one step holds.
        """
        shape = list(shape)
        if -1 in shape:
            shape[shape.index(-1)] = prod(x.shape) // max(1, -prod(shape))
        if prod(shape) != prod(x.shape):
            raise UnsupportedError(f"{x.node!r} of shape {x.shape} cannot take the shape {tuple(shape)}")
        stream, layout = None, []
        for old, new in _groups(x.shape, shape):
            if x.stream in old:
                lengths = [n for n in (shape[d] for d in new) if n != 1]
                others = [d for d in old if d != x.stream and x.shape[d] != 1]
                if others or lengths != [x.shape[x.stream]] or x.stream is None:
                    raise UnsupportedError(
                        f"{x.node!r}: a reshape from {x.shape} to {tuple(shape)} mixes the time (dimension {x.stream}) "
                        "with what one step holds"
                    )
                stream = next(d for d in new if shape[d] != 1)
            layout.append(([d for d in old if d in x.layout], [d for d in new if shape[d] != 1]))
        groups = [(old, new) for old, new in layout if old]
        y = x
        for old, _ in groups:
            at = [y.layout.index(d) for d in old]
            if at != list(range(at[0], at[0] + len(at))):
                y = self.in_order(y)
        kept = {old[0]: new for old, new in groups}
        flat = [d for old in y.layout if old in kept for d in kept[old]]
        inner = list(y.layout[: y.n_inner])
        if any(set(old) & set(inner) and not set(old) <= set(inner) for old, _ in groups):
            y = self.folded(y)
            inner = []
        n_inner = len([d for old in inner if old in kept for d in kept[old]])
        ids = None if x.ids is None else x.ids.reshape(shape)
        return replace(y, shape=tuple(shape), stream=stream, layout=tuple(flat), n_inner=n_inner, ids=ids)

    def squeeze(self, x: Symbol, dims: Sequence[int] | None = None) -> Symbol:
        """Without the dimensions (all where None) that have length 1; the others of `dims` stay, as in PyTorch."""
        chosen = range(x.ndim) if dims is None else [x.dim(d) for d in dims]
        gone = {d for d in chosen if x.shape[d] == 1}
        if x.stream in gone:
            return self.reshape(x, [n for d, n in enumerate(x.shape) if d not in gone])
        places = iter(range(x.ndim))
        return self._placed(x, [-1 if d in gone else next(places) for d in range(x.ndim)], x.ndim - len(gone))

    def unsqueeze(self, x: Symbol, dims: Sequence[int]) -> Symbol:
        """With dimensions of length 1 at `dims` of the result."""
        n = x.ndim + len(dims)
        places = {d + n if d < 0 else d for d in dims}
        return self._placed(x, [d for d in range(n) if d not in places], n)

    def _placed(self, x: Symbol, places: Sequence[int], n: int) -> Symbol:
        """Each dimension at its place among `n`; -1 for one of length 1 that goes, and new ones have length 1."""
        old = {place: d for d, place in enumerate(places) if place >= 0}
        shape = tuple(x.shape[old[d]] if d in old else 1 for d in range(n))
        return replace(
            x,
            shape=shape,
            stream=None if x.stream is None else places[x.stream],
            layout=tuple(places[d] for d in x.layout),
            ids=None if x.ids is None else x.ids.reshape(shape),
        )

    def slice(self, x: Symbol, dim: int, start: int = 0, stop: int | None = None, step: int = 1) -> Symbol:
        """NumPy's `x[..., start:stop:step, ...]` along `dim`; step at least 1.

        Of the stream: a later start shifts it, its last step alone stands for the whole sequence, an end is where the
        original ended.
        """
        dim = x.dim(dim)
        places = range(*slice(start, stop, step).indices(x.shape[dim]))
        if step < 1 or not len(places):
            raise UnsupportedError(f"{x.node!r}: a slice {start}:{stop}:{step} of {x.shape[dim]} cannot be streamed")
        if dim == x.stream:
            return self._slice_stream(x, places)
        return self.take(x, dim, list(places))

    def _slice_stream(self, x: Symbol, places: range) -> Symbol:
        assert x.stream is not None
        n = x.shape[x.stream]
        if places[0] == n - 1:
            return self.latest(x)
        if places[0] >= n // 2:
            raise UnsupportedError(
                f"{x.node!r}: its last {n - places[0]} steps are taken; only the last one, or all, can be streamed"
            )
        shape = tuple(len(places) if d == x.stream else m for d, m in enumerate(x.shape))
        delay = x.delay + places[0]
        shifted = replace(x, shape=shape, delay=delay, first=max(x.first, delay) if x.is_padded else delay, ids=None)
        return shifted if places.step == 1 else self._every(shifted, places.step)

    def _every(self, x: Symbol, stride: int) -> Symbol:
        raise NotImplementedError

    def select(self, x: Symbol, dim: int, index: int) -> Symbol:
        """One place along `dim`, which goes."""
        dim = x.dim(dim)
        index = index + x.shape[dim] if index < 0 else index
        return self.squeeze(self.slice(x, dim, index, index + 1), [dim])

    def take(self, x: Symbol, dim: int, places: Sequence[int]) -> Symbol:
        """Places along `dim` that one step holds, in any order."""
        dim = x.dim(dim)
        if dim == x.stream:
            raise UnsupportedError(f"{x.node!r}: chosen steps of the time, {list(places)[:8]}, cannot be streamed")
        if list(places) == list(range(x.shape[dim])):
            return x
        if dim in x.layout and x.n_inner:
            y = self._take_steps(x, places) if x.layout[: x.n_inner] == (dim,) else self._take_channels(x, dim, places)
            if y is not None:
                return y
        held = sorted({*x.layout})
        lengths = [x.shape[d] if d in held else 1 for d in range(x.ndim)]
        index = np.arange(x.step_size).reshape(lengths).take(list(places), axis=dim)
        shape = [len(places) if d == dim else n for d, n in enumerate(x.shape)]
        return self.rearranged(x, index.ravel(), shape, x.stream)

    def _take_channels(self, x: Symbol, dim: int, places: Sequence[int]) -> Symbol | None:
        """The same channels of every step inside the frame; None where `dim` is one of the steps."""
        held = x.layout[x.n_inner :]
        if dim not in held:
            return None
        index = np.arange(x.size).reshape([x.shape[d] for d in held]).take(list(places), axis=held.index(dim)).ravel()
        y = self._with_length(x, dim, places)
        start = int(index[0])
        if index.tolist() == list(range(start, start + len(index))):
            node = Node(f"{x.node}.part", "slice", len(index), (x.node,), start=start)
        else:
            node = Node(f"{x.node}.order", "gather", len(index), (x.node,), index=tuple(int(i) for i in index))
        return replace(y, node=self._add(node, y))

    def _take_steps(self, x: Symbol, places: Sequence[int]) -> Symbol | None:
        """Steps inside the frame, one after the other or evenly apart; None for others."""
        dim, gaps = x.layout[0], {*np.diff(places).tolist()}
        if len(gaps) > 1 or min(gaps, default=1) < 1:
            return None
        y = self._with_length(x, dim, places)
        node = Node(f"{x.node}.steps", "slice_steps", x.size, (x.node,), start=places[0], stride=min(gaps, default=1))
        return replace(y, node=self._add(node, y))

    def _with_length(self, x: Symbol, dim: int, places: Sequence[int]) -> Symbol:
        """The symbol with `places` of one dimension, its node still to be changed."""
        one = len(places) == 1
        return replace(
            x,
            shape=tuple(len(places) if d == dim else n for d, n in enumerate(x.shape)),
            layout=tuple(d for d in x.layout if d != dim or not one),
            n_inner=x.n_inner - (one and dim in x.layout[: x.n_inner]),
            ids=None if x.ids is None else x.ids.take(list(places), axis=dim),
        )

    def split(self, x: Symbol, dim: int, sizes: Sequence[int]) -> list[Symbol]:
        """Parts along `dim`, of `sizes`."""
        ends = np.cumsum(sizes).tolist()
        return [self.slice(x, dim, end - size, end) for size, end in zip(sizes, ends, strict=True)]

    def expand(self, x: Symbol, shape: Sequence[int]) -> Symbol:
        """Dimensions of length 1 repeated, as NumPy's broadcasting would; new ones at the front."""
        x = self.unsqueeze(x, range(len(shape) - x.ndim))
        shape = [x.shape[d] if n == -1 else n for d, n in enumerate(shape)]
        if tuple(shape) == x.shape:
            return x
        if x.stream is not None and shape[x.stream] != x.shape[x.stream]:
            raise UnsupportedError(f"{x.node!r} of shape {x.shape} cannot be repeated to {tuple(shape)}")
        lengths = [1 if d == x.stream else n for d, n in enumerate(x.shape)]
        target = [1 if d == x.stream else n for d, n in enumerate(shape)]
        index = np.broadcast_to(np.arange(x.step_size).reshape(lengths), target)
        return self.rearranged(x, index.ravel(), shape, x.stream)


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The smallest runs of old and new dimensions that hold the same number of values."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        a, b = 1, 1
        left: list[int] = []
        right: list[int] = []
        while (not left and not right) or a != b:
            if (a <= b and i < len(old)) or j >= len(new):
                a, left, i = a * old[i], [*left, i], i + 1
            else:
                b, right, j = b * new[j], [*right, j], j + 1
        while i < len(old) and old[i] == 1:
            left, i = [*left, i], i + 1
        while j < len(new) and new[j] == 1:
            right, j = [*right, j], j + 1
        groups.append((left, right))
    return groups
