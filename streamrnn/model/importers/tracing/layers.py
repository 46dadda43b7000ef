"""The layers with weights, on symbols: products, convolutions, norms, embeddings, pools; and the whole trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import msgspec
import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.tracing.cells import Cells, given
from streamrnn.model.importers.tracing.symbol import Constant, Symbol
from streamrnn.model.spec import Node

PadMode = Literal["zeros", "reflect", "edge"]


class Trace(Cells):
    """The operations of a framework, replayed: methods take symbols, and constants as arrays, and give symbols.

    Every method raises `UnsupportedError`, which says why, where the operation cannot be streamed.
    """

    def linear(self, x: Symbol, weight: Constant, bias: Constant | None = None, name: str = "") -> Symbol:
        """`x @ weight.T + bias` over the last dimension: weight (n_out, n_in)."""
        last = x.ndim - 1
        if last == x.stream:
            raise UnsupportedError(f"{name or x.node!r}: a product over the time needs the frames that come after")
        n_out, n_in = np.shape(weight)
        if x.shape[last] != n_in:
            raise UnsupportedError(f"{name or x.node!r}: a product reads {n_in} values, but {x.shape[last]} come")
        x = self.arranged(self.settled(x), [d for d in x.layout if d != last], [last])
        shape = (*x.shape[:-1], n_out)
        inner = x.layout[: x.n_inner]
        layout = inner + ((last,) if n_out != 1 else ())
        y = replace(x, shape=shape, layout=layout, n_inner=len(inner))
        node = Node(name or "linear", "linear", n_out, (x.node,), bias=bias is not None)
        return y.of(self._add(node, y, given(weight=weight, bias=bias)))

    def embedding(self, x: Symbol, table: Constant, name: str = "") -> Symbol:
        """Rows of a table (n_tokens, n) for the token ids of the input."""
        n_tokens, n = np.shape(table)
        if x.node != "input":
            raise UnsupportedError(f"embedding {name!r} reads {x.node!r}; only the frame holds token ids")
        if x.layout:
            raise UnsupportedError(f"embedding {name!r} reads {x.step_size} tokens a step, expected one")
        first = self._nodes[0]
        least = min(first.n_tokens or n_tokens, n_tokens)
        self._nodes[0] = msgspec.structs.replace(first, n_tokens=least)
        y = replace(x, shape=(*x.shape, n), layout=(x.ndim,) if n != 1 else ())
        node = Node(name or "embedding", "embedding", n, (x.node,), n_tokens=n_tokens)
        return y.of(self._add(node, y, {"weight": table}))

    def conv1d(
        self,
        x: Symbol,
        weight: Constant,
        bias: Constant | None = None,
        stride: int = 1,
        pads: tuple[int, int] = (0, 0),
        dilation: int = 1,
        groups: int = 1,
        pad_mode: PadMode = "zeros",
        name: str = "",
    ) -> Symbol:
        """PyTorch's `conv1d` of x (batch of one, channels, positions) or (channels, positions).

        Over the stream: where it looks ahead, or loses steps for want of padding, its output comes late. Over
        positions inside a step: a convolution within the frame.
        """
        n_out, _, kernel = np.shape(weight)
        node = Node(
            name or "conv", "conv", n_out, kernel=kernel, stride=stride, dilation=dilation, groups=groups,
            bias=bias is not None,
        )  # fmt: skip
        return self._windowed(node, x, pads, pad_mode, given(weight=weight, bias=bias))

    def pool1d(
        self,
        kind: Literal["max", "mean"],
        x: Symbol,
        kernel: int,
        stride: int,
        pads: tuple[int, int] = (0, 0),
        dilation: int = 1,
        name: str = "",
    ) -> Symbol:
        """Largest or mean value of windows of x (batch of one, channels, positions); padding counts in a mean."""
        node_kind: Literal["max_pool", "mean_pool"] = "max_pool" if kind == "max" else "mean_pool"
        node = Node(name or node_kind, node_kind, x.shape[-2], kernel=kernel, stride=stride, dilation=dilation)
        return self._windowed(node, x, pads, "zeros", {})

    def _every(self, x: Symbol, stride: int) -> Symbol:
        """Every `stride`-th step of the stream, the first among them."""
        y = self._windowed_stream(Node(f"{x.node}.every", "mean_pool", x.size, stride=stride), x, 0, {})
        return replace(y, shape=tuple(-(-n // stride) if d == x.stream else n for d, n in enumerate(x.shape)))

    def _windowed(
        self, node: Node, x: Symbol, pads: tuple[int, int], pad_mode: PadMode, tensors: Mapping[str, Constant]
    ) -> Symbol:
        """A node over windows of the last dimension of (batch of one, channels, positions)."""
        last, channel = x.ndim - 1, x.ndim - 2
        if x.ndim < 2 or any(d not in {last, channel} for d in x.layout) or x.stream == channel:
            raise UnsupportedError(
                f"{node.name!r}: windows over the last dimension of {x.shape}, "
                "expected (batch of one, channels, positions)"
            )
        n = (x.shape[last] + sum(pads) - node.dilation * (node.kernel - 1) - 1) // node.stride + 1
        if n < 1:
            raise UnsupportedError(f"{node.name!r}: {x.shape[last]} positions are too few for windows of {node.kernel}")
        shape = (*x.shape[:channel], node.size, n)
        channels = (channel,) if node.size != 1 else ()
        if x.stream == last:
            if pad_mode != "zeros" and any(pads):
                raise UnsupportedError(f"{node.name!r}: its padding is {pad_mode!r}; a stream begins with zeros")
            y = self._windowed_stream(node, self.arranged(x, (), [channel]), pads[0], tensors)
            return replace(y, shape=shape, layout=channels, n_inner=0)
        x = self.arranged(self.settled(x), [last], [channel])
        inner = (last,) if n != 1 else ()
        y = replace(x, shape=shape, layout=inner + channels, n_inner=len(inner))
        node = msgspec.structs.replace(node, inputs=(x.node,), pads=pads, pad_mode=pad_mode)
        return y.of(self._add(node, y, tensors))

    def _windowed_stream(self, node: Node, x: Symbol, pad: int, tensors: Mapping[str, Constant]) -> Symbol:
        """A node over windows of the stream, which the original pads with `pad` zeros before it.

        Window `j` of the original ends at step `j * stride + end` of the stream. Outputs are made after every
        `stride` steps: the first that has seen it is `delay` outputs late, and the window then ends `lag` steps ago.
        """
        if node.kind == "max_pool" and x.is_padded:
            x = self.settled(x)
        stride = node.stride
        end = (node.kernel - 1) * node.dilation - pad + x.delay
        delay = max(0, -(-(end - (stride - 1)) // stride))
        lag = delay * stride + stride - 1 - end
        node = msgspec.structs.replace(node, inputs=(x.node,), lag=lag, hold=max(x.first, 0))
        y = replace(x, rate=x.rate / stride, delay=delay, first=delay)
        return y.of(self._add(node, y, tensors))

    def layer_norm(
        self, x: Symbol, n_dims: int, weight: Constant | None, bias: Constant | None, eps: float, name: str = ""
    ) -> Symbol:
        """Over the last `n_dims` dimensions, which one step holds."""
        over = range(x.ndim - n_dims, x.ndim)
        if x.stream in over:
            raise UnsupportedError(f"{name or 'layer_norm'!r} runs over the time, so it needs the frames after")
        return self._normed("layer_norm", x, list(over), weight, bias, eps, name)

    def rms_norm(self, x: Symbol, n_dims: int, weight: Constant | None, eps: float, name: str = "") -> Symbol:
        """As `layer_norm`, of the mean square."""
        over = range(x.ndim - n_dims, x.ndim)
        if x.stream in over:
            raise UnsupportedError(f"{name or 'rms_norm'!r} runs over the time, so it needs the frames after")
        return self._normed("rms_norm", x, list(over), weight, None, eps, name)

    def _normed(
        self, kind: Literal["layer_norm", "rms_norm"], x: Symbol, over: list[int], weight: Constant | None,
        bias: Constant | None, eps: float, name: str,
    ) -> Symbol:  # fmt: skip
        x = self.arranged(self.settled(x), [d for d in sorted(x.layout) if d not in over], over)
        weight = np.ones(x.size) if weight is None else np.asarray(weight).ravel()
        node = Node(name or kind, kind, x.size, (x.node,), bias=bias is not None, eps=eps)
        return x.of(self._add(node, x, given(weight=weight, bias=bias)))

    def group_norm(
        self, x: Symbol, groups: int, weight: Constant | None, bias: Constant | None, eps: float, name: str = ""
    ) -> Symbol:
        """PyTorch's: x (batch of one or time, channels, positions...): each group over its channels and positions."""
        name = name or "group_norm"
        if x.stream is not None and x.stream >= 1 and x.ndim > 2:
            raise UnsupportedError(f"{name!r} runs over the time, so it needs the frames that come after")
        n_channels = x.shape[1]
        shape = x.shape
        x = self.in_order(self.settled(x))
        node = Node(name, "group_norm", x.size, (x.node,), groups=groups, eps=eps, bias=bias is not None)
        repeat = x.size // n_channels
        scale = np.ones(n_channels) if weight is None else np.asarray(weight)
        tensors = {"weight": np.repeat(scale, repeat)}
        if bias is not None:
            tensors["bias"] = np.repeat(np.asarray(bias), repeat)
        return replace(x.of(self._add(node, x, tensors)), shape=shape)

    def batch_norm(
        self, x: Symbol, mean: Constant, variance: Constant, weight: Constant | None, bias: Constant | None,
        eps: float, channel: int = 1, name: str = "",
    ) -> Symbol:  # fmt: skip
        """As in inference: a scale and a shift for each channel."""
        scale = 1.0 / np.sqrt(np.asarray(variance, np.float64) + eps)
        scale = scale * (1.0 if weight is None else np.asarray(weight, np.float64))
        shift = -np.asarray(mean, np.float64) * scale + (0.0 if bias is None else np.asarray(bias, np.float64))
        shape = [-1 if d == x.dim(channel) else 1 for d in range(x.ndim)]
        return self.affine(x, scale.reshape(shape), shift.reshape(shape), name=name or "batch_norm")

    def prelu(self, x: Symbol, slope: Constant, channel: int = 1, name: str = "") -> Symbol:
        """`x`, or `slope * x` below 0, with one slope or one for each channel."""
        x = self.settled(x)
        slope = np.asarray(slope, np.float64)
        if slope.size == 1:
            return self.map("leaky_relu", x, float(slope.ravel()[0]), name=name or "prelu")
        shape = slope.shape if slope.ndim == x.ndim else [-1 if d == x.dim(channel) else 1 for d in range(x.ndim)]
        if x.stream is not None and slope.reshape(shape).shape[x.stream] != 1:
            raise UnsupportedError(f"{name or 'prelu'!r}: its slopes change along the time")
        full = np.broadcast_to(slope.reshape(shape), [1 if d == x.stream else n for d, n in enumerate(x.shape)])
        values = x.rows(full)[0]
        y = self.folded(x)
        return y.of(self._add(Node(name or "prelu", "prelu", y.size, (y.node,)), y, {"slope": values}))
