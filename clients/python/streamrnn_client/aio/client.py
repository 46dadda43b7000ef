"""The asyncio shell: a socket under the link, futures over what is pending. All of it runs in one event loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Generator, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from streamrnn_client.aio.session import Session
from streamrnn_client.errors import ClientClosedError, ConnectError, StreamrnnClientError
from streamrnn_client.floats import Matrix, Values
from streamrnn_client.ledger import Ledger
from streamrnn_client.link import Link, address_of
from streamrnn_client.options import OptionArgs, Options
from streamrnn_client.pending import Pending, no_answer
from streamrnn_client.session import gather, send_one_each
from streamrnn_client.table import Event


def connect(url: str, **options: Unpack[OptionArgs]) -> Connecting:
    """Connect to a server: `async with connect(url) as client`, or `client = await connect(url)`.

    Args:
        url: `ws://host:port` or `wss://host:port`.
        options: see `Options`.

    Raises:
        ConnectError: no connection could be made.
        HandshakeError: the peer is no streamrnn server, or not ready (then `retryable`).
        WaitTimeoutError: not within `connect_timeout_s`.
    """
    return Connecting(url, Options(**options))


class Connecting:
    """What `connect` returns: to be awaited, or entered."""

    def __init__(self, url: str, options: Options) -> None:
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


class Client(asyncio.Protocol):
    """One connection, which carries any number of sessions. Made by `connect`; belongs to the loop that made it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._dialogue = link.dialogue
        self._options = link.options
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._tending: asyncio.TimerHandle | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._sends_soon = False
        self._shook = self._loop.create_future()
        self._gone = self._loop.create_future()
        self._writable = asyncio.Event()
        self._writable.set()

    # ---- what the caller uses

    @property
    def going_away(self) -> bool:
        """True once the server has said that it stops: it takes no new sessions."""
        return self._dialogue.table.going_away is not None

    @property
    def over(self) -> StreamrnnClientError | None:
        """Why the connection has ended, or None while it stands."""
        return self._dialogue.table.over

    @property
    def n_unanswered(self) -> int:
        """Frames of all sessions sent and neither answered nor refused."""
        return self._dialogue.table.n_unanswered

    async def open(self, model: str, *, session_id: str | None = None, timeout_s: float | None = None) -> Session:
        """Open a session of a model.

        Raises:
            UnknownModelError, SessionExistsError, CapacityError, OptionError: the server refused.
            DrainingError: the server is stopping.
            WaitTimeoutError: no answer; should the session open later after all, it is closed.
        """
        return Session(self, await self._opened(self._dialogue.open(model, session_id), timeout_s))

    async def restore(
        self, snapshot: bytes, *, session_id: str | None = None, timeout_s: float | None = None
    ) -> Session:
        """Open a session from a snapshot: its later outputs are bit-equal to those of the one that was snapshotted.

        Raises:
            SnapshotError: a damaged snapshot, or of a model that the server does not have. Else as `open`.
        """
        return Session(self, await self._opened(self._dialogue.restore(snapshot, session_id), timeout_s))

    async def step_many(self, sessions: Sequence[Session], X: Values, *, timeout_s: float | None = None) -> Matrix:
        """One frame for each of several sessions, in one message.

        Args:
            sessions: sessions of this client with equal sizes; one that stands twice gets two frames in a row.
            X: `(n_sessions, input_size)`.

        Returns:
            `(n_sessions, output_size)` float32.

        Raises:
            FrameError: found here: nothing was sent.
            BatchError: some sessions failed; it holds the outputs of the others.
        """
        pendings = send_one_each(self._dialogue, sessions, X)
        self._send()
        for pending in pendings:
            await self._wait(pending, "step", timeout_s)
        return gather(pendings, sessions)

    async def close(self) -> None:
        """End the connection and with it its sessions. What is pending fails. Safe to call again."""
        self._notify(self._link.close(ClientClosedError("expected an open client, this one was closed")))
        self._send()
        await asyncio.shield(self._gone)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # ---- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop has a socket for us."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """The loop has bytes for us."""
        self._notify(self._link.receive_data(data, self._loop.time()))
        self._send()

    def eof_received(self) -> bool:
        """The server will send no more."""
        self._notify(self._link.receive_eof())
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._notify(self._link.receive_eof(f"the connection broke: {exc}" if exc else "the connection was cut"))
        for timer in (self._tending, self._ending):
            if timer is not None:
                timer.cancel()
        self._writable.set()
        if not self._gone.done():
            self._gone.set_result(None)

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The socket takes bytes again."""
        self._writable.set()

    # ---- what sessions use

    async def _settled(self, pending: Pending, of: str, timeout_s: float | None) -> Any:
        """The answer; the caller has sent."""
        await self._wait(pending, of, timeout_s)
        return pending.result()

    async def _wait(self, pending: Pending, of: str, timeout_s: float | None) -> None:
        """Until it is settled. Abandons what it waits for when it is cancelled or runs out of time."""
        seconds = self._options.timeout_s(of, timeout_s)
        if not pending.done:
            settled = self._loop.create_future()

            def wake() -> None:
                if not settled.done():
                    settled.set_result(None)

            pending.waiter = wake
            late = self._loop.call_later(seconds, wake)
            try:
                await settled
            finally:
                late.cancel()
                if not pending.done:
                    self._dialogue.abandon(pending)
        if not pending.done:
            raise no_answer(of, seconds, pending)

    async def _opened(self, pending: Pending, timeout_s: float | None) -> Ledger:
        self._send()
        ledger = await self._settled(pending, "open", timeout_s)
        assert isinstance(ledger, Ledger)
        return ledger

    def _send(self) -> None:
        """Give the socket whatever is to be sent; close it when the link is over."""
        self._sends_soon = False
        if self._transport is None or self._transport.is_closing():
            return
        data = self._link.data_to_send()
        if data:
            self._transport.write(data)
        if self._link.over and self._ending is None:
            self._ending = self._loop.call_later(self._options.close_timeout_s, self._transport.abort)
        if self._link.hang_up:
            self._transport.close()

    def _send_soon(self) -> None:
        """As `_send`, but once for all that ask in the same turn of the loop."""
        if not self._sends_soon:
            self._sends_soon = True
            self._loop.call_soon(self._send)

    def _notify(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Pending):
                if event.waiter is not None:
                    event.waiter()
            elif self._options.on_go_away is not None:
                self._loop.call_soon(self._options.on_go_away, event.deadline_ms / 1000)
        if (self._link.handshake_done or self._link.over) and not self._shook.done():
            self._shook.set_result(None)

    def _tend(self) -> None:
        self._notify(self._link.tend(self._loop.time()))
        self._send()
        if not self._link.over:
            self._tending = self._loop.call_at(self._link.deadline_s, self._tend)

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def _connect(url: str, options: Options) -> Client:
    address = address_of(url)
    loop = asyncio.get_running_loop()
    client = Client(Link(address, options, loop.time()))
    secure = (options.ssl or ssl.create_default_context()) if address.secure else None
    try:
        async with asyncio.timeout(options.connect_timeout_s):
            await loop.create_connection(lambda: client, address.host, address.port, ssl=secure)
            await client._shook
    except TimeoutError as error:
        raise no_answer("connect", options.connect_timeout_s) from error
    except OSError as error:
        raise ConnectError(f"expected a server at {url}: {error}") from error
    finally:
        if not client._link.handshake_done:
            client._drop()
    if client.over is not None:
        raise client.over.again()
    client._tend()
    return client
