"""Many frames of one session, sent in messages of as many as it may have unanswered. No I/O, no waiting."""

from __future__ import annotations

from collections import deque

from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import FrameError, OptionError, StreamrnnClientError
from streamrnn_client.floats import FLOAT_BYTES, Matrix, Values, matrix, pack_matrix
from streamrnn_client.ledger import Ledger
from streamrnn_client.pending import PendingFrames


class Chunks:
    """The frames of one `run`: at most two messages are under way.

    Once a frame has no output nothing more is sent; what is under way is read to its end first.

    Args:
        xs: `(n_frames, input_size)`.
        chunk: frames in a message; None: half of what may be unanswered.
        time_us: of the first frame, where the session has a `gap` policy; the others are a period apart.

    Raises:
        FrameError: a bad frame; nothing was sent.
        OptionError: a chunk out of range.
    """

    def __init__(self, dialogue: Dialogue, ledger: Ledger, xs: Values, chunk: int | None, time_us: int | None) -> None:
        port, options = ledger.opened.input, dialogue.options
        n_bytes = port.size * FLOAT_BYTES
        limit = min(ledger.opened.max_queue_frames or options.max_chunk_frames, options.max_chunk_frames)
        most = min(limit, max(1, options.max_send_bytes // 2 // n_bytes))
        if chunk is not None and not 1 <= chunk <= limit:
            raise OptionError(f"expected a chunk of 1 to {limit} frames, or open(window=...) with more, got {chunk}")
        is_plain = isinstance(xs, bytes | bytearray | memoryview)
        n = memoryview(xs).nbytes // n_bytes if is_plain else len(xs)  # type: ignore[arg-type]
        frames = pack_matrix(xs, n, port, check=options.check)
        if not isinstance(frames, bytes):
            raise FrameError(f"expected frames of {port.size} values", handle=ledger.handle)
        self._dialogue = dialogue
        self._ledger = ledger
        self._frames = frames
        self._n_bytes = n_bytes
        self._n = n
        self._limit = limit
        self._chunk = chunk or min(most, max(1, limit // 2))
        self._time_us = time_us
        self._n_sent = 0
        self._in_flight: deque[PendingFrames] = deque()
        self._outputs: list[bytes] = []
        self._error: StreamrnnClientError | None = None
        ledger.checked_time(time_us)

    def advance(self) -> PendingFrames | None:
        """Send what there is room for; returns the message whose outputs come next. None: all is answered."""
        while self._in_flight and self._in_flight[0].done:
            self._collect(self._in_flight.popleft())
        while self._n_sent < self._n and self._error is None and self._has_room():
            self._send()
        return self._in_flight[0] if self._in_flight else None

    def outputs(self) -> Matrix:
        """`(n_frames, output_size)`, once all is answered.

        Raises:
            StreamrnnClientError: why the first frame that has no output has none.
        """
        if self._error is not None:
            raise self._error
        return matrix(b"".join(self._outputs), self._n, self._ledger.opened.output.size)

    def _has_room(self) -> bool:
        n_next = min(self._chunk, self._n - self._n_sent)
        return not self._in_flight or sum(pending.n for pending in self._in_flight) + n_next <= self._limit

    def _send(self) -> None:
        start, end = self._n_sent, min(self._n_sent + self._chunk, self._n)
        payload = self._frames[start * self._n_bytes : end * self._n_bytes]
        time_us = None if self._time_us is None else self._time_us + start * self._ledger.asked.period_us
        try:
            self._in_flight.append(self._dialogue.chunk(self._ledger, payload, end - start, time_us))
        except StreamrnnClientError as error:
            self._error = error
        self._n_sent = end

    def _collect(self, pending: PendingFrames) -> None:
        skips = [pending.skip_of(i) for i in sorted(pending.marks)]
        error = pending.error or next((skip for skip in skips if skip is not None), None)
        self._error = self._error or error
        if error is None:
            self._outputs += pending.outputs
