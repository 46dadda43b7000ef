"""What a spec must fulfil: names, order, arity, shapes and bounds."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from streamrnn.errors import SpecError
from streamrnn.model.kinds import BinaryKind, CellKind, Kind, MapKind, NormKind, PoolKind, RunningKind, SoftKind
from streamrnn.model.spec import MAX_SIZE, Node, Spec

MAPS = frozenset(get_args(MapKind))
SOFTS = frozenset(get_args(SoftKind))
BINARY = frozenset(get_args(BinaryKind))
POOLS = frozenset(get_args(PoolKind))
RUNNING = frozenset(get_args(RunningKind))
NORMS = frozenset(get_args(NormKind))
CELLS = frozenset(get_args(CellKind))
SAME_SHAPE = MAPS | SOFTS | BINARY | NORMS | {"affine", "prelu", "delay", "running_mean", "running_max", "running_norm"}
SAME_STEPS = SAME_SHAPE | CELLS | {
    "linear", "running_stats", "slice", "gather", "concat", "diagonal", "min_gru", "ssm",
}  # fmt: skip
WINDOWED = POOLS | {"conv"}

Fault = str | None
"""What is wrong with a node, in words that go on "node 'x' of kind y"."""


def check(spec: Spec) -> None:
    """Check names, order, arity and shapes.

    Raises:
        SpecError: names the node and what was expected.
    """
    if not spec.nodes or spec.nodes[0].kind != "input":
        raise SpecError("the first node of a spec must be its input")
    nodes: dict[str, Node] = {}
    for node in spec.nodes:
        if node.name in nodes or not node.name:
            raise SpecError(f"node names must be unique and not empty, got {node.name!r} twice or empty")
        _check_fields(node)
        for name in node.inputs:
            if node.kind != "previous" and name not in nodes:
                raise SpecError(f"node {node.name!r} reads {name!r}, which is not a node before it")
        nodes[node.name] = node
    for node in spec.nodes:
        fault = _fault(spec, node, [spec.node(name) for name in node.inputs])
        if fault:
            raise SpecError(f"node {node.name!r} {fault}")
    _check_output(spec)


def _check_output(spec: Spec) -> None:
    output = spec.node(spec.output)
    if spec.heads and (output.steps != 1 or sum(head.size for head in spec.heads) != output.size):
        raise SpecError(f"the heads must share the {output.size} values of output {spec.output!r} of one step")
    if spec.delay < 0:
        raise SpecError(f"the delay must be at least 0 frames, got {spec.delay}")


def _check_fields(node: Node) -> None:
    """What decoding has checked already, for a node that was built in Python; and the bounds."""
    for field, known in (
        ("kind", Kind),
        ("nonlinearity", Literal["tanh", "relu"]),
        ("reset", Literal["after", "before"]),
        ("pad_mode", Literal["zeros", "reflect", "edge"]),
    ):
        names = _names(known)
        if getattr(node, field) not in names:
            expected = ", ".join(names)
            raise SpecError(f"node {node.name!r}: {field} must be one of {expected}, got {getattr(node, field)!r}")
    for field, least in (
        ("size", 1), ("steps", 1), ("kernel", 1), ("stride", 1), ("dilation", 1), ("groups", 1),
        ("n_tokens", 0), ("lag", 0), ("hold", 0), ("start", 0), ("cell_size", 0),
    ):  # fmt: skip
        value = getattr(node, field)
        if not isinstance(value, int | np.integer) or not least <= value <= MAX_SIZE:
            raise SpecError(f"node {node.name!r}: {field} must be {least} to {MAX_SIZE}, got {value}")
    if node.steps * node.size > MAX_SIZE:
        raise SpecError(f"node {node.name!r}: {node.steps} steps of {node.size} values are more than {MAX_SIZE}")
    for activation in node.activations:
        if activation.kind not in MAPS:
            raise SpecError(f"node {node.name!r}: {activation.kind!r} is no activation")


def _names(known: object) -> list[str]:
    """The strings of a Literal, or of a union of them."""
    found: list[str] = []
    for arg in get_args(known):
        found += [arg] if isinstance(arg, str) else _names(arg)
    return found


def _fault(spec: Spec, node: Node, inputs: list[Node]) -> Fault:
    n, kind = len(inputs), node.kind
    expected = {"input": 0, "constant": 0, "ssm": 4} | dict.fromkeys(BINARY, 2)
    if kind in {"concat", "concat_steps"}:
        if n < 1:
            return f"of kind {kind} cannot read 0 nodes"
    elif n != expected.get(kind, 1):
        return f"of kind {kind} cannot read {n} nodes"
    if kind in SAME_STEPS and any(other.steps != node.steps for other in inputs):
        return f"of kind {kind} has {node.steps} steps, but reads {[other.steps for other in inputs]}"
    if kind in SAME_SHAPE | {"previous"} and any(_shape(other) != _shape(node) for other in inputs):
        return f"of kind {kind} has {_text(node)}, but reads {', '.join(_text(other) for other in inputs)}"
    if kind in WINDOWED:
        return _window_fault(node, inputs[0])
    if kind in CELLS:
        return _cell_fault(node)
    return _part_fault(spec, node, inputs)


def _part_fault(spec: Spec, node: Node, inputs: list[Node]) -> Fault:
    """Of kinds that take values apart or put them together, and the rest."""
    sizes, steps = [other.size for other in inputs], [other.steps for other in inputs]
    match node.kind:
        case "input":
            if node is not spec.nodes[0]:
                return "is a second input: a spec has one, its first node"
            if node.n_tokens and (node.size, node.steps) != (1, 1):
                return f"reads tokens: expected size 1, got {_text(node)}"
        case "embedding":
            if inputs[0].kind != "input" or not 0 < inputs[0].n_tokens <= node.n_tokens:
                return f"is an embedding: expected it to read the token input, of at most {node.n_tokens} tokens"
        case "concat" if sum(sizes) != node.size:
            return f"joins {sum(sizes)} values, but its size is {node.size}"
        case "concat_steps" if sum(steps) != node.steps or any(size != node.size for size in sizes):
            return f"joins {sum(steps)} steps of {sizes} values, but has {_text(node)}"
        case "slice" if node.start + node.size > sizes[0]:
            return f"takes values {node.start} to {node.start + node.size} of {sizes[0]}"
        case "gather" if len(node.index) != node.size or not all(0 <= i < sizes[0] for i in node.index):
            return f"must have {node.size} indices in [0, {sizes[0]})"
        case "slice_steps" if sizes[0] != node.size or node.start + (node.steps - 1) * node.stride >= steps[0]:
            return f"takes {node.steps} steps from {node.start} on, {node.stride} apart, of {_text(inputs[0])}"
        case "fold" if (node.steps, node.size) != (1, steps[0] * sizes[0]):
            return f"has {_text(node)}, but folds {_text(inputs[0])}"
        case "unfold" if steps[0] != 1 or node.steps * node.size != sizes[0]:
            return f"has {_text(node)}, but unfolds {_text(inputs[0])}"
        case "running_stats" if node.size != 2 * sizes[0]:
            return f"has {node.size} values, expected means and deviations of {sizes[0]}"
        case "group_norm" if node.size % node.groups:
            return f"has {node.size} channels, which {node.groups} groups do not divide"
        case "diagonal" if node.size != sizes[0] or (node.is_complex and node.size % 2):
            return f"has {node.size} values, but reads {sizes[0]}"
        case "ssm" if sizes[0] != node.size or sizes[1] != node.size or sizes[2] != sizes[3]:
            return f"has {node.size} values, but reads x, delta, B and C of {sizes}"
        case "clamp" if node.alpha > node.beta:
            return f"clamps from {node.alpha} to {node.beta}"
        case "log" if node.alpha < 0:
            return f"takes logarithms of at least {node.alpha}"
    return None


def _window_fault(node: Node, source: Node) -> Fault:
    reach = node.dilation * (node.kernel - 1) + 1
    if node.kind in POOLS and node.size != source.size:
        return f"of kind {node.kind} has size {node.size}, but reads {source.size}"
    if node.kind == "conv" and (source.size % node.groups or node.size % node.groups):
        return f"has {source.size} to {node.size} channels, which {node.groups} groups do not divide"
    if node.pads is None:
        if source.steps != node.steps * node.stride:
            return f"has {node.steps} steps a frame, but strides by {node.stride} over {source.steps}"
        return None
    if min(node.pads) < 0 or (node.pad_mode == "reflect" and max(node.pads) >= source.steps):
        return f"has pads {node.pads}, but reads {source.steps} steps"
    steps = (source.steps + sum(node.pads) - reach) // node.stride + 1
    if node.steps != steps:
        return f"has {node.steps} steps, but its windows over {source.steps} steps are {max(steps, 0)}"
    return None


def _cell_fault(node: Node) -> Fault:
    n_activations = {"rnn": 1, "gru": 2, "lstm": 3}[node.kind]
    if len(node.activations) not in {0, n_activations}:
        return f"of kind {node.kind} must have {n_activations} activations or none, got {len(node.activations)}"
    if node.kind != "lstm" and (node.cell_size or node.peepholes or node.coupled):
        return f"of kind {node.kind} cannot have a cell_size, peepholes or coupled gates"
    if node.clip < 0:
        return f"has clip {node.clip}, expected at least 0"
    return None


def _shape(node: Node) -> tuple[int, int]:
    return node.steps, node.size


def _text(node: Node) -> str:
    return f"size {node.size}" if node.steps == 1 else f"{node.steps} steps of size {node.size}"
