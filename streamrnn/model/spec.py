"""What a model is: a graph of named nodes over one frame, and the tensors it needs.

A node reads nodes before it; `previous` reads another node's value at the step before, which is how a net written by
hand keeps a hidden state. Equations, gate order and tensor names are PyTorch's.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from streamrnn.errors import SpecError

Kind = Literal[
    "input",
    "previous",
    "concat",
    "add",
    "linear",
    "embedding",
    "affine",
    "rnn",
    "lstm",
    "gru",
    "tanh",
    "sigmoid",
    "relu",
    "softmax",
    "log_softmax",
]
MAPS = frozenset({"tanh", "sigmoid", "relu", "softmax", "log_softmax"})
N_GATES = {"rnn": 1, "lstm": 4, "gru": 3}
MAX_SIZE = 2**24
"""Largest size of a node and number of tokens: float32 holds no larger token ids exactly."""

Shape = tuple[int, ...]


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One value of the graph, a float32 vector a frame.

    Attributes:
        name: unique; its tensors are called `name.weight` and so on.
        kind: what it computes.
        inputs: names of the nodes it reads, all listed before it (`previous` may name a later one).
        size: of its value. `embedding` and `affine` take theirs from their input or tensor all the same.
        n_tokens: `input` of token ids in [0, n_tokens), size 1; 0 for a dense input. `embedding`: rows of its table.
        bias: whether `linear` and the cells have bias tensors.
        nonlinearity: of `rnn`.
        reset: of `gru`, whether r acts after (PyTorch, cuDNN) or before the matmul (Cho et al. 2014).
    """

    name: str
    kind: Kind
    size: int
    inputs: tuple[str, ...] = ()
    n_tokens: int = 0
    bias: bool = True
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    reset: Literal["after", "before"] = "after"


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The graph. The first node is the only `input`; the value of `output` is answered for each frame."""

    nodes: tuple[Node, ...]
    output: str

    def node(self, name: str) -> Node:
        """The node of that name.

        Raises:
            SpecError: there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise SpecError(f"no node named {name!r}; the nodes are {', '.join(n.name for n in self.nodes)}")


def input_size(spec: Spec, node: Node) -> int:
    """Size of what `node` reads (its inputs together)."""
    return sum(spec.node(name).size for name in node.inputs)


def tensor_shapes(spec: Spec, node: Node) -> dict[str, Shape]:
    """Names (without the node's) and shapes of the tensors that `node` needs, as PyTorch has them."""
    n_in, n = input_size(spec, node), node.size
    if node.kind == "linear":
        return {"weight": (n, n_in)} | ({"bias": (n,)} if node.bias else {})
    if node.kind == "embedding":
        return {"weight": (node.n_tokens, n)}
    if node.kind == "affine":
        return {"scale": (n,), "shift": (n,)}
    if node.kind in N_GATES:
        rows = N_GATES[node.kind] * n
        biases: dict[str, Shape] = {"bias_ih": (rows,), "bias_hh": (rows,)} if node.bias else {}
        return {"weight_ih": (rows, n_in), "weight_hh": (rows, n)} | biases
    return {}


def check(spec: Spec) -> None:
    """Check names, order, arity and sizes.

    Raises:
        SpecError: names the node and what was expected.
    """
    if not spec.nodes or spec.nodes[0].kind != "input":
        raise SpecError("the first node of a spec must be its input")
    names: set[str] = set()
    for node in spec.nodes:
        if node.name in names or not node.name:
            raise SpecError(f"node names must be unique and not empty, got {node.name!r} twice or empty")
        _check_fields(node)
        for name in node.inputs:
            if node.kind != "previous" and name not in names:
                raise SpecError(f"node {node.name!r} reads {name!r}, which is not a node before it")
        _check_sizes(spec, node)
        names.add(node.name)
    spec.node(spec.output)


def _check_fields(node: Node) -> None:
    """What decoding has checked already, for a node that was built in Python; and the bounds."""
    for field, known in (
        ("kind", Kind),
        ("nonlinearity", Literal["tanh", "relu"]),
        ("reset", Literal["after", "before"]),
    ):
        if getattr(node, field) not in get_args(known):
            expected = ", ".join(get_args(known))
            raise SpecError(f"node {node.name!r}: {field} must be one of {expected}, got {getattr(node, field)!r}")
    if not 1 <= node.size <= MAX_SIZE:
        raise SpecError(f"node {node.name!r}: size must be 1 to {MAX_SIZE}, got {node.size}")
    if not 0 <= node.n_tokens <= MAX_SIZE:
        raise SpecError(f"node {node.name!r}: n_tokens must be 0 to {MAX_SIZE}, got {node.n_tokens}")


def _check_sizes(spec: Spec, node: Node) -> None:
    n_inputs = len(node.inputs)
    arity_ok = {"input": n_inputs == 0, "add": n_inputs == 2, "concat": n_inputs >= 1}.get(node.kind, n_inputs == 1)
    if not arity_ok:
        raise SpecError(f"node {node.name!r} of kind {node.kind} cannot read {n_inputs} nodes")
    sizes = [spec.node(name).size for name in node.inputs]
    if node.kind == "input":
        if node is not spec.nodes[0]:
            raise SpecError(f"node {node.name!r}: a spec has one input, its first node")
        if node.n_tokens and node.size != 1:
            raise SpecError(f"node {node.name!r}: a token input has size 1, got {node.size}")
    elif node.kind == "embedding":
        source = spec.node(node.inputs[0])
        if source.kind != "input" or not 0 < source.n_tokens <= node.n_tokens:
            expected = f"the token input, of at most {node.n_tokens} tokens"
            raise SpecError(f"node {node.name!r}: an embedding reads {expected}")
    elif node.kind == "concat":
        if sum(sizes) != node.size:
            raise SpecError(f"node {node.name!r} joins {sum(sizes)} values, but its size is {node.size}")
    elif node.kind in MAPS | {"add", "affine", "previous"} and any(size != node.size for size in sizes):
        raise SpecError(f"node {node.name!r} of kind {node.kind} has size {node.size}, but reads {sizes}")
