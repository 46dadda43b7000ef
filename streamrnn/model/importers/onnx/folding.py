"""Operations on constants, run once when the model is read, by ONNX' own reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.onnx.graph import Array, Operation

RANDOM = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}
)
"""They depend on nothing, and yet are no constants."""


def fold(op: Operation, inputs: Sequence[Array | None]) -> list[Array]:
    """The outputs of an operation whose inputs are all constants.

    Raises:
        UnsupportedError: it is random, or the reference does not know it.
    """
    from onnx import ValueInfoProto, helper
    from onnx.reference import ReferenceEvaluator

    if op.kind == "Constant" and "value" in op.attributes:
        return [op.attributes["value"]]
    if op.kind in RANDOM:
        raise UnsupportedError("it draws random values at every call")
    given = {name: value for name, value in zip(op.inputs, inputs, strict=True) if value is not None}
    ports = [ValueInfoProto(name=name) for name in given]
    outputs = [ValueInfoProto(name=name) for name in op.outputs if name]
    graph = helper.make_graph([op.proto], "constants", ports, outputs)
    try:
        evaluator = ReferenceEvaluator(graph, opsets={op.domain: op.version})
        found: Any = evaluator.run(None, given)
    except Exception as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnsupportedError(f"of constants, cannot be computed: {text[:160]}") from None
    values = iter(np.asarray(value) for value in found)
    return [next(values) if name else np.zeros(0) for name in op.outputs]
