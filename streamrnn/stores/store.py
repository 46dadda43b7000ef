"""What a store keeps, and what every store promises; `tests/stores/test_contract.py` holds each of them to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from streamrnn.engine.snapshot import MAX_COUNT
from streamrnn.errors import OptionError


@dataclass(frozen=True, slots=True)
class Stored:
    """One session as a store keeps it.

    Attributes:
        session_id: not empty.
        epoch: of the owner, 0 to `MAX_COUNT`. This one counts, not the one within the snapshot, which is that of the
            owner who took it.
        next_seq: seq of the frame after the snapshot, 0 to `MAX_COUNT`.
        snapshot: from `Session.snapshot`; a store does not look inside.

    Raises:
        OptionError: one of them is none of that.
    """

    session_id: str
    epoch: int
    next_seq: int
    snapshot: bytes

    def __post_init__(self) -> None:
        check_id(self.session_id)
        check_count("epoch", self.epoch)
        check_count("next_seq", self.next_seq)
        if not isinstance(self.snapshot, bytes):
            raise OptionError(f"a snapshot must be bytes, got {type(self.snapshot).__name__}")


def check_id(session_id: str) -> None:
    """Check that a session id can be kept.

    Raises:
        OptionError: it is empty, no string, or no Unicode text (it holds half of a surrogate pair).
    """
    try:
        is_text = bool(session_id.encode())
    except (UnicodeEncodeError, AttributeError):
        is_text = False
    if not is_text:
        raise OptionError(f"a session id must be a string that is not empty, got {session_id!r}")


def check_count(name: str, count: int) -> None:
    """Check that an epoch or a seq can be kept.

    Raises:
        OptionError: it is no integer of 0 to `MAX_COUNT`.
    """
    if not isinstance(count, int) or not 0 <= count <= MAX_COUNT:
        raise OptionError(f"{name} must be an integer of 0 to {MAX_COUNT}, got {count!r}")


def check_owners(owners: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The pairs of session id and epoch as a list.

    Raises:
        OptionError: one of them cannot be kept.
    """
    checked = list(owners)
    for session_id, epoch in checked:
        check_id(session_id)
        check_count("epoch", epoch)
    return checked


class Store(Protocol):
    """Keeps the last snapshot of each session, and knows its owner by an epoch.

    Any thread may call, one call is done at a time, and each is done whole or not at all. `now_s` is the caller's
    clock, in seconds; it must outlast a restart, as `time.time` does.

    Every call raises StoreError when the place that keeps the snapshots fails (what it held is still there), UsageError
    after `close`, and OptionError for an id or an epoch that cannot be kept.
    """

    def save(self, records: Sequence[Stored], now_s: float) -> list[str]:
        """Keep the records, all in one transaction; returns the ids of those that were fenced.

        A record is fenced, which means not written, where the stored epoch of its session is higher (somebody else has
        claimed the session), or where a higher next_seq was saved under the same epoch (the state would go back
        unnoticed: a session opened anew under an old id). The other records are written. The same next_seq is written
        again: a reset changes the state and not the seq.

        An owner that has taken its session back on purpose (`Session.rollback`) first goes on to a new epoch, with
        `claim(session_id, now_s, held_epoch=its_own)`, and saves under that one.

        Records of one session are taken in the order in which they stand. A failed save may be repeated.
        """

    def insert(self, record: Stored, now_s: float) -> bool:
        """Keep the record of a session that is not stored yet; False, and nothing changes, if it is."""

    def load(self, session_id: str) -> Stored | None:
        """The record of a session, or None. To go on from it, `claim` it."""

    def claim(
        self, session_id: str, now_s: float, *, held_epoch: int | None = None, least_epoch: int = 0
    ) -> Stored | None:
        """Become the owner of a stored session: its epoch is raised, and the record returned bears the new one.

        Whoever holds a lower epoch is fenced from then on. Two who claim at once get different epochs, and the later
        one is the owner. Its first save may be of any next_seq. None if nothing is stored.

        Args:
            least_epoch: raise it to this at least: for an owner who knows of a later one than the store does.
            held_epoch: claim only while this is still the stored epoch, else return None and change nothing: for an
                owner that rolls back, which must not take the session from somebody who has claimed it since.
        """

    def delete(self, owners: Iterable[tuple[str, int]]) -> None:
        """Forget sessions, all in one transaction; an unknown id is no fault. Their epochs are forgotten too.

        A record stays where the stored epoch is higher than the one given: an owner that was fenced does not delete
        what its successor has saved.

        Args:
            owners: a session id, and the epoch under which its owner held the session, for each.
        """

    def expire(self, older_than_s: float) -> int:
        """Forget every session that was last saved or claimed before that time; returns how many."""

    def session_ids(self) -> list[str]:
        """The ids of all sessions that are kept, sorted."""

    def close(self) -> None:
        """Let go of everything that is held open; closing again does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None:
        """Close it."""
