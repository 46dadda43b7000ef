"""The legal order of messages as two tables: state -> event -> next state. What has no entry is refused.

A *handle* is free or live. `fork` is two events: `fork` on the handle that is copied, `fork_into` on the new one. A
*connection* is open, draining (the server said `go_away`) or closed. The rules read in prose in `clients/PROTOCOL.md`,
section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from streamrnn.errors import DrainingError, OrderError, SessionExistsError, StreamrnnError, UnknownSessionError

HandleState = Literal["free", "live"]
ConnectionState = Literal["open", "draining", "closed"]
Event = Literal[
    "open",
    "restore",
    "fork_into",
    "frame",
    "frames",
    "reset",
    "flush",
    "snapshot",
    "rollback",
    "fork",
    "generate",
    "close",
    "go_away",
    "end",
]

FREE: Final = "free"
LIVE: Final = "live"
OPEN: Final = "open"
DRAINING: Final = "draining"
CLOSED: Final = "closed"

HANDLE: Mapping[HandleState, Mapping[Event, HandleState]] = {
    FREE: {"open": LIVE, "restore": LIVE, "fork_into": LIVE},
    LIVE: {
        "frame": LIVE,
        "frames": LIVE,
        "reset": LIVE,
        "flush": LIVE,
        "snapshot": LIVE,
        "rollback": LIVE,
        "fork": LIVE,
        "generate": LIVE,
        "close": FREE,
        "end": FREE,
    },
}
"""What may happen to a handle; `end` is a session's end that the client did not ask for."""

CONNECTION: Mapping[ConnectionState, Mapping[Event, ConnectionState]] = {
    OPEN: {
        "open": OPEN,
        "restore": OPEN,
        "fork": OPEN,
        "frame": OPEN,
        "frames": OPEN,
        "reset": OPEN,
        "flush": OPEN,
        "snapshot": OPEN,
        "rollback": OPEN,
        "generate": OPEN,
        "close": OPEN,
        "go_away": DRAINING,
        "end": CLOSED,
    },
    DRAINING: {
        "frame": DRAINING,
        "frames": DRAINING,
        "reset": DRAINING,
        "flush": DRAINING,
        "snapshot": DRAINING,
        "rollback": DRAINING,
        "generate": DRAINING,
        "close": DRAINING,
        "end": CLOSED,
    },
    CLOSED: {},
}
"""What may happen on a connection; `end` is a fatal error, the deadline of `go_away`, or a close by either side."""


OPENING: Final = frozenset({"open", "restore", "fork"})
"""What a draining server takes no more."""


def handle_after(state: HandleState, event: Event, handle: int) -> HandleState:
    """Return the state of `handle` after `event`.

    Raises:
        UnknownSessionError: the event needs a live handle.
        SessionExistsError: the event needs a free handle.
    """
    after = HANDLE[state].get(event)
    if after is None:
        raise _handle_refusal(state, handle)
    return after


def connection_after(state: ConnectionState, event: Event) -> ConnectionState:
    """Return the state of a connection after `event`.

    Raises:
        DrainingError: the server takes no new sessions.
        OrderError: the connection is closed, or the event is not legal at all.
    """
    after = CONNECTION[state].get(event)
    if after is None:
        raise _connection_refusal(state, event)
    return after


def _handle_refusal(state: HandleState, handle: int) -> StreamrnnError:
    if state == FREE:
        return UnknownSessionError(f"expected the handle of an open session, got {handle}")
    return SessionExistsError(f"expected a free handle, got {handle}, which is in use")


def _connection_refusal(state: ConnectionState, event: Event) -> StreamrnnError:
    if state == DRAINING and event in OPENING:
        return DrainingError("the server is stopping and takes no new sessions")
    return OrderError(f"{event} is not legal on a connection that is {state}")
