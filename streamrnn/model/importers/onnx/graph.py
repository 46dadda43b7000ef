"""An ONNX graph as it is read: operations in order, constants as arrays, and what goes in and out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import ModelFileError, UnsupportedError

if TYPE_CHECKING:
    import onnx

OLDEST = 7
"""The first version of ONNX' operators whose broadcasting is NumPy's."""

Array = NDArray[Any]
Dim = int | str
"""A length, or the name of one that is open."""
Source = "str | Path | bytes | onnx.ModelProto"


@dataclass(frozen=True)
class Operation:
    """One operation of the graph.

    Attributes:
        kind: ONNX' op_type.
        domain: empty for ONNX' own.
        inputs, outputs: names of values; empty where an optional one is left out.
        attributes: numbers, strings, lists, arrays, and graphs as `OnnxGraph`.
        version: of the operators of its domain.
        proto: the node itself.
    """

    kind: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    version: int
    proto: onnx.NodeProto = field(repr=False, compare=False)

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(name, default)

    @property
    def label(self) -> str:
        """The operation for people."""
        return f"{self.kind} {self.name or self.outputs[0]!r}"

    @property
    def path(self) -> str:
        """A short name for the nodes that it becomes."""
        return self.name.strip("/").removesuffix(f"/{self.kind}").removeprefix("node_")


@dataclass(frozen=True)
class Port:
    """An input or an output of a graph.

    Attributes:
        dims: lengths; the name of one that is open, which may be empty; None where the graph says nothing.
        dtype: of its elements.
    """

    name: str
    dims: tuple[Dim, ...] | None
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        dims = "?" if self.dims is None else ", ".join(str(n) if n != "" else "?" for n in self.dims)
        return f"{self.name!r} {self.dtype} ({dims})"


@dataclass(frozen=True)
class OnnxGraph:
    """Operations in an order in which they can run, and what they begin with."""

    operations: tuple[Operation, ...]
    constants: dict[str, Array]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def reads(self) -> list[str]:
        """Every name that is read, as often as it is, in branches as well; outputs count as read."""
        names = [port.name for port in self.outputs]
        for op in self.operations:
            names += [name for name in op.inputs if name]
            for value in op.attributes.values():
                names += value.reads() if isinstance(value, OnnxGraph) else []
        return names


def load_proto(source: str | Path | bytes | onnx.ModelProto) -> onnx.ModelProto:
    """The model of a file, of its bytes, or as it is; with its local functions written out.

    Raises:
        ModelFileError: it is no ONNX model.
    """
    import onnx
    from onnx.inliner import inline_local_functions

    proto = source
    if not isinstance(proto, onnx.ModelProto):
        try:
            proto = onnx.load_from_string(proto) if isinstance(proto, bytes) else onnx.load(str(proto))
        except OSError:
            raise
        except Exception as error:
            raise ModelFileError(f"no ONNX model: {str(error).splitlines()[0] if str(error) else error!r}") from None
    if not proto.graph.node:
        raise ModelFileError("no ONNX model, or one without operations")
    return inline_local_functions(proto) if proto.functions else proto


def graph_of(proto: onnx.ModelProto) -> OnnxGraph:
    """The graph of a model.

    Raises:
        UnsupportedError: it is of operators so old that they broadcast in another way.
    """
    versions = {entry.domain if entry.domain != "ai.onnx" else "": entry.version for entry in proto.opset_import}
    if versions.get("", OLDEST) < OLDEST:
        raise UnsupportedError(
            f"operators of version {versions['']} are too old, expected at least {OLDEST}: "
            "onnx.version_converter makes a newer model of it"
        )
    return _read(proto.graph, versions)


def _read(graph: onnx.GraphProto, versions: Mapping[str, int]) -> OnnxGraph:
    from onnx import numpy_helper

    if graph.sparse_initializer:
        raise UnsupportedError("sparse tensors are not known")
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    inputs = tuple(_port(value) for value in graph.input if value.name not in constants)
    operations = tuple(_operation(node, versions) for node in graph.node)
    return OnnxGraph(operations, constants, inputs, tuple(_port(value) for value in graph.output))


def _operation(node: onnx.NodeProto, versions: Mapping[str, int]) -> Operation:
    domain = node.domain if node.domain != "ai.onnx" else ""
    attributes = {attribute.name: _attribute(attribute, versions) for attribute in node.attribute}
    return Operation(
        node.op_type, domain, node.name, tuple(node.input), tuple(node.output), attributes,
        versions.get(domain, 1), node,
    )  # fmt: skip


def _attribute(attribute: onnx.AttributeProto, versions: Mapping[str, int]) -> Any:
    from onnx import GraphProto, TensorProto, helper, numpy_helper

    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, GraphProto):
        return _read(value, versions)
    if isinstance(value, list):
        return [item.decode() if isinstance(item, bytes) else item for item in value]
    return value


def _port(value: onnx.ValueInfoProto) -> Port:
    from onnx import helper

    tensor = value.type.tensor_type
    if not tensor.elem_type:
        return Port(value.name, None, np.dtype(np.float32))
    dims = tuple(int(d.dim_value) if d.HasField("dim_value") else str(d.dim_param) for d in tensor.shape.dim)
    return Port(
        value.name, dims if tensor.HasField("shape") else None, helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    )
