"""Small models with seeded weights, made without any framework."""

from __future__ import annotations

import numpy as np

from streamrnn.model.card import Card
from streamrnn.model.model import Model
from streamrnn.model.spec import Node, Spec
from streamrnn.model.tensors import tensor_shapes


def build(spec: Spec, seed: int, card: Card | None = None) -> Model:
    """Fill a spec with random weights."""
    rng = np.random.default_rng(seed)
    tensors = {
        f"{node.name}.{name}": rng.normal(0, 0.4, shape).astype(np.float32)
        for node in spec.nodes
        for name, shape in tensor_shapes(spec, node).items()
    }
    return Model(spec, tensors, card)


def lstm_model(input_size: int = 3, hidden_size: int = 8, output_size: int = 2, seed: int = 1) -> Model:
    """An LSTM with a linear head."""
    nodes = (
        Node("x", "input", input_size),
        Node("cell", "lstm", hidden_size, ("x",)),
        Node("head", "linear", output_size, ("cell",)),
    )
    names = tuple(f"in{i}" for i in range(input_size))
    return build(Spec(nodes, "head"), seed, Card(input_names=names, labels=tuple("ab")[:output_size]))


def gru_model(input_size: int = 3, hidden_size: int = 5, seed: int = 2) -> Model:
    """A bare GRU: another output size than `lstm_model`, the same input size."""
    nodes = (Node("x", "input", input_size), Node("cell", "gru", hidden_size, ("x",)))
    return build(Spec(nodes, "cell"), seed)


def token_model(n_tokens: int = 7, hidden_size: int = 4, seed: int = 3, labels: str = "") -> Model:
    """An embedding and a GRU over token ids, whose outputs may have labels."""
    nodes = (
        Node("x", "input", 1, n_tokens=n_tokens),
        Node("table", "embedding", 3, ("x",), n_tokens=n_tokens),
        Node("cell", "gru", hidden_size, ("table",)),
    )
    return build(Spec(nodes, "cell"), seed, Card(labels=tuple(labels)) if labels else None)
