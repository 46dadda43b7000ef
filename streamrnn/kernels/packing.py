"""The layout of weights and rows that the kernels read: groups of panels, contiguous over k; aligned buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.simd import GROUP_SIZE, PANEL_SIZE

FloatArray = NDArray[np.float32]
ALIGNMENT_BYTES = 64


def padded(size: int) -> int:
    """`size` rounded up to a whole number of panels (float32 elements)."""
    return -(-size // PANEL_SIZE) * PANEL_SIZE


def pack_panels(gates: list[NDArray[Any]]) -> NDArray[Any]:
    """Pack the matrices of several gates, or one, as panels of 16 outputs, and the panels in groups.

    Args:
        gates: each (n, n_in) of one dtype, row-major as in PyTorch; each is padded with zeros to whole panels.

    Returns:
        (n_panels * n_in * 16,) of that dtype: groups of `GROUP_SIZE` panels (the last may be smaller), one after the
        other; element `[k, p, o]` of a group is the weight of output `16 p + o` of the group and input `k`.
    """
    rows = np.concatenate([np.pad(gate, ((0, padded(len(gate)) - len(gate)), (0, 0))) for gate in gates])
    group_rows = GROUP_SIZE * PANEL_SIZE
    groups = [rows[start : start + group_rows].T.reshape(-1) for start in range(0, len(rows), group_rows)]
    return np.concatenate(groups)


def pad_vector(vector: FloatArray) -> FloatArray:
    """`vector` (n,) float32 with zeros appended up to `padded(n)`."""
    full = np.zeros(padded(vector.size), np.float32)
    full[: vector.size] = vector
    return full


def aligned_zeros(*shape: int) -> FloatArray:
    """Zeros (float32, C-contiguous, writeable) that start on a cache line; untouched pages cost no memory."""
    n_bytes = 4 * int(np.prod(shape))
    raw = np.zeros(n_bytes + ALIGNMENT_BYTES, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT_BYTES
    return raw[start : start + n_bytes].view(np.float32).reshape(shape)
