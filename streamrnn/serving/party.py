"""What the hub and a transport ask of one connection's dialogue, whatever it speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from streamrnn.errors import StreamrnnError
from streamrnn.wire.codec import Buffer
from streamrnn.wire.messages import Message

if TYPE_CHECKING:
    from streamrnn.serving.hosted import Hosted
    from streamrnn.serving.piece import Piece

Reason = Literal["closed", "error", "draining", "expired", "taken_over"]


class Party(Protocol):
    """The server's side of one connection.

    Attributes:
        sessions: by their handles.
        close_code: set once the websocket is to be closed, after what `take` returns.
        close_reason: what the client is told with it, at most 123 bytes in UTF-8.
        is_text: whether what `take` returns goes out as text.
    """

    sessions: dict[int, Hosted]

    @property
    def close_code(self) -> int | None: ...

    @property
    def close_reason(self) -> str: ...

    @property
    def is_text(self) -> bool: ...

    def receive(self, payload: Buffer, is_text: bool, now_ns: int) -> None:
        """Take one websocket message; never raises."""
        ...

    def put_piece(self, handle: int, piece: Piece) -> None:
        """Take outputs of one of its sessions; never raises."""
        ...

    def take(self) -> list[bytes]:
        """Return the encoded messages that wait, in order."""
        ...

    def send(self, message: Message) -> None:
        """Tell the client something of our own protocol, where it speaks that."""
        ...

    def refuse(self, fault: StreamrnnError, of: str | None = None, handle: int | None = None) -> None:
        """Answer with an error that ends no more than a session."""
        ...

    def fail(self, fault: StreamrnnError, now_ns: int) -> None:
        """Answer with an error that ends the connection."""
        ...

    def go_away(self, deadline_ms: int, now_ns: int = 0) -> None:
        """Take note that the server stops."""
        ...

    def close(self, code: int, now_ns: int) -> None:
        """Close the websocket after what is queued, and let go of its sessions."""
        ...

    def tell_closed(self, handle: int, reason: Reason, n_frames: int) -> None:
        """Take note that a session that this connection held is over."""
        ...
