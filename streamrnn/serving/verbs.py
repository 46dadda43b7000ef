"""What each message of a client does: one function a type, and the table that finds it.

Each takes `(hub, peer, message, now_ns)`, answers through the peer, and raises a `StreamrnnError` to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from streamrnn.errors import CapacityError, FrameError, OptionError, SessionClosedError, StreamrnnError
from streamrnn.serving.describe import opened
from streamrnn.serving.link import Link
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
    Snapshot,
    Snapshotted,
)

if TYPE_CHECKING:
    from streamrnn.engine.session import Session
    from streamrnn.serving.hub import Hub
    from streamrnn.serving.peer import Peer


def frame(hub: Hub, peer: Peer, message: Frame, now_ns: int) -> None:
    """Queue frames of one session; the outputs come with the ticks."""
    link = peer.links.get(message.handle)
    if link is None:
        link = _live(peer, message.handle, "frame")
    if len(message.payload) != message.n * link.frame_bytes:
        raise _wrong_size(message.n, link.frame_bytes, len(message.payload))
    hub.engine.push(link.session, message.seq, message.payload, now_ns)
    hub.tally.n_frames += message.n


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
            link = _live(peer, handle, "frames")
            if row_bytes != link.frame_bytes:
                raise _wrong_size(1, link.frame_bytes, row_bytes)
            hub.engine.push(link.session, seq, payload[i * row_bytes : (i + 1) * row_bytes], now_ns)
            hub.tally.n_frames += 1
        except StreamrnnError as fault:
            peer.refuse(fault, "frames", handle, seq)
            if isinstance(fault, SessionClosedError) and handle in peer.links:
                peer.end(peer.links[handle], "error")


def open_session(hub: Hub, peer: Peer, message: Open, now_ns: int) -> None:
    """Open a session of a model."""
    order.handle_after(_state(peer, message.handle), "open", message.handle)
    _check_id(hub, "model", message.model)
    _check_new(hub, peer, message.session_id)
    session = hub.engine.open(message.model, session_id=message.session_id)
    _welcome(hub, peer, message.handle, session, resumed=False)


def restore(hub: Hub, peer: Peer, message: Restore, now_ns: int) -> None:
    """Open a session from a snapshot."""
    order.handle_after(_state(peer, message.handle), "restore", message.handle)
    _check_new(hub, peer, message.session_id)
    session = hub.engine.restore(message.payload, session_id=message.session_id)
    _welcome(hub, peer, message.handle, session, resumed=True)


def fork(hub: Hub, peer: Peer, message: Fork, now_ns: int) -> None:
    """Copy a session, after the frames sent before."""
    link = _live(peer, message.handle, "fork")
    order.handle_after(_state(peer, message.new_handle), "fork_into", message.new_handle)
    _check_new(hub, peer, message.session_id)
    hub.finish(link, now_ns)
    _welcome(hub, peer, message.new_handle, link.session.fork(session_id=message.session_id), resumed=True)


def reset(hub: Hub, peer: Peer, message: Reset, now_ns: int) -> None:
    """Return a session's state to its start, after the frames sent before."""
    link = _live(peer, message.handle, "reset")
    hub.finish(link, now_ns)
    link.session.reset()
    peer.send(Ack(message.handle, "reset", link.session.applied_seq))


def flush(hub: Hub, peer: Peer, message: Flush, now_ns: int) -> None:
    """Answer every frame sent before, and then say so."""
    link = _live(peer, message.handle, "flush")
    hub.finish(link, now_ns)
    peer.send(Ack(message.handle, "flush", link.session.applied_seq))


def snapshot(hub: Hub, peer: Peer, message: Snapshot, now_ns: int) -> None:
    """Hand out a session's state as bytes, after the frames sent before."""
    link = _live(peer, message.handle, "snapshot")
    hub.finish(link, now_ns)
    peer.send(Snapshotted(message.handle, link.session.next_seq, link.session.snapshot()))


def close(hub: Hub, peer: Peer, message: Close, now_ns: int) -> None:
    """End a session after the frames sent before."""
    link = _live(peer, message.handle, "close")
    hub.finish(link, now_ns)
    peer.end(link, "closed")


def _state(peer: Peer, handle: int) -> order.HandleState:
    return order.LIVE if handle in peer.links else order.FREE


def _live(peer: Peer, handle: int, event: order.Event) -> Link:
    order.handle_after(_state(peer, handle), event, handle)
    return peer.links[handle]


def _check_id(hub: Hub, name: str, text: str) -> None:
    most = hub.limits.max_id_chars
    if not 1 <= len(text) <= most:
        raise OptionError(f"{name} must have 1 to {most} characters, got {len(text)}")


def _check_new(hub: Hub, peer: Peer, session_id: str | None) -> None:
    if session_id is not None:
        _check_id(hub, "session_id", session_id)
    most = hub.limits.max_sessions_per_connection
    if len(peer.links) >= most:
        raise CapacityError(f"expected at most {most} open sessions on a connection")


def _welcome(hub: Hub, peer: Peer, handle: int, session: Session, resumed: bool) -> None:
    hub.link(Link(session, peer, handle))
    peer.send(opened(session, handle, resumed, hub.limits))


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
    Close: ("close", close),
}
"""Type of message -> its event in `wire.order`, and what it does."""
