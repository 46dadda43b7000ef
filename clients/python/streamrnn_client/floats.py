"""Frames to little-endian float32 bytes and outputs back, with numpy where it is installed, else with `array`."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from streamrnn_client.errors import FrameError
from streamrnn_client.messages import Port

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Vector: TypeAlias = NDArray[np.float32]
    Matrix: TypeAlias = NDArray[np.float32]
    Values: TypeAlias = ArrayLike | Sequence[float] | bytes | bytearray | memoryview
else:
    try:
        import numpy as np
    except ImportError:
        np = None
    Vector = Matrix = Values = Any

SWAP = sys.byteorder == "big"
FLOAT_BYTES = 4


def pack(x: Values, port: Port, *, check: bool = True) -> bytes:
    """One frame as bytes. `x`: numbers, a numpy array `(size,)`, or bytes of little-endian float32.

    Raises:
        FrameError: not numbers; with `check` also a wrong size, NaN, an infinity or a token out of range, which
            otherwise the server finds.
    """
    payload = _payload(x)
    if check:
        _judge(payload, port)
    return payload


def pack_rows(xs: Values | Sequence[Values], port: Port, *, check: bool = True) -> list[bytes]:
    """Several frames, each as `pack` would: `xs` is a matrix `(n, size)` or a sequence of frames."""
    return [pack(x, port, check=check) for x in _rows(xs, port)]


def pack_matrix(xs: Values | Sequence[Values], n: int, port: Port, *, check: bool = True) -> bytes | list[bytes]:
    """`n` frames as one payload: `xs` is a numpy array `(n, size)`, the bytes of one, or a sequence of frames.

    Returns:
        The frames one by one where their number or a size is another, and nothing said so.

    Raises:
        FrameError: as `pack`.
    """
    frames = _whole_payload(xs, n, port)
    if frames is not None and (not check or _is_good(frames, port)):
        return frames
    rows = pack_rows(xs, port, check=check)  # which tells what is wrong
    is_whole = len(rows) == n and all(len(row) == port.size * FLOAT_BYTES for row in rows)
    return b"".join(rows) if is_whole else rows


def matrix(payload: bytes, n: int, size: int) -> Matrix:
    """Outputs as rows of a matrix `(n, size)`, writable; without numpy a list of arrays."""
    if np is not None:
        return np.frombuffer(payload, "<f4").astype(np.float32).reshape(n, size)
    step = size * FLOAT_BYTES
    return [vector(payload[at : at + step]) for at in range(0, n * step, step)]


def vector(payload: bytes) -> Vector:
    """The values of one output; writable, and no view of a shared buffer."""
    values = array("f", payload)
    if SWAP:
        values.byteswap()
    return np.frombuffer(values, np.float32) if np is not None else values


def stack(vectors: Sequence[Vector]) -> Matrix:
    """Outputs as rows of a matrix `(n, size)`; without numpy the list of them."""
    return np.stack(vectors) if np is not None else list(vectors)


def _rows(xs: Any, port: Port) -> Iterator[Any]:
    if isinstance(xs, bytes | bytearray | memoryview):
        whole = memoryview(xs).cast("B")
        step = port.size * FLOAT_BYTES
        return (whole[start : start + step] for start in range(0, len(whole), step))
    return iter(xs)


def _payload(x: Any) -> bytes:
    """The bytes of `x`, of any length. A sequence of anything but numbers is refused."""
    try:
        if isinstance(x, bytes | bytearray | memoryview):
            return bytes(memoryview(x).cast("B"))
        if np is not None and isinstance(x, np.ndarray):
            return _array_payload(x)
        values = array("f", x)
    except (TypeError, ValueError, OverflowError, BufferError) as error:
        raise FrameError(f"expected real numbers or the bytes of float32 values, got {type(x).__name__}") from error
    if SWAP:
        values.byteswap()
    return values.tobytes()


def _array_payload(x: np.ndarray) -> bytes:
    if x.ndim != 1 or x.dtype.kind not in "fiub":
        raise FrameError(f"expected a vector of real numbers, got shape {x.shape} of {x.dtype}")
    if x.dtype == np.float32:
        return x.astype("<f4", copy=False).tobytes()
    with np.errstate(over="ignore"):
        return x.astype("<f4").tobytes()


def _whole_payload(xs: Any, n: int, port: Port) -> bytes | None:
    """The bytes of `xs` where it is one piece of memory with as many values as are wanted; else None."""
    if np is not None and isinstance(xs, np.ndarray):
        if xs.shape == (n, port.size) and xs.dtype == np.float32:
            return xs.astype("<f4", copy=False).tobytes()
        return None
    if isinstance(xs, bytes | bytearray | memoryview) or (isinstance(xs, array) and xs.typecode == "f" and not SWAP):
        view = memoryview(xs)
        if view.nbytes == n * port.size * FLOAT_BYTES and view.c_contiguous:
            return view.tobytes()
    return None


def _is_good(frames: bytes, port: Port) -> bool:
    """All values are finite; of tokens each is looked at by itself."""
    if port.kind == "token":
        return False
    if np is not None:
        return bool(np.isfinite(np.frombuffer(frames, "<f4")).all())
    values = array("f", frames)
    if SWAP:
        values.byteswap()
    return math.isfinite(sum(values))


def _judge(payload: bytes, port: Port) -> None:
    if len(payload) != port.size * FLOAT_BYTES:
        raise FrameError(f"expected a frame of {port.size} values, got {len(payload) / FLOAT_BYTES:g}")
    values = array("f", payload)
    if SWAP:
        values.byteswap()
    # A float64 sum of float32 values cannot overflow, and NaN and infinities survive it: one pass in C.
    if not math.isfinite(sum(values)):
        raise FrameError("expected finite values, got NaN or infinity")
    if port.kind == "token" and not all(value == int(value) and 0 <= value < port.n_tokens for value in values):
        raise FrameError(f"expected token ids, integers in 0 .. {port.n_tokens - 1}")
