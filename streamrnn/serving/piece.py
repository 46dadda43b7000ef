"""Outputs of a session as they are kept and sent."""

from __future__ import annotations

import msgspec

from streamrnn.decode.event import Event


class Piece(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Outputs of frames `seq .. seq + n - 1`, or with an empty payload the fact that they have none."""

    seq: int
    n: int
    payload: bytes
    filled: int = 0
    was_reset: bool = False
    is_stepped: bool = True
    events: tuple[Event, ...] = ()
