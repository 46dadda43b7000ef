"""A model ready to be stepped: spec, tensors, card and the program compiled from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from streamrnn.errors import SpecError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.card import Card
from streamrnn.model.compiler import Program, compile_program
from streamrnn.model.spec import Node, Spec

LAYOUT_VERSION = 1
"""Raised whenever the meaning of a state row changes, so that an old snapshot is refused."""


class Model:
    """Immutable; may be shared by engines and threads.

    Args:
        spec: the graph.
        tensors: by name, float32, in PyTorch's shapes; copied.
        card: description.

    Raises:
        SpecError: spec, tensors or card disagree; names the node or tensor.
    """

    def __init__(self, spec: Spec, tensors: Mapping[str, FloatArray], card: Card | None = None) -> None:
        self.spec = spec
        self.tensors: dict[str, FloatArray] = {
            name: np.array(tensor, copy=True, order="C") for name, tensor in tensors.items()
        }
        self.program: Program = compile_program(spec, self.tensors)
        self.card = card or Card()
        for field, expected in (("input_names", self.input_size), ("output_names", self.output_size)):
            names = getattr(self.card, field)
            if names and len(names) != expected:
                raise SpecError(f"card.{field} must hold {expected} names or none, got {len(names)}")

    def __repr__(self) -> str:
        return f"Model({self.card.name or 'unnamed'!r}, {self.input_size} -> {self.output_size})"

    @property
    def input_node(self) -> Node:
        """The node that takes the frame."""
        return self.spec.nodes[0]

    @property
    def input_size(self) -> int:
        """Values in a frame."""
        return self.input_node.size

    @cached_property
    def output_size(self) -> int:
        """Values in an output."""
        return self.spec.node(self.spec.output).size

    @property
    def n_tokens(self) -> int:
        """Token ids a frame may hold are `[0, n_tokens)`; 0 for a dense input."""
        return self.input_node.n_tokens

    @property
    def input_kind(self) -> Literal["dense", "token"]:
        """`token` when a frame is one token id."""
        return "token" if self.n_tokens else "dense"

    @property
    def labels(self) -> tuple[str, ...]:
        """One label an output, or none."""
        return self.card.labels

    @property
    def n_parameters(self) -> int:
        """Values in all tensors."""
        return sum(tensor.size for tensor in self.tensors.values())

    @property
    def state_bytes(self) -> int:
        """Bytes of one session's state row."""
        return 4 * self.program.state_size

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all that decides a session's bits: program, weights, initial state, layout version."""
        program = self.program
        parts = (program.table, program.weights, program.initial_state)
        return hashlib.sha256(b"%d" % LAYOUT_VERSION + b"".join(part.tobytes() for part in parts)).hexdigest()

    def with_card(self, card: Card) -> Model:
        """The same model with another card."""
        return Model(self.spec, self.tensors, card)

    def save(self, path: str | Path) -> None:
        """Write the model file (see `model.file`); a file of that name is replaced whole or not at all."""
        from streamrnn.model.file import save_model

        save_model(self, path)
