"""What a client is told of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamrnn.decode.settings import kind_of
from streamrnn.limits import Limits
from streamrnn.model.model import Model
from streamrnn.wire.messages import Head, Opened, Port

if TYPE_CHECKING:
    from streamrnn.serving.hosted import Hosted

VALUE_BYTES = 4
"""Bytes of one float32 on the wire."""


def input_port(model: Model) -> Port:
    """Describe what a frame is."""
    return Port(
        size=model.input_size,
        kind=model.input_kind,
        n_tokens=model.n_tokens if model.input_kind == "token" else 0,
        names=tuple(model.card.input_names),
        steps=model.input_steps,
    )


def output_port(model: Model) -> Port:
    """Describe what an output is."""
    return Port(
        size=model.output_size,
        names=tuple(model.card.output_names),
        steps=model.output_steps,
        heads=tuple(Head(head.name, head.size) for head in model.spec.heads),
        delay=model.delay,
    )


def opened(hosted: Hosted, resumed: bool, resume_token: str, is_durable: bool) -> Opened:
    """Return the message that tells a client of its session, which is on a connection and in the engine."""
    session = hosted.session
    assert session is not None
    model = session.model
    decoding = None if session.side is None else session.side.decoding
    return Opened(
        handle=hosted.handle,
        session_id=hosted.id,
        model=hosted.model_name,
        digest=model.digest,
        next_seq=session.next_seq,
        resumed=resumed,
        input=input_port(model),
        output=output_port(model),
        labels=tuple(model.labels),
        max_queue_frames=hosted.window,
        resume_token=resume_token,
        durable=is_durable,
        durable_seq=hosted.durable_seq,
        park_ms=hosted.terms.park_ms,
        expire_ms=hosted.terms.expire_ms,
        rate_hz=model.card.rate_hz or 0.0,
        decoder=kind_of(decoding.settings) if decoding is not None else "",
    )


def window_of(model: Model, limits: Limits, asked: int | None = None) -> int:
    """Return how many frames of a session may be unanswered at once, which is at most what the client asked for.

    Besides the queue, the outputs of a whole window must fit in half the outbox: a client that keeps to its window and
    reads all the time is then never taken for a slow reader. And they must fit in the ring: a client that comes back
    then misses nothing.
    """
    most_bytes = min(limits.max_outbox_bytes // 2, limits.max_ring_bytes)
    fits = most_bytes // (VALUE_BYTES * model.output_size)
    most = max(1, min(limits.max_queue_frames, limits.max_chunk_frames, fits))
    return most if asked is None else min(asked, most)
