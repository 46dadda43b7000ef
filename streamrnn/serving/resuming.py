"""How a session goes on, on a new connection: kept by this server, or by the store, or not known any more."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from streamrnn.decode.settings import Settings, parse_settings
from streamrnn.engine.gaps import Gaps
from streamrnn.errors import DrainingError, InternalError, OptionError, StreamrnnError, SupersededError, TokenError
from streamrnn.serving.capture import Capture
from streamrnn.serving.describe import opened
from streamrnn.serving.errands import Claim, Claimed, Insert, Then
from streamrnn.serving.hosted import RENEWALS_BITS, Hosted, Terms, epoch_of
from streamrnn.serving.life import PARKED
from streamrnn.serving.piece import Piece
from streamrnn.serving.ring import Ring
from streamrnn.serving.token import hash_of, is_one_of
from streamrnn.wire import order
from streamrnn.wire.messages import Fork, Open, Restore

if TYPE_CHECKING:
    from streamrnn.engine.session import Session
    from streamrnn.serving.hub import Hub
    from streamrnn.serving.peer import Peer

log = logging.getLogger("streamrnn.serving")


def resume(hub: Hub, peer: Peer, message: Open, terms: Terms, now_ns: int) -> None:
    """Go on with a session; with a store only as its owner, for another server may have gone on with it since."""
    if message.session_id is None:
        raise OptionError("expected a session_id with the resume_token")
    if hub.has_store:
        peer.hold(message.handle)
        _claim(hub, peer, message, terms)
        return
    hosted = hub.roster.find(message.session_id)
    if hosted is None:
        _begin_anew(hub, peer, message, terms, now_ns)
    else:
        _check_token(hosted, message, None)
        _check_attempt(hosted, message)
        hosted.epoch = epoch_of(_next_attempt(hosted, message))
        _take_over(hub, peer, message, hosted, now_ns)


def new_session(hub: Hub, message: Open) -> Session:
    """Open a session in the engine as a client wants it."""
    gaps = None if message.gap == "none" else Gaps(message.gap, message.period_us, message.reset_after_us)
    decoder: Settings | Literal["model"] | None = None
    if message.decoder == "model":
        decoder = "model"
    elif message.decoder != "none":
        decoder = parse_settings(message.decoder)
    return hub.engine.open(message.model, message.session_id, gaps=gaps, decoder=decoder)


def give_token(hub: Hub, hosted: Hosted, used_token: str | None = None) -> str:
    """A new token for a session; the one that was used stays good until the new one is.

    While the store does not know the token that was used, the client goes on with that: after a crash the store must
    know one of the last two.
    """
    is_told = not hosted.is_unconfirmed and hash_of(used_token or "") in hosted.stored_hashes
    if used_token is not None and hosted.is_stored and not is_told:
        return used_token
    token = hub.new_token()
    hosted.token_hashes = tuple(hash_of(text) for text in (token, used_token) if text is not None)
    return token


def seat(hub: Hub, peer: Peer, handle: int, hosted: Hosted, resumed: bool, token: str, now_ns: int) -> None:
    """Give a session to a connection, and tell it so.

    Raises:
        CapacityError: it was parked, and there is no slot.
    """
    if hosted.life == PARKED:
        hub.roster.wake(hosted, "resume", now_ns)
    hosted.leave_peer()
    hosted.peer, hosted.handle = peer, handle
    peer.sessions[handle] = hosted
    peer.send(opened(hosted, resumed, token, hub.has_store))


def insert(hub: Hub, hosted: Hosted, then: Then) -> None:
    """Ask the store to keep a session that it must not have yet."""
    assert hosted.session is not None
    capture = Capture.of(hosted, hub.engine.capture([hosted.session])[0])
    hosted.is_stored = True  # from now on it may be

    def told(is_new: bool | None, fault: StreamrnnError | None, now_ns: int) -> None:
        if is_new:
            hosted.stored_hashes = capture.token_hashes
            hosted.durable_seq = capture.next_seq - 1
        then(is_new, fault, now_ns)

    hub.errands.append(Insert(told, capture))


def asking(
    peer: Peer, message: Open | Restore | Fork, handle: int, answer: Then, drop: Callable[[Any], None] | None = None
) -> Then:
    """Wrap what is done with the store's answer: what it raises is told; `drop` it where nobody waits any more."""

    def then(result: Any, fault: StreamrnnError | None, now_ns: int) -> None:
        if handle not in peer.openings or peer.state != order.OPEN:
            if drop is not None:
                drop(result)
            if handle in peer.openings:
                refusal = DrainingError("the server is stopping and takes no new sessions")
                peer.refuse(refusal, message.__struct_config__.tag, handle)  # type: ignore[arg-type]
                peer.release(handle, now_ns)
            return
        try:
            answer(result, fault, now_ns)
        except StreamrnnError as refusal:
            peer.refuse(refusal, message.__struct_config__.tag, handle)  # type: ignore[arg-type]
        except Exception:
            log.exception("a session could not be opened")
            peer.refuse(InternalError("the server failed to open the session"), None, handle)
        peer.release(handle, now_ns)

    return then


def _claim(hub: Hub, peer: Peer, message: Open, terms: Terms) -> None:
    """Ask the store whose session it is."""
    session_id, token = message.session_id, message.resume_token
    assert session_id is not None and token is not None

    def answer(claimed: Claimed | None, fault: StreamrnnError | None, at_ns: int) -> None:
        hosted = hub.roster.find(session_id)
        if hosted is not None:
            if claimed is None:
                _check_token(hosted, message, fault)
                _check_attempt(hosted, message)
                hosted.epoch = epoch_of(_next_attempt(hosted, message))  # this server is the last to serve the client
            hosted.is_unconfirmed = fault is not None
            if fault is not None:
                hosted.durable_seq = -1  # what was saved of it may have been replaced since
            _take_over(hub, peer, message, hosted, at_ns)
        elif fault is not None:
            raise fault
        elif claimed is not None:
            _revive(hub, peer, message, claimed, at_ns)
        else:
            _begin_anew(hub, peer, message, terms, at_ns)

    tell = asking(peer, message, message.handle, answer)

    def then(claimed: Claimed | None, fault: StreamrnnError | None, at_ns: int) -> None:
        _settle_owner(hub, message, claimed)
        tell(claimed, fault, at_ns)

    hosted = hub.roster.find(session_id)
    is_known = hosted is not None and is_one_of(token, hosted.token_hashes)
    trusted_epoch = hosted.epoch if hosted is not None and is_known else None
    hub.errands.append(Claim(then, session_id, token, trusted_epoch, message.attempt))


def _begin_anew(hub: Hub, peer: Peer, message: Open, terms: Terms, now_ns: int) -> None:
    """Nobody knows the session any more: open it anew, and say so."""
    hosted = hub.host(new_session(hub, message), terms, now_ns)
    hosted.epoch = epoch_of(message.attempt or 1)
    seat(hub, peer, message.handle, hosted, False, give_token(hub, hosted, message.resume_token), now_ns)


def _settle_owner(hub: Hub, message: Open, claimed: Claimed | None) -> None:
    """Whether what this server keeps of a session still counts, whoever hears of it.

    It does under the epoch of the claim, if nobody has claimed the session since it was ours.
    """
    assert message.session_id is not None
    hosted = hub.roster.find(message.session_id)
    if hosted is None or claimed is None:
        return
    if claimed.epoch_before == hosted.epoch:
        hosted.epoch = claimed.epoch
        hub.note_change(hosted)
    else:
        hub.end_session(hosted, "taken_over")


def _check_attempt(hosted: Hosted, message: Open) -> None:
    """Raises:
    SupersededError: the session was resumed by this or a later attempt.
    """
    if message.attempt is not None and hosted.epoch >= epoch_of(message.attempt):
        raise SupersededError(f"session {hosted.id!r} was resumed by a later attempt than {message.attempt}")


def _next_attempt(hosted: Hosted, message: Open) -> int:
    return (hosted.epoch >> RENEWALS_BITS) + 1 if message.attempt is None else message.attempt


def _check_token(hosted: Hosted, message: Open, fault: StreamrnnError | None) -> None:
    """Check a token that the store has not: a session that this server keeps goes on while the store is down.

    Raises:
        TokenError: it is not the session's.
        StreamrnnError: `fault`, where only the store could tell, or another server was the last to serve the client.
    """
    assert message.resume_token is not None
    is_known = is_one_of(message.resume_token, hosted.token_hashes)
    was_last = hosted.epoch >= epoch_of(message.last_attempt)
    if fault is not None and (isinstance(fault, TokenError | SupersededError) or not (is_known and was_last)):
        raise fault
    if not is_known:
        raise TokenError(f"expected a resume token of session {hosted.id!r}")


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
    _go_on(hub, peer, message, hosted, now_ns)


def _take_over(hub: Hub, peer: Peer, message: Open, hosted: Hosted, now_ns: int) -> None:
    """Go on with a session that this server keeps, whoever holds it."""
    if hosted.model_name != message.model:
        raise OptionError(f"session {hosted.id!r} is one of model {hosted.model_name!r}, not of {message.model!r}")
    if hosted.life == PARKED:
        hub.roster.wake(hosted, "resume", now_ns)  # before the other connection hears of anything: there may be no slot
    else:
        hub.roster.turn(hosted, "resume")
        _make_room(hosted)
    before, handle = hosted.peer, hosted.handle
    if before is not None:
        hub.tally.n_taken_over += 1
        del before.sessions[handle]
    _go_on(hub, peer, message, hosted, now_ns)
    if before is not None:  # only now: where both are one connection, it still holds a session
        before.tell_closed(handle, "taken_over", hosted.n_applied)


def _make_room(hosted: Hosted) -> None:
    """Let a whole window fit behind the frames that still wait: the client takes it that none before `next_seq` do."""
    session = hosted.session
    if session is not None:
        session.max_queue_frames = hosted.window + min(session.n_pending, hosted.window)


def _go_on(hub: Hub, peer: Peer, message: Open, hosted: Hosted, now_ns: int) -> None:
    """Tell the client where its session stands, and the outputs that it misses."""
    hub.tally.n_resumed += 1
    seat(hub, peer, message.handle, hosted, True, give_token(hub, hosted, message.resume_token), now_ns)
    first, end_seq = message.answered_seq + 1, hosted.n_applied
    for piece in hosted.ring.between(first, end_seq):
        if piece.seq > first:
            peer.outbox.put_piece(hosted.handle, Piece(first, piece.seq - first, b""))
        peer.outbox.put_piece(hosted.handle, piece)
        first = piece.seq + piece.n
    if first < end_seq:
        peer.outbox.put_piece(hosted.handle, Piece(first, end_seq - first, b""))
    hub.note_change(hosted)
