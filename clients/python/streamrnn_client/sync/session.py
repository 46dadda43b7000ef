"""A session in blocking code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Self

from streamrnn_client.chunks import Chunks
from streamrnn_client.drawing import draw_of, frames_of, prompt_chunk
from streamrnn_client.errors import StreamrnnClientError
from streamrnn_client.facts import SessionFacts
from streamrnn_client.floats import Matrix, Values, Vector, vector
from streamrnn_client.ledger import Ledger
from streamrnn_client.pending import no_answer
from streamrnn_client.sync.tokens import Tokens
from streamrnn_client.sync.wire import Wire
from streamrnn_client.window import Output, Timed, Window


class Session(SessionFacts):
    """One live sequence in the server. Made by `Client.open`, `Client.restore` or `fork`.

    A call that is interrupted or times out is not taken back: its frame may still be applied; its output is dropped.
    """

    def __init__(self, wire: Wire, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._wire = wire
        self._dialogue = wire.dialogue

    def step(self, x: Values, *, time_us: int | None = None, timeout_s: float | None = None) -> Vector:
        """Send one frame and wait for its output.

        Args:
            x: `input.size` values: numbers, a numpy array, or bytes of little-endian float32.
            time_us: when it was sampled, where the session has a `gap` policy, and only there.

        Returns:
            `(output.size,)` float32.

        Raises:
            FrameError: a bad frame; the session is as before.
            QueueFullError: too many frames unanswered; the session is as before.
            SkippedError: it gets no output; says whether the state has seen it.
            WaitTimeoutError: no output in time; the frame may still be applied.
        """
        with self._wire.lock:
            pending = self._dialogue.frames(self._ledger, [self._dialogue.pack(self._ledger, x)], time_us)
            self._wire.settle_all([pending], "step", timeout_s)
        return vector(pending.only_output())

    def run(
        self, xs: Values, *, chunk: int | None = None, time_us: int | None = None, timeout_s: float | None = None
    ) -> Matrix:
        """Send many frames, in few messages, and wait for all outputs: nothing is done for each frame by itself.

        Args:
            xs: `(n_frames, input_size)`, fastest as a float32 numpy array, or any buffer of as many float32 values.
            chunk: frames in one message; None: half of what may be unanswered (`max_queue_frames`).
            time_us: when the first was sampled, where the session has a `gap` policy; the others are a period apart.
            timeout_s: most seconds to wait for the outputs of a message.

        Returns:
            `(n_frames, output_size)` float32.

        Raises:
            FrameError: found here: nothing was sent.
            SkippedError, QueueFullError: of the first frame that has no output; those before it were applied.
        """
        with self._wire.lock:
            chunks = Chunks(self._dialogue, self._ledger, xs, chunk, time_us)
            while (head := chunks.advance()) is not None:
                self._wire.settle_all([head], "step", timeout_s)
        return chunks.outputs()

    def stream(
        self,
        frames: Iterable[Values | Timed],
        *,
        window: int | None = None,
        chunk: int = 1,
        timeout_s: float | None = None,
    ) -> Iterator[Output]:
        """Send frames and yield their outputs, in order.

        What was sent is answered first: a bad frame, or an error that `frames` raises, comes behind the last output.
        While `frames` makes us wait for the next frame no output is yielded: for a live source say `window=1`.

        Args:
            frames: any iterable; it is iterated in the calling thread. `Timed` frames where there is a `gap` policy.
            window: most frames in flight, up to `max_queue_frames`; by default 64, or two chunks.
            chunk: frames in one message; more cost less each, but the first of them waits for the last.
            timeout_s: most seconds to wait for the next output.
        """
        flight = Window(self._dialogue, self._ledger, window, chunk)
        source = iter(frames)
        may_wait = not hasattr(
            frames, "__getitem__"
        )  # a list or an array has its next frame at hand, a generator may not
        while True:
            while not (flight.finished or flight.full or flight.ready):
                self._feed(source, flight)
                if may_wait:
                    self._look()
            self._until_ready(flight, timeout_s)
            yield from flight.collect()
            if flight.over:
                return

    def generate(
        self,
        n: int,
        prompt: str | Iterable[int] | None = None,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        seed: int = 0,
        stop: int | str | None = None,
        timeout_s: float | None = None,
    ) -> Tokens:
        """Let the server feed the session with tokens that it draws from its outputs; iterate over them as they come.

        The session was opened with `decoder={"kind": "sampler"}` (and `"input"`, what the outputs are), and has seen a
        frame, or there is a prompt. The same seed gives the same tokens. Until the last one, or until the iterator is
        left, nobody else may send frames. Leave it early, and what the server has begun is read and dropped: at most a
        window of tokens.

        Args:
            n: most tokens.
            prompt: frames that are sent first: token ids, or a text of the model's labels.
            temperature: 0: always the most probable token; 1: as the model says.
            top_k: draw among so many of the most probable tokens; 0: among all.
            seed: of the draws.
            stop: id or label of the token that ends it, itself included.
            timeout_s: most seconds for which the next token may be due.

        Raises:
            OptionError: a value out of range, no sampler, or no frame was seen.
            UsageError: it generates already.
        """
        draw = draw_of(temperature, top_k, seed, stop, self.labels)
        frames = frames_of(prompt or (), self.labels)
        return Tokens(self._wire, self._ledger, n, draw, lambda: self._heard(frames, timeout_s), timeout_s)

    def reset(self, warm_frames: int = 0, *, timeout_s: float | None = None) -> None:
        """Return the state to its start, after the frames sent before; numbering goes on.

        Args:
            warm_frames: this many further frames are still answered from the old state, while the new one sees them.
        """
        with self._wire.lock:
            self._wire.settled(self._dialogue.reset(self._ledger, warm_frames), "reset", timeout_s)

    def flush(self, *, timeout_s: float | None = None) -> int:
        """Wait until every frame sent before is answered; returns the last applied seq, -1 if there is none."""
        with self._wire.lock:
            return int(self._wire.settled(self._dialogue.flush(self._ledger), "flush", timeout_s))

    def snapshot(self, *, timeout_s: float | None = None) -> bytes:
        """The state after the frames sent before, as bytes for `Client.restore` and `rollback`.

        Asked again because the connection was lost, it may be that after later frames, if some were sent behind it.
        """
        with self._wire.lock:
            return bytes(self._wire.settled(self._dialogue.snapshot(self._ledger), "snapshot", timeout_s))

    def rollback(self, snapshot: bytes, *, timeout_s: float | None = None) -> None:
        """Go back to a snapshot of this session: state and numbering are what they were then, after the frames sent
        before. What is sent behind it waits for its answer.

        Raises:
            SnapshotError: a damaged snapshot, or of another session; nothing has changed.
        """
        with self._wire.lock:
            self._wire.settled(self._dialogue.rollback(self._ledger, snapshot), "rollback", timeout_s)

    def fork(self, *, session_id: str | None = None, timeout_s: float | None = None) -> Session:
        """A second session that goes on from the same state, after the frames sent before."""
        with self._wire.lock:
            pending = self._dialogue.fork(self._ledger, session_id)
            return Session(self._wire, self._wire.settled(pending, "open", timeout_s))

    def close(self, *, timeout_s: float | None = None) -> None:
        """End the session, after the frames sent before. Does nothing if it has ended."""
        with self._wire.lock:
            if self._ledger.live:
                self._wire.settled(self._dialogue.close(self._ledger), "close", timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except StreamrnnClientError:
            if error is None:
                raise

    def _heard(self, frames: list[list[float]], timeout_s: float | None) -> None:
        """Let the session see a prompt."""
        for _ in self.stream(frames, chunk=prompt_chunk(self._ledger), timeout_s=timeout_s):
            pass

    def _feed(self, source: Iterator[Values | Timed], flight: Window) -> None:
        """Offer the next frame; an error becomes the window's. The lock is not held while the source is asked."""
        failure: Exception | None = None
        frames: list[Values | Timed] = []
        try:
            frames = list(islice(source, 1))
        except Exception as error:
            failure = error
        with self._wire.lock:
            try:
                for x in frames:
                    flight.offer(x)
                if not frames:
                    flight.finish(failure)
            except Exception as error:
                flight.finish(error)

    def _look(self) -> None:
        with self._wire.lock:
            self._wire.look()

    def _until_ready(self, flight: Window, timeout_s: float | None) -> None:
        seconds = self._wire.options.timeout_s("step", timeout_s)
        with self._wire.lock:
            self._wire.send()
            if not self._wire.wait(lambda: flight.ready, seconds):
                raise no_answer("step", seconds, flight.head)
