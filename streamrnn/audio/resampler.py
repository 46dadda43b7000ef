"""From one sample rate to another, in chunks of any size."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil, pi

import numpy as np
from numpy.typing import NDArray

from streamrnn.audio.packed import pack, unpack
from streamrnn.audio.samples import Decoder, Encoding, Samples
from streamrnn.errors import OptionError, SnapshotError
from streamrnn.kernels.packing import FloatArray

COMMON_HZ = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)
MAX_PHASES = 2048
"""Largest numerator and denominator of the ratio of two rates; 11,025 to 32,000 Hz needs 1280."""
MAX_RATIO = 64
ATTENUATION_DB = 90.0
PASSBAND = 0.9
"""Of half the lower rate: below it sound passes, from half the lower rate on it is stopped."""
N_CHAINS = 4
"""Taps that the kernel takes at once."""
MARK = b"srr1"


def kaiser_lowpass(half: int, cutoff: float, attenuation_db: float) -> NDArray[np.float64]:
    """A low-pass filter of `2 * half + 1` weights, symmetric, of gain 1.

    Args:
        half: weights on either side of the middle.
        cutoff: where the gain is one half, in cycles a sample.
        attenuation_db: of the stop-band, above 50.

    Source: Kaiser, "Nonrecursive digital filter design using the I0-sinh window function", 1974.
    """
    t = np.arange(-half, half + 1)
    window = np.kaiser(2 * half + 1, 0.1102 * (attenuation_db - 8.7))
    weights: NDArray[np.float64] = 2 * cutoff * np.sinc(2 * cutoff * t) * window
    weights /= weights.sum()
    return weights


@lru_cache(maxsize=16)
def phases_of(up: int, down: int) -> tuple[NDArray[np.float64], int]:
    """The filter of a ratio as phases (up, n_taps), newest sample last, and its delay in outputs.

    The delay is a whole number of outputs: the filter is made as long as it takes.
    """
    nyquist = 0.5 / max(up, down)  # half the lower rate, in cycles a sample of the rate that both rates divide
    width = (1 - PASSBAND) * nyquist
    half = ceil((ATTENUATION_DB - 7.95) / (2.285 * 2 * pi * width) / 2)
    delay = ceil(half / down)
    half = delay * down
    lowpass = up * kaiser_lowpass(half, nyquist - width / 2, ATTENUATION_DB)
    n_taps = -(-lowpass.size // (up * N_CHAINS)) * N_CHAINS
    padded = np.zeros(n_taps * up)
    padded[: lowpass.size] = lowpass
    return np.ascontiguousarray(padded.reshape(n_taps, up).T[:, ::-1]), delay


class Resampler:
    """A polyphase filter with a state: how the samples were chunked changes no bit.

    The filter is a windowed sinc (Kaiser): flat within 0.1 dB to 90 % of half the lower rate, and down by at least 80
    dB from half the lower rate on. Output n is sound of the time of output `n - delay`.

    Args:
        from_hz, to_hz: the rates; their ratio is a fraction with at most `MAX_PHASES` above and below.
        encoding: of samples that come as bytes.

    Raises:
        OptionError: such a ratio is not supported, or there is no such encoding.
    """

    def __init__(self, from_hz: float, to_hz: float, encoding: Encoding = "int16") -> None:
        if not (from_hz > 0 and to_hz > 0 and 1 / MAX_RATIO <= to_hz / from_hz <= MAX_RATIO):
            expected = f"rates must be above 0 Hz and their ratio at most {MAX_RATIO}"
            raise OptionError(f"{expected}, got {from_hz} and {to_hz}")
        ratio = Fraction(to_hz) / Fraction(from_hz)
        self.from_hz, self.to_hz = from_hz, to_hz
        self._up, self._down = ratio.numerator, ratio.denominator
        if max(self._up, self._down) > MAX_PHASES:
            raise OptionError(
                f"{from_hz:g} to {to_hz:g} Hz is the ratio {ratio}: expected at most {MAX_PHASES} above and below; "
                f"common rates are {', '.join(map(str, COMMON_HZ))} Hz"
            )
        self._decoder = Decoder(encoding)
        self._is_trivial = ratio == 1
        self._delay = 0
        if not self._is_trivial:
            # Compiled on first use, since a session that is fed at its own rate never needs it.
            from streamrnn.kernels.polyphase import resample

            self._resample = resample
            self._phases, self._delay = phases_of(self._up, self._down)
        n_taps = 1 if self._is_trivial else self._phases.shape[1]
        self._history = np.zeros(n_taps - 1, np.float32)
        self._next = 0  # place of the next output, in phases behind the first window that a new sample ends

    @property
    def delay(self) -> int:
        """Outputs by which the sound comes later."""
        return self._delay

    @property
    def delay_s(self) -> float:
        """The same in seconds."""
        return self._delay / self.to_hz

    def push(self, samples: Samples) -> FloatArray:
        """The outputs that are complete now: (n,) float32.

        Args:
            samples: int16 or float32 of shape (n,), or bytes, which may end amid a sample.

        Raises:
            FrameError: samples of another type or shape, or not finite; nothing is taken.
        """
        x = self._decoder.decode(samples)
        if self._is_trivial:
            return x.copy()
        joined = np.concatenate([self._history, x])
        end = x.size * self._up
        n = max(0, -(-(end - self._next) // self._down))
        y = np.empty(n, np.float32)
        self._resample(joined, self._phases, self._next, self._down, y)
        self._next += n * self._down - end
        self._history = joined[joined.size - self._history.size :].copy()
        return y

    def flush(self) -> FloatArray:
        """The outputs of the sound that is still within the filter: the samples are followed by zeros; then as new.

        Bytes of a sample that was cut are dropped.
        """
        n_zeros = -(-self._delay * self._down // self._up)
        self._decoder.rest = b""
        last = self.push(np.zeros(n_zeros, np.float32))
        self.reset()
        return last

    def reset(self) -> None:
        """Back to before the first sample."""
        self._decoder.rest = b""
        self._next = 0
        self._history = np.zeros_like(self._history)

    def state(self) -> bytes:
        """The newest samples and the place of the next output, as bytes for `restore`."""
        return pack(MARK, self._next, self._history, self._ratio + self._decoder.rest)

    def restore(self, blob: bytes) -> None:
        """Go on from a `state`.

        Raises:
            SnapshotError: it is damaged, or of another ratio; nothing is changed.
        """
        place, history, rest = unpack(MARK, blob)
        if rest[:4] != self._ratio or history.size != self._history.size or place >= max(self._down, 1):
            raise SnapshotError(f"expected the state of a resampler from {self.from_hz:g} to {self.to_hz:g} Hz")
        self._next, self._history, self._decoder.rest = place, history, rest[4:]

    @property
    def _ratio(self) -> bytes:
        return self._up.to_bytes(2, "little") + self._down.to_bytes(2, "little")
