"""The tensors that the nodes of a spec need: names and shapes as PyTorch has them, and a check of what is given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from streamrnn.errors import SpecError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.spec import Node, Shape, Spec, input_size

N_GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def n_gates(node: Node) -> int:
    """Gates of a recurrent cell."""
    return 3 if node.coupled else N_GATES[node.kind]


def tensor_shapes(spec: Spec, node: Node) -> dict[str, Shape]:
    """Names (without the node's) and shapes of the tensors that `node` needs."""
    n_in, n = input_size(spec, node), node.size
    bias: dict[str, Shape] = {"bias": (n,)} if node.bias else {}
    match node.kind:
        case "linear":
            return {"weight": (n, n_in)} | bias
        case "conv":
            return {"weight": (n, n_in // node.groups, node.kernel)} | bias
        case "min_gru":
            return {"weight": (2 * n, n_in)} | ({"bias": (2 * n,)} if node.bias else {})
        case "layer_norm" | "rms_norm" | "group_norm":
            return {"weight": (n,)} | bias
        case "embedding":
            return {"weight": (node.n_tokens, n)}
        case "affine":
            return {"scale": (n,), "shift": (n,)}
        case "prelu":
            return {"slope": (n,)}
        case "constant":
            return {"value": (n,)}
        case "diagonal":
            return {"decay": (n,)} if not node.is_complex else {"decay_re": (n // 2,), "decay_im": (n // 2,)}
        case "ssm":
            return {"a": (n, spec.node(node.inputs[2]).size), "d": (n,)}
        case "rnn" | "lstm" | "gru":
            return _cell_shapes(node, n_in)
        case _:
            return {}


def _cell_shapes(node: Node, n_in: int) -> dict[str, Shape]:
    n, units = node.size, node.cell_size or node.size
    rows = n_gates(node) * units
    shapes: dict[str, Shape] = {"weight_ih": (rows, n_in), "weight_hh": (rows, n)}
    if node.bias:
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    if node.cell_size:
        shapes["weight_hr"] = (n, units)
    if node.peepholes:
        shapes["peephole"] = (3 * units,)
    if node.initial:
        shapes["initial_h"] = (n,)
        if node.kind == "lstm":
            shapes["initial_c"] = (units,)
    return shapes


def check_tensors(spec: Spec, tensors: Mapping[str, FloatArray]) -> None:
    """Check that every tensor of the spec is there, float32, finite and of its shape.

    Raises:
        SpecError: names the tensor and what was expected.
    """
    expected: set[str] = set()
    for node in spec.nodes:
        for short, shape in tensor_shapes(spec, node).items():
            name = f"{node.name}.{short}"
            expected.add(name)
            if name not in tensors:
                raise SpecError(f"tensor {name!r} of shape {shape} is missing")
            tensor = tensors[name]
            if tensor.dtype != np.float32 or tensor.shape != shape:
                raise SpecError(f"tensor {name!r} must be float32 of shape {shape}, got {tensor.dtype} {tensor.shape}")
            if not np.isfinite(tensor).all():
                raise SpecError(f"tensor {name!r} holds NaN or Inf")
    if unknown := sorted(set(tensors) - expected):
        raise SpecError(f"tensor {unknown[0]!r} belongs to no node of the spec")
