"""The tensors of a state dict, as float32 arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from streamrnn.errors import SpecError
from streamrnn.kernels.packing import FloatArray


class Tensors:
    """The tensors of a state dict, taken one by one so that none is forgotten."""

    def __init__(self, state_dict: Mapping[str, Any], prefix: str = "") -> None:
        self._all = {name.removeprefix(prefix): value for name, value in state_dict.items()}
        self._used: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._all

    def take(self, name: str) -> FloatArray:
        """The tensor of that name as float32.

        Raises:
            SpecError: there is none; names what there is.
        """
        if name not in self._all:
            raise SpecError(f"tensor {name!r} is missing; the state dict holds {', '.join(self._all) or 'nothing'}")
        self._used.add(name)
        return as_float32(self._all[name], name)

    def matrix(self, name: str) -> FloatArray:
        """The tensor of that name, of two dimensions.

        Raises:
            SpecError: it is missing or has another shape.
        """
        tensor = self.take(name)
        if tensor.ndim != 2 or 0 in tensor.shape:
            raise SpecError(f"tensor {name!r} must have two dimensions, got shape {tensor.shape}")
        return tensor

    def leave(self, name: str) -> None:
        """Let a tensor be left over that no layer needs, if it is there."""
        self._used.add(name)

    def check_all_used(self) -> None:
        """Check that nothing is left over.

        Raises:
            SpecError: names the tensors.
        """
        if unused := [name for name in self._all if name not in self._used]:
            raise SpecError(f"no layer of the spec uses tensor {', '.join(map(repr, unused))}")


def as_float32(value: Any, name: str) -> FloatArray:
    """A tensor of any framework as float32.

    Raises:
        SpecError: it is not an array of floating-point numbers; names it.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float().numpy() if value.is_floating_point() else value.numpy()
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise SpecError(f"tensor {name!r} must hold floating-point numbers, got {array.dtype}")
    return np.array(array, np.float32, order="C")
