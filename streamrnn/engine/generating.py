"""A session that feeds itself: its sampler draws the token of its next frame, which waits and is stepped as any other.

The sampler's state says all of it, what was drawn and is not stepped yet too. So the frame that waits is no part of a
copy of the session: whoever goes on from the copy puts it there again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streamrnn.decode.generation import Generation
from streamrnn.decode.sampler import Sampler
from streamrnn.decode.settings import SamplerSettings
from streamrnn.errors import OptionError, SnapshotError, UsageError

if TYPE_CHECKING:
    from streamrnn.engine.session import Session
    from streamrnn.engine.side import Side
    from streamrnn.model.model import Model


def check_draws(settings: SamplerSettings, model: Model) -> None:
    """Check that what a sampler draws can be a frame of the model.

    Raises:
        OptionError: the model takes no tokens, or the part of the output that is sampled has more values than there
            are tokens.
    """
    if not model.n_tokens:
        raise OptionError("decoder: a sampler expects a model whose frames are tokens")
    size = next((head.size for head in model.heads if head.name == settings.head), model.output_size)
    if size > model.n_tokens:
        raise OptionError(f"decoder: a sampler expects at most {model.n_tokens} values, one a token, got {size}")


def check_drawn(side: Side | None, next_seq: int) -> None:
    """Check that what a session's sampler has drawn, if anything, is the frame that comes next.

    Raises:
        SnapshotError: it is another one, or frames of the session have times.
    """
    sampler = None if side is None or side.decoding is None else side.decoding.sampler
    if side is None or sampler is None or sampler.next_token is None:
        return
    if sampler.next_seq != next_seq or side.gaps is not None:
        raise SnapshotError(f"the snapshot goes on with frame {next_seq}, and has drawn one of seq {sampler.next_seq}")


def sampler_of(session: Session) -> Sampler | None:
    """What draws a session's tokens, if it has that."""
    decoding = None if session.side is None else session.side.decoding
    return None if decoding is None else decoding.sampler


def arm(session: Session, generation: Generation) -> Sampler:
    """Have the first token of a generation drawn in an idle session.

    Raises:
        OptionError: the session has no sampler, has a gap policy, or has seen no frame since its state was new.
    """
    sampler = sampler_of(session)
    if sampler is None:
        raise OptionError(f"generate: expected a session with a sampler as its decoder, {session.id!r} has none")
    if session.gaps is not None:
        raise OptionError("generate: expected a session without a gap policy, for what is drawn has no time")
    try:
        sampler.arm(session.n_applied, generation)
    except UsageError as fault:  # there is no output to draw from
        raise OptionError(fault.message) from fault
    return sampler


def put_token(session: Session) -> int:
    """Let the token that was drawn wait as the session's next frame, unless one waits; returns how many were put."""
    sampler = sampler_of(session)
    if sampler is None or sampler.next_token is None or session.n_pending:
        return 0
    session.queue.append(np.array([[sampler.next_token]], np.float32))
    session.n_pending += 1
    return 1


def take_token(session: Session) -> int:
    """End the generation that is under way, if one is; returns how many frames wait no longer for that."""
    sampler = sampler_of(session)
    if sampler is None or sampler.next_token is None:
        return 0
    sampler.disarm()
    n = session.n_pending
    if n:
        session.queue.take(n)
        session.n_pending = 0
    return n


def generate_directly(session: Session, generation: Generation) -> list[int]:
    """Draw and step token after token. Raises as `arm`."""
    sampler = arm(session, generation)
    tokens: list[int] = []
    x = np.empty((1, 1), np.float32)
    try:
        while (token := sampler.next_token) is not None:
            tokens.append(token)
            x[0, 0] = token
            session.run(x)
    finally:
        sampler.disarm()
    return tokens
