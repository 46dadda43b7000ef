"""A session in asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from types import TracebackType
from typing import Self

from streamrnn_client.aio.tokens import Tokens
from streamrnn_client.aio.wire import Wire
from streamrnn_client.chunks import Chunks
from streamrnn_client.drawing import draw_of, frames_of, prompt_chunk
from streamrnn_client.errors import StreamrnnClientError
from streamrnn_client.facts import SessionFacts
from streamrnn_client.floats import Matrix, Values, Vector, vector
from streamrnn_client.ledger import Ledger
from streamrnn_client.pending import no_answer
from streamrnn_client.window import Output, Timed, Window

Source = AsyncIterable[Values | Timed] | Iterable[Values | Timed]


class Session(SessionFacts):
    """One live sequence in the server. Made by `Client.open`, `Client.restore` or `fork`.

    Calls may overlap: each takes effect in the order in which it was made. A call that is cancelled or times out is not
    taken back: its frame may still be applied, and its output is dropped.
    """

    def __init__(self, wire: Wire, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._wire = wire
        self._dialogue = wire.dialogue

    async def step(self, x: Values, *, time_us: int | None = None, timeout_s: float | None = None) -> Vector:
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
        pending = self._dialogue.frames(self._ledger, [self._dialogue.pack(self._ledger, x)], time_us)
        await self._wire.wait_for(pending, "step", timeout_s)
        return vector(pending.only_output())

    async def run(
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
        chunks = Chunks(self._dialogue, self._ledger, xs, chunk, time_us)
        while (head := chunks.advance()) is not None:
            await self._wire.wait_for(head, "step", timeout_s)
        return chunks.outputs()

    async def stream(
        self, frames: Source, *, window: int | None = None, chunk: int = 1, timeout_s: float | None = None
    ) -> AsyncGenerator[Output, None]:
        """Send frames as they come and yield their outputs as they come, in order.

        What was sent is answered first: a bad frame, or an error that `frames` raises, comes behind the last output.

        Args:
            frames: a plain or asynchronous iterable; a plain one must not block. `Timed` frames where there is a `gap`
                policy.
            window: most frames in flight, up to `max_queue_frames`; by default 64, or two chunks.
            chunk: frames in one message; more cost less each, but the first of them waits for the last.
            timeout_s: most seconds for which the next output may be due.
        """
        wake, room = asyncio.Event(), asyncio.Event()
        flight = Window(self._dialogue, self._ledger, window, chunk, wake.set)
        feeder = asyncio.create_task(self._feed(frames, flight, wake, room))
        try:
            while True:
                for output in flight.collect():
                    yield output
                if flight.over:
                    return
                room.set()
                await self._until_ready(flight, wake, timeout_s)
        finally:
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)

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

    async def reset(self, warm_frames: int = 0, *, timeout_s: float | None = None) -> None:
        """Return the state to its start, after the frames sent before; numbering goes on.

        Args:
            warm_frames: this many further frames are still answered from the old state, while the new one sees them.
        """
        pending = self._dialogue.reset(self._ledger, warm_frames)
        await self._wire.settled(pending, "reset", timeout_s)

    async def flush(self, *, timeout_s: float | None = None) -> int:
        """Wait until every frame sent before is answered; returns the last applied seq, -1 if there is none."""
        pending = self._dialogue.flush(self._ledger)
        return int(await self._wire.settled(pending, "flush", timeout_s))

    async def snapshot(self, *, timeout_s: float | None = None) -> bytes:
        """The state after the frames sent before, as bytes for `Client.restore` and `rollback`.

        Asked again because the connection was lost, it may be that after later frames, if some were sent behind it.
        """
        pending = self._dialogue.snapshot(self._ledger)
        return bytes(await self._wire.settled(pending, "snapshot", timeout_s))

    async def rollback(self, snapshot: bytes, *, timeout_s: float | None = None) -> None:
        """Go back to a snapshot of this session: state and numbering are what they were then, after the frames sent
        before. What is sent behind it waits for its answer.

        Raises:
            SnapshotError: a damaged snapshot, or of another session; nothing has changed.
        """
        pending = self._dialogue.rollback(self._ledger, snapshot)
        await self._wire.settled(pending, "rollback", timeout_s)

    async def fork(self, *, session_id: str | None = None, timeout_s: float | None = None) -> Session:
        """A second session that goes on from the same state, after the frames sent before."""
        pending = self._dialogue.fork(self._ledger, session_id)
        return Session(self._wire, await self._wire.settled(pending, "open", timeout_s))

    async def close(self, *, timeout_s: float | None = None) -> None:
        """End the session, after the frames sent before. Does nothing if it has ended."""
        if self._ledger.live:
            pending = self._dialogue.close(self._ledger)
            await self._wire.settled(pending, "close", timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except StreamrnnClientError:
            if error is None:
                raise

    async def _heard(self, frames: list[list[float]], timeout_s: float | None) -> None:
        """Let the session see a prompt."""
        if frames:
            async for _ in self.stream(frames, chunk=prompt_chunk(self._ledger), timeout_s=timeout_s):
                pass

    async def _feed(self, frames: Source, flight: Window, wake: asyncio.Event, room: asyncio.Event) -> None:
        """Offer every frame, waiting for room in the window and in the socket; an error becomes the window's."""
        try:
            async for x in _each(frames):
                while flight.full:
                    room.clear()
                    await room.wait()
                await self._wire.writable.wait()
                flight.offer(x)
                self._wire.send_soon()
                wake.set()
                if flight.finished:
                    return
            flight.finish()
        except Exception as error:
            flight.finish(error)
        self._wire.send_soon()
        wake.set()

    async def _until_ready(self, flight: Window, wake: asyncio.Event, timeout_s: float | None) -> None:
        """Wait until something may be collected. The time runs only while an output is due."""
        seconds = self._wire.options.timeout_s("step", timeout_s)
        due_s = None
        while not flight.ready:
            if flight.head is not None and due_s is None:
                due_s = self._wire.loop.time() + seconds
            wake.clear()
            try:
                async with asyncio.timeout_at(due_s):
                    await wake.wait()
            except TimeoutError:
                raise no_answer("step", seconds, flight.head) from None


async def _each(frames: Source) -> AsyncIterator[Values | Timed]:
    if isinstance(frames, AsyncIterable):
        async for x in frames:
            yield x
    else:
        for x in frames:
            yield x
