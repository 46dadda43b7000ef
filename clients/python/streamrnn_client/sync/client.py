"""A connection in blocking code."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from types import TracebackType
from typing import Self, Unpack

from streamrnn_client.columns import Columns
from streamrnn_client.errors import ClientClosedError
from streamrnn_client.facts import ClientFacts
from streamrnn_client.floats import Matrix, Values
from streamrnn_client.line import Line
from streamrnn_client.link import addresses_of
from streamrnn_client.options import OptionArgs, Options
from streamrnn_client.session_options import SessionArgs, SessionOptions
from streamrnn_client.sync.group import Group
from streamrnn_client.sync.session import Session
from streamrnn_client.sync.wire import Wire


def connect(url: str | Sequence[str], **options: Unpack[OptionArgs]) -> Client:
    """Connect to a server: `with connect(url) as client`, or `client = connect(url)` and `client.close()`.

    Args:
        url: `ws://host:port` or `wss://host:port`; or several, of servers that share one store. They are tried in
            turn, here and after each loss.
        options: see `Options`.

    Raises:
        ConnectError: no connection could be made.
        HandshakeError: the peer is no streamrnn server, or not ready (then `retryable`).
        WaitTimeoutError: not within `connect_timeout_s`.
    """
    said = Options(**options)
    addresses = addresses_of(url)
    for i in range(len(addresses)):
        wire = Wire(Line([*addresses[i:], *addresses[:i]], said, Random()))
        with wire.lock:
            error = wire.dial()
            if error is None:
                return Client(wire)
            wire.shut()
    assert error is not None
    raise error


class Client(ClientFacts):
    """Any number of sessions on one connection, which is made anew when it is lost. Made by `connect`.

    Threads may share it and its sessions: each call is whole, and calls on one session take effect one after the other.
    A `stream` belongs to the thread that iterates over it.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire.line)
        self._wire = wire
        self._columns: Columns | None = None

    @property
    def n_unanswered(self) -> int:
        """Frames of all sessions sent and neither answered nor refused."""
        with self._wire.lock:
            return super().n_unanswered

    def open(
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
        with self._wire.lock:
            pending = self._dialogue.open(model, session_id, SessionOptions(**options).message(model))
            return Session(self._wire, self._wire.settled(pending, "open", timeout_s))

    def restore(self, snapshot: bytes, *, session_id: str | None = None, timeout_s: float | None = None) -> Session:
        """Open a session from a snapshot: its later outputs are bit-equal to those of the one that was snapshotted.

        Raises:
            SnapshotError: a damaged snapshot, or of a model that the server does not have. Else as `open`.
        """
        with self._wire.lock:
            pending = self._dialogue.restore(snapshot, session_id)
            return Session(self._wire, self._wire.settled(pending, "open", timeout_s))

    def step_many(
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
        with self._wire.lock:
            batch = self._columns_of(sessions).send(X, times_us)
            self._wire.settle_all([batch], "step", timeout_s)
        return batch.outputs()

    def group(self, sessions: Sequence[Session]) -> Group:
        """Sessions that are stepped together again and again, at next to no cost for each.

        Args:
            sessions: sessions of this client with equal sizes.

        Raises:
            OptionError: no session, unequal sizes, or one of another client.
        """
        with self._wire.lock:
            return Group(self._wire, Columns(self._dialogue, sessions))

    def close(self) -> None:
        """End the connection and with it its sessions. What is pending fails. Safe to call again.

        While there is no connection the server is not told: it keeps the sessions until they expire.
        """
        with self._wire.lock:
            self._wire.hang_up(ClientClosedError("expected an open client, this one was closed"))
        self._wire.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _columns_of(self, sessions: Sequence[Session]) -> Columns:
        """Those of the last call, where they are the same sessions."""
        if self._columns is None or self._columns.sessions != tuple(sessions):
            self._columns = Columns(self._dialogue, sessions)
        return self._columns
