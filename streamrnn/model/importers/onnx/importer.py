"""`from_onnx`: a model of an ONNX graph, proved against the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamrnn.errors import ModelFileError, OptionError, SpecError, UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.card import Card
from streamrnn.model.importers.onnx.contract import Contract, TimeAxis, contracts_of
from streamrnn.model.importers.onnx.graph import OnnxGraph, graph_of, load_proto
from streamrnn.model.importers.onnx.original import RunError, original_of, runner_of
from streamrnn.model.importers.onnx.replay import Replay
from streamrnn.model.importers.onnx.rolling import rolled
from streamrnn.model.importers.onnx.states import roles_of
from streamrnn.model.importers.onnx.values import Value
from streamrnn.model.importers.proof import Original, prove
from streamrnn.model.importers.tracing.graph import Traced
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.importers.tracing.symbol import Symbol
from streamrnn.model.model import Model
from streamrnn.model.spec import MAX_SIZE

if TYPE_CHECKING:
    import onnx


MALFORMED = (ValueError, TypeError, LookupError, ArithmeticError)
"""What reading a graph raises whose operations lack an attribute, an output, or have them of another type."""


def from_onnx(
    source: str | Path | bytes | onnx.ModelProto,
    *,
    card: Card | None = None,
    example: Any = None,
    input: str = "",
    states: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = (),
    time_axis: TimeAxis = "auto",
    frame_steps: int = 0,
    is_forced: bool = False,
) -> Model:
    """The model that computes what an ONNX graph computes, one frame at a time.

    The graph is replayed operation by operation; what a frame is follows from the names and shapes of its inputs, and
    the model is then run against the graph itself: by onnxruntime where it is installed, else by ONNX' reference. The
    errors stand in `card.certificate`.

    Args:
        source: a file, its bytes, or the model.
        card: description; its certificate is replaced.
        example: frames as the graph takes them, of one sequence; these and frames of their mean and deviation are
            tried, and where the graph can be run at their length only, they say which.
        input: name of the input that holds the frames, where it cannot be told.
        states: names of inputs that are handed on from call to call, with the outputs that they come back as.
        constants: values of other inputs, by name.
        outputs: names of the outputs to keep; by default all but states.
        time_axis: the dimension of the frames that is time; "call" where each call is one frame.
        frame_steps: steps of the input in a frame, a multiple of what an output needs; 0 for just that.
        is_forced: where no way to call the graph agrees with it, keep the first that can be traced; its certificate
            then says that it failed.

    Raises:
        OptionError: an option fits the graph in no way, or one is missing to tell the inputs apart.
        ModelFileError: the source is no ONNX model.
        UnsupportedError: the graph cannot be streamed (the operation is named, with the reason), or the model differs
            from it.
    """
    proto = load_proto(source)
    fixed = {name: np.asarray(value) for name, value in (constants or {}).items()}
    shape = None if example is None else np.shape(example)
    try:
        graph = rolled(graph_of(proto))
        roles = roles_of(graph, input, states, frozenset(fixed), outputs)
        dtypes = {port.name: port.dtype for port in graph.inputs}
        fixed = {name: value.astype(dtypes[name]) for name, value in fixed.items()}
        waiting = list(contracts_of(graph, roles, fixed, time_axis, frame_steps, shape))
    except MALFORMED as error:
        raise ModelFileError(f"the graph is not as ONNX has them: {type(error).__name__}: {error}") from error
    runner = runner_of(source, proto, graph)
    refused: list[tuple[Contract, str]] = []
    differing: list[tuple[Traced, Original]] = []
    while waiting:
        contract = waiting.pop(0)
        try:
            traced, names = trace_graph(graph, contract, frame_steps)
            if contract.is_guess and waiting and _is_padded(traced):
                waiting.append(replace(contract, is_guess=False))
                continue
            original = None if runner is None else original_of(runner, graph, contract, names)
            if original is not None:
                differing.append((traced, original))
            return prove(traced, original, card=card, like=_like(traced, example))
        except (UnsupportedError, SpecError, RunError) as error:
            refused.append((contract, str(error)))
            n_steps = error.fields.get("n_steps") if isinstance(error, UnsupportedError) else None
            if isinstance(n_steps, int) and not contract.n_steps:
                waiting.insert(0, contract.at(n_steps))
    if is_forced and differing:
        traced, original = differing[0]
        return prove(traced, original, card=card, like=_like(traced, example), is_forced=True)
    raise _refusal(refused)


def trace_graph(graph: OnnxGraph, contract: Contract, frame_steps: int = 0) -> tuple[Traced, list[str]]:
    """The model of a graph called in one way, and the names of the outputs that it has.

    Raises:
        UnsupportedError: names the operation that cannot be streamed, and why.
    """
    roles = contract.roles
    trace = Trace(f"ONNX graph, {contract}")
    is_token = np.issubdtype(roles.frames.dtype, np.integer)
    name = roles.frames.name
    values: dict[str, Value] = {
        name: trace.input(contract.shapes[name], contract.time, MAX_SIZE if is_token else 0),
        **contract.constants,
    }
    for state in (*roles.states, *roles.zeros):
        shape = contract.shapes[state]
        values[state] = np.zeros(shape, np.float32) if contract.time is not None else trace.state(state, shape)
    replay = Replay(trace, graph, values)
    heads = _heads({name: replay.value(name) for name in roles.outputs})
    backs = {name: replay.value(back) for name, back in roles.states.items() if contract.time is None}
    states = {name: back for name, back in backs.items() if isinstance(back, Symbol)}
    traced = trace.finish(heads, states, frame_steps if contract.time is not None else 0)
    if traced.draft.spec.nodes[0].n_tokens == MAX_SIZE:
        raise UnsupportedError(f"the input {roles.frames} holds whole numbers, but no table is looked up with them")
    return traced, list(heads)


def _heads(outputs: Mapping[str, Value]) -> dict[str, Symbol]:
    """The outputs that are kept: where some answer every step, last states of cells beside them are not."""
    heads = {}
    for name, value in outputs.items():
        if not isinstance(value, Symbol):
            raise UnsupportedError(f"the output {name!r} does not depend on the input; choose others (outputs=)")
        heads[name] = value
    has_steps = any(head.stream is not None for head in heads.values())
    return {name: head for name, head in heads.items() if not (has_steps and head.is_pooled and head.ids is not None)}


def _is_padded(traced: Traced) -> bool:
    """Whether windows within a frame reach over its ends."""
    return any(any(node.pads or ()) for node in traced.draft.spec.nodes)


def _like(traced: Traced, example: Any) -> FloatArray | None:
    """The example as steps (n, values of a step)."""
    return None if example is None else traced.input.rows(np.asarray(example)).astype(np.float32)


def _refusal(refused: Sequence[tuple[Contract, str]]) -> UnsupportedError:
    if not refused:
        raise OptionError(
            "no dimension of the frames can be time; say which (time_axis=), or that each call is a frame"
        )
    if len({message for _, message in refused}) == 1:
        return UnsupportedError(refused[0][1])
    lines = "".join(f"\n  {contract}: {message}" for contract, message in refused)
    return UnsupportedError(f"the graph can be streamed in none of the ways that it may be called:{lines}")
