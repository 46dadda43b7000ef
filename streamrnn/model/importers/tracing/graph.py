"""The graph that a trace grows: nodes of unknown steps, inputs, states, and the draft they make in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from typing import Any

import msgspec
import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.importers.folding import folded
from streamrnn.model.importers.layers import Draft
from streamrnn.model.importers.tracing.symbol import Ids, Symbol, layout_of
from streamrnn.model.spec import Head, Node, Spec


class ChangedStateError(UnsupportedError):
    """A state that cells took as their first one is handed back changed."""


Ending = Callable[[Node, int], Node]
"""What is still to be done to a node once the steps of its input in a frame are known."""


@dataclass(frozen=True)
class Traced:
    """A draft, and how the original's tensors belong to its frames and outputs.

    Attributes:
        draft: the model; its reading says how it was found.
        input: `input.array(rows)` makes the original's input of rows (n_steps, values of a step).
        frame_steps: steps of the input in a frame.
        outputs: the heads in order; `rows` of each takes the original's output apart. They stand in the model's output
            one after the other.
        output_delay: steps of the output by which it comes behind the original's; pooled outputs have none.
        is_pooled: whether the original answers once for the whole sequence, not at every step.
    """

    draft: Draft
    input: Symbol
    frame_steps: int
    outputs: tuple[Symbol, ...]
    output_delay: int
    is_pooled: bool


class Graph:
    """Grows the nodes of a model while the original's operations are replayed.

    Args:
        reading: how the original is read, for the certificate.
    """

    def __init__(self, reading: str = "") -> None:
        self._reading = reading
        self._nodes: list[Node] = []
        self._steps: dict[str, tuple[Fraction | None, int]] = {}
        self._endings: dict[str, Ending] = {}
        self._tensors: dict[str, FloatArray] = {}
        self._input: Symbol | None = None
        self._states: dict[str, Symbol] = {}
        self._n_ids = 1
        self._finals: dict[int, int] = {}
        self._taken: set[str] = set()

    # Inputs and states

    def input(self, shape: Sequence[int], stream: int | None, n_tokens: int = 0) -> Symbol:
        """The frames: a tensor of `shape` whose dimension `stream` is time; None where a frame is the whole tensor.

        n_tokens: where it holds token ids, how many there are; it then has one value a step.
        """
        shape = tuple(shape)
        layout = layout_of(shape, stream)
        symbol = Symbol("input", shape, stream, layout)
        self._input = symbol
        self._add(Node("input", "input", symbol.size, n_tokens=n_tokens), symbol)
        return symbol

    @property
    def n_steps(self) -> int:
        """Length of the time in the example that is traced; 1 where a frame is the whole."""
        return 1 if self._input is None or self._input.stream is None else self._input.shape[self._input.stream]

    def state(self, name: str, shape: Sequence[int]) -> Symbol:
        """A tensor that the original is handed at every call, and hands back (see `finish`); zeros at first."""
        shape = tuple(shape)
        symbol = Symbol(name, shape, None, layout_of(shape, None), ids=self._new_ids(shape))
        node = self._add(Node(name or "state", "previous", symbol.size, ("?",)), symbol)
        self._states[name] = replace(symbol, node=node)
        return self._states[name]

    def _new_ids(self, shape: tuple[int, ...]) -> Ids:
        n = int(np.prod(shape))
        ids = np.arange(self._n_ids, self._n_ids + n, dtype=np.int64).reshape(shape)
        self._n_ids += n
        return ids

    def final_of(self, state: Symbol | None, shape: tuple[int, ...]) -> Ids:
        """Ids of the last state of a cell that began with `state`: what the original must hand back for it."""
        ids = self._new_ids(shape)
        if state is not None and state.ids is not None:
            self._finals.update(zip(ids.ravel().tolist(), state.ids.ravel().tolist(), strict=True))
        return ids

    # Nodes

    def _add(
        self, node: Node, like: Symbol, tensors: Mapping[str, Any] | None = None, ending: Ending | None = None
    ) -> str:
        """Append a node whose value has the steps of `like`, with tensors by their short names; its unique name."""
        taken = {known.name for known in self._nodes}
        name, n = node.name or node.kind, 2
        while name in taken:
            name, n = f"{node.name or node.kind}_{n}", n + 1
        self._nodes.append(msgspec.structs.replace(node, name=name))
        self._steps[name] = (None if like.stream is None else like.rate, like.inner)
        if ending is not None:
            self._endings[name] = ending
        self._tensors.update({f"{name}.{short}": as_tensor(value) for short, value in (tensors or {}).items()})
        return name

    def node_of(self, symbol: Symbol) -> Node:
        """The node that computes a symbol, its steps still unknown."""
        return next(node for node in self._nodes if node.name == symbol.node)

    # The end

    def finish(
        self, outputs: Mapping[str, Symbol], states: Mapping[str, Symbol] | None = None, frame_steps: int = 0
    ) -> Traced:
        """The model of what was traced.

        Args:
            outputs: the heads by name, all of one rate.
            states: what the original hands back for each state; one that cells took as their first state, and whose
                new value is these cells' last state, is theirs.
            frame_steps: steps of the input in a frame: a multiple of what an output needs; 0 for just that.

        Raises:
            UnsupportedError: names what cannot be streamed.
        """
        assert self._input is not None
        if not outputs:
            raise UnsupportedError("the model has no output but its states")
        self._close_states(states or {})
        if strange := [name for name, head in outputs.items() if head.node not in self._steps]:
            raise UnsupportedError(f"the output {strange[0]!r} is {outputs[strange[0]].node}, not a value")
        heads = self._aligned(list(outputs.values()))
        n_steps = lcm(1, *(rate.denominator for rate, _ in self._steps.values() if rate is not None))
        if frame_steps % n_steps:
            raise UnsupportedError(
                f"an output needs {n_steps} steps of the input, so a frame must have a multiple of that, "
                f"not {frame_steps}"
            )
        n_steps = frame_steps or n_steps
        nodes = [self._ended(node, n_steps) for node in self._nodes]
        output = heads[0].node
        parts: tuple[Head, ...] = ()
        if len(heads) > 1:
            output, parts = self._join(nodes, dict(zip(outputs, heads, strict=True)))
        first = heads[0]
        rate = 1 if first.stream is None else first.rate * n_steps
        delay = -(-first.delay // int(rate)) if first.stream is not None else 0
        spec = Spec(tuple(_used(nodes, output)), output, parts, delay)
        names = {node.name for node in spec.nodes}
        tensors = {name: tensor for name, tensor in self._tensors.items() if name.rpartition(".")[0] in names}
        return Traced(
            folded(Draft(self._reading, spec, tensors)), self._input, n_steps, tuple(heads), first.delay,
            first.is_pooled,
        )  # fmt: skip

    def _aligned(self, heads: list[Symbol]) -> list[Symbol]:
        raise NotImplementedError

    def _ended(self, node: Node, n_steps: int) -> Node:
        rate, inner = self._steps[node.name]
        stream = 1 if rate is None else rate * n_steps
        if stream != 1 and inner != 1:
            raise UnsupportedError(
                f"{node.name!r} has {inner} steps inside each of {stream} steps of a frame, expected one or the other"
            )
        node = msgspec.structs.replace(node, steps=int(stream) * inner)
        return self._endings[node.name](node, n_steps) if node.name in self._endings else node

    def _join(self, nodes: list[Node], heads: Mapping[str, Symbol]) -> tuple[str, tuple[Head, ...]]:
        parts, names = [], []
        by_name = {node.name: node for node in nodes}
        for name, head in heads.items():
            node = by_name[head.node]
            if node.steps > 1:
                node = Node(f"{node.name}.folded", "fold", node.steps * node.size, (node.name,))
                if node.name not in by_name:
                    nodes.append(node)
                    by_name[node.name] = node
            parts.append(Head(name, node.size))
            names.append(node.name)
        output = "output"
        while output in by_name:
            output += "_"
        nodes.append(Node(output, "concat", sum(part.size for part in parts), tuple(names)))
        return output, tuple(parts)

    def _close_states(self, states: Mapping[str, Symbol]) -> None:
        """Let each state read what is handed back for it, unless cells keep it themselves."""
        for name, state in self._states.items():
            assert state.ids is not None
            back = states.get(name)
            if name in self._taken:
                given = np.array([]) if back is None or back.ids is None else back.ids.ravel()
                owners = [self._finals.get(int(i), 0) for i in given]
                if back is not None and owners != state.ids.ravel().tolist():
                    raise ChangedStateError(f"state {name!r}: what is handed back is not the last state of its cells")
                if back is not None and any(state.node in node.inputs for node in self._nodes):
                    self._point(state.node, self._flat(replace(back, ids=None)).node)
            elif back is None:
                raise UnsupportedError(f"state {name!r} is handed in, but nothing is handed back for it")
            else:
                if back.step_size != state.size or back.stream is not None:
                    raise UnsupportedError(f"state {name!r} has {state.size} values, handed back are {back.shape}")
                self._point(state.node, self._flat(back).node)

    def _flat(self, symbol: Symbol) -> Symbol:
        raise NotImplementedError

    def _point(self, name: str, source: str) -> None:
        self._nodes = [
            msgspec.structs.replace(node, inputs=(source,)) if node.name == name else node for node in self._nodes
        ]


def as_tensor(value: Any) -> FloatArray:
    """An array as a tensor of a model."""
    return np.array(value, np.float32, order="C")


def _used(nodes: list[Node], output: str) -> list[Node]:
    """The nodes that the output needs, and the input."""
    by_name = {node.name: node for node in nodes}
    wanted, found = [output, nodes[0].name], set()
    while wanted:
        name = wanted.pop()
        if name not in by_name:
            name = name.strip("?") or "a state"
            raise UnsupportedError(f"{name} is used as a value, but stays inside its cell: it can only be handed back")
        if name not in found:
            found.add(name)
            wanted += by_name[name].inputs
    return [node for node in nodes if node.name in found]
