"""The opening of one connection, by the Sans-I/O side of the `websockets` library, which is let go of afterwards."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from websockets.exceptions import InvalidMessage
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from streamrnn.errors import UnknownModelError
from streamrnn.server import http
from streamrnn.server.front import Front, select_protocol
from streamrnn.serving.speech.choice import Speech

ws_log = logging.getLogger("streamrnn.server.websocket")
ws_log.setLevel(logging.WARNING)  # the library tells of every handshake, so of every health check

END_OF_HEAD = b"\r\n\r\n"


class Opening(ServerProtocol):
    """The library's server, which knows what was asked for when it chooses a sub-protocol."""

    speech: Speech | None = None

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Return the first of ours; see `select_protocol`."""
        return select_protocol(self, subprotocols, self.speech)


class Handshake:
    """Reads one HTTP head and answers it.

    Args:
        front: decides.
        own: the speech protocol of the port, see `serving.speech.choice`.

    Attributes:
        reply: the answer in bytes, once `feed` has returned something.
        is_accepted: whether the connection is a websocket now.
    """

    __slots__ = ("_front", "_own", "_tail", "_ws", "is_accepted", "reply")

    def __init__(self, front: Front, own: str | None) -> None:
        self._front = front
        self._own = own
        self._ws = Opening(logger=ws_log)
        self._tail = b""
        self.reply = b""
        self.is_accepted = False

    @property
    def speech(self) -> Speech | None:
        """What the client asked to speak, if it is not our own protocol."""
        return self._ws.speech

    @property
    def protocol(self) -> str:
        """The sub-protocol that was chosen."""
        return str(self._ws.subprotocol)

    def feed(self, chunk: bytes) -> bytes | None:
        """Take bytes. Returns None while the head is not whole, else what has come behind it, with `reply` set.

        The library gets the head and not a byte more, so that it never judges a frame.
        """
        seam = self._tail + chunk
        cut = seam.find(END_OF_HEAD) + len(END_OF_HEAD) - len(self._tail)
        is_whole = END_OF_HEAD in seam
        self._tail = seam[1 - len(END_OF_HEAD) :]
        ws = self._ws
        ws.receive_data(chunk[:cut] if is_whole else chunk)
        for event in ws.events_received():
            if isinstance(event, Request):
                self._answer(event)
        self.is_accepted = ws.state is State.OPEN
        if not self.is_accepted and not ws.eof_sent:
            return None
        if isinstance(ws.handshake_exc, InvalidMessage):
            # The library ends here without a word; a request with a body comes this way, too.
            self.reply = http.bad_request().serialize()
        else:
            self.reply = b"".join(ws.data_to_send())
        return chunk[cut:] if is_whole else b""

    def let_go(self) -> None:
        """Break what ties the library's objects together, so that they go without the garbage collector."""
        self._ws.parser.close()
        self._ws.handshake_exc = None

    def _answer(self, asked: Request) -> None:
        ws = self._ws
        try:
            ws.speech = self._front.speech(asked, self._own)
        except UnknownModelError as fault:
            ws.send_response(http.absent(fault.message))
            return
        ws.send_response(self._front.decide(ws, asked, ws.speech))
