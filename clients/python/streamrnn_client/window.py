"""The frames of one `stream` call: cut into messages, bounded in flight, answered in order. No I/O, no waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import OptionError
from streamrnn_client.floats import Values, Vector, vector
from streamrnn_client.ledger import Ledger
from streamrnn_client.messages import OutputEvent
from streamrnn_client.pending import PLAIN, PendingFrames
from streamrnn_client.session_options import DEFAULT_WINDOW

ASK_FOR_MORE = "or open(window=...) with more"


class Output(NamedTuple):
    """The answer to frame `seq`: `y` is float32 of the model's output size.

    `filled` missing samples were made up before the frame; `was_reset`: the state was reset before it, for a gap that
    was too long or by the end of a warm reset. `events` is what the session's decoder found with it. A frame that was
    skipped has no output: its seq is missing in a stream.
    """

    seq: int
    y: Vector
    filled: int = 0
    was_reset: bool = False
    events: tuple[OutputEvent, ...] = ()


class Timed(NamedTuple):
    """A frame and when it was sampled, in microseconds of any clock that goes on: for sessions with a `gap` policy."""

    time_us: int
    x: Values


class Window:
    """At most `size` frames offered and not yet collected; `chunk` frames go into one message.

    Once a frame has been refused nothing more is sent, though its refusal may be known before the outputs that come
    first: the numbering has turned back, and what follows would be taken in its place. The source is left there.
    What was sent is always answered first: an error of the frames' source, or of a frame that is refused here, goes to
    `finish` and is raised by `collect` behind the last output.

    Raises:
        OptionError: a window or chunk out of range, or a window that the session's queue cannot hold.
    """

    def __init__(
        self, dialogue: Dialogue, ledger: Ledger, size: int | None, chunk: int, waiter: Callable[[], None] | None = None
    ) -> None:
        limit = ledger.opened.max_queue_frames or dialogue.options.max_chunk_frames
        self.size = min(max(DEFAULT_WINDOW, 2 * chunk), limit) if size is None else size
        if not 1 <= self.size <= limit:
            raise OptionError(f"expected a window of 1 to {limit} frames, {ASK_FOR_MORE}, got {self.size}")
        if not 1 <= chunk <= min(self.size, dialogue.options.max_chunk_frames):
            raise OptionError(f"expected a chunk of 1 to {self.size} frames, the window, {ASK_FOR_MORE}, got {chunk}")
        self._dialogue = dialogue
        self._ledger = ledger
        self._chunk = chunk
        self._waiter = waiter
        self._collected: list[bytes] = []
        self._time_us: int | None = None
        self._in_flight: deque[PendingFrames] = deque()
        self._n_in_flight = 0
        self._finished = False
        self._error: BaseException | None = None

    @property
    def full(self) -> bool:
        """No frame may be offered until an output has been collected."""
        return self._n_in_flight + len(self._collected) >= self.size

    @property
    def head(self) -> PendingFrames | None:
        """The message whose outputs come next."""
        return self._in_flight[0] if self._in_flight else None

    @property
    def finished(self) -> bool:
        """No more frames are to be offered."""
        return self._finished

    @property
    def ready(self) -> bool:
        """`collect` has an output or an error to give, or all is over."""
        return self._in_flight[0].done if self._in_flight else self._finished

    @property
    def over(self) -> bool:
        """Every frame has been offered and every output collected."""
        return self._finished and not self._in_flight and self._error is None

    def offer(self, x: Values | Timed) -> None:
        """Take one frame, and send when there are enough for a message. Full with fewer, some are still in flight.

        Frames that are not a period apart do not go into one message, since only the first one's time is told.

        Raises:
            StreamrnnClientError: the frame is bad or the session over; nothing of it was sent.
        """
        time_us = None
        if isinstance(x, Timed):
            time_us, x = x
        if self._collected and not self._follows(time_us):
            self._send()
            if self._finished:
                return
        if not self._collected:
            self._time_us = self._ledger.checked_time(time_us)
        self._collected.append(self._dialogue.pack(self._ledger, x, ahead=len(self._collected)))
        if len(self._collected) >= self._chunk:
            self._send()

    def finish(self, error: BaseException | None = None) -> None:
        """No more frames will be offered; `error` is why, if it is not that the source has ended."""
        self._finished, self._error = True, error
        try:
            self._send()
        except Exception as failure:
            self._error = self._error or failure

    def collect(self) -> Iterator[Output]:
        """The outputs that have arrived, in order.

        Raises:
            StreamrnnClientError: the frames that come next were refused; or what `finish` was given.
        """
        while self._in_flight and self._in_flight[0].done:
            pending = self._in_flight.popleft()
            self._n_in_flight -= pending.n
            for i, output in enumerate(pending.result()):
                mark = pending.marks.get(i, PLAIN)
                if mark.is_stepped is None:
                    yield Output(pending.seq + i, vector(output), mark.filled, mark.was_reset, mark.events)
        if self._finished and not self._in_flight and self._error is not None:
            error, self._error = self._error, None
            raise error

    @property
    def _broken(self) -> bool:
        """A frame of ours was refused: then the last of those in flight is it, or is doomed behind it."""
        return bool(self._in_flight) and (self._in_flight[-1].doomed or self._in_flight[-1].error is not None)

    def _follows(self, time_us: int | None) -> bool:
        """A frame of that time is where the message's next one would be."""
        if self._time_us is None or time_us is None:
            return self._time_us is time_us
        return time_us == self._time_us + len(self._collected) * self._ledger.asked.period_us

    def _send(self) -> None:
        if self._broken:
            self._finished = True
            self._collected = []
        if self._collected:
            pending = self._dialogue.frames(self._ledger, self._collected, self._time_us)
            pending.waiter = self._waiter
            self._in_flight.append(pending)
            self._n_in_flight += pending.n
            self._collected = []
