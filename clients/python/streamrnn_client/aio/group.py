"""Sessions that are stepped together again and again, in asyncio."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from streamrnn_client.aio.wire import Wire
from streamrnn_client.batch import PendingBatch
from streamrnn_client.columns import Columns
from streamrnn_client.floats import Matrix, Values

if TYPE_CHECKING:
    from streamrnn_client.aio.session import Session


class Group:
    """The same sessions, one frame for each in every message. Made by `Client.group`.

    Nothing is done for each session by itself while all goes on in the ordinary way. The sessions may be used alone
    too, and stand in other groups; each takes its frames in the order of the calls.
    """

    def __init__(self, wire: Wire, columns: Columns) -> None:
        self._wire = wire
        self._columns = columns

    @property
    def sessions(self) -> tuple[Session, ...]:
        """In the order of the rows."""
        return self._columns.sessions  # type: ignore[return-value]

    def __len__(self) -> int:
        return len(self._columns.sessions)

    async def step(self, X: Values, *, timeout_s: float | None = None) -> Matrix:
        """Send one frame for each session, and wait for all outputs.

        Args:
            X: `(n_sessions, input_size)`, fastest as a float32 numpy array, or any buffer of as many float32 values.

        Returns:
            `(n_sessions, output_size)` float32.

        Raises:
            FrameError: found here: nothing was sent.
            SessionClosedError: a session has ended: nothing was sent. Make a group of the others.
            BatchError: some sessions failed; it holds the outputs of the others.
            WaitTimeoutError: not all outputs in time; the frames may still be applied.
        """
        batch = self._columns.send(X)
        await self._wire.wait_for(batch, "step", timeout_s)
        return batch.outputs()

    def send(self, X: Values) -> Sent:
        """As `step`, but without waiting: several may be under way, up to the sessions' `max_queue_frames`.

        Await what it returns, in any order.
        """
        batch = self._columns.send(X)
        self._wire.send_soon()
        return Sent(self._wire, batch)


class Sent:
    """What `Group.send` returns: to be awaited, by one task at a time."""

    def __init__(self, wire: Wire, batch: PendingBatch) -> None:
        self._wire = wire
        self._batch = batch

    @property
    def done(self) -> bool:
        """`result` need not wait."""
        return self._batch.done

    async def result(self, *, timeout_s: float | None = None) -> Matrix:
        """Wait for all outputs, `(n_sessions, output_size)` float32. Raises as `Group.step`; may be called again."""
        await self._wire.wait_for(self._batch, "step", timeout_s)
        return self._batch.outputs()

    def __await__(self) -> Generator[Any, None, Matrix]:
        return self.result().__await__()
