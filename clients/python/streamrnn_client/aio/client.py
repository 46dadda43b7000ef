"""A connection in asyncio."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from random import Random
from types import TracebackType
from typing import Any, Self, Unpack

from streamrnn_client.aio.group import Group
from streamrnn_client.aio.session import Session
from streamrnn_client.aio.wire import Wire
from streamrnn_client.columns import Columns
from streamrnn_client.errors import ClientClosedError
from streamrnn_client.facts import ClientFacts
from streamrnn_client.floats import Matrix, Values
from streamrnn_client.line import Line
from streamrnn_client.link import addresses_of
from streamrnn_client.options import OptionArgs, Options
from streamrnn_client.session_options import SessionArgs, SessionOptions


def connect(url: str | Sequence[str], **options: Unpack[OptionArgs]) -> Connecting:
    """Connect to a server: `async with connect(url) as client`, or `client = await connect(url)`.

    Args:
        url: `ws://host:port` or `wss://host:port`; or several, of servers that share one store. They are tried in
            turn, here and after each loss.
        options: see `Options`.

    Raises:
        ConnectError: no connection could be made.
        HandshakeError: the peer is no streamrnn server, or not ready (then `retryable`).
        WaitTimeoutError: not within `connect_timeout_s`.
    """
    return Connecting(url, Options(**options))


class Connecting:
    """What `connect` returns: to be awaited, or entered."""

    def __init__(self, url: str | Sequence[str], options: Options) -> None:
        self._url = url
        self._options = options
        self._client: Client | None = None

    def __await__(self) -> Generator[Any, None, Client]:
        return _connect(self._url, self._options).__await__()

    async def __aenter__(self) -> Client:
        self._client = await self
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._client is not None
        await self._client.close()


class Client(ClientFacts):
    """Any number of sessions on one connection, which is made anew when it is lost.

    Made by `connect`; belongs to the loop that made it.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire.line)
        self._wire = wire
        self._columns: Columns | None = None

    async def open(
        self,
        model: str,
        *,
        session_id: str | None = None,
        timeout_s: float | None = None,
        **options: Unpack[SessionArgs],
    ) -> Session:
        """Open a session of a model.

        Args:
            session_id: a name that is free in the server and its store; None: the server makes one up.
            options: see `SessionOptions`.

        Raises:
            UnknownModelError, SessionExistsError, CapacityError, OptionError: the server refused.
            DrainingError: the server is stopping.
            WaitTimeoutError: no answer; should the session open later after all, it is closed.
        """
        pending = self._dialogue.open(model, session_id, SessionOptions(**options).message(model))
        return Session(self._wire, await self._wire.settled(pending, "open", timeout_s))

    async def restore(
        self, snapshot: bytes, *, session_id: str | None = None, timeout_s: float | None = None
    ) -> Session:
        """Open a session from a snapshot: its later outputs are bit-equal to those of the one that was snapshotted.

        Raises:
            SnapshotError: a damaged snapshot, or of a model that the server does not have. Else as `open`.
        """
        pending = self._dialogue.restore(snapshot, session_id)
        return Session(self._wire, await self._wire.settled(pending, "open", timeout_s))

    async def step_many(
        self,
        sessions: Sequence[Session],
        X: Values,
        *,
        times_us: Sequence[int] | None = None,
        timeout_s: float | None = None,
    ) -> Matrix:
        """One frame for each of several sessions, in one message.

        Args:
            sessions: sessions of this client with equal sizes; one that stands twice gets two frames in a row.
            X: `(n_sessions, input_size)`.
            times_us: when each was sampled, where sessions have a `gap` policy.

        Returns:
            `(n_sessions, output_size)` float32.

        Raises:
            FrameError: found here: nothing was sent.
            BatchError: some sessions failed; it holds the outputs of the others.
        """
        batch = self._columns_of(sessions).send(X, times_us)
        await self._wire.wait_for(batch, "step", timeout_s)
        return batch.outputs()

    def group(self, sessions: Sequence[Session]) -> Group:
        """Sessions that are stepped together again and again, at next to no cost for each.

        Args:
            sessions: sessions of this client with equal sizes.

        Raises:
            OptionError: no session, unequal sizes, or one of another client.
        """
        return Group(self._wire, Columns(self._dialogue, sessions))

    async def close(self) -> None:
        """End the connection and with it its sessions. What is pending fails. Safe to call again.

        While there is no connection the server is not told: it keeps the sessions until they expire.
        """
        await self._wire.hang_up(ClientClosedError("expected an open client, this one was closed"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _columns_of(self, sessions: Sequence[Session]) -> Columns:
        """Those of the last call, where they are the same sessions."""
        if self._columns is None or self._columns.sessions != tuple(sessions):
            self._columns = Columns(self._dialogue, sessions)
        return self._columns


async def _connect(url: str | Sequence[str], options: Options) -> Client:
    addresses = addresses_of(url)
    for i in range(len(addresses)):
        line = Line([*addresses[i:], *addresses[:i]], options, Random())
        wire = Wire(line)
        error = await wire.dial()
        if error is None:
            return Client(wire)
    assert error is not None
    raise error
