"""Replays the operations of an ONNX graph on symbols; what depends on constants alone is computed at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.onnx.cells import CELLS
from streamrnn.model.importers.onnx.folding import fold
from streamrnn.model.importers.onnx.graph import OnnxGraph, Operation
from streamrnn.model.importers.onnx.layers import LAYERS
from streamrnn.model.importers.onnx.maths import MATHS
from streamrnn.model.importers.onnx.shapes import SHAPES
from streamrnn.model.importers.onnx.values import Handler, Inputs, Value
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.importers.tracing.symbol import Symbol

HANDLERS: dict[str, Handler] = {**MATHS, **SHAPES, **LAYERS, **CELLS}
"""By ONNX' op_type."""

REFUSED = {
    "Loop": "it runs as long as the values say; only an If on a constant is known",
    "Scan": "a recurrence written out in a graph of its own is not known, only RNN, GRU and LSTM",
    "ConvTranspose": "its outputs overlap, so each needs what later frames add to it",
    "CumSum": "a sum over all the past grows without end",
    "Attention": "it reads frames that a stream no longer has",
    "MultiHeadAttention": "it reads frames that a stream no longer has",
    "Einsum": "a product by a formula is not known; MatMul and Gemm are",
    "STFT": "it is not known; a Conv with the window's sines and cosines is",
    "DFT": "it is not known; a MatMul with sines and cosines is",
    "ArgMax": "whole numbers are no output; take the values and choose afterwards",
    "TopK": "whole numbers are no output; take the values and choose afterwards",
    "Resize": "it makes steps between the steps",
    "Upsample": "it makes steps between the steps",
    "QuantizeLinear": "quantised values are not known; convert the model of floats, and narrow it here",
    "DequantizeLinear": "quantised values are not known; convert the model of floats, and narrow it here",
    "DynamicQuantizeLinear": "quantised values are not known; convert the model of floats, and narrow it here",
}
"""Why some operations are not there; all others that no table has are simply not known."""


class Replay:
    """One run over a graph, its inputs given as symbols and constants.

    Args:
        trace: grows with every operation.
        graph: of the model.
        inputs: a value for each input of the graph.
    """

    def __init__(self, trace: Trace, graph: OnnxGraph, inputs: Mapping[str, Value]) -> None:
        self._trace = trace
        self._values: dict[str, Value] = {}
        self._n_reads = Counter(graph.reads())
        self._values.update(inputs)
        self._run(graph)

    def value(self, name: str) -> Value:
        """What a name stands for.

        Raises:
            UnsupportedError: nothing computes it.
        """
        if name not in self._values:
            raise UnsupportedError(f"the value {name!r} is read, but nothing known computes it")
        return self._values[name]

    def _run(self, graph: OnnxGraph) -> None:
        self._values.update(graph.constants)
        readers = {name: op for op in graph.operations for name in op.inputs}
        for op in graph.operations:
            if all(name in self._values for name in op.outputs if name):
                continue  # done with the one before it
            try:
                self._apply(op, readers)
            except UnsupportedError as error:
                raise UnsupportedError(f"{op.label}: {error.message}", **error.fields) from None
            except (ValueError, TypeError, LookupError, ArithmeticError) as error:
                raise UnsupportedError(f"{op.label}: its inputs or attributes do not fit: {error}") from error

    def _apply(self, op: Operation, readers: Mapping[str, Operation]) -> None:
        inputs = [self.value(name) if name else None for name in op.inputs]
        if op.kind == "If":
            self._branch(op, inputs[0])
        elif op.kind in {"Shape", "Size"} and isinstance(inputs[0], Symbol):
            shape = np.array(inputs[0].shape, np.int64)
            part = shape[op.get("start", 0) : op.get("end", len(shape))]
            self._give(op, [part if op.kind == "Shape" else np.array(shape.prod())])
        elif not any(isinstance(value, Symbol) for value in inputs) and op.kind not in REFUSED:
            self._give(op, fold(op, [None if value is None else np.asarray(value) for value in inputs]))
        else:
            last, read = self._with_bias(op, inputs, readers) if op.kind == "MatMul" else (op, inputs)
            results = self._handler(op)(self._trace, op, read)
            self._give(last, [results] if isinstance(results, Symbol | np.ndarray) else results)

    def _give(self, op: Operation, results: Sequence[Value]) -> None:
        self._values.update({name: value for name, value in zip(op.outputs, results, strict=False) if name})

    def _handler(self, op: Operation) -> Handler:
        if op.domain and op.domain != "ai.onnx":
            raise UnsupportedError(f"operations of the domain {op.domain!r} are not ONNX' own")
        if op.kind not in HANDLERS:
            raise UnsupportedError(REFUSED.get(op.kind, "this operation is not known"))
        return HANDLERS[op.kind]

    def _with_bias(
        self, op: Operation, inputs: list[Value | None], readers: Mapping[str, Operation]
    ) -> tuple[Operation, Inputs]:
        """The `Add` of a constant right after a product, whose output nothing else reads: both are one layer."""
        reader = readers.get(op.outputs[0])
        if reader is None or reader.kind != "Add" or self._n_reads[op.outputs[0]] != 1:
            return op, inputs
        others = [name for name in reader.inputs if name != op.outputs[0]]
        bias, weight = self._values.get(others[0]) if others else None, inputs[1]
        if bias is None or weight is None or isinstance(bias, Symbol) or isinstance(weight, Symbol):
            return op, inputs
        if weight.ndim < 2 or np.ndim(bias) > weight.ndim or np.shape(bias)[-1:] != (weight.shape[-1],):
            return op, inputs
        if np.size(bias) != weight.shape[-1]:
            return op, inputs
        return reader, [*inputs, np.ravel(bias)]

    def _branch(self, op: Operation, condition: Value | None) -> None:
        if condition is None or isinstance(condition, Symbol):
            raise UnsupportedError("its condition comes from the frames; only one that is constant can be decided")
        branch: OnnxGraph = op.get("then_branch" if bool(np.all(condition)) else "else_branch")
        self._run(branch)
        self._give(op, [self.value(port.name) for port in branch.outputs])
