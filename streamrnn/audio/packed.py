"""States of what stands before a session, as bytes: a mark, numbers, samples and loose bytes."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from streamrnn.errors import SnapshotError
from streamrnn.kernels.packing import FloatArray

HEAD = struct.Struct("<4sII")
SUM = struct.Struct("<I")


def pack(mark: bytes, number: int, values: FloatArray, rest: bytes = b"") -> bytes:
    """Bytes of a state.

    Args:
        mark: four bytes that say whose state it is, and of which form.
        number: 0 to 2**32 - 1.
        values: (n,) float32.
        rest: anything.
    """
    body = HEAD.pack(mark, number, values.size) + values.astype("<f4", copy=False).tobytes() + rest
    return body + SUM.pack(zlib.crc32(body))


def unpack(mark: bytes, blob: bytes) -> tuple[int, FloatArray, bytes]:
    """The number, the values and the rest of a state that `pack` has made.

    Raises:
        SnapshotError: it is damaged or has another mark.
    """
    body, check = blob[: -SUM.size], blob[-SUM.size :]
    if len(blob) < HEAD.size + SUM.size or SUM.pack(zlib.crc32(body)) != check or body[:4] != mark:
        raise SnapshotError(f"expected a whole state marked {mark.decode()!r}, got {len(blob)} bytes that are none")
    _, number, n = HEAD.unpack_from(body)
    end = HEAD.size + 4 * n
    if end > len(body):
        raise SnapshotError(f"a state of {n} values is cut short: it has {len(body)} bytes")
    return number, np.frombuffer(body, "<f4", n, HEAD.size).astype(np.float32), body[end:]
