"""Frames of sound: resampled to the model's rate and cut to its hops, when the last sample of each is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamrnn.audio.reframer import Reframer
from streamrnn.audio.resampler import Resampler
from streamrnn.commands.latency import Latency
from streamrnn.commands.pace import Pace
from streamrnn.commands.sound import Recording, microphone
from streamrnn.errors import OptionError

if TYPE_CHECKING:
    from streamrnn_client import Session

BLOCK_S = 0.1
"""A recording is resampled in blocks of this length, so that its first frame goes at once."""
MIC_HZ = 16000.0

OnSound = Callable[[NDArray[np.float32]], None]
"""Told of every frame's samples (n,) when it goes."""


def sample_rate_of(session: Session) -> float:
    """Samples a second that a model of sound takes.

    Raises:
        OptionError: it takes something else, or does not tell its rate.
    """
    port = session.input
    if port.kind != "dense" or port.size != port.steps:
        raise OptionError(f"expected a model of sound, with one channel; {session.model} takes {port.size} values")
    if not session.rate_hz:
        raise OptionError(f"expected a model whose card tells rate_hz, that of {session.model} does not")
    return round(session.rate_hz * port.size, 6)


class SoundFeed:
    """A recording, or the microphone, as frames of the model that a session is of.

    Args:
        recording: what is sent; None: the microphone.
        pace: of a recording: as fast as answered, or as it was spoken.
        tail_s: seconds of silence behind a recording, for what a model says only once a word is over.
        on_sound: see `OnSound`.
    """

    def __init__(self, recording: Recording | None, pace: Pace, tail_s: float, on_sound: OnSound | None = None) -> None:
        self._recording = recording
        self._pace = pace
        self._tail_s = tail_s
        self._on_sound = on_sound

    async def frames(self, session: Session, latency: Latency) -> AsyncIterator[NDArray[np.float32]]:
        """Yield each frame when it is due, and note that in `latency`.

        Raises:
            OptionError: the model takes no sound, or not at a rate that can be made of this one.
        """
        rate_hz, hop = sample_rate_of(session), session.input.size
        reframer, started_ns, n = Reframer(hop), time.perf_counter_ns(), 0
        async for samples in self._resampled(rate_hz):
            for frame in reframer.push(samples):
                n += 1
                now_ns = time.perf_counter_ns()
                is_due_now = self._recording is None or self._pace.is_max
                due_ns = now_ns if is_due_now else started_ns + int(self._pace.due_s(n, n * hop / rate_hz) * 1e9)
                if due_ns > now_ns:
                    await asyncio.sleep((due_ns - now_ns) / 1e9)
                latency.send(due_ns)
                if self._on_sound is not None:
                    self._on_sound(frame)
                yield frame

    async def _resampled(self, rate_hz: float) -> AsyncIterator[NDArray[np.float32]]:
        if self._recording is None:
            resampler = Resampler(MIC_HZ, rate_hz)
            async for block in microphone(MIC_HZ):
                yield resampler.push(block)
            return
        recording = self._recording
        resampler = Resampler(recording.rate_hz, rate_hz)
        n_block = max(1, round(BLOCK_S * recording.rate_hz))
        silence = np.zeros(round(self._tail_s * recording.rate_hz), np.float32)
        samples = np.concatenate([recording.samples, silence])
        for start in range(0, len(samples), n_block):
            yield resampler.push(samples[start : start + n_block])
        yield resampler.flush()
