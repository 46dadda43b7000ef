"""The graph of a module's own forward, as `torch.export` sees it, replayed operation by operation on a trace."""

from __future__ import annotations

import inspect
import operator
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.aten import choices, layers, maths, products, reductions, scans, shapes
from streamrnn.model.importers.aten.table import REASONS, UNKNOWN, Call, Refused, find
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.importers.tracing.symbol import Symbol

if TYPE_CHECKING:
    import torch
    from torch import fx, nn
    from torch.export import ExportedProgram

assert all((choices, layers, maths, products, reductions, scans, shapes))
"""Each of them has put its operations into the table."""

ATTENTION = frozenset({"MultiheadAttention", "TransformerEncoderLayer", "TransformerDecoderLayer"})
"""Modules whose operations are not worth a reason of their own."""


def export(module: nn.Module, args: tuple[Any, ...]) -> ExportedProgram:
    """The graph of `module(*args)`, without operations that change their inputs.

    Raises:
        UnsupportedError: the forward cannot be followed.
    """
    import torch

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(module, args, strict=False)
            if any(_is_mutable(node) for node in program.graph.nodes):
                program = program.run_decompositions({})
        except Exception as error:
            raise UnsupportedError(
                f"the forward of {type(module).__name__} cannot be followed by torch.export: "
                f"{type(error).__name__}: {first_line(error)}"
            ) from error
    return program


def first_line(error: BaseException) -> str:
    """The first line of a message, cut."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else ""


def _is_mutable(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


class Walk:
    """Replays a program on a trace.

    Args:
        program: from `export`.
        trace: that grows.
        inputs: what each user input is, in order: a symbol, a tensor, or what else there was.
        is_written: whether cells of one step are written out.
    """

    def __init__(self, program: ExportedProgram, trace: Trace, inputs: Sequence[Any], is_written: bool = False) -> None:
        self._trace, self._is_written = trace, is_written
        self._values: dict[str, Any] = {}
        self._program = program
        self._place(inputs)

    def _place(self, inputs: Sequence[Any]) -> None:
        from torch.export.graph_signature import InputKind

        program, given = self._program, iter(inputs)
        placeholders = [node for node in program.graph.nodes if node.op == "placeholder"]
        for node, spec in zip(placeholders, program.graph_signature.input_specs, strict=True):
            if spec.kind is InputKind.USER_INPUT:
                self._values[node.name] = next(given)
            elif spec.target in program.state_dict:
                self._values[node.name] = program.state_dict[spec.target]
            else:
                self._values[node.name] = program.constants.get(str(spec.target))

    def run(self) -> list[Any]:
        """What the user outputs are, flattened: symbols, tensors, numbers, None, or `Refused`.

        Raises:
            UnsupportedError: the module keeps a state in a buffer.
        """
        specs = self._program.graph_signature.output_specs
        written = [str(spec.target) for spec in specs if "MUTATION" in spec.kind.name and "INPUT" not in spec.kind.name]
        if written:
            raise UnsupportedError(
                f"the forward writes to its own tensor {written[0]!r}; let it take its state as an argument and hand "
                "it back beside its output"
            )
        for node in self._program.graph.nodes:
            if node.op == "call_function":
                self._values[node.name] = self._result(node)
            elif node.op == "get_attr":
                self._values[node.name] = getattr(self._program.graph_module, str(node.target))
        output = next(node for node in self._program.graph.nodes if node.op == "output")
        values = self._resolved(output.args[0])
        return [value for value, spec in zip(values, specs, strict=True) if spec.kind.name == "USER_OUTPUT"]

    def _result(self, node: fx.Node) -> Any:
        args, kwargs = self._resolved(node.args), self._resolved(dict(node.kwargs))
        found = list(_leaves((args, kwargs)))
        if node.target is operator.getitem:
            return args[0] if isinstance(args[0], Refused) else args[0][args[1]]
        for value in found:
            if isinstance(value, Refused):
                return value
        if not any(isinstance(value, Symbol) for value in found):
            return self._folded(node, args, kwargs)
        try:
            return self._replayed(node, args, kwargs)
        except UnsupportedError as error:
            return Refused(_located(error, node))

    def _folded(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        """What is computed from constants alone is computed by PyTorch."""
        import torch

        with torch.no_grad():
            return node.target(*_as_tensors(args), **_as_tensors(kwargs))  # type: ignore[operator]

    def _replayed(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        target = str(node.target)
        handler = find(target)
        shape = _shape_of(node.meta.get("val"))
        call = Call(target.rpartition(".")[0], self._trace, shape, _path(node), self._is_written)
        try:
            bound = inspect.signature(handler).bind(call, *_as_arrays(args), **_as_arrays(kwargs))
        except TypeError as error:
            raise UnsupportedError(f"{UNKNOWN} in this form ({error})") from error
        return handler(*bound.args, **bound.kwargs)

    def _resolved(self, value: Any) -> Any:
        from torch import fx

        if isinstance(value, fx.Node):
            return self._values[value.name]
        if isinstance(value, tuple | list):
            return type(value)([self._resolved(part) for part in value])
        if isinstance(value, Mapping):
            return {key: self._resolved(part) for key, part in value.items()}
        return value


def _leaves(value: Any) -> Any:
    if isinstance(value, tuple | list):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, Mapping):
        yield from _leaves(list(value.values()))
    else:
        yield value


def _as_arrays(value: Any) -> Any:
    """Tensors as arrays, wherever they are."""
    import torch

    if isinstance(value, torch.Tensor):
        return as_array(value)
    if isinstance(value, tuple | list):
        return type(value)([_as_arrays(part) for part in value])
    return {k: _as_arrays(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _as_tensors(value: Any) -> Any:
    import torch

    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, tuple | list):
        return type(value)([_as_tensors(part) for part in value])
    return {k: _as_tensors(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def as_array(tensor: torch.Tensor) -> Any:
    """A tensor as an array; narrow floating-point numbers become float32.

    Raises:
        UnsupportedError: it is complex or quantised.
    """
    import torch

    tensor = tensor.detach().cpu()
    if tensor.is_complex() or tensor.is_quantized:
        raise UnsupportedError(f"a tensor of {tensor.dtype}, expected floating-point numbers")
    if tensor.is_floating_point() and tensor.dtype not in {torch.float32, torch.float64}:
        tensor = tensor.float()
    return tensor.numpy().copy()


def _shape_of(value: Any) -> tuple[int, ...]:
    while isinstance(value, tuple | list) and value:
        value = value[0]
    return tuple(int(n) for n in getattr(value, "shape", ()))


def _path(node: fx.Node) -> str:
    """Path of the module whose forward makes a node."""
    return _place(list((node.meta.get("nn_module_stack") or {"": ("", "")}).values())[-1])[0]


def _located(error: UnsupportedError, node: fx.Node) -> UnsupportedError:
    """The error with the layer and the operation in front; attention is refused as a whole."""
    stack = list((node.meta.get("nn_module_stack") or {"": ("", "")}).values())
    path, kind = next((place for place in map(_place, stack) if place[1] in ATTENTION), _place(stack[-1]))
    where = f"{kind} at {path!r}" if path else f"the {kind} itself" if kind else "the module"
    if kind in ATTENTION:
        return UnsupportedError(f"{where} cannot be streamed: {REASONS['scaled_dot_product_attention']}", layer=path)
    name = str(node.target).removeprefix("aten.").rpartition(".")[0]
    hint = "; write the graph as a spec and give it to streamrnn.from_state_dict" if UNKNOWN in error.message else ""
    return type(error)(f"{where} cannot be streamed: {name}: {error.message}{hint}", layer=path)


def _place(entry: tuple[str, Any]) -> tuple[str, str]:
    """Path and class of a module in whose forward a node is made."""
    path, kind = entry
    name = kind if isinstance(kind, str) else kind.__name__
    return path.partition("@")[0], name.rpartition(".")[2]
