"""A store that lasts as long as its process: for tests, and where a restart may forget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from threading import Lock
from typing import NamedTuple, Self

from streamrnn.errors import UsageError
from streamrnn.stores.store import Stored, check_id, check_owners


class _Kept(NamedTuple):
    record: Stored
    floor_seq: int
    """Lowest next_seq that its owner may save: the last one, 0 after a claim."""
    saved_s: float


class MemoryStore:
    """Keeps records in a dictionary. A `Store`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[str, _Kept] | None = {}

    def _open(self) -> dict[str, _Kept]:
        if self._kept is None:
            raise UsageError("the store is closed")
        return self._kept

    def save(self, records: Sequence[Stored], now_s: float) -> list[str]:
        """Keep the records; see `Store.save`."""
        fenced = []
        new: dict[str, _Kept] = {}
        with self._lock:
            kept = self._open()
            for record in records:
                old = new.get(record.session_id) or kept.get(record.session_id)
                if old and (record.epoch, record.next_seq) < (old.record.epoch, old.floor_seq):
                    fenced.append(record.session_id)
                else:
                    new[record.session_id] = _Kept(record, record.next_seq, now_s)
            kept.update(new)  # all of them or none, as in a file
        return fenced

    def insert(self, record: Stored, now_s: float) -> bool:
        """Keep a record where there is none; see `Store.insert`."""
        with self._lock:
            kept = self._open()
            is_new = record.session_id not in kept
            if is_new:
                kept[record.session_id] = _Kept(record, record.next_seq, now_s)
            return is_new

    def load(self, session_id: str) -> Stored | None:
        """The record of a session, or None."""
        check_id(session_id)
        with self._lock:
            found = self._open().get(session_id)
            return found.record if found else None

    def claim(
        self, session_id: str, now_s: float, *, held_epoch: int | None = None, least_epoch: int = 0
    ) -> Stored | None:
        """Become the owner of a stored session; see `Store.claim`."""
        check_id(session_id)
        with self._lock:
            kept = self._open()
            old = kept[session_id].record if session_id in kept else None
            if old is None or (held_epoch is not None and old.epoch != held_epoch):
                return None
            claimed = replace(old, epoch=max(old.epoch + 1, least_epoch))
            kept[session_id] = _Kept(claimed, 0, now_s)
            return claimed

    def delete(self, owners: Iterable[tuple[str, int]]) -> None:
        """Forget sessions; see `Store.delete`."""
        doomed = check_owners(owners)
        with self._lock:
            kept = self._open()
            for session_id, epoch in doomed:
                if session_id in kept and kept[session_id].record.epoch <= epoch:
                    del kept[session_id]

    def expire(self, older_than_s: float) -> int:
        """Forget every session that was last saved or claimed before that time; returns how many."""
        with self._lock:
            kept = self._open()
            doomed = [session_id for session_id, old in kept.items() if old.saved_s < older_than_s]
            for session_id in doomed:
                del kept[session_id]
        return len(doomed)

    def session_ids(self) -> list[str]:
        """The ids of all sessions that are kept, sorted."""
        with self._lock:
            return sorted(self._open())

    def close(self) -> None:
        """Forget everything; closing again does nothing."""
        with self._lock:
            self._kept = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
