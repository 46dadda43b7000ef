"""Put a front end before a model of features, so that it takes samples."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from streamrnn.errors import SpecError
from streamrnn.model.card import Card
from streamrnn.model.checks import CELLS, RUNNING, WINDOWED
from streamrnn.model.frontend.frontend import Frontend, parse_frontend
from streamrnn.model.frontend.graph import PREFIX, frontend_nodes
from streamrnn.model.model import Model
from streamrnn.model.spec import Node, Spec

STATEFUL = CELLS | RUNNING | {"previous", "delay", "min_gru", "diagonal", "ssm"}
"""Kinds that remember, beside the windowed ones without `pads`."""


def frontend_model(chosen: str | Frontend) -> Model:
    """A model from samples to the features themselves.

    Raises:
        OptionError: there is no such front end.
    """
    frontend = parse_frontend(chosen)
    nodes, tensors, output, delay = frontend_nodes(frontend)
    return Model(Spec(nodes, output, delay=delay), tensors, Card(rate_hz=frontend.rate_hz))


def with_frontend(model: Model, chosen: str | Frontend) -> Model:
    """The model behind a front end: a frame is then as many samples as one of its own frames takes.

    What it gives in the first `spec.delay` frames belongs to no frame. Its cells and windows do not see what the front
    end makes of the time before the first sample. Its card keeps the choices as JSON, in `provenance["frontend"]`.

    Args:
        model: reads features, of the front end's size; where a frame of it has several steps, each is one hop.
        chosen: a `Frontend`, or a name that `parse_frontend` knows.

    Raises:
        OptionError: there is no such front end.
        SpecError: the model reads tokens, or another number of features, or has a front end.
    """
    frontend, source = parse_frontend(chosen), model.input_node
    if source.n_tokens or source.size != frontend.size:
        reads = "token ids" if source.n_tokens else f"{source.size} values a step"
        raise SpecError(f"a model behind this front end must read {frontend.size} features, this one reads {reads}")
    if any(node.name.startswith(PREFIX) for node in model.spec.nodes):
        raise SpecError(f"the model has nodes named {PREFIX!r}...: expected one without a front end")
    rate_hz = frontend.rate_hz / source.steps
    if model.card.rate_hz and abs(model.card.rate_hz - rate_hz) > 1e-3 * rate_hz:
        raise SpecError(f"the model takes {model.card.rate_hz:g} frames a second, but the front end gives {rate_hz:g}")
    nodes, tensors, output, delay = frontend_nodes(frontend, source.steps, source.name)

    def behind(node: Node) -> Node:
        inputs = tuple(output if name == source.name else name for name in node.inputs)
        is_windowed = node.kind in WINDOWED and node.pads is None
        hold = node.hold + delay * _steps_read(model.spec, node) if node.kind in STATEFUL or is_windowed else node.hold
        return replace(node, inputs=inputs, hold=hold)

    spec = model.spec
    whole = Spec(
        (*nodes, *map(behind, spec.nodes[1:])), output if spec.output == source.name else spec.output,
        heads=spec.heads, delay=spec.delay + delay,
    )  # fmt: skip
    provenance = model.card.provenance | {"frontend": msgspec.json.encode(frontend).decode()}
    card = replace(model.card, input_names=(), rate_hz=rate_hz, provenance=provenance)
    return Model(whole, {**tensors, **model.tensors}, card, model.precision)


def _steps_read(spec: Spec, node: Node) -> int:
    """Steps in a frame of what a node remembers: those of its input."""
    return spec.node(node.inputs[0]).steps
