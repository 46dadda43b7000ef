"""The graph itself, run by onnxruntime where it is installed and by ONNX' own reference elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamrnn.model.importers.onnx.cells import CELLS, DEFAULT
from streamrnn.model.importers.onnx.contract import Contract
from streamrnn.model.importers.onnx.graph import Array, OnnxGraph, Operation
from streamrnn.model.importers.proof import Original

if TYPE_CHECKING:
    import onnx

Run = Callable[[Mapping[str, Array]], dict[str, Array]]
IGNORED = ("activation_alpha", "activation_beta", "clip", "input_forget")
"""Attributes of recurrent operations that the reference does not look at."""


class RunError(Exception):
    """The graph does not run on what it was given."""


def runner_of(
    source: str | Path | bytes | onnx.ModelProto, proto: onnx.ModelProto, graph: OnnxGraph
) -> tuple[str, Run] | None:
    """The name of what runs a graph, and a run: from inputs to outputs, by name; None where nothing here can."""
    return onnxruntime_of(source, proto) or _reference(proto, graph)


def onnxruntime_of(source: str | Path | bytes | onnx.ModelProto, proto: onnx.ModelProto) -> tuple[str, Run] | None:
    """The graph in onnxruntime, on one thread; None where that is not installed, or does not know all that it has."""
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        loadable = str(source) if isinstance(source, str | Path) else proto.SerializeToString()
        session = onnxruntime.InferenceSession(loadable, options, providers=["CPUExecutionProvider"])
    except Exception:  # for one, layout=1 is not known there
        return None
    names = [port.name for port in session.get_outputs()]

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return dict(zip(names, session.run(None, dict(inputs)), strict=True))
        except Exception as error:  # onnxruntime has one for each of its codes
            raise RunError(f"onnxruntime cannot run the graph so: {str(error)[:300]}") from None

    return f"onnxruntime {onnxruntime.__version__}", run


def _reference(proto: onnx.ModelProto, graph: OnnxGraph) -> tuple[str, Run] | None:
    import onnx
    from onnx.reference import ReferenceEvaluator

    if any(op.kind in CELLS and not _is_in_reference(op) for op in graph.operations):
        return None
    try:
        evaluator = ReferenceEvaluator(proto)
    except Exception:
        return None

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            found: Any = evaluator.run(None, dict(inputs))
        except Exception as error:
            raise RunError(f"onnx.reference cannot run the graph so: {str(error)[:300]}") from None
        return dict(zip(evaluator.output_names, found, strict=True))

    return f"onnx.reference {onnx.__version__}", run


def _is_in_reference(op: Operation) -> bool:
    names = tuple(name.lower() for name in op.get("activations", ()))
    kind: Any = op.kind.lower()
    return names in {(), DEFAULT[kind]} and not any(op.get(name) for name in IGNORED)


def original_of(runner: tuple[str, Run], graph: OnnxGraph, contract: Contract, outputs: Sequence[str]) -> Original:
    """The graph as `prove` calls it: its states begin as zeros and go on from call to call."""
    framework, run = runner
    dtypes = {port.name: port.dtype for port in graph.inputs}
    roles = contract.roles

    def answer(inputs: Sequence[Array]) -> list[list[Array]]:
        states = {name: np.zeros(contract.shapes[name], dtypes[name]) for name in (*roles.states, *roles.zeros)}
        answers = []
        for x in inputs:
            found = run({roles.frames.name: x.astype(dtypes[roles.frames.name]), **states, **contract.constants})
            states |= {name: found[back] for name, back in roles.states.items() if contract.time is None}
            answers.append([found[name] for name in outputs])
        return answers

    return Original(framework, answer, str(contract), contract.n_steps)
