"""One recording as it is heard: samples in, through a session of the hub, and its events out in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from streamrnn.audio.reframer import Reframer
from streamrnn.audio.resampler import Resampler
from streamrnn.audio.samples import Encoding
from streamrnn.decode.event import Event
from streamrnn.kernels.packing import FloatArray
from streamrnn.serving.hosted import Hosted
from streamrnn.serving.life import LIVE
from streamrnn.serving.piece import Piece
from streamrnn.serving.speech.choice import samples_hz
from streamrnn.serving.speech.clock import Clock
from streamrnn.wire.codec import Buffer

if TYPE_CHECKING:
    from streamrnn.serving.hub import Hub

Mark = Literal["chunk", "end"]
"""All frames up to here have been heard: of a chunk of samples, or of the recording."""
RUNS_AHEAD = 2
"""Queued frames, in runs of a tick: enough that none waits for samples, few enough that a long chunk takes no time."""


class Recording:
    """Feeds one session as fast as it takes frames; what it does not take yet waits here.

    Args:
        hub: the session's.
        hosted: a new session with a decoder, of a model whose frames are hops of samples.
        rate_hz: of the samples.
        encoding: of the samples.
        begun_s: when it begins, in seconds of what the client has sent.

    Raises:
        OptionError: the rate is not supported.
    """

    def __init__(self, hub: Hub, hosted: Hosted, rate_hz: float, encoding: Encoding, begun_s: float) -> None:
        assert hosted.session is not None
        model = hosted.session.model
        self.hosted = hosted
        self._hub = hub
        self._rate_hz = rate_hz
        self._resampler = Resampler(rate_hz, samples_hz(model), encoding)
        self._reframer = Reframer(model.input_steps)
        self._sample_bytes = 2 if encoding == "int16" else 4
        self._n_bytes = 0
        self._delay = model.delay
        self._most = min(hosted.window, RUNS_AHEAD * hub.limits.max_run_frames)
        self._waiting: FloatArray = np.empty((0, model.input_steps), np.float32)
        self._n_cut = self._n_heard = 0
        self._events: deque[Event] = deque()
        self._marks: deque[tuple[int, Mark]] = deque()
        self.clock = Clock(model.card.rate_hz or 1.0, model.delay, self._resampler.delay_s, begun_s)

    @property
    def sent_s(self) -> float:
        """When the sound so far ends, in seconds of what the client has sent."""
        return self.clock.begun_s + self._n_bytes / (self._sample_bytes * self._rate_hz)

    @property
    def is_full(self) -> bool:
        """Frames wait here, so more samples should not be cut into frames yet."""
        return len(self._waiting) > 0

    def take(self, samples: Buffer, now_ns: int) -> None:
        """Cut samples into frames, and queue as many as the session takes.

        Raises:
            FrameError: samples that are not finite; nothing is taken.
            CapacityError: the session was parked, and there is no slot.
        """
        self._cut(self._reframer.push(self._resampler.push(samples)), now_ns)
        self._n_bytes += len(samples)

    def finish(self, now_ns: int) -> None:
        """Let out what is still within the filters, then as much silence as the model comes late; mark the end."""
        if self._n_bytes:
            silence = np.zeros((self._delay, self._reframer.hop), np.float32)
            self._cut(self._reframer.push(self._resampler.flush()), now_ns)
            self._cut(np.concatenate([self._reframer.flush(), silence]), now_ns)
        self.mark("end")

    def mark(self, mark: Mark) -> None:
        """Let `due` yield a mark once all frames so far have been heard."""
        self._marks.append((self._n_cut, mark))

    def queue(self, now_ns: int) -> None:
        """Queue what waits here, as far as there is room."""
        waiting, hosted = self._waiting, self.hosted
        if not len(waiting):
            return
        if hosted.life != LIVE:
            self._hub.stir(hosted, now_ns)
        session = hosted.session
        assert session is not None
        n = min(self._most - session.n_pending, len(waiting))
        if n > 0:
            self._hub.engine.push(session, session.next_seq, waiting[:n], now_ns)
            self._hub.tally.n_frames += n
            self._waiting = waiting[n:]

    def hear(self, piece: Piece) -> None:
        """Take outputs of the session."""
        self._events.extend(piece.events)
        self._n_heard = piece.seq + piece.n

    def due(self) -> Iterator[Event | Mark]:
        """Yield events and marks in their order, as far as they are known."""
        events, marks = self._events, self._marks
        while True:
            if events and (not marks or events[0].seq < marks[0][0]):
                yield events.popleft()
            elif marks and marks[0][0] <= self._n_heard:
                yield marks.popleft()[1]
            else:
                return

    def last_events(self, now_ns: int) -> tuple[Event, ...]:
        """What the decoder still has open, once all has been heard. Raises CapacityError as `take`."""
        return self._hub.finish(self.hosted, now_ns).finish_decoding()

    def _cut(self, frames: FloatArray, now_ns: int) -> None:
        self._waiting = np.concatenate([self._waiting, frames]) if len(self._waiting) else frames
        self._n_cut += len(frames)
        self.queue(now_ns)
