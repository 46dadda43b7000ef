"""Samples in, outputs out: a resampler and a re-framer before a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from streamrnn.audio.packed import pack, unpack
from streamrnn.audio.reframer import Reframer
from streamrnn.audio.resampler import Resampler
from streamrnn.audio.samples import Encoding, Samples
from streamrnn.errors import OptionError, SnapshotError
from streamrnn.kernels.packing import FloatArray

MARK = b"sra1"


class Runs(Protocol):
    """A session, or anything that answers frames (n, input_size) with outputs (n, output_size)."""

    def run(self, xs: FloatArray, /) -> FloatArray:
        """One output for each frame, in order."""
        ...


class AudioInput:
    """Feeds a session of a model whose frames are hops of samples. How the samples were chunked changes no bit.

    Args:
        session: of a model with a front end (`with_frontend`).
        rate_hz: of the samples that come.
        hop: samples in a frame of the model, if the session does not tell by its model.
        model_rate_hz: sample rate of the model, if the session does not tell by its model's card.
        encoding: of samples that come as bytes.

    Raises:
        OptionError: the rates are not supported, or the session does not tell its hop or rate.
    """

    def __init__(
        self,
        session: Runs,
        rate_hz: float,
        *,
        hop: int | None = None,
        model_rate_hz: float | None = None,
        encoding: Encoding = "int16",
    ) -> None:
        model = getattr(session, "model", None)
        hop = hop or getattr(model, "input_steps", None)
        frames_hz = getattr(getattr(model, "card", None), "rate_hz", None)
        if hop and frames_hz and not model_rate_hz:
            model_rate_hz = round(frames_hz * hop, 6)
        if not hop or not model_rate_hz:
            raise OptionError(
                "expected a session whose model has card.rate_hz, frames a second; or hop and model_rate_hz"
            )
        self.session = session
        self.resampler = Resampler(rate_hz, model_rate_hz, encoding)
        self.reframer = Reframer(hop)

    @property
    def delay_s(self) -> float:
        """Seconds by which sound leaves the resampler later; the model's own delay comes on top of it."""
        return self.resampler.delay_s

    def feed(self, samples: Samples) -> FloatArray:
        """The outputs (n, output_size) of the hops that are whole now; the session has seen them.

        Args:
            samples: int16 or float32 of shape (n,), or bytes, which may end amid a sample.

        Raises:
            FrameError: samples of another type or shape, or not finite.
            UsageError, SessionClosedError: as the session's `run`. Whatever is raised, nothing is taken.
        """
        return self._answered(lambda: self.reframer.push(self.resampler.push(samples)))

    def flush(self) -> FloatArray:
        """The outputs of what still waits, the last hop filled up with zeros; both filters are then as new.

        Raises:
            UsageError, SessionClosedError: as the session's `run`; it all waits still.
        """
        return self._answered(
            lambda: np.concatenate([self.reframer.push(self.resampler.flush()), self.reframer.flush()])
        )

    def _answered(self, cut: Callable[[], FloatArray]) -> FloatArray:
        """The outputs of the hops that `cut` makes; they go back where the session does not take them."""
        before = self.state()
        try:
            return self.session.run(cut())
        except Exception:
            self.restore(before)
            raise

    def state(self) -> bytes:
        """What stands before the session, as bytes; together with `session.snapshot()` it is all there is."""
        first = self.resampler.state()
        return pack(MARK, len(first), np.empty(0, np.float32), first + self.reframer.state())

    def restore(self, blob: bytes) -> None:
        """Go on from a `state`, taken when the session was what it is now.

        Raises:
            SnapshotError: it is damaged, or of other rates or another hop; nothing is changed.
        """
        n, _, rest = unpack(MARK, blob)
        before = self.resampler.state()
        self.resampler.restore(rest[:n])
        try:
            self.reframer.restore(rest[n:])
        except SnapshotError:
            self.resampler.restore(before)
            raise
