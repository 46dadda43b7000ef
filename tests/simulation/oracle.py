"""What must have come of the calls on one session, told by stepping them alone, in order, without any server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from streamrnn_client.pending import Pending

from streamrnn.engine.session import Session


@dataclass(eq=False)
class Call:
    """One call: what was asked, its answer, the frames if it was frames, the snapshot that a rollback goes back to."""

    kind: str
    pending: Pending
    xs: Any = None
    of: Call | None = None
    snapshot: bytes = b""


class Oracle:
    """The calls on one session."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def note(self, call: Call) -> None:
        """Note a call, in the order of calling."""
        self.calls.append(call)

    def faults(self, session: Session) -> list[str]:
        """What differs from `session`, a new one that steps all calls alone: no output lost, doubled or different."""
        return [fault for call in self.calls if (fault := self._fault(call, session)) is not None]

    def _fault(self, call: Call, session: Session) -> str | None:
        if call.pending.error is not None:
            return f"{call.kind} failed: {call.pending.error!r}"
        got: Any = call.pending.value
        expected: Any = got
        match call.kind:
            case "frames":
                expected = [row.tobytes() for row in session.run(np.array(call.xs))]
            case "reset":
                session.reset()
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
