"""What a node with a state keeps in the state row, and the small ops that every such node writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from streamrnn.kernels.opcodes import HOLD, Op
from streamrnn.kernels.packing import FloatArray, padded
from streamrnn.model.kinds import MapKind
from streamrnn.model.program import Writer
from streamrnn.model.spec import Activation, Node

Tensors = Mapping[str, FloatArray]
"""Of one node, by their short names."""


def map_op(kind: MapKind) -> Op:
    """The op of a map."""
    return Op[kind.upper()]


def write_map(writer: Writer, activation: Activation, src: int, dst: int, n: int) -> None:
    """Write a map of `n` (padded) elements."""
    weights = writer.weights.vector(np.array([activation.alpha, activation.beta], np.float32))
    writer.op(map_op(activation.kind), src=src, dst=dst, n_out=n, weights=weights)


@dataclass(frozen=True)
class State:
    """The regions of a cell's state, one after the other, and how to put them back while it is held."""

    writer: Writer
    node: Node
    h: int
    c: int
    n_values: int
    initial: int
    counter: int

    def hold(self) -> None:
        """Write the op that puts the state back behind each of the steps that the node ignores."""
        if self.node.hold:
            self.writer.op(
                Op.UNTIL, n_in=self.n_values, n_out=self.counter - self.h, weights=self.initial, state=self.h,
                more={HOLD: self.node.hold},
            )  # fmt: skip


def keep_state(writer: Writer, node: Node, parts: Mapping[str, int], tensors: Tensors) -> State:
    """Reserve the parts of a state (name and size; a lone part may have none) with their initial values."""
    offsets, initial = [], []
    for name, size in parts.items():
        values = tensors.get(f"initial_{name}", np.zeros(size, np.float32))
        offsets.append(writer.keep(f"{node.name}.{name}" if name else node.name, size, values))
        initial.append(np.pad(values, (0, padded(size) - size)))
    whole = np.concatenate(initial)
    counter = writer.keep(f"{node.name}.held", 1) if node.hold else 0
    at = writer.weights.vector(whole) if node.hold else 0
    return State(writer, node, offsets[0], offsets[-1], whole.size, at, counter)
