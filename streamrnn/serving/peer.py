"""One connection's dialogue: bytes in, legal or not, replies collected for the next write."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from streamrnn.errors import InternalError, PeerError, StreamrnnError
from streamrnn.serving.link import Link
from streamrnn.serving.outbox import Outbox
from streamrnn.serving.verbs import VERBS
from streamrnn.wire import order
from streamrnn.wire.codec import Buffer, Codec
from streamrnn.wire.messages import ClientMessage, Closed, Frames, GoAway, Message
from streamrnn.wire.refusal import GOING_AWAY, close_code_of, error_of

if TYPE_CHECKING:
    from streamrnn.serving.hub import Hub

Reason = Literal["closed", "error", "draining"]

log = logging.getLogger("streamrnn.serving")


class Peer:
    """The server's side of one connection.

    Args:
        hub: what this peer belongs to; it is told whenever there is something to write.
        codec: the encoding of the negotiated sub-protocol.

    Attributes:
        links: live handles.
        state: of the connection, see `wire.order`.
        close_code: set once the websocket is to be closed, after what `take` returns.
    """

    __slots__ = ("close_code", "codec", "hub", "links", "outbox", "state")

    def __init__(self, hub: Hub, codec: Codec) -> None:
        self.hub = hub
        self.codec = codec
        self.links: dict[int, Link] = {}
        self.outbox = Outbox(codec.encode)
        self.state: order.ConnectionState = order.OPEN
        self.close_code: int | None = None

    def receive(self, payload: Buffer, is_text: bool, now_ns: int) -> None:
        """Take one websocket message; never raises. After a fatal error messages are not read any more."""
        if self.state == order.CLOSED:
            return
        try:
            message = self.codec.decode(payload, is_text)
        except PeerError as fault:
            self.fail(fault)
            return
        except Exception:
            log.exception("a message could not be decoded")
            self.fail(InternalError("the server failed to read a message"))
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

    def fail(self, fault: StreamrnnError) -> None:
        """Answer with an error that ends the connection."""
        self.hub.tally.errors[fault.code] += 1
        self.send(error_of(fault, scope="connection"))
        self.close(close_code_of(fault))

    def go_away(self, deadline_ms: int) -> None:
        """Tell the client that the server stops; a connection without sessions is closed at once."""
        if self.state != order.OPEN:
            return
        self.state = order.connection_after(self.state, "go_away")
        self.send(GoAway(deadline_ms))
        self.close_if_drained()

    def close_if_drained(self) -> None:
        """Close a draining connection that holds no session any more."""
        if self.state == order.DRAINING and not self.links:
            self.close(GOING_AWAY)

    def close(self, code: int) -> None:
        """Close the websocket after what is queued, and every session of the connection now."""
        if self.state == order.CLOSED:
            return
        self.state = order.connection_after(self.state, "end")
        self.close_code = code
        self.hub.dirty[self] = None
        for link in list(self.links.values()):
            self.hub.unlink(link)

    def end(self, link: Link, reason: Reason) -> None:
        """Close one session and say so; a draining connection ends with its last session."""
        self._end(link, reason)
        self.close_if_drained()

    def end_all(self, reason: Reason, code: int) -> None:
        """Close every session, say so, and close the websocket with `code`."""
        for link in list(self.links.values()):
            self._end(link, reason)
        self.close(code)

    def take(self) -> list[bytes]:
        """Return the encoded messages that wait, in order."""
        return self.outbox.take()

    def _end(self, link: Link, reason: Reason) -> None:
        n_frames = link.session.applied_seq + 1
        self.hub.unlink(link)
        self.send(Closed(link.handle, reason, n_frames))

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
        handle = getattr(message, "handle", None)
        self.refuse(fault, event, handle, getattr(message, "seq", None))
        if fault.code == "session_closed" and handle in self.links:
            self.end(self.links[handle], "error")

    def _break(self, message: ClientMessage, event: str) -> None:
        """Answer a bug of ours: the session that met it ends, the others go on."""
        handles = message.handles if isinstance(message, Frames) else [message.handle]
        for handle in dict.fromkeys(handles):
            self.refuse(InternalError("the server failed on a message"), event, handle)
            link = self.links.get(handle)
            if link is not None:
                self.end(link, "error")
