"""A model file run by PyTorch over a whole recording at once: what a stream of frames is compared with.

Only the spec and the tensors of the file are used; every layer is PyTorch's own, so no code of the engine takes part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from streamrnn.model.model import Model
    from streamrnn.model.spec import Node

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softmax": lambda x: functional.softmax(x, dim=-1),
    "log_softmax": lambda x: functional.log_softmax(x, dim=-1),
}
KNOWN = {"input", "previous", "concat", "add", "linear", "embedding", "affine", *CELLS, *MAPS}
"""Kinds of node that have a form here."""


class Offline(nn.Module):
    """The graph of a model as PyTorch layers; `forward` takes a whole sequence and starts it from a fresh state."""

    def __init__(self, model: Model) -> None:
        """Build the layers and copy the tensors.

        Raises:
            ValueError: a node has no PyTorch form here: a GRU whose reset acts before the matmul, a cell of a rarer
                kind, or a layer that no recipe has.
        """
        super().__init__()
        for node in model.spec.nodes:
            if node.kind not in KNOWN or node.activations or node.cell_size or node.steps > 1:
                raise ValueError(f"{node.name}: a {node.kind} of this kind has no PyTorch form here")
        self.spec = model.spec
        self.tensors = {name: torch.tensor(tensor) for name, tensor in model.tensors.items()}
        self.cells = {node.name: self._cell(node) for node in self.spec.nodes if node.kind in CELLS}
        self.is_stepwise = any(node.kind == "previous" for node in self.spec.nodes)

    def _cell(self, node: Node) -> nn.Module:
        if node.kind == "gru" and node.reset == "before":
            raise ValueError(f"{node.name}: PyTorch has no GRU that resets before the matmul")
        n_in = sum(self.spec.node(name).size for name in node.inputs)
        options = {"nonlinearity": node.nonlinearity} if node.kind == "rnn" else {}
        cell: nn.Module = CELLS[node.kind](n_in, node.size, bias=node.bias, batch_first=True, **options)
        own = {f"{short}_l0": self._tensor(node, short) for short in ("weight_ih", "weight_hh")}
        if node.bias:
            own |= {f"{short}_l0": self._tensor(node, short) for short in ("bias_ih", "bias_hh")}
        cell.load_state_dict(own)
        return cell

    def _tensor(self, node: Node, short: str) -> Tensor:
        return self.tensors[f"{node.name}.{short}"]

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Map x: (n_frames, input_size) float32 to (n_frames, output_size)."""
        states: dict[str, Tensor | tuple[Tensor, Tensor]] = {}
        if not self.is_stepwise:
            return self._evaluate(x, states)
        return torch.cat([self._evaluate(frame, states) for frame in x[:, None]])

    def _evaluate(self, x: Tensor, states: dict[str, Tensor | tuple[Tensor, Tensor]]) -> Tensor:
        values: dict[str, Tensor] = {}
        for node in self.spec.nodes:
            if node.kind == "previous":
                values[node.name] = states.get(node.name, torch.zeros(1, node.size))  # type: ignore[assignment]
            elif node.kind in CELLS:
                output, state = self.cells[node.name](values[node.inputs[0]][None], states.get(node.name))
                values[node.name], states[node.name] = output[0], state
            else:
                values[node.name] = self._value(node, x, [values[name] for name in node.inputs])
        for node in self.spec.nodes:
            if node.kind == "previous":
                states[node.name] = values[node.inputs[0]]
        return values[self.spec.output]

    def _value(self, node: Node, x: Tensor, inputs: list[Tensor]) -> Tensor:
        match node.kind:
            case "input":
                return x
            case "concat":
                return torch.cat(inputs, dim=-1)
            case "add":
                return inputs[0] + inputs[1]
            case "linear":
                bias = self._tensor(node, "bias") if node.bias else None
                return functional.linear(inputs[0], self._tensor(node, "weight"), bias)
            case "embedding":
                return functional.embedding(inputs[0][:, 0].long(), self._tensor(node, "weight"))
            case "affine":
                return inputs[0] * self._tensor(node, "scale") + self._tensor(node, "shift")
            case _:
                return MAPS[node.kind](inputs[0])
