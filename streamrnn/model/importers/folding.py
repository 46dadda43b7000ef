"""Fewer nodes for the same values: a scale and shift right behind a product become part of it."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np

from streamrnn.kernels.packing import FloatArray
from streamrnn.model.importers.layers import Draft
from streamrnn.model.spec import Node, Spec

PRODUCTS = frozenset({"linear", "conv"})


def folded(draft: Draft) -> Draft:
    """The draft with each `affine` folded into the `linear` or `conv` before it that no other node reads.

    A batch norm in inference is such an `affine`. The new weights are rounded once from float64, so outputs move by no
    more than float32 rounds; weights that must stay exact are left alone.
    """
    spec = draft.spec
    readers = Counter(name for node in spec.nodes for name in node.inputs)
    by_name = {node.name: node for node in spec.nodes}
    tensors, merged = dict(draft.tensors), dict[str, str]()
    for node in spec.nodes:
        source = by_name[node.inputs[0]] if node.kind == "affine" else node
        fits = source.kind in PRODUCTS and (source.size, source.steps) == (node.size, node.steps)
        if node.kind == "affine" and fits and readers[source.name] == 1 and not source.exact:
            tensors |= _scaled(source, tensors, tensors.pop(f"{node.name}.scale"), tensors.pop(f"{node.name}.shift"))
            merged[node.name] = source.name
            by_name[source.name] = msgspec.structs.replace(source, bias=True)
    nodes = tuple(_renamed(by_name[node.name], merged) for node in spec.nodes if node.name not in merged)
    output = merged.get(spec.output, spec.output)
    return Draft(draft.reading, Spec(nodes, output, spec.heads, spec.delay), tensors)


def _scaled(
    source: Node, tensors: dict[str, FloatArray], scale: FloatArray, shift: FloatArray
) -> dict[str, FloatArray]:
    """Weights and biases of `source`, times `scale`, plus `shift` (size,)."""
    weight, factor = tensors[f"{source.name}.weight"], scale.astype(np.float64)
    bias = tensors.get(f"{source.name}.bias", np.zeros(source.size, np.float32))
    rows = factor.reshape(-1, *[1] * (weight.ndim - 1))
    return {
        f"{source.name}.weight": (weight * rows).astype(np.float32),
        f"{source.name}.bias": (bias * factor + shift).astype(np.float32),
    }


def _renamed(node: Node, merged: dict[str, str]) -> Node:
    return msgspec.structs.replace(node, inputs=tuple(merged.get(name, name) for name in node.inputs))
