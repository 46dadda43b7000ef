"""What importers hand to the compiler: chains of layers with canonical tensors, and drafts of models made from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

import msgspec

from streamrnn.errors import UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.kinds import Kind
from streamrnn.model.spec import Node, Spec

RECURRENT = frozenset({"rnn", "lstm", "gru"})
MAPS = frozenset({"tanh", "sigmoid", "relu", "softmax", "log_softmax"})
"""What a forward may apply between layers."""


@dataclass(frozen=True)
class Layer:
    """One node of a chain.

    Attributes:
        name: the layer's path in the framework's model; made unique later.
        input_size: values it reads; 0 where it takes any number.
        size: values it gives; 0 where it gives as many as it reads.
        tensors: by their canonical short names, in PyTorch's shapes.
        options: further fields of the node.
    """

    kind: Kind
    name: str
    input_size: int = 0
    size: int = 0
    tensors: dict[str, FloatArray] = field(default_factory=dict)
    n_tokens: int = 0
    bias: bool = True
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    reset: Literal["after", "before"] = "after"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A spec with its tensors, and how it reads the original's layers."""

    reading: str
    spec: Spec
    tensors: dict[str, FloatArray]


class DraftBuilder:
    """Grows a spec node by node; every method that adds a node returns its name."""

    def __init__(self, input_size: int, n_tokens: int = 0, steps: int = 1) -> None:
        self._nodes = [Node("input", "input", input_size, n_tokens=n_tokens, steps=steps)]
        self._tensors: dict[str, FloatArray] = {}

    def add(self, node: Node, tensors: dict[str, FloatArray] | None = None) -> str:
        """Append a node, under a name not used so far."""
        taken = {known.name for known in self._nodes}
        name, n = node.name, 2
        while name in taken:
            name, n = f"{node.name}_{n}", n + 1
        self._nodes.append(msgspec.structs.replace(node, name=name))
        self._tensors.update({f"{name}.{short}": tensor for short, tensor in (tensors or {}).items()})
        return name

    def add_layer(self, layer: Layer, source: str) -> str:
        """Append a layer that reads the node `source`."""
        known = next(node for node in self._nodes if node.name == source)
        source_size, steps = known.size, known.steps // layer.options.get("stride", 1)
        if layer.input_size not in {0, source_size} and layer.kind != "embedding":
            raise UnsupportedError(
                f"layer {layer.name!r} reads {layer.input_size} values, but the layer before it gives {source_size}"
            )
        node = Node(
            layer.name or layer.kind, layer.kind, layer.size or source_size, (source,), n_tokens=layer.n_tokens,
            bias=layer.bias, nonlinearity=layer.nonlinearity, reset=layer.reset, steps=steps, **layer.options,
        )  # fmt: skip
        return self.add(node, layer.tensors)

    def point(self, name: str, source: str) -> None:
        """Let the node `name` (a `previous`) read `source`, which was added after it."""
        self._nodes = [
            msgspec.structs.replace(node, inputs=(source,)) if node.name == name else node for node in self._nodes
        ]

    def draft(self, reading: str, output: str) -> Draft:
        """All nodes so far, with `output` as the model's answer."""
        return Draft(reading, Spec(tuple(self._nodes), output), self._tensors)


def chain_input(layers: Sequence[Layer]) -> tuple[int, int]:
    """Input size and number of tokens (0 where dense) that a chain reads.

    Raises:
        UnsupportedError: no layer says it.
    """
    for layer in layers:
        if layer.kind == "embedding":
            return 1, layer.n_tokens
        if layer.input_size:
            return layer.input_size, 0
    raise UnsupportedError("no layer says how many values a frame has: there is no layer with weights")


def chain_draft(layers: Sequence[Layer], reading: str = "") -> Draft:
    """A model whose layers read one another in order.

    Raises:
        UnsupportedError: two neighbours do not fit; names the layer.
    """
    input_size, n_tokens = chain_input(layers)
    for layer in layers[1:]:
        if layer.kind == "embedding":
            raise UnsupportedError(f"embedding {layer.name!r} is not the first layer: only the frame holds token ids")
    builder = DraftBuilder(input_size, n_tokens, prod(layer.options.get("stride", 1) for layer in layers))
    last = "input"
    for layer in layers:
        last = builder.add_layer(layer, last)
    return builder.draft(reading or describe(layers), last)


def describe(layers: Iterable[Layer]) -> str:
    """A chain on one line, as `lstm -> fc (linear) -> log_softmax`."""
    return " -> ".join(described(layer) for layer in layers)


def described(layer: Layer) -> str:
    """A layer's name, and its kind where the name does not say it."""
    return layer.name if layer.kind in layer.name else f"{layer.name} ({layer.kind})".lstrip()


def activation(kind: Kind) -> Layer:
    """An activation that stands in a forward, not in a layer of its own."""
    assert kind in MAPS
    return Layer(kind, kind)
