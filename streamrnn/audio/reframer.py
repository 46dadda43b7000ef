"""Cut samples that come in chunks of any size into hops, the frames of a model."""

from __future__ import annotations

import numpy as np

from streamrnn.audio.packed import pack, unpack
from streamrnn.audio.samples import Decoder, Encoding, Samples
from streamrnn.errors import OptionError, SnapshotError
from streamrnn.kernels.packing import FloatArray

MARK = b"srf1"


class Reframer:
    """Keeps what is less than a hop until more comes. How the samples were chunked changes no bit.

    Args:
        hop: samples in a frame.
        encoding: of samples that come as bytes: little-endian `int16` or `float32`. Arrays say their own type.

    Raises:
        OptionError: the hop is below 1, or there is no such encoding.
    """

    def __init__(self, hop: int, encoding: Encoding = "int16") -> None:
        if hop < 1:
            raise OptionError(f"hop must be at least 1 sample, got {hop}")
        self.hop = hop
        self._decoder = Decoder(encoding)
        self._kept = np.empty(0, np.float32)

    @property
    def n_kept(self) -> int:
        """Samples that wait for the rest of their hop."""
        return self._kept.size

    def push(self, samples: Samples) -> FloatArray:
        """The hops that are whole now: (n, hop) float32 in [-1, 1].

        Args:
            samples: int16 or float32 of shape (n,), or bytes, which may end amid a sample.

        Raises:
            FrameError: samples of another type or shape, or not finite; nothing is taken.
        """
        joined = np.concatenate([self._kept, self._decoder.decode(samples)])
        n = joined.size // self.hop
        self._kept = joined[n * self.hop :].copy()
        return joined[: n * self.hop].reshape(n, self.hop)

    def flush(self, pad: float = 0.0) -> FloatArray:
        """The last hop, filled up with `pad`: (1, hop), or (0, hop) where nothing waits; then as new.

        Bytes of a sample that was cut are dropped.
        """
        n = min(self.n_kept, 1)
        last = np.full((n, self.hop), pad, np.float32)
        if n:
            last[0, : self.n_kept] = self._kept
        self.reset()
        return last

    def reset(self) -> None:
        """Forget what waits."""
        self._decoder.rest = b""
        self._kept = np.empty(0, np.float32)

    def state(self) -> bytes:
        """What waits, as bytes for `restore`."""
        return pack(MARK, self.hop, self._kept, self._decoder.rest)

    def restore(self, blob: bytes) -> None:
        """Go on from a `state`.

        Raises:
            SnapshotError: it is damaged, or of another hop; nothing is changed.
        """
        hop, kept, rest = unpack(MARK, blob)
        if hop != self.hop or kept.size >= hop:
            raise SnapshotError(f"expected the state of a re-framer of {self.hop} samples a hop, got one of {hop}")
        self._kept, self._decoder.rest = kept, rest
