"""The front door: which opening handshake becomes a websocket, which a page, which a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from websockets.exceptions import NegotiationError
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from streamrnn.model.model import Model
from streamrnn.server import http
from streamrnn.server.metrics import Metrics
from streamrnn.serving.hub import Hub
from streamrnn.serving.speech.choice import Speech, speech_of
from streamrnn.wire.messages import PROTOCOLS

WARMING = "not ready: kernels are being compiled"
STOPPING = "not ready: the server is stopping"
FULL = "no connection is free"


class Front:
    """Decides on opening handshakes.

    Args:
        hub: what the websockets will speak to.
        models: those that are served, by name; listed before they are ready, too.
        hearing: the model that hears the clients of speech protocols, where they name none; None: the only one.
        worker: the number of this server among several on one port, which its metrics tell.

    Attributes:
        unready_reason: why no websocket is taken at present, or None.
    """

    def __init__(
        self, hub: Hub, models: Mapping[str, Model], hearing: str | None = None, worker: int | None = None
    ) -> None:
        self.hub = hub
        self.models = models
        self.hearing = hearing
        self.metrics = Metrics(hub, worker)
        self.unready_reason: str | None = WARMING

    def speech(self, asked: Request, own: str | None) -> Speech | None:
        """What a handshake asks to speak, if it is not our own protocol; `own` is that of the port.

        Raises:
            UnknownModelError: there is no model for it.
        """
        return speech_of(asked.path.partition("?")[0], own, self.models, self.hearing)

    def decide(self, ws: ServerProtocol, asked: Request, speech: Speech | None = None) -> Response:
        """Return the response to a handshake; with status 101 the connection is a websocket."""
        page = http.page(asked.path, asked.method, self)
        if page is not None:
            return page
        if speech is None and asked.path.partition("?")[0] != "/":
            return http.not_found(asked.path)
        if asked.method != "GET":
            return http.method_not_allowed(asked.method)
        if "Upgrade" in asked.headers:
            if self.unready_reason is not None:
                return http.unavailable(self.unready_reason)
            if len(self.hub.peers) >= self.hub.limits.max_connections:
                return http.unavailable(FULL)
        return ws.accept(asked)


def select_protocol(
    ws: ServerProtocol, offered: Sequence[Subprotocol], speech: Speech | None = None
) -> Subprotocol | None:
    """Return the first of our sub-protocols that the client offers; none where it speaks another server's protocol.

    Raises:
        NegotiationError: it offers none of them; names the two.
    """
    if speech is not None:
        return None
    for name in PROTOCOLS:
        if name in offered:
            return Subprotocol(name)
    got = ", ".join(offered) if offered else "none"
    raise NegotiationError(f"expected sub-protocol {' or '.join(PROTOCOLS)}, got {got[:200]}")
