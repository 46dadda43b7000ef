"""A node of a graph on one line: its kind, and what it does differently from a plain one."""

from __future__ import annotations

from typing import Any

from streamrnn.model.spec import Node

PLAIN = {"kernel": 1, "stride": 1, "dilation": 1, "groups": 1, "lag": 0, "hold": 0, "clip": 0.0, "cell_size": 0}
"""Numbers that are told where they are not these."""
FLAGS = ("peepholes", "coupled", "initial", "is_complex", "exact")
WITH_START = frozenset({"slice", "slice_steps"})


def options_of(node: Node) -> dict[str, Any]:
    """What a node's kind leaves open, by the field's name."""
    found: dict[str, Any] = {}
    if node.activations:
        found["activations"] = [activation.kind for activation in node.activations]
    elif node.kind == "rnn":
        found["nonlinearity"] = node.nonlinearity
    if node.kind == "gru":
        found["reset"] = node.reset
    if node.kind == "embedding" or (node.kind == "input" and node.n_tokens):
        found["n_tokens"] = node.n_tokens
    found |= {name: value for name, plain in PLAIN.items() if (value := getattr(node, name)) != plain}
    if node.pads is not None:
        found |= {"pads": list(node.pads), "pad_mode": node.pad_mode}
    if node.kind in WITH_START:
        found["start"] = node.start
    found |= {name: value for name in ("alpha", "beta", "eps") if (value := getattr(node, name))}
    return found | {name: True for name in FLAGS if getattr(node, name)}


def kind_text(node: Node) -> str:
    """Kind and options, as `conv kernel 3, stride 2`."""
    notes = [_note(name, value) for name, value in options_of(node).items()]
    return " ".join([node.kind, ", ".join(notes)]).rstrip()


def _note(name: str, value: Any) -> str:
    said = name.removeprefix("n_").removeprefix("is_").replace("_", " ")
    if value is True:
        return said
    if name == "nonlinearity":
        return str(value)
    if isinstance(value, list):
        return f"{said} {' '.join(map(str, value))}"
    return f"{said} {value:g}" if isinstance(value, int | float) else f"{said} {value}"
