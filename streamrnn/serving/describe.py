"""What a client is told of a model."""

from __future__ import annotations

from streamrnn.engine.session import Session
from streamrnn.limits import Limits
from streamrnn.model.model import Model
from streamrnn.wire.messages import Opened, Port

VALUE_BYTES = 4
"""Bytes of one float32 on the wire."""


def input_port(model: Model) -> Port:
    """Describe what a frame is."""
    return Port(
        size=model.input_size,
        kind=model.input_kind,
        n_tokens=model.n_tokens if model.input_kind == "token" else 0,
        names=tuple(model.card.input_names),
    )


def output_port(model: Model) -> Port:
    """Describe what an output is."""
    return Port(size=model.output_size, names=tuple(model.card.output_names))


def opened(session: Session, handle: int, resumed: bool, limits: Limits) -> Opened:
    """Return the message that tells a client of its new session."""
    model = session.model
    return Opened(
        handle=handle,
        session_id=session.id,
        model=session.model_name,
        digest=model.digest,
        next_seq=session.next_seq,
        resumed=resumed,
        input=input_port(model),
        output=output_port(model),
        labels=tuple(model.labels),
        max_queue_frames=window_of(model, limits),
    )


def window_of(model: Model, limits: Limits) -> int:
    """Return how many frames of a session may be unanswered at once.

    Besides the queue, the outputs of a whole window must fit in half the outbox: a client that keeps to its window and
    reads all the time is then never taken for a slow reader.
    """
    fits = limits.max_outbox_bytes // (2 * VALUE_BYTES * model.output_size)
    return max(1, min(limits.max_queue_frames, limits.max_chunk_frames, fits))
