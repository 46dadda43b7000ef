"""The life of a session as a table: state -> turn -> next state. What has no entry cannot happen.

PROTOCOL section 5a has the same table in prose, with the message that tells a client of each turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Life = Literal["open", "live", "parked", "draining", "expired", "closed"]
Turn = Literal["frame", "park", "wake", "resume", "drain", "expire", "close"]

OPEN: Final = "open"
LIVE: Final = "live"
PARKED: Final = "parked"
DRAINING: Final = "draining"
EXPIRED: Final = "expired"
CLOSED: Final = "closed"

LIFE: Mapping[Life, Mapping[Turn, Life]] = {
    OPEN: {"frame": LIVE, "park": PARKED, "resume": OPEN, "drain": DRAINING, "close": CLOSED},
    LIVE: {"park": PARKED, "resume": LIVE, "drain": DRAINING, "close": CLOSED},
    PARKED: {"wake": LIVE, "resume": OPEN, "expire": EXPIRED, "close": CLOSED},
    DRAINING: {"close": CLOSED},
    EXPIRED: {},
    CLOSED: {},
}
"""`open` has seen no frame since it was opened or resumed; `parked` holds no slot; the last two keep nothing."""


def life_after(life: Life, turn: Turn) -> Life:
    """The state of a session after a turn, which must be legal: another one is a bug."""
    after = LIFE[life].get(turn)
    assert after is not None, f"{turn} cannot happen to a session that is {life}"
    return after
