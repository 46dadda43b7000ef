"""A model ready to be stepped: spec, tensors, card and the program compiled from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from streamrnn.errors import SpecError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.card import Card
from streamrnn.model.certificate import Certificate
from streamrnn.model.compiler import compile_program
from streamrnn.model.precision import PrecisionName, parse_precision
from streamrnn.model.program import Program
from streamrnn.model.spec import Head, Node, Spec
from streamrnn.model.tensors import tensor_shapes

LAYOUT_VERSION = 1
"""Raised whenever the meaning of a state row changes, so that an old snapshot is refused."""


class Model:
    """Immutable; may be shared by engines and threads.

    Args:
        spec: the graph.
        tensors: by name, float32, in PyTorch's shapes; copied.
        card: description.
        precision: how the weights of the matrix products are kept while they are stepped.

    Raises:
        SpecError: spec, tensors or card disagree; names the node or tensor.
        OptionError: there is no such precision.
    """

    def __init__(
        self,
        spec: Spec,
        tensors: Mapping[str, FloatArray],
        card: Card | None = None,
        precision: PrecisionName = "float32",
    ) -> None:
        self.spec = spec
        self.precision = precision
        self.tensors: dict[str, FloatArray] = {
            name: np.array(tensor, copy=True, order="C") for name, tensor in tensors.items()
        }
        self.program: Program = compile_program(spec, self.tensors, parse_precision(precision))
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
        """Values in a frame: `input_steps` steps of `input_channels` values."""
        return self.input_node.steps * self.input_node.size

    @property
    def input_steps(self) -> int:
        """Steps of the input's own rate (samples, say) in a frame."""
        return self.input_node.steps

    @property
    def input_channels(self) -> int:
        """Values in a step of the input."""
        return self.input_node.size

    @cached_property
    def output_size(self) -> int:
        """Values in an output."""
        node = self.spec.node(self.spec.output)
        return node.steps * node.size

    @property
    def output_steps(self) -> int:
        """Steps of the output's own rate in an output; the values of each stand together."""
        return self.spec.node(self.spec.output).steps

    @property
    def heads(self) -> tuple[Head, ...]:
        """Named parts of an output, in order; one of the whole output where the spec names none."""
        return self.spec.heads or (Head("output", self.output_size),)

    @property
    def delay(self) -> int:
        """Frames by which an output comes behind the frame that it belongs to."""
        return self.spec.delay

    def split(self, ys: FloatArray) -> dict[str, FloatArray]:
        """Outputs (..., output_size) by head, each a view (..., size)."""
        parts, start = {}, 0
        for head in self.heads:
            parts[head.name] = ys[..., start : start + head.size]
            start += head.size
        return parts

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
    def certificate(self) -> Certificate:
        """The parity certificate in the card, read.

        Raises:
            ModelFileError: it cannot be read; one from a model file can.
        """
        return Certificate.of(self.card.certificate)

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
        """SHA-256 (hex) of all that decides a session's bits: spec, tensors, precision, layout version.

        Names are left out, since no bit depends on them, and so is how the weights are packed: it differs between
        hosts, and a session moves between them.
        """
        number = {node.name: i for i, node in enumerate(self.spec.nodes)}
        found = hashlib.sha256(b"%d %s %d" % (LAYOUT_VERSION, self.precision.encode(), number[self.spec.output]))
        for node in self.spec.nodes:
            inputs = tuple(str(number[name]) for name in node.inputs)
            found.update(msgspec.json.encode(msgspec.structs.replace(node, name="", inputs=inputs)))
            for short in tensor_shapes(self.spec, node):
                found.update(self.tensors[f"{node.name}.{short}"].astype("<f4", copy=False).tobytes())
        return found.hexdigest()

    def with_card(self, card: Card) -> Model:
        """The same model with another card."""
        return Model(self.spec, self.tensors, card, self.precision)

    def with_precision(self, precision: PrecisionName) -> Model:
        """The same model with its weights in another precision.

        Raises:
            OptionError: there is no such precision.
        """
        return Model(self.spec, self.tensors, self.card, precision)

    def save(self, path: str | Path) -> None:
        """Write the model file (see `model.file`); a file of that name is replaced whole or not at all."""
        from streamrnn.model.file import save_model

        save_model(self, path)
