"""What each message of a client does: one function a type, and the table that finds it.

Each takes `(hub, peer, message, now_ns)`, answers through the peer, and raises a `StreamrnnError` to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from streamrnn.errors import FrameError, SequenceError, SessionClosedError, StreamrnnError
from streamrnn.serving.hosted import Hosted
from streamrnn.serving.life import LIVE
from streamrnn.serving.opening import fork, live, open_session, restore
from streamrnn.serving.ring import Piece
from streamrnn.wire import order
from streamrnn.wire.messages import (
    Ack,
    Close,
    Flush,
    Fork,
    Frame,
    Frames,
    Open,
    Reset,
    Restore,
    Rollback,
    Snapshot,
    Snapshotted,
)

if TYPE_CHECKING:
    from streamrnn.serving.hub import Hub
    from streamrnn.serving.peer import Peer


def frame(hub: Hub, peer: Peer, message: Frame, now_ns: int) -> None:
    """Queue frames of one session; the outputs come with the ticks."""
    hosted = peer.sessions.get(message.handle)
    if hosted is None:
        hosted = live(peer, message.handle, "frame")
    if len(message.payload) != message.n * hosted.frame_bytes:
        raise _wrong_size(message.n, hosted.frame_bytes, len(message.payload))
    _push(hub, peer, hosted, message.seq, message.n, message.payload, now_ns)


def frames(hub: Hub, peer: Peer, message: Frames, now_ns: int) -> None:
    """Queue one frame for each of several sessions; what is refused does not disturb the rest."""
    peer.outbox.is_columnar = True
    n = len(message.handles)
    row_bytes, rest = divmod(len(message.payload), n)
    if rest:
        raise FrameError(f"expected a payload of {n} frames of equal size, got {len(message.payload)} bytes")
    payload = memoryview(message.payload)
    for i, (handle, seq) in enumerate(zip(message.handles, message.seqs, strict=True)):
        try:
            hosted = live(peer, handle, "frames")
            if row_bytes != hosted.frame_bytes:
                raise _wrong_size(1, hosted.frame_bytes, row_bytes)
            _push(hub, peer, hosted, seq, 1, payload[i * row_bytes : (i + 1) * row_bytes], now_ns)
        except StreamrnnError as fault:
            peer.refuse(fault, "frames", handle, seq)
            if isinstance(fault, SessionClosedError) and handle in peer.sessions:
                hub.end_session(peer.sessions[handle], "error")


def _push(hub: Hub, peer: Peer, hosted: Hosted, seq: int, n: int, payload: bytes | memoryview, now_ns: int) -> None:
    if hosted.life != LIVE:
        hub.stir(hosted, now_ns)
    session = hosted.session
    assert session is not None
    try:
        hub.engine.push(session, seq, payload, now_ns)
    except SequenceError as fault:
        n_known = session.next_seq - seq
        if n_known <= 0:
            raise
        _repeat(hub, peer, hosted, seq, min(n, n_known), fault)
        if n > n_known:
            rest = payload[n_known * hosted.frame_bytes :]
            hub.engine.push(session, seq + n_known, rest, now_ns)
            hub.tally.n_frames += n - n_known
        return
    hub.tally.n_frames += n


def _repeat(hub: Hub, peer: Peer, hosted: Hosted, seq: int, n: int, fault: SequenceError) -> None:
    """Answer frames that were taken before from the ring; those that still wait will be answered anyway."""
    end_seq = min(seq + n, hosted.n_applied)
    pieces: list[Piece] = list(hosted.ring.between(seq, end_seq))
    if sum(piece.n for piece in pieces) < end_seq - seq:
        raise fault
    hub.tally.n_duplicates += 1
    for piece in pieces:
        peer.outbox.put_piece(hosted.handle, piece)
    hub.dirty[peer] = None


def reset(hub: Hub, peer: Peer, message: Reset, now_ns: int) -> None:
    """Return a session's state to its start, after the frames sent before."""
    hosted = live(peer, message.handle, "reset")
    session = hub.finish(hosted, now_ns)
    session.reset()
    hub.note_change(hosted)
    peer.send(Ack(message.handle, "reset", session.applied_seq, hosted.durable_seq))


def flush(hub: Hub, peer: Peer, message: Flush, now_ns: int) -> None:
    """Answer every frame sent before, and then say so."""
    hosted = live(peer, message.handle, "flush")
    if hosted.session is not None:
        hub.finish(hosted, now_ns)
    peer.send(Ack(message.handle, "flush", hosted.n_applied - 1, hosted.durable_seq))


def snapshot(hub: Hub, peer: Peer, message: Snapshot, now_ns: int) -> None:
    """Hand out a session's state as bytes, after the frames sent before."""
    session = hub.finish(live(peer, message.handle, "snapshot"), now_ns)
    peer.send(Snapshotted(message.handle, session.next_seq, session.snapshot()))


def rollback(hub: Hub, peer: Peer, message: Rollback, now_ns: int) -> None:
    """Take a session back to an earlier snapshot, after the frames sent before."""
    hosted = live(peer, message.handle, "rollback")
    session = hub.finish(hosted, now_ns)
    session.rollback(message.payload)
    hosted.turn_back()
    hub.note_change(hosted)
    peer.send(Ack(message.handle, "rollback", session.applied_seq, hosted.durable_seq))


def close(hub: Hub, peer: Peer, message: Close, now_ns: int) -> None:
    """End a session after the frames sent before."""
    hosted = live(peer, message.handle, "close")
    if hosted.session is not None:
        hub.finish(hosted, now_ns)
    hub.end_session(hosted, "closed", is_forgotten=True)


def _wrong_size(n: int, frame_bytes: int, payload_bytes: int) -> FrameError:
    return FrameError(
        f"expected {n} frame(s) of {frame_bytes // 4} float32 values, {n * frame_bytes} bytes, got {payload_bytes}",
        expected=n * frame_bytes,
        got=payload_bytes,
    )


Verb = Callable[["Hub", "Peer", Any, int], None]

VERBS: Mapping[type, tuple[order.Event, Verb]] = {
    Frame: ("frame", frame),
    Frames: ("frames", frames),
    Open: ("open", open_session),
    Restore: ("restore", restore),
    Fork: ("fork", fork),
    Reset: ("reset", reset),
    Flush: ("flush", flush),
    Snapshot: ("snapshot", snapshot),
    Rollback: ("rollback", rollback),
    Close: ("close", close),
}
"""Type of message -> its event in `wire.order`, and what it does."""
