"""What each message of a client does: one function a type, and the table that finds it.

Each takes `(hub, peer, message, now_ns)`, answers through the peer, and raises a `StreamrnnError` to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from streamrnn.decode.generation import Generation
from streamrnn.errors import FrameError, GeneratingError, OptionError, SequenceError, SessionClosedError, StreamrnnError
from streamrnn.serving.hosted import Hosted
from streamrnn.serving.life import LIVE
from streamrnn.serving.opening import check_snapshot, fork, live, open_session, restore
from streamrnn.serving.piece import Piece
from streamrnn.wire import order
from streamrnn.wire.messages import (
    Ack,
    Close,
    Flush,
    Fork,
    Frame,
    Frames,
    Generate,
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
    _push(hub, peer, hosted, message, now_ns)


def frames(hub: Hub, peer: Peer, message: Frames, now_ns: int) -> None:
    """Queue one frame for each of several sessions; what is refused does not disturb the rest."""
    peer.outbox.is_columnar = True
    n = len(message.handles)
    row_bytes, rest = divmod(len(message.payload), n)
    if rest:
        raise FrameError(f"expected a payload of {n} frames of equal size, got {len(message.payload)} bytes")
    times_us = message.times_us
    if times_us is None:
        roll = peer.roll(message.handles, now_ns)
        if roll is not None and roll.push(hub, message, now_ns):
            return
    for i, (handle, seq) in enumerate(zip(message.handles, message.seqs, strict=True)):
        try:
            hosted = live(peer, handle, "frames")
            if row_bytes != hosted.frame_bytes:
                raise _wrong_size(1, hosted.frame_bytes, row_bytes)
            payload = message.payload[i * row_bytes : (i + 1) * row_bytes]
            time_us = times_us[i] if times_us is not None and hosted.has_times else None
            _push(hub, peer, hosted, Frame(handle, seq, payload, 1, time_us), now_ns)
        except StreamrnnError as fault:
            peer.refuse(fault, "frames", handle, seq)
            if isinstance(fault, SessionClosedError) and handle in peer.sessions:
                hub.end_session(peer.sessions[handle], "error")


def _push(hub: Hub, peer: Peer, hosted: Hosted, message: Frame, now_ns: int) -> None:
    if hosted.life != LIVE:
        hub.stir(hosted, now_ns)
    session = hosted.session
    assert session is not None
    try:
        skipped = hub.engine.push(session, message.seq, message.payload, now_ns, message.time_us)
    except GeneratingError:  # these stand behind what it was told to generate
        hub.finish(hosted, now_ns)
        _push(hub, peer, hosted, message, now_ns)
        return
    except SequenceError as fault:
        n_known = session.next_seq - message.seq
        if n_known <= 0:
            raise
        _repeat(hub, peer, hosted, message.seq, min(message.n, n_known), fault)
        if message.n > n_known:
            _push(hub, peer, hosted, _rest(hosted, message, n_known), now_ns)
        return
    hub.tally.n_frames += message.n
    if skipped is not None:
        hub.skip(hosted, skipped)


def _rest(hosted: Hosted, message: Frame, n_known: int) -> Frame:
    """The frames of a message behind the first `n_known`."""
    time_us = message.time_us
    if time_us is not None and hosted.session is not None and hosted.session.gaps is not None:
        time_us += n_known * hosted.session.gaps.period_us
    payload = message.payload[n_known * hosted.frame_bytes :]
    return Frame(message.handle, message.seq + n_known, payload, message.n - n_known, time_us)


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


def generate(hub: Hub, peer: Peer, message: Generate, now_ns: int) -> None:
    """Let a session feed itself, after the frames sent before; one that it has begun already goes on by itself."""
    hosted = live(peer, message.handle, "generate")
    if message.n > hosted.window:
        raise OptionError(
            f"n: expected at most {hosted.window}, what the session may leave unanswered, got {message.n}"
        )
    if message.seq >= hosted.next_seq:
        hub.finish(hosted, now_ns)
    next_seq = hosted.next_seq
    if message.seq != next_seq:
        kind = "was already taken" if message.seq < next_seq else "leaves a gap"
        fault = SequenceError(f"seq {message.seq} {kind}: expected seq {next_seq}", expected=next_seq)
        if message.seq > next_seq:
            raise fault
        _repeat(hub, peer, hosted, message.seq, min(message.n, next_seq - message.seq), fault)
        return
    session = hub.finish(hosted, now_ns)
    generation = Generation(message.n, message.temperature, message.top_k, message.seed, message.stop)
    hub.engine.generate(session, generation, now_ns)
    if hosted.life != LIVE:
        hub.stir(hosted, now_ns)


def reset(hub: Hub, peer: Peer, message: Reset, now_ns: int) -> None:
    """Return a session's state to its start, after the frames sent before."""
    hosted = live(peer, message.handle, "reset")
    session = hub.finish(hosted, now_ns)
    session.reset(message.warm_frames)
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
    check_snapshot(hub, message.payload)
    session = hub.finish(hosted, now_ns)
    session.rollback(message.payload)
    session.stop_generating()  # bytes from a client start nothing that it did not ask for
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
    Generate: ("generate", generate),
    Close: ("close", close),
}
"""Type of message -> its event in `wire.order`, and what it does."""
