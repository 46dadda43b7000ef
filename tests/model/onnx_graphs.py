"""ONNX graphs of a few operations, built for the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

F32 = TensorProto.FLOAT
TIME = "time"


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    """Random float32 values that keep a net's values about 1."""
    rng = np.random.default_rng([seed, *shape])
    return (rng.standard_normal(shape) / max(1.0, shape[-1] ** 0.5)).astype(np.float32)


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """A node; names of inputs and outputs with spaces between, `_` for one that is left out."""
    read, made = (["" if name == "_" else name for name in text.split()] for text in (inputs, outputs))
    return helper.make_node(kind, read, made, f"{kind}_{made[-1]}", **attributes)


def graph(nodes: list[Any], x: tuple[Any, ...], *, opset: int = 21, outputs: Any = ("y",), dtype: int = F32,
          inputs: dict[str, tuple[Any, ...]] | None = None, **tensors: Any) -> bytes:  # fmt: skip
    """A model of `nodes` from x (and other inputs) to outputs, as bytes; `tensors` are its constants by name."""
    ports = [helper.make_tensor_value_info("x", dtype, x)]
    ports += [helper.make_tensor_value_info(name, F32, shape) for name, shape in (inputs or {}).items()]
    results = [helper.make_tensor_value_info(name, F32, None) for name in outputs]
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()]
    made = helper.make_graph(nodes, "test", ports, results, constants)
    proto = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return proto.SerializeToString()
