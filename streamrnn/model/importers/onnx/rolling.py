"""Loops that an exporter has written out, step by step, become one operation again.

`torch.onnx.export(..., dynamo=True)` has no RNN operation for `nn.RNN`. It takes the sequence apart, writes
`h = tanh(x_k + h @ R + b)` down for each step, and joins the steps: that, and nothing else, is looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from streamrnn.model.importers.onnx.graph import Array, OnnxGraph, Operation


@dataclass(frozen=True)
class _Loop:
    """What the steps have in common: `h = activation(source[k] + h @ weight + bias)`, h zeros at first."""

    activation: str
    source: str
    weight: str
    bias: Array


def rolled(graph: OnnxGraph) -> OnnxGraph:
    """The graph with written-out loops as RNN, and without operations that nothing needs any more."""
    makers = {name: op for op in graph.operations for name in op.outputs}
    constants = dict(graph.constants)
    constants |= {op.outputs[0]: op.get("value") for op in graph.operations if op.kind == "Constant"}
    operations: list[Operation] = []
    renamed: dict[str, str] = {}
    added: dict[str, Array] = {}
    for op in graph.operations:
        op = replace(op, inputs=tuple(renamed.get(name, name) for name in op.inputs))
        loop = _loop(op, makers, constants) if op.kind == "Concat" and op.get("axis") == 0 else None
        if loop is None:
            operations.append(op)
            continue
        operations += _as_rnn(op, loop, constants, added)
        renamed[op.inputs[-1]] = f"{op.outputs[0]}.last"
    if not added:
        return graph
    outputs = {renamed.get(port.name, port.name): port for port in graph.outputs}
    operations += [
        Operation("Identity", "", "", (name,), (port.name,), {}, 1, None)
        for name, port in outputs.items() if name != port.name
    ]  # fmt: skip
    kept = _needed(operations, {port.name for port in graph.outputs})
    return replace(graph, operations=tuple(kept), constants={**graph.constants, **added})


def _as_rnn(
    joined: Operation, loop: _Loop, constants: Mapping[str, Array], added: dict[str, Array]
) -> Iterator[Operation]:
    """The operations in place of the one that joined the steps."""
    name = joined.outputs[0]
    weight = constants[loop.weight].T
    n = len(weight)
    added |= {
        f"{name}.W": np.eye(n, dtype=np.float32)[None],
        f"{name}.R": weight[None],
        f"{name}.B": np.concatenate([loop.bias, np.zeros(n)]).astype(np.float32)[None],
        f"{name}.one": np.array([1]),
    }
    inputs = (loop.source, f"{name}.W", f"{name}.R", f"{name}.B")
    attributes = {"hidden_size": n, "activations": [loop.activation]}
    yield Operation("RNN", "", name, inputs, (f"{name}.steps", f"{name}.last"), attributes, 22, None)
    yield Operation("Squeeze", "", name, (f"{name}.steps", f"{name}.one"), (name,), {}, 22, None)


def _loop(joined: Operation, makers: Mapping[str, Operation], constants: Mapping[str, Array]) -> _Loop | None:
    """What all steps that are joined have in common, or None."""
    found: set[tuple[str, str, str, str]] = set()
    first: Array | None = None
    for k, name in enumerate(joined.inputs):
        step = makers.get(name)
        total = makers.get(step.inputs[0]) if step is not None and step.kind in {"Tanh", "Relu"} else None
        if step is None or total is None or total.kind != "Add":
            return None
        taken = [_source(part, k, makers, constants) for part in total.inputs]
        if (taken[0] is None) == (taken[1] is None):
            return None
        source, other = (taken[0], total.inputs[1]) if taken[0] is not None else (taken[1], total.inputs[0])
        if k == 0:
            first = constants.get(other)
            continue
        product = _product(other, joined.inputs[k - 1], makers, constants)
        if product is None or source is None:
            return None
        found.add((step.kind, source, *product))
    if first is None or len(found) != 1:
        return None
    kind, source, weight, bias = found.pop()
    shift = constants[bias].ravel() if bias else np.zeros(len(constants[weight]))
    # The first step adds what the first state gives: nothing but the bias where that is zeros.
    return _Loop(kind, source, weight, shift) if np.array_equal(first.ravel(), shift) else None


def _source(name: str, k: int, makers: Mapping[str, Operation], constants: Mapping[str, Array]) -> str | None:
    """What a value is the step `k` of, or None."""
    squeeze = makers.get(name)
    part = makers.get(squeeze.inputs[0]) if squeeze is not None and squeeze.kind == "Squeeze" else None
    if part is None or part.kind != "Slice" or len(part.inputs) < 4:
        return None
    starts, ends, axes = (constants.get(other) for other in part.inputs[1:4])
    if starts is None or ends is None or axes is None:
        return None
    return part.inputs[0] if (*starts.ravel(), *ends.ravel(), *axes.ravel()) == (k, k + 1, 0) else None


def _product(
    name: str, state: str, makers: Mapping[str, Operation], constants: Mapping[str, Array]
) -> tuple[str, str] | None:
    """The constants of `state @ weight + bias`; the bias is empty where there is none."""
    op, bias = makers.get(name), ""
    if op is not None and op.kind == "Add":
        consts = [part for part in op.inputs if part in constants]
        rest = [part for part in op.inputs if part not in constants]
        if len(consts) != 1:
            return None
        bias, op = consts[0], makers.get(rest[0])
    if op is None or op.kind != "MatMul" or op.inputs[0] != state or op.inputs[1] not in constants:
        return None
    return op.inputs[1], bias


def _needed(operations: list[Operation], wanted: set[str]) -> list[Operation]:
    """The operations that the outputs need."""
    kept = []
    for op in reversed(operations):
        if wanted & {*op.outputs}:
            kept.append(op)
            wanted |= {*op.inputs}
            for value in op.attributes.values():
                wanted |= {*value.reads()} if isinstance(value, OnnxGraph) else set()
    return kept[::-1]
