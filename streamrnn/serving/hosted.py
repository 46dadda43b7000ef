"""A session as the server keeps it: on a connection, between two, or parked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streamrnn.engine.session import Session
from streamrnn.engine.sessions import Parked
from streamrnn.limits import Limits
from streamrnn.serving.describe import VALUE_BYTES, window_of
from streamrnn.serving.life import CLOSED, EXPIRED, OPEN, Life
from streamrnn.serving.ring import Ring
from streamrnn.wire.messages import Open, Overload

if TYPE_CHECKING:
    from streamrnn.serving.party import Party

RENEWALS_BITS = 20
"""Room below an epoch's attempt for rollbacks, each of which raises the epoch by one."""


def epoch_of(attempt: int) -> int:
    """The epoch of who resumes a session with a client's attempt of that number; who opened it has attempt 0."""
    return attempt << RENEWALS_BITS


NEVER = 2**63
"""Above every seq."""


class Terms(NamedTuple):
    """What a client chose at `open`, and the server keeps for the session's whole life."""

    window: int | None = None
    overload: Overload = "reject"
    park_ms: int = 0
    expire_ms: int = 0

    @classmethod
    def of(cls, asked: Open, limits: Limits, expire_ms: int) -> Terms:
        """The terms in effect; the server's own times are the most."""
        return cls(
            asked.window,
            asked.overload,
            min(asked.park_ms or limits.park_ms, limits.park_ms),
            min(asked.expire_ms or expire_ms, expire_ms),
        )


class Hosted:
    """One session.

    Attributes:
        session: in the engine; None while parked and after the end.
        parked: what is left of it while it is parked, else None.
        peer, handle: the connection that holds it, None between two.
        frame_bytes: bytes of one frame, kept here because each frame asks for it.
        has_times: its frames have times, for it has a gap policy.
        ring: the outputs that can be sent again.
        life: see `serving.life`.
        token_hashes: of the newest resume token and the one before.
        stored_hashes: those that the store knows.
        epoch: of its owner in the store.
        generation: raised by a rollback: what was captured before is of another history.
        durable_seq: the state after this seq is in the store, -1: none.
        mark_seq: the first seq whose output makes it due for a checkpoint, see `Checkpoints`.
        is_stored: the store may hold a record of it.
        is_unconfirmed: it was resumed while the store could not say whether another server has it.
        must_renew: its epoch must be raised before it is saved again.
    """

    __slots__ = (
        "_next_seq",
        "durable_seq",
        "epoch",
        "frame_bytes",
        "generation",
        "handle",
        "has_times",
        "id",
        "is_stored",
        "is_unconfirmed",
        "life",
        "mark_seq",
        "model_name",
        "must_renew",
        "parked",
        "peer",
        "ring",
        "session",
        "stored_hashes",
        "terms",
        "token_hashes",
        "window",
    )

    def __init__(self, session: Session, terms: Terms, limits: Limits) -> None:
        self.id = session.id
        self.model_name = session.model_name
        self.session: Session | None = session
        self.parked: Parked | None = None
        self.peer: Party | None = None
        self.handle = 0
        self.frame_bytes = VALUE_BYTES * session.model.input_size
        self.has_times = session.gaps is not None
        self.terms = terms
        self.window = window_of(session.model, limits, terms.window)
        self.ring = Ring(self.window)
        self.life: Life = OPEN
        self.token_hashes: tuple[bytes, ...] = ()
        self.stored_hashes: tuple[bytes, ...] = ()
        self.epoch = 0
        self.generation = 0
        self.durable_seq = -1
        self.mark_seq = NEVER
        self.is_stored = False
        self.is_unconfirmed = False
        self.must_renew = False
        self._next_seq = 0

    @property
    def is_over(self) -> bool:
        """It was closed or expired, and keeps nothing."""
        return self.life in (CLOSED, EXPIRED)

    @property
    def next_seq(self) -> int:
        """Seq that its next frame must carry."""
        return self._next_seq if self.session is None else self.session.next_seq

    @property
    def n_applied(self) -> int:
        """Frames that its state has seen, or that were dropped."""
        return self._next_seq if self.session is None else self.session.n_applied

    def leave_peer(self) -> None:
        """No connection holds it any more."""
        self.peer = None
        if self.session is not None:
            self.session.leave_group()

    def leave_slot(self, parked: Parked | None) -> None:
        """Go on as what is left of the session, or as nothing."""
        session = self.session
        assert session is not None
        self._next_seq = session.next_seq
        self.session, self.parked = None, parked

    def enter_slot(self, session: Session) -> None:
        """Go on in the engine."""
        self.session, self.parked = session, None

    def turn_back(self) -> None:
        """Its numbering has turned back: what was kept of it by number is of another history."""
        self.ring.clear()
        self.generation += 1
        self.durable_seq = -1
        self.must_renew = True
