"""A store on a Valkey or Redis server, for several nodes: what one has saved, another may claim."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Self

from streamrnn.errors import OptionError, StoreFileError
from streamrnn.stores.link import Link
from streamrnn.stores.scripts import CLAIM, DELETE, EXPIRE, INSERT, SAVE
from streamrnn.stores.store import Stored, check_id, check_owners


class ValkeyStore:
    """Keeps records on a Valkey or Redis server, of 6.2 or later. A `Store`.

    Every change is one Lua script, and so one moment on the server: all records of a save or none. A save is sent whole
    and holds the server up for as long as it runs: 64 MB for 0.1 to 0.4 s, 200,000 small records, which are the most
    that it takes, for 1 to 2 s. Give a save that is bigger, or goes over a slow line, more `timeout_s`, or save in
    parts, each of them whole. No connection is made before the first call. A server that is dead or stopped costs a
    call about `timeout_s`; nothing is tried again. The first call after the server has come back finds it, or ends a
    broken connection with a StoreError, and then the second one does.

    What is durable is up to the server: with `appendonly yes` and `appendfsync always` what a call has written, with
    `everysec` all but the last second or two, with neither of them the last RDB file. Replicas are not waited for (no
    WAIT), so a failover may lose the last saves and claims. The epochs still order what is left: of two owners whose
    epochs differ in what the server holds now, the lower one is fenced. A claim that a failover has lost may be given
    again, with the same epoch; then two owners save under one epoch, and of these the higher seq stays. Set
    `maxmemory-policy noeviction`, or the server drops sessions by itself; when it is full, a save is refused whole.

    Redis Cluster is not supported: the keys of a save must be on one server, and redirections are not followed. Do not
    carry an open store across `os.fork`.

    Args:
        url: `redis://user:password@host:6379/0`, `rediss://` with TLS, `unix:///path?db=0`; `valkey://` and `valkeys://`
            are the first two. A part of it that is not plain text is percent-encoded. It is in no message, but for
            host, port and number of the database.
        prefix: of the names of all keys. Stores of one server and one prefix share their sessions.
        timeout_s: how long a call waits for the server, and for another thread's call, s.

    Raises:
        OptionError: the URL, the prefix or the timeout is none.
    """

    def __init__(self, url: str, prefix: str = "streamrnn:", timeout_s: float = 2.0) -> None:
        try:
            self._saved = f"{prefix}saved".encode()
            self._session = f"{prefix}session:".encode()
        except UnicodeEncodeError:
            raise OptionError(f"a prefix must be text, got {prefix!r}") from None
        self._link = Link(url, timeout_s)

    def _key(self, session_id: str) -> bytes:
        return self._session + session_id.encode()

    def _stored(self, operation: str, session_id: str, row: Sequence[bytes | None]) -> Stored | None:
        """The record in epoch, next_seq and snapshot as the server gives them; None where there is none of them."""
        epoch, next_seq, snapshot = row
        if epoch is next_seq is snapshot is None:
            return None
        try:
            if epoch is None or next_seq is None or snapshot is None or not (epoch + next_seq).isdigit():
                raise OptionError("its fields are not those of a record")
            return Stored(session_id, int(epoch), int(next_seq), snapshot)
        except (OptionError, ValueError) as fault:
            message = f"store {self._link.place}: the row of {session_id!r} is damaged: {fault}"
            raise StoreFileError(message, operation=operation, cause="row") from fault

    def save(self, records: Sequence[Stored], now_s: float) -> list[str]:
        """Keep the records in one script; see `Store.save`."""
        keys, arguments = [self._saved], [repr(float(now_s)).encode()]
        for record in records:
            session_id = record.session_id.encode()
            keys.append(self._session + session_id)
            arguments += (session_id, b"%d" % record.epoch, b"%d" % record.next_seq, record.snapshot)
        fenced: list[int] = self._link.run("save", SAVE, keys, arguments)
        return [records[n].session_id for n in fenced]

    def insert(self, record: Stored, now_s: float) -> bool:
        """Keep a record where there is none; see `Store.insert`."""
        keys = [self._saved, self._key(record.session_id)]
        counts = (b"%d" % record.epoch, b"%d" % record.next_seq)
        arguments = [repr(float(now_s)).encode(), record.session_id.encode(), *counts, record.snapshot]
        return bool(self._link.run("insert", INSERT, keys, arguments))

    def load(self, session_id: str) -> Stored | None:
        """The record of a session, or None."""
        check_id(session_id)
        row = self._link.call("load", "HMGET", self._key(session_id), "epoch", "next_seq", "snapshot")
        return self._stored("load", session_id, row)

    def claim(
        self, session_id: str, now_s: float, *, held_epoch: int | None = None, least_epoch: int = 0
    ) -> Stored | None:
        """Become the owner of a stored session; see `Store.claim`."""
        check_id(session_id)
        held = "" if held_epoch is None else str(held_epoch)
        arguments = [repr(float(now_s)), session_id, held, str(least_epoch)]
        row: Any = self._link.run("claim", CLAIM, [self._saved, self._key(session_id)], arguments)
        old = self._stored("claim", session_id, row) if row else None
        return replace(old, epoch=max(old.epoch + 1, least_epoch)) if old else None

    def delete(self, owners: Iterable[tuple[str, int]]) -> None:
        """Forget sessions, all in one script; see `Store.delete`."""
        keys, arguments = [self._saved], list[bytes]()
        for session_id, epoch in check_owners(owners):
            keys.append(self._key(session_id))
            arguments += (session_id.encode(), b"%d" % epoch)
        self._link.run("delete", DELETE, keys, arguments)

    def expire(self, older_than_s: float) -> int:
        """Forget every session that was last saved or claimed before that time; returns how many."""
        n_expired: int = self._link.run("expire", EXPIRE, [self._saved], [self._session, repr(float(older_than_s))])
        return n_expired

    def session_ids(self) -> list[str]:
        """The ids of all sessions that are kept, sorted."""
        members: list[bytes] = self._link.call("session_ids", "ZRANGE", self._saved, 0, -1)
        try:
            return sorted(member.decode() for member in members)
        except UnicodeDecodeError as fault:
            message = f"store {self._link.place}: the list of ids is damaged: {fault}"
            raise StoreFileError(message, operation="session_ids", cause="row") from fault

    def close(self) -> None:
        """Let the connection go; closing again does nothing."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
