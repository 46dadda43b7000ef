"""Peers and engine joined: frames in from every connection, outputs back to the one they belong to."""

from __future__ import annotations

import logging

from streamrnn.engine.engine import Engine
from streamrnn.engine.scheduler import Output
from streamrnn.engine.session import Session
from streamrnn.errors import InternalError
from streamrnn.limits import Limits
from streamrnn.serving.link import Link
from streamrnn.serving.peer import Peer
from streamrnn.serving.tally import Tally
from streamrnn.wire.codec import Codec
from streamrnn.wire.refusal import GOING_AWAY, RESTART

log = logging.getLogger("streamrnn.serving")


class Hub:
    """The whole server minus sockets and clock.

    Args:
        engine: holds the models; nobody else may tick it.
        limits: bounds of messages and connections.

    Attributes:
        peers: connections that are open.
        dirty: peers with something to write, in the order in which it came up; the caller empties it.
        tally: what was counted.
    """

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self.engine = engine
        self.limits = limits
        self.tally = Tally()
        self.peers: dict[Peer, None] = {}
        self.dirty: dict[Peer, None] = {}
        self._links: dict[Session, Link] = {}
        self._codecs: dict[str, Codec] = {}

    @property
    def n_sessions(self) -> int:
        """Sessions that are open."""
        return len(self._links)

    @property
    def n_pending(self) -> int:
        """Frames that wait to be stepped."""
        return self.engine.n_pending

    def attach(self, protocol: str) -> Peer:
        """Return the peer of a new connection that speaks sub-protocol `protocol`."""
        codec = self._codecs.get(protocol)
        if codec is None:
            codec = self._codecs[protocol] = Codec(protocol, self.limits)
        peer = Peer(self, codec)
        self.peers[peer] = None
        return peer

    def detach(self, peer: Peer) -> None:
        """Forget a connection that is gone, and close its sessions."""
        peer.close(0)
        self.peers.pop(peer, None)
        self.dirty.pop(peer, None)

    def tick(self, now_ns: int) -> int:
        """Step one natural batch and hand its outputs to their peers. Returns the sessions stepped."""
        try:
            outputs = self.engine.tick(now_ns)
        except Exception:
            log.exception("a tick failed")
            self._break_pending()
            return 0
        self._route(outputs)
        return len(outputs)

    def finish(self, link: Link, now_ns: int) -> None:
        """Step all that waits in one session now, and hand the outputs to its peer."""
        if link.session.n_pending:
            self._route(self.engine.finish(link.session, now_ns))

    def drain(self, deadline_ms: int) -> None:
        """Take no new sessions any more, and tell every peer."""
        for peer in list(self.peers):
            peer.go_away(deadline_ms)

    def end(self, now_ns: int) -> None:
        """Step all that waits, end every session with reason `draining`, and close every connection."""
        for link in list(self._links.values()):
            try:
                self.finish(link, now_ns)
            except Exception:
                log.exception("session %s failed at the end", link.session.id)
        for peer in list(self.peers):
            peer.end_all("draining", RESTART if peer.links else GOING_AWAY)

    def link(self, link: Link) -> None:
        """Join a new session to its peer."""
        link.peer.links[link.handle] = link
        self._links[link.session] = link

    def unlink(self, link: Link) -> None:
        """Close a session and free its handle."""
        link.peer.links.pop(link.handle, None)
        self._links.pop(link.session, None)
        try:
            link.session.close()
        except Exception:
            log.exception("session %s could not be closed", link.session.id)

    def _route(self, outputs: list[Output]) -> None:
        links, dirty = self._links, self.dirty
        n_outputs = 0
        for session, seq, ys in outputs:
            link = links.get(session)
            if link is not None:
                link.peer.outbox.put_outputs(link.handle, seq, ys)
                dirty[link.peer] = None
                n_outputs += len(ys)
        self.tally.n_outputs += n_outputs

    def _break_pending(self) -> None:
        """End the sessions that a failed tick may have touched; the others go on."""
        for link in list(self._links.values()):
            session = link.session
            if session.n_pending:
                link.peer.refuse(InternalError("the server failed to step the session"), "frame", link.handle)
                link.peer.end(link, "error")
