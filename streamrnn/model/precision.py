"""Narrow weights: float32 matrices rounded to bfloat16, or to int8 with one scale for each output."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import OptionError
from streamrnn.kernels.opcodes import Precision
from streamrnn.kernels.packing import FloatArray

PrecisionName = Literal["float32", "bfloat16", "int8"]
CODES: dict[str, Precision] = {
    "float32": Precision.FLOAT32,
    "bfloat16": Precision.BFLOAT16,
    "int8": Precision.INT8,
}
MAX_INT8 = 127


def parse_precision(name: str) -> Precision:
    """The code of a precision's name.

    Raises:
        OptionError: there is no such precision.
    """
    if name not in CODES:
        raise OptionError(f"precision must be one of {', '.join(get_args(PrecisionName))}, got {name!r}")
    return CODES[name]


def to_bfloat16(weight: FloatArray) -> NDArray[np.uint16]:
    """The upper halves of finite float32 values, rounded to nearest, ties to even; overflow saturates."""
    bits = np.ascontiguousarray(weight).view(np.uint32)
    rounded = (bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16
    is_infinite = (rounded & 0x7F80) == 0x7F80
    return np.where(is_infinite, rounded - 1, rounded).astype(np.uint16)


def to_int8(weight: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Integers in [-127, 127] and scales with `weight` near `integers * scales[:, None]`.

    Args:
        weight: (n_out, n_in) float32, finite.

    Returns:
        (n_out, n_in) int8, and the scales (n_out,) float32: the largest weight of each output becomes 127.
    """
    largest = np.abs(weight).max(axis=1).astype(np.float64)
    scales = np.where(largest > 0, largest / MAX_INT8, 1.0).astype(np.float32)
    # A row of denormals has a scale that is flushed to zero while frames flow: such weights count as zero.
    tiny = scales < np.finfo(np.float32).tiny
    scales = np.where(tiny, np.float32(1), scales)
    integers = np.rint(weight.astype(np.float64) / scales[:, None].astype(np.float64))
    return np.clip(integers, -MAX_INT8, MAX_INT8).astype(np.int8), scales.astype(np.float32)
