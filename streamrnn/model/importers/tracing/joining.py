"""Operations that put values beside one another: concatenations and padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.tracing.shapes import Shapes
from streamrnn.model.importers.tracing.symbol import Constant, Symbol
from streamrnn.model.spec import Node


class Joining(Shapes):
    """What makes one tensor of several, or more of one."""

    def concat(self, parts: Sequence[Symbol | Constant], dim: int) -> Symbol:
        """NumPy's `concatenate`. Along the stream only zeros may be put before or behind it.

        Raises:
            UnsupportedError: the parts do not belong to the same steps.
        """
        symbols = [part for part in parts if isinstance(part, Symbol)]
        dim = symbols[0].dim(dim)
        if any(part.stream == dim for part in symbols):
            return self._extended(list(parts), dim)
        aligned = iter(self.together(symbols))
        stream = next((part.stream for part in symbols if part.stream is not None), None)
        like = next((part for part in symbols if part.stream is not None), symbols[0])
        flat = [self._moved(self._held(part, like) if not isinstance(part, Symbol) else next(aligned), dim)
                for part in parts]  # fmt: skip
        if len(flat) == 1:
            return symbols[0]
        shapes = [part.shape for part in parts]
        shape = tuple(sum(s[dim] for s in shapes) if d == dim else n for d, n in enumerate(symbols[0].shape))
        size = sum(part.size for part in flat)
        held = [d for d in range(len(shape)) if shape[d] != 1 and d not in {stream, dim}]
        first = next((part for part in flat if part.stream is not None), flat[0])
        ids = [part.ids for part in parts if isinstance(part, Symbol) and part.ids is not None]
        joined = replace(
            first, shape=shape, stream=stream, layout=(*([dim] if shape[dim] != 1 else []), *held), n_inner=0,
            ids=np.concatenate(ids, dim) if len(ids) == len(parts) else None,
            is_pooled=any(part.is_pooled for part in flat),
        )  # fmt: skip
        return replace(joined, node=self._add(Node("joined", "concat", size, tuple(p.node for p in flat)), joined))

    def _moved(self, x: Symbol, dim: int) -> Symbol:
        """With all that one step holds as channels, those along `dim` outermost."""
        return self.arranged(x, (), (dim, *(d for d in sorted(x.layout) if d != dim)))

    def _held(self, value: Constant, like: Symbol) -> Symbol:
        """A constant as a symbol, the same at every step of `like`."""
        value = np.asarray(value, np.float32)
        if like.stream is not None and value.shape[like.stream] != 1:
            value = value.take([0], axis=like.stream)
        shape = tuple(n if d != like.stream else like.shape[d] for d, n in enumerate(value.shape))
        layout = tuple(d for d, n in enumerate(shape) if n != 1 and d != like.stream)
        symbol = replace(like, shape=shape, layout=layout, n_inner=0, ids=None)
        return replace(
            symbol, node=self._add(Node("constant", "constant", value.size), symbol, {"value": value.ravel()})
        )

    def _extended(self, parts: list[Symbol | Constant], dim: int) -> Symbol:
        streams = [part for part in parts if isinstance(part, Symbol)]
        place = next(i for i, part in enumerate(parts) if isinstance(part, Symbol))
        others = [part for part in parts if not isinstance(part, Symbol)]
        if len(streams) > 1 or any(np.any(part) for part in others):
            raise UnsupportedError(f"{streams[0].node!r}: only zeros can be joined to it in time, not other values")
        before, behind = (sum(part.shape[dim] for part in side) for side in (parts[:place], parts[place + 1 :]))
        return self.pad(streams[0], dim, before, behind)

    def pad(
        self,
        x: Symbol,
        dim: int,
        before: int,
        behind: int,
        mode: Literal["zeros", "reflect", "edge"] = "zeros",
        value: float = 0.0,
    ) -> Symbol:
        """More places before and behind those along `dim`; negative numbers cut.

        Raises:
            UnsupportedError: the stream is to be padded with anything but zeros.
        """
        dim = x.dim(dim)
        if before < 0 or behind < 0:
            x = self.slice(x, dim, max(-before, 0), x.shape[dim] - max(-behind, 0))
            before, behind = max(before, 0), max(behind, 0)
        if not before and not behind:
            return x
        if dim == x.stream:
            if before and (mode != "zeros" or value):
                what = mode if mode != "zeros" else f"the value {value}"
                raise UnsupportedError(f"{x.node!r}: the time is padded with {what}; a stream begins with zeros")
            shape = tuple(n + before + behind if d == dim else n for d, n in enumerate(x.shape))
            return replace(x, shape=shape, delay=x.delay - before, ids=None)
        return self._pad_held(x, dim, before, behind, mode, value)

    def _pad_held(self, x: Symbol, dim: int, before: int, behind: int, mode: str, value: float) -> Symbol:
        n = x.shape[dim]
        places = np.arange(-before, n + behind)
        if mode == "edge":
            return self.take(x, dim, np.clip(places, 0, n - 1).tolist())
        if mode == "reflect":
            mirrored = np.where(places < 0, -places, np.where(places >= n, 2 * n - 2 - places, places))
            return self.take(x, dim, mirrored.tolist())
        shape = list(x.shape)
        sides = []
        for width in (before, behind):
            shape[dim] = width
            if x.stream is not None:
                shape[x.stream] = 1
            sides.append(np.full(shape, value, np.float32))
        parts: list[Symbol | Constant] = [x]
        parts = ([sides[0]] if before else []) + parts + ([sides[1]] if behind else [])
        return self.concat(parts, dim)
