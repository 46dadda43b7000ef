"""Bringing symbols into an order: layouts inside a step, and streams to one another in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.tracing.graph import Graph
from streamrnn.model.importers.tracing.symbol import Ids, Symbol
from streamrnn.model.spec import Node


class Arranging(Graph):
    """What the operations need of the order of values."""

    def arranged(self, x: Symbol, inner: Sequence[int], channels: Sequence[int]) -> Symbol:
        """The same tensor with the dimensions `inner` as steps in the frame, and `channels` as channels, in order.

        Dimensions of length 1 may be named and do not count.
        """
        inner = [d for d in inner if d in x.layout]
        layout = (*inner, *(d for d in channels if d in x.layout))
        assert sorted(layout) == sorted(x.layout)
        if layout == x.layout and len(inner) == x.n_inner:
            return x
        if layout != x.layout:
            shape = [x.shape[d] for d in x.layout]
            order = np.arange(x.step_size).reshape(shape).transpose([x.layout.index(d) for d in layout])
            x = replace(self._gathered(self.folded(x), order.ravel()), layout=layout)
        return self._unfolded(x, len(inner))

    def in_order(self, x: Symbol) -> Symbol:
        """With all that one step holds as channels, in the order of the dimensions."""
        return self.arranged(x, (), sorted(x.layout))

    def folded(self, x: Symbol) -> Symbol:
        """With all that one step holds as channels."""
        if x.inner == 1:
            return replace(x, n_inner=0)
        flat = replace(x, n_inner=0)
        return replace(flat, node=self._add(Node(f"{x.node}.flat", "fold", x.step_size, (x.node,)), flat))

    def _unfolded(self, x: Symbol, n_inner: int) -> Symbol:
        if x.n_inner == n_inner:
            return x
        x = self.folded(x)
        steps = replace(x, n_inner=n_inner)
        if steps.inner == 1:
            return steps
        return replace(steps, node=self._add(Node(f"{x.node}.steps", "unfold", steps.size, (x.node,)), steps))

    def _gathered(self, x: Symbol, index: Ids) -> Symbol:
        """Channels of a symbol without inner steps; shape and layout are left to the caller."""
        flat = [int(i) for i in index]
        if flat == list(range(x.size)):
            return x
        if flat == list(range(flat[0], flat[0] + len(flat))):
            node = Node(f"{x.node}.part", "slice", len(flat), (x.node,), start=flat[0])
        else:
            node = Node(f"{x.node}.order", "gather", len(flat), (x.node,), index=tuple(flat))
        return replace(x, node=self._add(node, replace(x, n_inner=0)))

    def rearranged(self, x: Symbol, index: Ids, shape: Sequence[int], stream: int | None) -> Symbol:
        """Values of one step by their places in `in_order(x)`; the result has `shape`, as it stands."""
        source = self.in_order(x)
        layout = tuple(d for d, n in enumerate(shape) if n != 1 and d != stream)
        ids = None
        if x.ids is not None:
            ids = x.ids.ravel()[index].reshape(tuple(shape))
        gathered = self._gathered(source, index)
        return replace(gathered, shape=tuple(shape), stream=stream, layout=layout, n_inner=0, ids=ids)

    # Time

    def settled(self, x: Symbol) -> Symbol:
        """With the zeros that were put before the stream made, for operations that would not see them as such."""
        return self._delayed(x, max(x.delay, 0)) if x.is_padded else x

    def _delayed(self, x: Symbol, delay: int) -> Symbol:
        """The stream coming `delay` steps behind the original."""
        lag = delay - x.delay
        if not lag and not x.is_padded:
            return x
        node = Node(f"{x.node}.late", "delay", x.size, (x.node,), lag=lag, hold=max(x.first, 0))
        if x.inner > 1:
            raise UnsupportedError(f"{x.node!r} has steps inside a frame and comes too early to be joined with others")
        return replace(x, node=self._add(node, x), delay=delay, first=delay)

    def together(self, symbols: Sequence[Symbol]) -> list[Symbol]:
        """Symbols whose steps belong to one another: what comes early is delayed.

        Raises:
            UnsupportedError: they are of different rates, or one is a stream and the other sums one up.
        """
        streams = [x for x in symbols if x.stream is not None]
        pooled = [x for x in symbols if x.is_pooled]
        if streams and pooled:
            raise UnsupportedError(
                f"{pooled[0].node!r} sums up the whole sequence, and {streams[0].node!r} needs it at every step: "
                "it is known at the end only"
            )
        if len({x.rate for x in streams}) > 1:
            rates = ", ".join(f"{x.node!r} {x.rate}" for x in streams)
            raise UnsupportedError(f"streams of different rates meet (steps for one of the input: {rates})")
        if not streams:
            return list(symbols)
        settled = [x if x.stream is None else self.settled(x) for x in symbols]
        delay = max(x.delay for x in settled if x.stream is not None)
        return [x if x.stream is None else self._delayed(x, delay) for x in settled]

    def _aligned(self, heads: list[Symbol]) -> list[Symbol]:
        heads = [self._shown(head) for head in heads]
        if len({head.is_pooled for head in heads}) > 1 or len({head.stream is None for head in heads}) > 1:
            raise UnsupportedError("some outputs answer every step and others the whole sequence; choose one kind")
        return self.together(heads)

    def _shown(self, head: Symbol) -> Symbol:
        """A head as a value of its own: the input, or a state, cannot be one."""
        if head.node == "input":
            node = Node("same", "linear_map", head.size, (head.node,), alpha=1.0)
            return head.of(self._add(node, head))
        return head

    def _flat(self, symbol: Symbol) -> Symbol:
        return self.in_order(symbol)

    def ends_with_input(self, x: Symbol) -> bool:
        """Whether the last step of the original is there when its input ends, and no later one."""
        if self._input is None or self._input.stream is None or x.stream is None:
            return not x.delay
        return x.shape[x.stream] + x.delay == int(self._input.shape[self._input.stream] * x.rate)

    def latest(self, x: Symbol) -> Symbol:
        """The last step of the stream so far, which stands for the whole sequence.

        Raises:
            UnsupportedError: the last step is not known when a sequence ends.
        """
        assert x.stream is not None
        x = self.settled(x)
        if not self.ends_with_input(x):
            raise UnsupportedError(
                f"{x.node!r} looks ahead or ends before its input does; its last step is not known when the sequence "
                "ends"
            )
        shape = tuple(1 if d == x.stream else n for d, n in enumerate(x.shape))
        last = replace(x, shape=shape, stream=None, is_pooled=True, ids=None)
        if x.inner > 1:
            return last

        def ending(node: Node, n_steps: int) -> Node:
            steps = int(x.rate * n_steps)
            return msgspec.structs.replace(node, start=steps - 1)

        node = Node(f"{x.node}.last", "slice_steps", x.size, (x.node,))
        return replace(last, node=self._add(node, last, ending=ending))
