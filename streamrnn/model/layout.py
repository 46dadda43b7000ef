"""Growing the three buffers of a program: regions of the state row and the work row, and the packed weights."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.kernels.packing import ALIGNMENT_BYTES, FloatArray, aligned_zeros, pack_panels, pad_vector, padded


class Row:
    """Offsets (float32 elements) of regions in a row, each padded to whole panels."""

    def __init__(self) -> None:
        self.size = 0

    def reserve(self, *sizes: int) -> int:
        """Offset of a new run of regions, one after the other."""
        offset = self.size
        self.size += sum(padded(size) for size in sizes)
        return offset


class WeightBuffer:
    """The packed weights of a program, appended piece by piece; equal pieces are kept once."""

    def __init__(self) -> None:
        self._pieces: list[FloatArray] = []
        self._offsets: dict[bytes, int] = {}
        self._size = 0

    def _append(self, piece: FloatArray) -> int:
        offset = self._offsets.setdefault(hashlib.sha256(piece.tobytes()).digest(), self._size)
        if offset < self._size:
            return offset
        self._pieces.append(piece)
        self._size += piece.size
        return offset

    def vector(self, vector: FloatArray) -> int:
        """Append a vector (n,), padded; its offset."""
        return self._append(pad_vector(vector))

    def gate_vector(self, gates: list[FloatArray]) -> int:
        """Append vectors (n,) of several gates, each padded; their offset."""
        return self._append(np.concatenate([pad_vector(gate) for gate in gates]))

    def matrix(self, gates: list[NDArray[Any]]) -> int:
        """Append matrices (n, n_in) of several gates (or one) as panels, each gate padded; their offset.

        Elements of 1, 2 or 4 bytes keep their bytes; the others of the offset's float32 elements are padding.
        """
        packed = pack_panels(gates).view(np.uint8)
        full = np.zeros(-(-packed.size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES, np.uint8)
        full[: packed.size] = packed
        return self._append(full.view(np.float32))

    def table(self, table: FloatArray) -> int:
        """Append the rows of a table (n_rows, n), each padded; its offset."""
        return self._append(np.concatenate([pad_vector(row) for row in table]))

    def build(self) -> FloatArray:
        """All pieces as one aligned buffer."""
        buffer = aligned_zeros(max(self._size, 1))
        if self._pieces:
            buffer[: self._size] = np.concatenate(self._pieces)
        return buffer
