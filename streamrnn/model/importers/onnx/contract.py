"""The contracts that a graph may have with time: which dimension it is, or that each call is one frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from streamrnn.errors import OptionError, UnsupportedError
from streamrnn.model.importers.onnx.graph import Array, OnnxGraph, Port
from streamrnn.model.importers.onnx.states import BATCH_NAME, Roles

TIME_NAME = re.compile(r".*(time|seq|frame|length|steps|samples|window|audio).*|^(t|l|s|len)$", re.IGNORECASE)
N_STEPS = 211
"""Steps of the outputs that an open time is traced with: a prime, so that it is no other length."""

TimeAxis = int | Literal["auto", "call"]


@dataclass(frozen=True)
class Contract:
    """One way to call a graph.

    Attributes:
        roles: of its inputs.
        time: the dimension of the frames that is time; None where each call is a frame.
        shapes: of all inputs that are no constants, open lengths filled in.
        constants: values of the other inputs.
        n_steps: of the time in one call, where the graph takes no other number; else 0.
        is_guess: whether a frame is one step because the time is open.
    """

    roles: Roles
    time: int | None
    shapes: dict[str, tuple[int, ...]]
    constants: dict[str, Array]
    n_steps: int = 0
    is_guess: bool = False

    def at(self, n_steps: int) -> Contract:
        """The same at the only length of the time that the graph takes."""
        frames = self.roles.frames.name
        shape = tuple(n_steps if d == self.time else n for d, n in enumerate(self.shapes[frames]))
        return replace(self, shapes={**self.shapes, frames: shape}, n_steps=n_steps)

    def __str__(self) -> str:
        frames = self.roles.frames
        shape = ", ".join("T" if d == self.time else str(n) for d, n in enumerate(self.shapes[frames.name]))
        if self.time is not None:
            fixed = f", T = {self.n_steps}" if self.n_steps else ""
            return f"{frames.name!r} ({shape}) with time in dimension {self.time}{fixed}"
        back = ", ".join(f"{name!r} comes back as {other!r}" for name, other in self.roles.states.items())
        return f"{frames.name!r} ({shape}) call by call" + (f", {back}" if back else "")


def contracts_of(
    graph: OnnxGraph, roles: Roles, constants: Mapping[str, Array], time_axis: TimeAxis, frame_steps: int,
    example: tuple[int, ...] | None,
) -> Iterator[Contract]:  # fmt: skip
    """The contracts that may hold, the likeliest first.

    Raises:
        OptionError: `time_axis` is no dimension of the frames, or `example` has another shape than they.
    """
    dims = _dims(roles.frames)
    if example is not None and (len(example) != len(dims) or not all(map(_fits, dims, example))):
        raise OptionError(f"the example has the shape {example}, expected {roles.frames}")
    open_dims = [d for d, n in enumerate(dims) if isinstance(n, str) and not BATCH_NAME.match(n)]
    is_open = bool(open_dims)
    if time_axis == "call" or (time_axis == "auto" and roles.states):
        yield _contract(graph, roles, constants, None, max(frame_steps, 1), False, is_open and not frame_steps)
    if time_axis == "call":
        return
    if isinstance(time_axis, int):
        if not -len(dims) <= time_axis < len(dims):
            raise OptionError(f"time_axis must be a dimension of {roles.frames}, got {time_axis}")
        axes = [time_axis % len(dims)]
    else:
        axes = _likely(dims, open_dims)
    for axis in axes:
        length = dims[axis]
        if isinstance(length, int):
            yield _contract(graph, roles, constants, axis, length, True)
            continue
        yield _contract(graph, roles, constants, axis, _length(graph))
        if example is not None:
            yield _contract(graph, roles, constants, axis, example[axis], True)
    if time_axis == "auto" and not roles.states and not is_open and len(dims) <= 2:
        yield _contract(graph, roles, constants, None, 1)


def _contract(
    graph: OnnxGraph, roles: Roles, constants: Mapping[str, Array], time: int | None, length: int,
    is_fixed: bool = False, is_guess: bool = False,
) -> Contract:  # fmt: skip
    """Open lengths of the frames are `length` along the time, and those that no batch is where a call is a frame."""
    shapes = {}
    for port in graph.inputs:
        if port.name in constants:
            continue
        is_frames = port.name == roles.frames.name
        shapes[port.name] = tuple(
            (length if is_frames and _is_time(d, n, time) else 1) if isinstance(n, str) else n
            for d, n in enumerate(_dims(port))
        )
    return Contract(roles, time, shapes, dict(constants), length if is_fixed else 0, is_guess)


def _is_time(d: int, name: str, time: int | None) -> bool:
    return d == time if time is not None else not BATCH_NAME.match(name)


def _dims(port: Port) -> tuple[int | str, ...]:
    if port.dims is None:
        raise UnsupportedError(f"the graph does not say of which shape its input {port.name!r} is")
    return port.dims


def _fits(dim: int | str, length: int) -> bool:
    return isinstance(dim, str) or dim == length


def _likely(dims: Sequence[int | str], open_dims: Sequence[int]) -> list[int]:
    """Open dimensions with a name of time first, then other open ones; of fixed ones 1, 0, 2, or 0, 1 of a matrix."""
    if open_dims:
        return sorted(open_dims, key=lambda d: (not TIME_NAME.match(str(dims[d])), d))
    order = (0, 1) if len(dims) == 2 else (1, 0, *range(2, len(dims)))
    return [d for d in order if d < len(dims) and dims[d] not in {0, 1} and isinstance(dims[d], int)]


def _length(graph: OnnxGraph) -> int:
    """A length of the time that leaves `N_STEPS` and more behind all strides and windows."""
    stride, reach = 1, 0
    taken = {n for array in graph.constants.values() for n in array.shape}
    for op in graph.operations:
        kernel = op.get("kernel_shape") or [1]
        if op.kind == "Conv" and op.inputs[1] in graph.constants:
            kernel = graph.constants[op.inputs[1]].shape[2:]
        dilation = max(op.get("dilations") or [1])
        reach += stride * dilation * (max(kernel, default=1) - 1)
        stride *= max(op.get("strides") or [1])
    length = N_STEPS * stride + 2 * reach
    while length in taken or not all(length % n for n in range(2, int(length**0.5) + 1)):
        length += 1
    return length
