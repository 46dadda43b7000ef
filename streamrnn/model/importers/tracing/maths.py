"""Arithmetic on symbols and constants: maps, operations of two values, reductions, softmaxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.tracing.joining import Joining
from streamrnn.model.importers.tracing.symbol import Constant, Symbol
from streamrnn.model.kinds import BinaryKind, MapKind, SoftKind
from streamrnn.model.spec import Node

Reduction = Literal["mean", "sum", "max", "min"]

LARGEST = float(np.finfo(np.float32).max)
"""Bound of a clamp that has none on that side."""


class Maths(Joining):
    """Arithmetic as the frameworks have it, with NumPy's broadcasting."""

    def map(self, kind: MapKind, x: Symbol, alpha: float = 0.0, beta: float = 0.0, name: str = "") -> Symbol:
        """One value to one value; alpha and beta as in `model.kinds.MapKind`."""
        x = self.settled(x)
        node = Node(name or kind, kind, x.size, (x.node,), alpha=float(alpha), beta=float(beta))
        return x.of(self._add(node, x))

    def binary(self, kind: BinaryKind, a: Symbol | Constant, b: Symbol | Constant, name: str = "") -> Symbol:
        """Two values to one, broadcast; at least one is a symbol."""
        if not isinstance(b, Symbol):
            assert isinstance(a, Symbol)
            return self._with_constant(kind, a, np.asarray(b), name)
        if not isinstance(a, Symbol):
            return self._of_constant(kind, np.asarray(a), b, name)
        a, b = self.together([a, b])
        stream_a, stream_b = a, b
        a, b = self._broadcast(a, b)
        first = a if stream_a.stream is not None else b
        node = Node(name or kind, kind, a.size, (a.node, b.node))
        return first.of(self._add(node, first), is_pooled=stream_a.is_pooled or stream_b.is_pooled)

    def _broadcast(self, a: Symbol, b: Symbol) -> tuple[Symbol, Symbol]:
        """Both with one shape and layout."""
        n = max(a.ndim, b.ndim)
        a, b = (self.unsqueeze(x, range(n - x.ndim)) for x in (a, b))
        shape = np.broadcast_shapes(a.shape, b.shape)
        stream = a.stream if a.stream is not None else b.stream
        if None not in {a.stream, b.stream} and a.stream != b.stream:
            raise UnsupportedError(f"{a.node!r} of shape {a.shape} and {b.node!r} of {b.shape} differ in their time")
        held = [1 if d == stream else m for d, m in enumerate(shape)]
        a, b = (self.expand(x, [x.shape[d] if d == x.stream else held[d] for d in range(n)]) for x in (a, b))
        for value, other in ((a, b), (b, a)):
            if value.stream is None and other.stream is not None:
                raise UnsupportedError(f"{value.node!r} has no time, but is joined to each step of {other.node!r}")
        return a, self.arranged(b, a.layout[: a.n_inner], a.layout[a.n_inner :])

    def _with_constant(self, kind: BinaryKind, x: Symbol, value: Constant, name: str) -> Symbol:
        scalar = float(value.ravel()[0]) if value.size and np.all(value == value.ravel()[0]) else None
        grows = value.ndim > x.ndim or any(
            m > n for m, n in zip(value.shape[::-1], x.shape[::-1], strict=False) if n == 1
        )
        if kind in {"maximum", "minimum"}:
            if scalar is None or grows:
                raise UnsupportedError(f"{x.node!r}: its {kind} with a tensor cannot be streamed, only with a number")
            bounds = (scalar, LARGEST) if kind == "maximum" else (-LARGEST, scalar)
            return self.map("clamp", x, *bounds, name=name)
        value = np.asarray(value, np.float64)
        if kind in {"add", "sub"}:
            scale, shift = np.ones_like(value), value if kind == "add" else -value
        else:
            scale, shift = value if kind == "mul" else 1.0 / value, np.zeros_like(value)
        if scalar is not None and not grows:
            return self.map("linear_map", x, scale.ravel()[0], shift.ravel()[0], name=name)
        return self.affine(x, scale, shift, name=name)

    def _of_constant(self, kind: BinaryKind, value: Constant, x: Symbol, name: str) -> Symbol:
        if kind == "sub":
            return self._with_constant("add", self.map("linear_map", x, -1.0, 0.0), value, name)
        if kind == "div":
            return self._with_constant("mul", self.map("reciprocal", x), value, name)
        return self._with_constant(kind, x, value, name)

    def affine(self, x: Symbol, scale: Constant, shift: Constant, name: str = "") -> Symbol:
        """`x * scale + shift` with constants that are broadcast to it, or it to them."""
        x = self.settled(x)
        shape = np.broadcast_shapes(x.shape, np.shape(scale), np.shape(shift))
        x = self.expand(x, [1 if n == 1 and d == x.stream else n for d, n in enumerate(shape)])
        rows = []
        for constant in (scale, shift):
            value = np.asarray(constant, np.float64)
            value = value.reshape([1] * (x.ndim - value.ndim) + list(value.shape))
            if x.stream is not None and value.shape[x.stream] != 1:
                raise UnsupportedError(f"{x.node!r}: a constant of shape {value.shape} changes along the time")
            full = np.broadcast_to(value, [1 if d == x.stream else n for d, n in enumerate(x.shape)])
            rows.append(x.rows(full)[0])
        y = self.folded(x)
        node = Node(name or "affine", "affine", y.size, (y.node,))
        return y.of(self._add(node, y, {"scale": rows[0], "shift": rows[1]}))

    def power(self, x: Symbol, exponent: float, name: str = "") -> Symbol:
        """`x ** exponent` for the exponents that are a map, or two."""
        if exponent == 1.0:
            return x
        if exponent == -0.5:
            return self.map("reciprocal", self.map("sqrt", x), name=name)
        if exponent == 3.0:
            return self.binary("mul", self.map("square", x), x, name)
        if exponent == 4.0:
            return self.map("square", self.map("square", x), name=name)
        kinds: dict[float, MapKind] = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal"}
        if exponent not in kinds:
            raise UnsupportedError(
                f"{x.node!r}: the power {exponent} cannot be streamed, only 2, 3, 4, 0.5, -0.5 and -1"
            )
        return self.map(kinds[exponent], x, name=name)

    def reduce(self, kind: Reduction, x: Symbol, dims: Sequence[int], keep: bool = False, name: str = "") -> Symbol:
        """Mean, sum, largest or smallest value over dimensions; over the stream that of all steps so far.

        Raises:
            UnsupportedError: the sum over the stream, which grows without end; or its smallest value.
        """
        dims = sorted({x.dim(d) for d in dims})
        if x.stream in dims:
            x = self._over_stream(kind, self.settled(x), name)
        gone = [d for d in dims if d in x.layout]
        if gone:
            x = self._over_channels(kind, self.settled(x), gone, name)
        return x if keep else self.squeeze(x, dims)

    def _over_stream(self, kind: Reduction, x: Symbol, name: str) -> Symbol:
        if kind not in {"mean", "max"} or x.inner > 1:
            raise UnsupportedError(f"{x.node!r}: its {kind} over the time cannot be streamed, only mean and max")
        running = "running_mean" if kind == "mean" else "running_max"
        node = Node(name or running, running, x.size, (x.node,), hold=max(x.delay, 0))  # type: ignore[arg-type]
        return self.latest(x.of(self._add(node, x)))

    def running_spread(self, x: Symbol, correction: float = 0.0, name: str = "") -> tuple[Symbol, Symbol]:
        """Mean and standard deviation of all steps so far; the stream's dimension stays, of length 1.

        Args:
            x: a stream.
            correction: what is taken off the number of steps (1 for an unbiased variance; it is then 0 at one step).
            name: of the node.
        """
        x = self.settled(x)
        if x.stream is None or x.inner > 1:
            raise UnsupportedError(
                f"{x.node!r}: the deviation over the time of steps inside a frame cannot be streamed"
            )
        x, hold = replace(x, n_inner=0), max(x.delay, 0)
        node = self._add(Node(name or "running_stats", "running_stats", 2 * x.size, (x.node,), hold=hold), x)
        mean, spread = (
            x.of(self._add(Node(f"{node}.{part}", "slice", x.size, (node,), start=start), x))
            for part, start in (("mean", 0), ("deviation", x.size))
        )
        if correction:
            spread = self.binary("mul", spread, self._bessel(x, correction, hold))
        return self.latest(mean), self.latest(spread)

    def _bessel(self, x: Symbol, correction: float, hold: int) -> Symbol:
        """`sqrt(n / (n - correction))` at the `n`-th step; where that is no number, 1."""
        one = replace(x, shape=tuple(m if d == x.stream else 1 for d, m in enumerate(x.shape)), layout=(), ids=None)
        ones = one.of(self._add(Node("one", "constant", 1), one, {"value": np.ones(1)}))
        counter = Node("count", "diagonal", 1, (ones.node,), hold=hold)
        n = one.of(self._add(counter, one, {"decay": np.ones(1)}))
        free = self.map("clamp", self.map("linear_map", n, 1.0, -correction), 1.0, LARGEST)
        return self.map("sqrt", self.binary("div", n, free))

    def _over_channels(self, kind: Reduction, x: Symbol, gone: list[int], name: str) -> Symbol:
        left = [d for d in x.layout if d not in gone]
        shape = tuple(1 if d in gone else n for d, n in enumerate(x.shape))
        x = self.arranged(x, left, gone)
        rest = replace(x, shape=shape, layout=tuple(left), n_inner=len(left))
        if kind in {"mean", "sum"}:
            weight = np.full((1, x.size), 1.0 if kind == "sum" else 1.0 / x.size)
            node = Node(name or kind, "linear", 1, (x.node,), bias=False, exact=True)
            return rest.of(self._add(node, rest, {"weight": weight}))
        sign = 1.0 if kind == "max" else -1.0
        y = x if kind == "max" else self.map("linear_map", x, -1.0)
        y = self.folded(y)
        values = replace(y, layout=y.layout, n_inner=len(y.layout))
        values = replace(values, node=self._add(Node(f"{y.node}.steps", "unfold", 1, (y.node,)), values))
        kernel = x.size
        node = Node(name or kind, "max_pool", 1, (values.node,), kernel=kernel, stride=kernel, pads=(0, 0))
        largest = rest.of(self._add(node, rest))
        return largest if sign > 0 else self.map("linear_map", largest, -1.0)

    def softmax(self, kind: SoftKind, x: Symbol, dim: int, name: str = "") -> Symbol:
        """Over one dimension that one step holds."""
        dim = x.dim(dim)
        if dim == x.stream:
            raise UnsupportedError(f"{x.node!r}: a softmax over the time needs the frames that come after")
        x = self.arranged(self.settled(x), [d for d in x.layout if d != dim], [dim])
        return x.of(self._add(Node(name or kind, kind, x.size, (x.node,)), x))
