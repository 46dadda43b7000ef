"""Every session that the server keeps, by its id: in the engine, or parked. Turns of their lives are made here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import islice

from streamrnn.engine.engine import Engine
from streamrnn.engine.session import Session
from streamrnn.limits import Limits
from streamrnn.serving.describe import VALUE_BYTES
from streamrnn.serving.hosted import Hosted
from streamrnn.serving.life import LIVE, OPEN, PARKED, Life, Turn, life_after
from streamrnn.serving.tally import Tally
from streamrnn.serving.timers import Timers

log = logging.getLogger("streamrnn.serving")

NS_PER_MS = 1_000_000
PARKED_BYTES = 2048
"""What a parked session takes beside its snapshot and its outputs."""
MAX_SPARED = 64
"""Sessions with a connection that are passed over for one without, when too many are parked."""

OnTurn = Callable[[str, Life, Life], None]
"""The operator's hook: session id, state before, state after. It must not block; what it raises is logged."""


class Roster:
    """Sessions and their deadlines.

    Args:
        engine: where those that are not parked are.
        limits: bounds.
        tally: counts turns.
        on_turn: told of every turn in a session's life.
    """

    def __init__(self, engine: Engine, limits: Limits, tally: Tally, on_turn: OnTurn | None) -> None:
        self._engine = engine
        self._limits = limits
        self._tally = tally
        self._on_turn = on_turn
        self._by_id: dict[str, Hosted] = {}
        self._parked: dict[Hosted, int] = {}
        self._parked_bytes = 0
        self._timers: Timers[Hosted] = Timers()
        self.by_session: dict[Session, Hosted] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Hosted]:
        return iter(list(self._by_id.values()))

    @property
    def n_parked(self) -> int:
        """Sessions that hold no slot."""
        return len(self._parked)

    @property
    def next_ns(self) -> int | None:
        """When `due` next has something to do."""
        return self._timers.next_ns

    def find(self, session_id: str) -> Hosted | None:
        """The session of that id, or None."""
        return self._by_id.get(session_id)

    def add(self, hosted: Hosted, now_ns: int) -> None:
        """Keep a session that was opened in the engine."""
        assert hosted.session is not None
        hosted.session.last_push_ns = now_ns
        self._by_id[hosted.id] = hosted
        self.by_session[hosted.session] = hosted
        self._timers.put(hosted, now_ns + hosted.terms.park_ms * NS_PER_MS)
        self._tally.turns[OPEN] += 1

    def park(self, hosted: Hosted, now_ns: int) -> None:
        """Keep only its snapshot; no frame may wait."""
        session = hosted.session
        assert session is not None
        parked = self._engine.park(session)
        output_bytes = VALUE_BYTES * session.model.output_size
        n_bytes = len(parked.snapshot) + output_bytes * min(hosted.window, hosted.n_applied) + PARKED_BYTES
        hosted.leave_slot(parked)
        del self.by_session[session]
        self._parked[hosted] = n_bytes
        self._parked_bytes += n_bytes
        self._timers.put(hosted, now_ns + hosted.terms.expire_ms * NS_PER_MS)
        self.turn(hosted, "park")

    def wake(self, hosted: Hosted, turn: Turn, now_ns: int) -> None:
        """Take a parked session back into a slot, because of a `wake` or a `resume`.

        Raises:
            CapacityError: there is none; it stays parked.
        """
        assert hosted.parked is not None
        session = self._engine.wake(hosted.parked)
        session.last_push_ns = now_ns
        hosted.enter_slot(session)
        self.by_session[session] = hosted
        self._parked_bytes -= self._parked.pop(hosted)
        self._timers.put(hosted, now_ns + hosted.terms.park_ms * NS_PER_MS)
        self.turn(hosted, turn)

    def remove(self, hosted: Hosted, turn: Turn) -> None:
        """Keep a session no longer, because of a `close` or an `expire`."""
        self._by_id.pop(hosted.id, None)
        self._parked_bytes -= self._parked.pop(hosted, 0)
        self._timers.drop(hosted)
        session = hosted.session
        if session is not None:
            self.by_session.pop(session, None)
            hosted.leave_slot(None)
            try:
                session.close()
            except Exception:
                log.exception("session %s could not be closed", hosted.id)
        elif hosted.parked is not None:
            self._engine.let_go(hosted.parked)
            hosted.parked = None
        hosted.ring.clear()
        self.turn(hosted, turn)

    def turn(self, hosted: Hosted, turn: Turn) -> None:
        """Note a turn in a session's life."""
        before, after = hosted.life, life_after(hosted.life, turn)
        hosted.life = after
        if before != after:
            self._tally.turns[after] += 1
            if self._on_turn is not None:
                try:
                    self._on_turn(hosted.id, before, after)
                except Exception:
                    log.exception("the hook for turns failed")

    def due(self, now_ns: int) -> tuple[list[Hosted], list[Hosted]]:
        """Sessions that have been silent long enough to be parked, and those parked long enough to expire."""
        silent: list[Hosted] = []
        stale: list[Hosted] = []
        for hosted in self._timers.advance(now_ns):
            session = hosted.session
            if session is None:
                stale.append(hosted)
                continue
            park_ns = session.last_push_ns + hosted.terms.park_ms * NS_PER_MS
            if hosted.life not in (OPEN, LIVE):
                continue
            if session.n_pending or park_ns > now_ns:
                self._timers.put(hosted, max(park_ns, now_ns + NS_PER_MS))
            else:
                silent.append(hosted)
        return silent, stale

    def beyond_limit(self) -> list[Hosted]:
        """The longest parked sessions, as many as exceed the limit."""
        n_over = len(self._parked) - self._limits.max_parked_sessions
        over_bytes = self._parked_bytes - self._limits.max_parked_bytes
        if n_over <= 0 and over_bytes <= 0:
            return []
        # One is parked at a time, so the oldest few make room for it.
        for n, n_bytes in enumerate(self._parked.values()):
            if n >= n_over and over_bytes <= 0:
                break
            over_bytes -= n_bytes
            n_over = max(n_over, n + 1)
        oldest = list(islice(self._parked, n_over + MAX_SPARED))
        oldest.sort(key=lambda hosted: hosted.peer is not None)  # who is connected would have to be told
        return oldest[:n_over]

    def lives(self) -> dict[Life, int]:
        """How many sessions are in each state."""
        counts: dict[Life, int] = {OPEN: 0, LIVE: 0, PARKED: 0}
        for hosted in self._by_id.values():
            counts[hosted.life] = counts.get(hosted.life, 0) + 1
        return counts
