"""When sessions are due for a checkpoint, and what becomes of one. It never waits, and never keeps a frame waiting."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from streamrnn.engine.engine import Engine
from streamrnn.errors import StreamrnnError
from streamrnn.limits import Limits
from streamrnn.serving.capture import Capture
from streamrnn.serving.errands import Save
from streamrnn.serving.hosted import NEVER, Hosted
from streamrnn.serving.tally import Tally

log = logging.getLogger("streamrnn.serving")

NS_PER_MS = 1_000_000
MAX_BACKOFF_MS = 30_000
MAX_SAVED_AT_ONCE = 4096


class Checkpoints:
    """Sessions that have changed since they were last captured, and the one save that is under way.

    Every `checkpoint_ms`, and at once when a session has answered `checkpoint_frames` since its last capture, all that
    has changed is captured and saved in one transaction. After a failed save all is captured anew, later each time.

    Attributes:
        n_collected: captures so far; each lets its sessions be marked by their next output.

    Args:
        engine: holds the states.
        limits: the cadence.
        on_durable: told of each session whose `durable_seq` has risen.
        on_fenced: told of each session that has another owner.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        tally: Tally,
        on_durable: Callable[[Hosted], None],
        on_fenced: Callable[[Hosted, int], None],
    ) -> None:
        self._engine = engine
        self._interval_ns = limits.checkpoint_ms * NS_PER_MS
        self._n_frames = limits.checkpoint_frames
        self._tally = tally
        self._on_durable = on_durable
        self._on_fenced = on_fenced
        self._changed: dict[Hosted, None] = {}
        self._under_way: Save | None = None
        self._next_ns = 0
        self._is_urgent = False
        self._backoff_ms = 0
        self.n_collected = 0

    @property
    def is_idle(self) -> bool:
        """Nothing has changed that is not saved."""
        return self._under_way is None and not self._changed

    @property
    def next_ns(self) -> int | None:
        """When to call `collect` next, or None while there is nothing to do."""
        if self._under_way is not None or not self._changed:
            return None
        return 0 if self._is_urgent and not self._backoff_ms else self._next_ns

    def watch(self, hosted: Hosted) -> None:
        """A session is new here: its first output marks it."""
        hosted.mark_seq = -1

    def mark(self, hosted: Hosted, seq: int) -> None:
        """A session has answered frames up to `seq`, above its `mark_seq`."""
        if hosted not in self._changed:
            self._changed[hosted] = None
            hosted.mark_seq = seq + self._n_frames
        else:
            hosted.mark_seq = NEVER
            self._is_urgent = True

    def mark_now(self, hosted: Hosted) -> None:
        """A session is to be saved at once: it was left by its client, reset, taken back, or the server stops."""
        self._changed[hosted] = None
        self._is_urgent = True

    def renewed(self, hosted: Hosted) -> list[Capture]:
        """The capture under way that gets the session a new epoch, if there is one."""
        if self._under_way is None or not hosted.must_renew:
            return []
        return [capture for capture in self._under_way.captures if capture.hosted is hosted and capture.must_renew]

    def drop(self, hosted: Hosted) -> None:
        """A session is over."""
        self._changed.pop(hosted, None)

    def collect(self, now_ns: int, *, is_last: bool = False) -> Save | None:
        """Capture all that has changed, if that is due and no save is under way."""
        if self._under_way is not None or not self._changed:
            return None
        is_early = now_ns < self._next_ns and (self._backoff_ms or not self._is_urgent)
        if is_early and not is_last:
            return None
        picked = list(self._changed)[:MAX_SAVED_AT_ONCE]
        self.n_collected += 1
        for hosted in picked:
            del self._changed[hosted]
            hosted.mark_seq = -1
            hosted.is_stored = True  # it may be from now on
        self._is_urgent = bool(self._changed)
        self._next_ns = now_ns + self._interval_ns
        self._under_way = Save(self._saved, self._captured(picked))
        return self._under_way

    def _captured(self, picked: Iterable[Hosted]) -> list[Capture]:
        live = [hosted for hosted in picked if hosted.session is not None]
        records = self._engine.capture([hosted.session for hosted in live if hosted.session])
        captures = [Capture.of(hosted, record) for hosted, record in zip(live, records, strict=True)]
        return captures + [Capture.of(hosted, hosted.parked.snapshot) for hosted in picked if hosted.parked]

    def _saved(self, fenced: set[str] | None, fault: StreamrnnError | None, now_ns: int) -> None:
        save, self._under_way = self._under_way, None
        assert save is not None
        for capture in save.captures:
            if capture.must_renew:
                capture.hosted.epoch = max(capture.hosted.epoch, capture.epoch)
        if fault is not None:
            self._failed(save, fault, now_ns)
            return
        self._backoff_ms = 0
        self._tally.n_saves += 1
        for capture in save.captures:
            self._settle(capture, capture.session_id in (fenced or ()), now_ns)

    def _settle(self, capture: Capture, is_fenced: bool, now_ns: int) -> None:
        hosted = capture.hosted
        if hosted.is_over or capture.epoch != hosted.epoch:
            return
        if is_fenced:
            self._tally.n_fenced += 1
            self._on_fenced(hosted, now_ns)
            return
        self._tally.n_saved += 1
        hosted.is_unconfirmed = False
        hosted.stored_hashes = capture.token_hashes
        if capture.generation == hosted.generation:
            hosted.must_renew = False
            hosted.durable_seq = capture.next_seq - 1
            self._on_durable(hosted)

    def _failed(self, save: Save, fault: StreamrnnError, now_ns: int) -> None:
        """Stepping goes on; what could not be saved is due again after a while."""
        if not self._backoff_ms:
            log.error("checkpoints fail, stepping goes on: %s", fault)
        self._tally.n_store_failures += 1
        self._backoff_ms = min(max(2 * self._backoff_ms, self._interval_ns // NS_PER_MS), MAX_BACKOFF_MS)
        self._next_ns = now_ns + self._backoff_ms * NS_PER_MS
        for capture in save.captures:
            if not capture.hosted.is_over:
                self._changed[capture.hosted] = None
