"""The layout of weights and rows that the kernels read: panels of 16 outputs, contiguous over k; aligned buffers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.simd import PANEL_SIZE

FloatArray = NDArray[np.float32]
ALIGNMENT_BYTES = 64


def padded(size: int) -> int:
    """`size` rounded up to a whole number of panels (float32 elements)."""
    return -(-size // PANEL_SIZE) * PANEL_SIZE


def pack_panels(weight: FloatArray) -> FloatArray:
    """Pack a matrix as panels.

    Args:
        weight: (n_out, n_in) float32, row-major as in PyTorch.

    Returns:
        (n_panels * n_in * 16,) float32: element `[p, k, o]` is `weight[16 p + o, k]`, 0 beyond the last output.
    """
    n_out, n_in = weight.shape
    full = np.zeros((padded(n_out), n_in), np.float32)
    full[:n_out] = weight
    return np.ascontiguousarray(full.reshape(-1, PANEL_SIZE, n_in).transpose(0, 2, 1)).reshape(-1)


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
