"""One connection's dialogue: bytes in, legal or not, replies collected for the next write."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from streamrnn.errors import InternalError, PeerError, StreamrnnError
from streamrnn.serving.hosted import Hosted
from streamrnn.serving.outbox import Outbox
from streamrnn.serving.party import Reason
from streamrnn.serving.roll import Roll
from streamrnn.serving.verbs import VERBS
from streamrnn.wire import order
from streamrnn.wire.codec import Buffer, Codec
from streamrnn.wire.messages import ClientMessage, Closed, Frames, GoAway, Message
from streamrnn.wire.refusal import GOING_AWAY, TAKEN_OVER, close_code_of, error_of

if TYPE_CHECKING:
    from streamrnn.serving.hub import Hub

log = logging.getLogger("streamrnn.serving")

MAX_ROLLS = 64
"""Sets of sessions that a gateway steps together and that are remembered; with more of them all are found anew."""


class Peer:
    """The server's side of one connection.

    Args:
        hub: what this peer belongs to; it is told whenever there is something to write.
        codec: the encoding of the negotiated sub-protocol.

    Attributes:
        sessions: by their handles.
        openings: handles whose session the store is asked for, and the messages that wait for its answer.
        state: of the connection, see `wire.order`.
        close_code: set once the websocket is to be closed, after what `take` returns.
    """

    __slots__ = ("_rolls", "close_code", "codec", "hub", "openings", "outbox", "put_piece", "sessions", "state")

    close_reason = ""
    """An `error` has said it."""

    def __init__(self, hub: Hub, codec: Codec) -> None:
        self.hub = hub
        self.codec = codec
        self.sessions: dict[int, Hosted] = {}
        self.openings: dict[int, list[ClientMessage]] = {}
        self.outbox = Outbox(codec.encode)
        self.put_piece = self.outbox.put_piece
        self.state: order.ConnectionState = order.OPEN
        self.close_code: int | None = None
        self._rolls: dict[tuple[int, int], Roll] = {}

    @property
    def is_text(self) -> bool:
        """Whether what `take` returns goes out as text."""
        return self.codec.is_text

    def receive(self, payload: Buffer, is_text: bool, now_ns: int) -> None:
        """Take one websocket message; never raises. After a fatal error and the deadline of a stop none is read."""
        if self.state == order.CLOSED or self.hub.is_deaf:
            return
        try:
            message = self.codec.decode(payload, is_text)
        except PeerError as fault:
            self.fail(fault, now_ns)
            return
        except Exception:
            log.exception("a message could not be decoded")
            self.fail(InternalError("the server failed to read a message"), now_ns)
            return
        if self.openings and self._is_held(message, now_ns):
            return
        self._answer(message, now_ns)

    def send(self, message: Message) -> None:
        """Queue a message for the client."""
        self.outbox.put(message)
        self.hub.dirty[self] = None

    def refuse(
        self, fault: StreamrnnError, of: str | None = None, handle: int | None = None, seq: int | None = None
    ) -> None:
        """Answer with an error that ends no more than the fault's session."""
        self.hub.tally.errors[fault.code] += 1
        self.send(error_of(fault, of, handle, seq, scope="frame" if fault.scope == "frame" else "session"))

    def fail(self, fault: StreamrnnError, now_ns: int) -> None:
        """Answer with an error that ends the connection."""
        self.hub.tally.errors[fault.code] += 1
        self.send(error_of(fault, scope="connection"))
        self.close(close_code_of(fault), now_ns)

    def go_away(self, deadline_ms: int, now_ns: int = 0) -> None:
        """Tell the client that the server stops; a connection without sessions is closed at once."""
        if self.state != order.OPEN:
            return
        self.state = order.connection_after(self.state, "go_away")
        self.send(GoAway(deadline_ms))
        self._close_if_drained(now_ns)

    def close(self, code: int, now_ns: int) -> None:
        """Close the websocket after what is queued, and leave its sessions to be resumed."""
        if self.state == order.CLOSED:
            return
        self.state = order.connection_after(self.state, "end")
        self.close_code = code
        self.hub.dirty[self] = None
        self.openings.clear()
        for roll in self._rolls.values():
            roll.group.tag = None  # else they hold each other until garbage is collected
        self._rolls.clear()
        sessions = list(self.sessions.values())
        self.sessions.clear()
        for hosted in sessions:
            self.hub.leave(hosted, now_ns)

    def tell_closed(self, handle: int, reason: Reason, n_frames: int) -> None:
        """A session that this connection held is over; a connection that is done with its last one may end with it."""
        self.send(Closed(handle, reason, n_frames))
        if reason == "taken_over" and not self.sessions and not self.openings:
            self.close(TAKEN_OVER, 0)
        elif reason != "draining":  # then the whole connection is about to be closed, with a code that says so
            self._close_if_drained(0)

    def hold(self, handle: int) -> None:
        """The store is asked for the session of a free handle: what comes for it waits."""
        self.openings[handle] = []

    def release(self, handle: int, now_ns: int) -> None:
        """The store has answered: take what came for the handle meanwhile, in order."""
        for message in self.openings.pop(handle, []):
            if self.state == order.CLOSED:
                return
            if not (self.openings and self._is_held(message, now_ns)):
                self._answer(message, now_ns)
        self._close_if_drained(now_ns)

    def roll(self, handles: list[int], now_ns: int) -> Roll | None:
        """The sessions of a gateway's message; None where each of its frames must go its own way."""
        key = (handles[0], len(handles))
        roll = self._rolls.get(key)
        if roll is None or not roll.is_of(handles):
            if len(self._rolls) >= MAX_ROLLS:
                self._rolls.clear()
            roll = Roll.find(self.hub, self, handles, now_ns)
            if roll is None:
                self._rolls.pop(key, None)
            else:
                self._rolls[key] = roll
        return roll

    def take(self) -> list[bytes]:
        """Return the encoded messages that wait, in order."""
        return self.outbox.take()

    def _close_if_drained(self, now_ns: int) -> None:
        if self.state == order.DRAINING and not self.sessions and not self.openings:
            self.close(GOING_AWAY, now_ns)

    def _is_held(self, message: ClientMessage, now_ns: int) -> bool:
        """Put a message aside whose session is still being asked for; of `frames` only the entries concerned."""
        if not isinstance(message, Frames):
            held = self.openings.get(message.handle)
            if held is not None:
                held.append(message)
            return held is not None
        if self.openings.keys().isdisjoint(message.handles):
            return False
        n = len(message.handles)
        row_bytes, rest = divmod(len(message.payload), n)
        if rest:
            return False  # it is refused as a whole
        self.outbox.is_columnar = True
        times_us = message.times_us
        for i, (handle, seq) in enumerate(zip(message.handles, message.seqs, strict=True)):
            payload = message.payload[i * row_bytes : (i + 1) * row_bytes]
            entry = Frames([handle], [seq], payload, times_us and times_us[i : i + 1])
            held = self.openings.get(handle)
            if held is not None:
                held.append(entry)
            else:
                self._answer(entry, now_ns)
        return True

    def _answer(self, message: ClientMessage, now_ns: int) -> None:
        event, verb = VERBS[type(message)]
        try:
            if self.state != order.OPEN:  # where everything is legal
                order.connection_after(self.state, event)
            verb(self.hub, self, message, now_ns)
        except StreamrnnError as fault:
            self._refuse_message(fault, message, event)
        except Exception:
            log.exception("a message of type %s failed", event)
            self._break(message, event)

    def _refuse_message(self, fault: StreamrnnError, message: ClientMessage, event: str) -> None:
        handle = getattr(message, "new_handle", None)
        if handle is None:
            handle = getattr(message, "handle", None)
        self.refuse(fault, event, handle, getattr(message, "seq", None))
        if fault.code == "session_closed" and handle in self.sessions:
            self.hub.end_session(self.sessions[handle], "error")

    def _break(self, message: ClientMessage, event: str) -> None:
        """Answer a bug of ours: the session that met it ends, the others go on."""
        handles = message.handles if isinstance(message, Frames) else [message.handle]
        for handle in dict.fromkeys(handles):
            self.refuse(InternalError("the server failed on a message"), event, handle)
            hosted = self.sessions.get(handle)
            if hosted is not None:
                self.hub.end_session(hosted, "error")
