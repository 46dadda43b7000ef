"""What the hub wants of a store, which it never touches itself: errands, run elsewhere in the order of asking.

Each is run once and then handed back to `then`, with its result or the fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streamrnn.errors import StreamrnnError
from streamrnn.serving.capture import Capture
from streamrnn.serving.kept import Kept

Then = Callable[[Any, StreamrnnError | None, int], None]
"""Takes the result (None after a fault), the fault or None, and the clock, ns."""


@dataclass(eq=False)
class Errand:
    """Base of all errands."""

    then: Then


@dataclass(eq=False)
class Save(Errand):
    """Save all in one transaction; the result is the set of ids that were fenced.

    A capture that must renew its epoch gets the new one, also where the save fails after that.
    """

    captures: list[Capture] = field(default_factory=list)


@dataclass(eq=False)
class Insert(Errand):
    """Keep a session that is not stored yet; the result is False where it is, and then nothing has changed."""

    capture: Capture


class Claimed(NamedTuple):
    """A session that is ours now."""

    kept: Kept
    epoch: int
    epoch_before: int


@dataclass(eq=False)
class Claim(Errand):
    """Become the owner of a session, if the token is its own; the result is `Claimed`, or None if it is unknown.

    Where the stored epoch is still `trusted_epoch`, the hub has looked at the token: the store may know older ones.
    With an `attempt` it is refused where the session was resumed by that one or a later one.

    Its faults are TokenError, SupersededError, SnapshotError (a damaged record) and StoreError.
    """

    session_id: str = ""
    token: str = ""
    trusted_epoch: int | None = None
    attempt: int | None = None


@dataclass(eq=False)
class Forget(Errand):
    """Forget sessions, (id, epoch) each; an epoch that a save asked for before has renewed counts as theirs, too."""

    owners: list[tuple[str, int]] = field(default_factory=list)
    renewed: list[Capture] = field(default_factory=list)
