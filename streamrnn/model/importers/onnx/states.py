"""Which inputs of a graph are frames, which are states, and which output hands each state back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamrnn.errors import OptionError
from streamrnn.model.importers.onnx.graph import OnnxGraph, Operation, Port

BATCH_NAME = re.compile(r"^(n|b|bs|batch(_?size)?|n_?batch(es)?|.*batch.*)$", re.IGNORECASE)
"""Names of dimensions that are 1 here: a session is one sequence."""
FILLERS = frozenset(
    {"in", "out", "input", "output", "new", "next", "prev", "previous", "old", "init", "initial", "final", "last"}
    | {"n", "0", "t", "cur", "current", "updated"}
)
"""Parts of the name of a state that say which side it stands on, not which state it is."""
STATE_NAME = re.compile(r"^(h|c|hx|cx|hidden|cell|state|states|cache|memory|hs|cs)$")


@dataclass(frozen=True)
class Roles:
    """What each input is for.

    Attributes:
        frames: the input that changes at every call.
        states: names of inputs that are handed back, with the outputs that they come back as.
        zeros: names of inputs that are states, but never handed back: they are zeros.
        outputs: names of the outputs that are no states.
    """

    frames: Port
    states: dict[str, str]
    zeros: tuple[str, ...]
    outputs: tuple[str, ...]


def roles_of(
    graph: OnnxGraph, frames: str, states: Mapping[str, str] | None, known: frozenset[str], outputs: Sequence[str]
) -> Roles:
    """The roles of the inputs that are not `known`: as the options say, by names and shapes elsewhere.

    Raises:
        OptionError: an option names what is not there, or it cannot be told which input holds the frames.
    """
    ports = {port.name: port for port in graph.inputs if port.name not in known}
    results = {port.name: port for port in graph.outputs}
    for name, where, what in (
        *((name, {port.name for port in graph.inputs}, "input") for name in known),
        *((name, ports.keys(), "input") for name in (*([frames] if frames else []), *(states or {}))),
        *((name, results.keys(), "output") for name in (*outputs, *(states or {}).values())),
    ):
        if name not in where:
            raise OptionError(f"no {what} is named {name!r}; there are {', '.join(sorted(where)) or 'none'}")
    if not ports:
        raise OptionError("the graph has no input left for the frames")
    pairs = dict(states) if states is not None else _pairs(list(ports.values()), list(results.values()), frames)
    rest = [name for name in ports if name not in pairs]
    zeros = [name for name in rest if name != frames and _is_state(graph, ports[name])]
    left = [name for name in rest if name not in zeros] or rest[:1]
    if frames in pairs or (frames and left != [frames]) or len(left) != 1:
        raise OptionError(
            f"cannot tell what the inputs {', '.join(str(ports[name]) for name in left)} are for. Say which holds the "
            "frames (input=), which are states and come back as which output (states={'h': 'hn'}), and give the "
            "others (constants={'name': value})"
        )
    shown = tuple(outputs) or tuple(name for name in results if name not in pairs.values())
    return Roles(ports[left[0]], pairs, tuple(name for name in zeros if name != left[0]), shown)


def _pairs(inputs: Sequence[Port], outputs: Sequence[Port], frames: str) -> dict[str, str]:
    """States by their names; else, where all but the first input match the last outputs in order, those."""
    found: dict[str, str] = {}
    for port in inputs:
        match = [
            other.name for other in outputs
            if stem(other.name) == stem(port.name) and _may_be_one(port, other) and other.name not in found.values()
        ]  # fmt: skip
        if match and port.name != frames and port.name not in match:
            found[port.name] = match[0]
    if len(found) == len(inputs):
        del found[inputs[0].name]
    if found:
        return found
    rest = [port for port in inputs if port.name != frames] if frames else list(inputs[1:])
    last = outputs[len(outputs) - len(rest) :]
    if rest and len(outputs) > len(rest) and all(_may_be_one(a, b) for a, b in zip(rest, last, strict=True)):
        return {a.name: b.name for a, b in zip(rest, last, strict=True)}
    return {}


def stem(name: str) -> str:
    """The name of a state without what says that it comes in or goes out: "h" of "h0", "hn", "h_in" and "new_h"."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    name = re.sub(r"^(h|c|hx|cx|state|hidden|cell)(n|0|in|out)$", r"\1", name)
    parts = [part for part in re.split(r"[^a-z0-9]+", name) if part]
    return "".join(part for part in parts if part not in FILLERS) or "".join(parts)


def _may_be_one(a: Port, b: Port) -> bool:
    """Whether the shapes may be the same; open lengths fit anything."""
    if a.dtype != b.dtype:
        return False
    if a.dims is None or b.dims is None:
        return True
    return len(a.dims) == len(b.dims) and all(
        m == n or isinstance(m, str) or isinstance(n, str) for m, n in zip(a.dims, b.dims, strict=True)
    )


def _is_state(graph: OnnxGraph, port: Port) -> bool:
    return bool(STATE_NAME.match(stem(port.name))) or _begins_a_cell(graph.operations, port.name)


def _begins_a_cell(operations: Sequence[Operation], name: str) -> bool:
    """Whether a value is, but for its shape, the first state of a recurrent operation."""
    names = {name}
    for op in operations:
        if op.kind in {"RNN", "GRU", "LSTM"} and names & {*op.inputs[5:7]}:
            return True
        moves = {"Slice", "Squeeze", "Unsqueeze", "Reshape", "Split", "Gather", "Transpose", "Identity", "Cast"}
        if op.kind in moves and op.inputs[0] in names:
            names |= {*op.outputs}
    return False
