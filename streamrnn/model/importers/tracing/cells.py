"""The recurrent cells, on symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.tracing.composed import Composed
from streamrnn.model.importers.tracing.symbol import Constant, MisreadError, Symbol
from streamrnn.model.spec import Node


class Cells(Composed):
    """What runs along the time with a state of its own."""

    def recurrent(
        self,
        kind: Literal["rnn", "lstm", "gru"],
        x: Symbol,
        time: int,
        tensors: Mapping[str, Constant],
        initial: Sequence[Symbol | Constant | None] = (),
        name: str = "",
        **options: Any,
    ) -> tuple[Symbol, tuple[Symbol, ...]]:
        """A cell over dimension `time` of x, whose other dimension that is longer than 1 holds the channels.

        Args:
            kind: of cell.
            x: e.g. (batch of one, time, channels).
            time: the dimension that the cell goes along: the stream, or within a frame.
            tensors: `weight_ih`, `weight_hh` and so on, canonical (see `model.tensors`), one direction of one layer.
            initial: the first h, and c of an `lstm`: constants, states, or None for zeros.
            name: of the node.
            options: fields of the node: `reset`, `nonlinearity`, `activations`, `peepholes`, `coupled`, `clip`.

        Returns:
            The outputs, shaped as x but with the cell's values in the last dimension that held channels; and the last
            h (and c), each (size,): equal to the last output where used as a value, and what a state is handed back.
        """
        time = x.dim(time)
        name = name or kind
        n_in = np.shape(tensors["weight_ih"])[1]
        channels = [d for d in range(x.ndim) if d != time and (d in x.layout or x.shape[d] == n_in)]
        channel = max(channels, default=x.ndim - 1)
        if x.stream is not None and x.stream != time:
            raise MisreadError(f"{name!r} runs along dimension {time} of {x.shape}, but the time is {x.stream}")
        if x.shape[channel] != n_in or any(d not in {time, channel} for d in x.layout):
            raise UnsupportedError(f"{name!r} reads {n_in} values at each step, but {x.shape} come (time: {time})")
        x = self.arranged(self.settled(x), [time], [channel])
        n_h = np.shape(tensors["weight_hh"])[1]
        n_units = np.shape(tensors["weight_hr"])[1] if "weight_hr" in tensors else n_h
        shape = tuple(n_h if d == channel else n for d, n in enumerate(x.shape))
        inner = x.layout[: x.n_inner]
        y = replace(x, shape=shape, layout=inner + ((channel,) if n_h != 1 else ()), n_inner=len(inner))
        states, values = self._initial(name, x, initial, (n_h, n_units) if kind == "lstm" else (n_h,))
        node = Node(
            name, kind, n_h, (x.node,), bias="bias_ih" in tensors, initial=bool(values), hold=max(x.delay, 0),
            cell_size=n_units if "weight_hr" in tensors else 0, **options,
        )  # fmt: skip
        y = y.of(self._add(node, y, {**tensors, **values}))
        return y, self._last_states(y, time, states, (n_h, n_units) if kind == "lstm" else (n_h,))

    def _initial(
        self, name: str, x: Symbol, initial: Sequence[Symbol | Constant | None], sizes: Sequence[int]
    ) -> tuple[list[Symbol | None], dict[str, Constant]]:
        """The states that a cell begins with, and the tensors where they are constants."""
        states: list[Symbol | None] = []
        constants: list[Constant] = []
        for value, size in zip([*initial, *[None] * (len(sizes) - len(initial))], sizes, strict=True):
            is_symbol = isinstance(value, Symbol)
            states.append(value if isinstance(value, Symbol) else None)
            if isinstance(value, Symbol) and (value.ids is None or value.ids.size != size):
                raise UnsupportedError(f"{name!r}: its first state is computed from {value.node!r}, not a state's own")
            constants.append(np.zeros(size) if value is None or is_symbol else np.asarray(value).ravel())
        owners = {self._owner(state) for state in states if state is not None}
        if owners and None in states:
            raise UnsupportedError(f"{name!r}: one of its states is handed in and the other is not")
        self._taken |= owners
        if x.stream is None and not owners:
            raise UnsupportedError(
                f"{name!r} begins anew at every frame: its state is not handed in and out, and the frame has no time"
            )
        if not any(np.any(constant) for constant in constants):
            return states, {}
        return states, {f"initial_{short}": value for short, value in zip("hc", constants, strict=False)}

    def _owner(self, state: Symbol) -> str:
        assert state.ids is not None
        wanted = int(state.ids.ravel()[0])
        return next(
            name for name, known in self._states.items()
            if known.ids is not None and known.ids.ravel()[0] <= wanted <= known.ids.ravel()[-1]
        )  # fmt: skip

    def _last_states(
        self, y: Symbol, time: int, states: Sequence[Symbol | None], sizes: Sequence[int]
    ) -> tuple[Symbol, ...]:
        found = []
        for i, (state, size) in enumerate(zip(states, sizes, strict=True)):
            if y.stream is not None:
                last = replace(y, shape=(size,), stream=None, layout=(0,) if size != 1 else (), n_inner=0,
                               is_pooled=True, node=f"{y.node} (last state)")  # fmt: skip
                if i == 0 and self.ends_with_input(y):
                    kept = [n if d not in {time} else 1 for d, n in enumerate(y.shape)]
                    value = self.latest(y)
                    assert value.shape == tuple(kept)
                    last = self.reshape(value, (size,))
            else:
                last = replace(y, shape=(size,), layout=(0,) if size != 1 else (), n_inner=0)
                if y.inner > 1 and i == 0:
                    last = self.reshape(self.slice(y, time, y.shape[time] - 1), (size,))
            if i == 1:
                last = replace(last, node=f"{y.node} (cell state)")
            found.append(replace(last, ids=self.final_of(state, (size,))))
        return tuple(found)

    def min_gru(self, x: Symbol, weight: Constant, bias: Constant | None, name: str = "") -> Symbol:
        """A minimal GRU over the stream: weight (2 n, n_in), gates z then n; x (batch of one, time, n_in)."""
        n = np.shape(weight)[0] // 2
        y = self._along(x, n, name or "min_gru")
        node = Node(name or "min_gru", "min_gru", n, (y.node,), bias=bias is not None, hold=max(y.delay, 0))
        return y.of(self._add(node, y, given(weight=weight, bias=bias)))

    def diagonal(self, x: Symbol, decay_re: Constant, decay_im: Constant | None = None, name: str = "") -> Symbol:
        """`h = decay * h + x` over the stream; where it is complex, x and the result hold all real parts first."""
        y = self._along(x, x.shape[-1], name or "diagonal")
        node = Node(name or "diagonal", "diagonal", y.size, (y.node,), is_complex=decay_im is not None,
                    hold=max(y.delay, 0))  # fmt: skip
        tensors = {"decay": decay_re} if decay_im is None else {"decay_re": decay_re, "decay_im": decay_im}
        return y.of(self._add(node, y, tensors))

    def ssm(self, x: Symbol, delta: Symbol, a: Constant, b: Symbol, c: Symbol, d: Constant, name: str = "") -> Symbol:
        """Mamba's selective scan over the stream: x, delta (batch of one, time, n), b, c (batch of one, time, m)."""
        inputs = [self._along(value, value.shape[-1], name or "ssm") for value in self.together([x, delta, b, c])]
        y = inputs[0]
        node = Node(name or "ssm", "ssm", y.size, tuple(value.node for value in inputs), hold=max(y.delay, 0))
        return y.of(self._add(node, y, {"a": a, "d": d}))

    def _along(self, x: Symbol, n: int, name: str) -> Symbol:
        """x with its channels in the last dimension, and that with `n` of them: what runs along the stream."""
        last = x.ndim - 1
        if x.stream is None or x.stream == last or any(d != last for d in x.layout):
            raise UnsupportedError(f"{name!r} reads {x.shape}, expected (batch of one, time, channels)")
        x = self.settled(x)
        return replace(x, shape=(*x.shape[:-1], n), layout=(last,) if n != 1 else (), n_inner=0)


def given(**tensors: Constant | None) -> dict[str, Constant]:
    """Those that are there."""
    return {name: value for name, value in tensors.items() if value is not None}
