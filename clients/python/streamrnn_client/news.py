"""What a client tells its hooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Reconnected:
    """A lost connection was made anew and its sessions resumed.

    Args:
        n_attempts: connections tried, the last one included.
        downtime_s: from the loss until the last session was resumed.
        n_sessions: sessions that go on.
        n_replayed: frames that are sent again for it.
    """

    n_attempts: int
    downtime_s: float
    n_sessions: int
    n_replayed: int


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """A turn in a session's life: `parked` in the server, `live` again, or frames were `skipped`.

    Args:
        session_id: whose.
        name: what happened.
        seq: the next frame's; of `skipped`, the first frame that gets no output.
        n: of `skipped`, how many frames.
        is_stepped: of `skipped`, whether the state has seen them.
    """

    session_id: str
    name: Literal["parked", "live", "skipped"]
    seq: int
    n: int = 0
    is_stepped: bool = False
