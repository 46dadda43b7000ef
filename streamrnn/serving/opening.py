"""How a session comes to a connection: opened, restored, forked or resumed; where there is a store it is asked first.

Each verb takes `(hub, peer, message, now_ns)`, answers through the peer, and raises a `StreamrnnError` to refuse.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streamrnn.engine.gaps import Gaps
from streamrnn.engine.session import Session
from streamrnn.errors import (
    CapacityError,
    DrainingError,
    InternalError,
    OptionError,
    SessionExistsError,
    StreamrnnError,
    TokenError,
)
from streamrnn.serving.describe import opened
from streamrnn.serving.errands import Claim, Claimed, Look
from streamrnn.serving.hosted import Hosted, Terms
from streamrnn.serving.life import PARKED
from streamrnn.serving.ring import Piece, Ring
from streamrnn.serving.token import hash_of, is_one_of
from streamrnn.wire import order
from streamrnn.wire.messages import Fork, Open, Restore

if TYPE_CHECKING:
    from streamrnn.serving.hub import Hub
    from streamrnn.serving.peer import Peer

log = logging.getLogger("streamrnn.serving")


def open_session(hub: Hub, peer: Peer, message: Open, now_ns: int) -> None:
    """Open a session of a model, or resume one."""
    order.handle_after(handle_state(peer, message.handle), "open", message.handle)
    _check_id(hub, "model", message.model)
    _check_new(hub, peer, message.session_id)
    terms = Terms.of(message, hub.limits, hub.expire_ms)
    if message.resume_token is not None:
        _resume(hub, peer, message, terms, now_ns)
        return

    def begin(at_ns: int) -> None:
        _welcome(hub, peer, message.handle, hub.host(_new_session(hub, message), terms, at_ns))

    _once_free(hub, peer, message, begin, now_ns)


def restore(hub: Hub, peer: Peer, message: Restore, now_ns: int) -> None:
    """Open a session from a snapshot."""
    order.handle_after(handle_state(peer, message.handle), "restore", message.handle)
    _check_new(hub, peer, message.session_id)
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
    def begin(at_ns: int) -> None:
        session = hub.engine.restore(snapshot, session_id=message.session_id or _new_id(hub, message, snapshot))
        hosted = hub.host(session, terms, at_ns)
        hub.note_change(hosted)
        _welcome(hub, peer, handle, hosted, resumed=True)

    _once_free(hub, peer, message, begin, now_ns, handle)


def _new_id(hub: Hub, message: Restore | Fork, snapshot: bytes) -> str | None:
    """An id for a copy that was given none; None leaves it that of the snapshot, where no session can have it."""
    if isinstance(message, Fork) or hub.has_store:
        return hub.engine.new_id()
    return hub.engine.new_id() if hub.roster.find(hub.engine.read(snapshot).session_id) is not None else None


def _once_free(
    hub: Hub,
    peer: Peer,
    message: Open | Restore | Fork,
    begin: Callable[[int], None],
    now_ns: int,
    handle: int | None = None,
) -> None:
    """Begin a new session, once it is known that its id is free in the store, too."""
    session_id = message.session_id
    if session_id is not None and hub.roster.find(session_id) is not None:
        raise SessionExistsError(f"session {session_id!r} is already open", session_id=session_id)
    if session_id is None or not hub.has_store:
        begin(now_ns)
        return

    def answer(is_stored: bool | None, fault: StreamrnnError | None, at_ns: int) -> None:
        if is_stored:
            raise SessionExistsError(f"session {session_id!r} is kept in the store", session_id=session_id)
        begin(at_ns)  # also where the store cannot tell: it is fenced later, should it be taken

    held = message.handle if handle is None else handle
    peer.hold(held)
    hub.errands.append(Look(_answering(peer, message, held, answer), session_id))


def _resume(hub: Hub, peer: Peer, message: Open, terms: Terms, now_ns: int) -> None:
    session_id, token = message.session_id, message.resume_token
    if session_id is None or token is None:
        raise OptionError("expected a session_id with the resume_token")
    hosted = hub.roster.find(session_id)
    if hosted is not None:
        _take_over(hub, peer, message, hosted, now_ns)
        return

    def answer(claimed: Claimed | None, fault: StreamrnnError | None, at_ns: int) -> None:
        if fault is not None:
            raise fault
        hosted = hub.roster.find(session_id)
        if hosted is not None:  # somebody was quicker, on this server too
            _take_over(hub, peer, message, hosted, at_ns)
        elif claimed is not None:
            _revive(hub, peer, message, claimed, at_ns)
        else:
            _welcome(hub, peer, message.handle, hub.host(_new_session(hub, message), terms, at_ns))

    tell = _answering(peer, message, message.handle, answer)

    def then(claimed: Claimed | None, fault: StreamrnnError | None, at_ns: int) -> None:
        hosted = hub.roster.find(session_id)
        if claimed is not None and hosted is not None:  # it goes on under the claim's epoch, whoever hears of it
            hosted.epoch = max(hosted.epoch, claimed.epoch)
            hub.note_change(hosted)
        tell(claimed, fault, at_ns)

    if hub.has_store:
        peer.hold(message.handle)
        hub.errands.append(Claim(then, session_id, token))
    else:
        answer(None, None, now_ns)


def _new_session(hub: Hub, message: Open) -> Session:
    gaps = None if message.gap == "none" else Gaps(message.gap, message.period_us, message.reset_after_us)
    return hub.engine.open(message.model, message.session_id, gaps=gaps)


def _answering(
    peer: Peer, message: Open | Restore | Fork, handle: int, answer: Callable[[Any, StreamrnnError | None, int], None]
) -> Callable[[Any, StreamrnnError | None, int], None]:
    """Wrap what is done with the store's answer: the connection may be gone by then, and what is raised is told."""

    def then(result: Any, fault: StreamrnnError | None, now_ns: int) -> None:
        if handle not in peer.openings:
            return
        try:
            if peer.state != order.OPEN:
                raise DrainingError("the server is stopping and takes no new sessions")
            answer(result, fault, now_ns)
        except StreamrnnError as refusal:
            peer.refuse(refusal, message.__struct_config__.tag, message.handle)  # type: ignore[arg-type]
        except Exception:
            log.exception("a session could not be opened")
            peer.refuse(InternalError("the server failed to open the session"), None, message.handle)
        peer.release(handle, now_ns)

    return then


def _revive(hub: Hub, peer: Peer, message: Open, claimed: Claimed, now_ns: int) -> None:
    """Go on with a session from the store, which is ours now."""
    kept = claimed.kept
    session = hub.engine.restore(kept.snapshot, session_id=message.session_id)
    if session.model_name != message.model:
        session.close()
        raise OptionError(f"session {message.session_id!r} is one of model {kept.model!r}, not of {message.model!r}")
    hosted = hub.host(session, kept.terms, now_ns)
    hosted.epoch, hosted.is_stored = claimed.epoch, True
    hosted.token_hashes = hosted.stored_hashes = kept.token_hashes
    hosted.durable_seq = session.applied_seq
    hosted.ring = Ring(hosted.window, kept.pieces)
    _go_on(hub, peer, message, hosted)


def _take_over(hub: Hub, peer: Peer, message: Open, hosted: Hosted, now_ns: int) -> None:
    """Go on with a session that this server keeps, whoever holds it."""
    assert message.resume_token is not None
    if not is_one_of(message.resume_token, hosted.token_hashes):
        raise TokenError(f"expected a resume token of session {hosted.id!r}")
    if hosted.model_name != message.model:
        raise OptionError(f"session {hosted.id!r} is one of model {hosted.model_name!r}, not of {message.model!r}")
    if hosted.life == PARKED:
        hub.roster.wake(hosted, "resume", now_ns)
    else:
        hub.roster.turn(hosted, "resume")
    before, handle = hosted.peer, hosted.handle
    if before is not None:
        hub.tally.n_taken_over += 1
        del before.sessions[handle]
    _go_on(hub, peer, message, hosted)
    if before is not None:  # only now: on the same connection it still holds one
        before.tell_closed(handle, "taken_over", hosted.n_applied)


def _go_on(hub: Hub, peer: Peer, message: Open, hosted: Hosted) -> None:
    """Tell the client where its session stands, and the outputs that it misses."""
    hub.tally.n_resumed += 1
    _welcome(hub, peer, message.handle, hosted, resumed=True, used_token=message.resume_token)
    first, end_seq = message.answered_seq + 1, hosted.n_applied
    for piece in hosted.ring.between(first, end_seq):
        if piece.seq > first:
            peer.outbox.put_piece(hosted.handle, Piece(first, piece.seq - first, b""))
        peer.outbox.put_piece(hosted.handle, piece)
        first = piece.seq + piece.n
    if first < end_seq:
        peer.outbox.put_piece(hosted.handle, Piece(first, end_seq - first, b""))
    hub.note_change(hosted)


def _welcome(
    hub: Hub, peer: Peer, handle: int, hosted: Hosted, resumed: bool = False, used_token: str | None = None
) -> None:
    """Give a session to a connection, with a new token; the one that was used stays good until the new one is.

    While the store does not know the token that was used, the client goes on with that: after a crash the store must
    know one of the last two.
    """
    token = used_token
    if used_token is None or not hosted.is_stored or hash_of(used_token) in hosted.stored_hashes:
        token = hub.new_token()
        hosted.token_hashes = tuple(hash_of(text) for text in (token, used_token) if text is not None)
    assert token is not None
    hosted.peer, hosted.handle = peer, handle
    peer.sessions[handle] = hosted
    peer.send(opened(hosted, resumed, token, hub.has_store))


def _check_id(hub: Hub, name: str, text: str) -> None:
    most = hub.limits.max_id_chars
    if not 1 <= len(text) <= most:
        raise OptionError(f"{name} must have 1 to {most} characters, got {len(text)}")


def _check_new(hub: Hub, peer: Peer, session_id: str | None) -> None:
    if session_id is not None:
        _check_id(hub, "session_id", session_id)
    most = hub.limits.max_sessions_per_connection
    if len(peer.sessions) + len(peer.openings) >= most:
        raise CapacityError(f"expected at most {most} open sessions on a connection")
