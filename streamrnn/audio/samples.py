"""Samples as callers have them, as float32 in [-1, 1]."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import FrameError, OptionError
from streamrnn.kernels.packing import FloatArray

Encoding = Literal["int16", "float32"]
"""Of samples that come as bytes, little-endian."""
DTYPES: dict[str, np.dtype[Any]] = {"int16": np.dtype("<i2"), "float32": np.dtype("<f4")}

Samples = NDArray[np.int16] | FloatArray | bytes | bytearray | memoryview


def check_encoding(encoding: str) -> None:
    """Check the name of an encoding.

    Raises:
        OptionError: there is no such encoding.
    """
    if encoding not in DTYPES:
        raise OptionError(f"encoding must be one of {', '.join(get_args(Encoding))}, got {encoding!r}")


def as_float(samples: NDArray[np.int16] | FloatArray) -> FloatArray:
    """The samples (n,) as float32; int16 ones over 32768, which is exact. Floats are not copied.

    Raises:
        FrameError: they are of another type or shape, or not finite.
    """
    if not isinstance(samples, np.ndarray) or samples.ndim != 1 or samples.dtype not in (np.int16, np.float32):
        got = f"{samples.dtype} {samples.shape}" if isinstance(samples, np.ndarray) else type(samples).__name__
        raise FrameError(f"samples must be int16 or float32 of shape (n,), got {got}")
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / np.float32(32768)
    finite = np.isfinite(samples)
    if not finite.all():
        raise FrameError(f"samples must be finite, got {samples[int(np.argmin(finite))]} at {int(np.argmin(finite))}")
    return samples.astype(np.float32, copy=False)


class Decoder:
    """Makes arrays of bytes that may be cut within a sample.

    Attributes:
        encoding: of the bytes.
        rest: the first bytes of a sample that has not come whole.
    """

    def __init__(self, encoding: Encoding = "int16") -> None:
        check_encoding(encoding)
        self.encoding = encoding
        self.rest = b""

    def decode(self, samples: Samples) -> FloatArray:
        """The samples as float32 (n,); arrays are of the type that they say.

        Raises:
            FrameError: an array of another type or shape, or one that comes amid a sample; or samples that are not
                finite. Nothing is taken.
        """
        if not isinstance(samples, bytes | bytearray | memoryview):
            if self.rest:
                raise FrameError(f"expected the rest of a sample cut after {len(self.rest)} bytes, got an array")
            return as_float(samples)
        joined = self.rest + bytes(samples)
        dtype = DTYPES[self.encoding]
        n_whole = len(joined) // dtype.itemsize * dtype.itemsize
        found = as_float(np.frombuffer(joined[:n_whole], dtype).astype(dtype.newbyteorder("="), copy=False))
        self.rest = joined[n_whole:]
        return found
