"""What must have come of the calls on one session, told by stepping them alone, in order, without any server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from streamrnn_client.losses import SessionLostError
from streamrnn_client.pending import Draw, Pending

from streamrnn.decode.settings import Settings
from streamrnn.engine.gaps import Gaps
from streamrnn.engine.session import Session


@dataclass(eq=False)
class Call:
    """One call: what was asked, its answer, the frames if it was frames, the snapshot that a rollback goes back to."""

    kind: str
    pending: Pending
    xs: Any = None
    of: Call | None = None
    snapshot: bytes = b""
    time_us: int | None = None
    n_warm: int = 0
    n: int = 0
    draw: Draw | None = None


class Oracle:
    """The calls on one session. A fork that is not in the store yet `is_frail`: a crash may lose it."""

    def __init__(self, before: tuple[Call, ...] = ()) -> None:
        self.before = before
        self.calls: list[Call] = []
        self.gaps: Gaps | None = None
        self.decoder: Settings | None = None
        self.model = ""
        self.forking: Pending | None = None
        self.is_frail = False

    def twin(self) -> Oracle:
        """That of a session that goes on from where this one stands."""
        return Oracle((*self.before, *self.calls))

    @property
    def can_generate(self) -> bool:
        """Whether a frame has been seen since the state was new, however a rollback may have turned out."""
        kinds = [call.kind for call in (*self.before, *self.calls)]
        last = max((i for i, kind in enumerate(kinds) if kind in ("reset", "rollback")), default=-1)
        return self.model == "text" and "frames" in kinds[last + 1 :]

    def note(self, call: Call) -> None:
        """Note a call, in the order of calling."""
        self.calls.append(call)

    def faults(self, session: Session) -> list[str]:
        """What differs from `session`, a new one that steps all calls alone: no output lost, doubled or different."""
        for call in self.before:
            self._fault(call, session)
        if self.is_frail and any(isinstance(call.pending.error, SessionLostError) for call in self.calls):
            return []
        return [fault for call in self.calls if (fault := self._fault(call, session)) is not None]

    def _fault(self, call: Call, session: Session) -> str | None:
        if call.pending.error is not None:
            return f"{call.kind} failed: {call.pending.error!r}"
        got: Any = call.pending.value
        expected: Any = got
        match call.kind:
            case "frames":
                expected = [row.tobytes() for row in session.run(np.array(call.xs), call.time_us)]
                got, expected = (got, told_with(call.pending)), (expected, told(session.last_events))
            case "generate":
                assert call.draw is not None
                twin = session.fork()
                tokens = twin.generate(call.n, *call.draw)
                twin.close()
                expected = [row.tobytes() for row in session.run(np.array(tokens, np.float32)[:, None])]
                marks = call.pending.marks  # type: ignore[attr-defined]
                got, expected = (got, [marks[i].events[0].token for i in range(len(got))]), (expected, tokens)
            case "reset":
                session.reset(call.n_warm)
                expected = session.applied_seq
            case "flush":  # asked again after a cut, it may tell of frames behind it
                expected = max(got, session.applied_seq)
            case "snapshot":
                call.snapshot = session.snapshot()
            case "rollback":
                assert call.of is not None
                session.rollback(call.of.snapshot)
                expected = session.applied_seq
            case "close":
                expected = session.next_seq
        return None if got == expected else f"{call.kind} before seq {session.next_seq}: {got!r} is not {expected!r}"


def told(events: Any) -> list[tuple[Any, ...]]:
    """What events say, whichever side's they are."""
    return [(event.kind, event.seq, event.text, event.score, event.token, event.cause) for event in events]


def told_with(pending: Any) -> list[tuple[Any, ...]]:
    """The events that came with the outputs of a message."""
    return [one for i in sorted(pending.marks) for one in told(pending.marks[i].events)]
