"""How a new session comes to a connection: opened, restored or forked; one that goes on is `serving.resuming`'s.

Each verb takes `(hub, peer, message, now_ns)`, answers through the peer, and raises a `StreamrnnError` to refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from streamrnn.errors import CapacityError, OptionError, SessionExistsError, SnapshotError, StreamrnnError
from streamrnn.serving.hosted import Hosted, Terms
from streamrnn.serving.resuming import asking, give_token, insert, new_session, resume, seat
from streamrnn.wire import order
from streamrnn.wire.messages import Fork, Open, Restore

if TYPE_CHECKING:
    from streamrnn.engine.session import Session
    from streamrnn.serving.hub import Hub
    from streamrnn.serving.peer import Peer


def open_session(hub: Hub, peer: Peer, message: Open, now_ns: int) -> None:
    """Open a session of a model, or resume one."""
    order.handle_after(handle_state(peer, message.handle), "open", message.handle)
    _check_id(hub, "model", message.model)
    _check_new(hub, peer, message.session_id)
    terms = Terms.of(message, hub.limits, hub.expire_ms)
    if message.resume_token is not None:
        resume(hub, peer, message, terms, now_ns)
    else:
        _begin(hub, peer, message, message.handle, lambda: new_session(hub, message), terms, now_ns)


def restore(hub: Hub, peer: Peer, message: Restore, now_ns: int) -> None:
    """Open a session from a snapshot."""
    order.handle_after(handle_state(peer, message.handle), "restore", message.handle)
    _check_new(hub, peer, message.session_id)
    check_snapshot(hub, message.payload)
    terms = Terms(None, "reject", hub.limits.park_ms, hub.expire_ms)
    _copy(hub, peer, message, message.handle, message.payload, terms, now_ns)


def fork(hub: Hub, peer: Peer, message: Fork, now_ns: int) -> None:
    """Copy a session, after the frames sent before."""
    hosted = live(peer, message.handle, "fork")
    order.handle_after(handle_state(peer, message.new_handle), "fork_into", message.new_handle)
    _check_new(hub, peer, message.session_id)
    snapshot = hub.finish(hosted, now_ns).snapshot()
    _copy(hub, peer, message, message.new_handle, snapshot, hosted.terms, now_ns)


def handle_state(peer: Peer, handle: int) -> order.HandleState:
    """Whether a handle stands for a session, or for one that is being opened."""
    return order.LIVE if handle in peer.sessions or handle in peer.openings else order.FREE


def live(peer: Peer, handle: int, event: order.Event) -> Hosted:
    """The session of a handle.

    Raises:
        UnknownSessionError: it has none.
    """
    order.handle_after(handle_state(peer, handle), event, handle)
    return peer.sessions[handle]


def _copy(
    hub: Hub, peer: Peer, message: Restore | Fork, handle: int, snapshot: bytes, terms: Terms, now_ns: int
) -> None:
    def make() -> Session:
        session = hub.engine.restore(snapshot, session_id=message.session_id or _new_id(hub, message, snapshot))
        session.stop_generating()  # bytes from a client start nothing that it did not ask for
        return session

    _begin(hub, peer, message, handle, make, terms, now_ns)


def _new_id(hub: Hub, message: Restore | Fork, snapshot: bytes) -> str | None:
    """An id for a copy that was given none; None leaves it that of the snapshot, where no session can have it."""
    if isinstance(message, Fork) or hub.has_store:
        return hub.engine.new_id()
    own = hub.engine.outline(snapshot).session_id.decode(errors="replace")
    return hub.engine.new_id() if hub.roster.find(own) is not None else None


def _begin(
    hub: Hub,
    peer: Peer,
    message: Open | Restore | Fork,
    handle: int,
    make: Callable[[], Session],
    terms: Terms,
    now_ns: int,
) -> None:
    """Begin a session; under an id that the client chose only if that is free, in the store too.

    A copy of a state is kept in the store before the client hears of it: its client does not have the frames from 0.
    """
    session_id = message.session_id
    taken = SessionExistsError(f"session {session_id!r} is kept already", session_id=session_id)
    if session_id is not None and hub.roster.find(session_id) is not None:
        raise taken
    hosted = hub.host(make(), terms, now_ns)
    token = give_token(hub, hosted)
    is_copy = not isinstance(message, Open)

    def answer(is_new: bool | None, fault: StreamrnnError | None, at_ns: int) -> None:
        if fault is not None and session_id is not None:  # whose record would it write over?
            hub.end_session(hosted, "closed")
            raise fault
        if is_new is False or hosted.is_over:
            hub.end_session(hosted, "closed")
            raise taken
        seat(hub, peer, handle, hosted, is_copy, token, at_ns)  # of a copy, `durable_seq` tells whether it is stored

    def drop(is_new: bool | None) -> None:
        """Nobody waits for it; what is stored under its id is forgotten only if that is its own."""
        hub.end_session(hosted, "closed", is_forgotten=bool(is_new))

    if not hub.has_store or (session_id is None and not is_copy):
        seat(hub, peer, handle, hosted, is_copy, token, now_ns)
    else:
        peer.hold(handle)
        insert(hub, hosted, asking(peer, message, handle, answer, drop))


def _check_id(hub: Hub, name: str, text: str) -> None:
    most = hub.limits.max_id_chars
    if not 1 <= len(text) <= most:
        raise OptionError(f"{name} must have 1 to {most} characters, got {len(text)}")


def check_snapshot(hub: Hub, snapshot: bytes) -> None:
    """Look at the sizes in a snapshot that a client hands in, before it is read.

    Raises:
        SnapshotError: it is none, is of no model here, or has more of a decoder than is taken.
    """
    n_bytes, most = hub.engine.outline(snapshot).n_decoder, hub.limits.max_decoder_bytes
    if n_bytes > most:
        raise SnapshotError(f"expected a snapshot with at most {most} bytes of a decoder, got {n_bytes}")


def _check_new(hub: Hub, peer: Peer, session_id: str | None) -> None:
    if session_id is not None:
        _check_id(hub, "session_id", session_id)
    most = hub.limits.max_sessions_per_connection
    if len(peer.sessions) + len(peer.openings) >= most:
        raise CapacityError(f"expected at most {most} open sessions on a connection")
