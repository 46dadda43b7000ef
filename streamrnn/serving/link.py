"""A session as one connection holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamrnn.engine.session import Session
from streamrnn.serving.describe import VALUE_BYTES

if TYPE_CHECKING:
    from streamrnn.serving.peer import Peer


class Link:
    """Joins a session to its peer and to the handle that stands for it there.

    Attributes:
        frame_bytes: bytes of one frame of the session's model, kept here because each frame asks for it.
    """

    __slots__ = ("frame_bytes", "handle", "peer", "session")

    def __init__(self, session: Session, peer: Peer, handle: int) -> None:
        self.session = session
        self.peer = peer
        self.handle = handle
        self.frame_bytes = VALUE_BYTES * session.model.input_size
