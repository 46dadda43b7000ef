"""Speaker decoder: who of those enrolled talks, from embeddings."""

from __future__ import annotations

import math

import numpy as np

from streamrnn.decode.decoder import Facts, Floats
from streamrnn.decode.event import Event
from streamrnn.decode.ranges import check_range
from streamrnn.decode.record import MAX_SEQ, Record, check_state, read_record, write_record
from streamrnn.decode.settings import SpeakerSettings
from streamrnn.errors import OptionError

_NOBODY = -1


class _State(Record, tag="speakers1"):
    """What a frame changes.

    Attributes:
        begun: seq of the first frame that was heard, None: none was.
        told: place of the speaker that was told last, -1: nobody.
        nearest: place of the one that has been nearest of late, -1: nobody reaches the threshold.
        since: the frame from which on that is so.
    """

    begun: int | None = None
    told: int = _NOBODY
    nearest: int = _NOBODY
    since: int = 0


class SpeakerDecoder:
    """Events `speaker`: with a name when who talks is known or has changed, without one when nobody is near any more.

    The nearest speaker is told once it was nearest for `hold_s` and `min_s` were heard; the first one waits as long as
    any other, and so does nobody, after somebody was told. The score is the cosine, or 0 where that is negative;
    without a name, of the nearest of all. An embedding of zeros, or one that holds NaN or infinity, is passed over.
    """

    effort = 0

    def __init__(self, settings: SpeakerSettings, facts: Facts) -> None:
        """Start afresh.

        Raises:
            OptionError: a setting is out of range, or an enrolled embedding has another length than the head or none.
        """
        self._first, self._end = facts.part(settings.head)
        check_range("threshold", settings.threshold, -1.0, 1.0)
        self._threshold = settings.threshold
        self._hold = facts.frames("hold_s", settings.hold_s)
        self._min = facts.frames("min_s", settings.min_s)
        self._names = tuple(settings.enrolled)
        self._enrolled = np.zeros((len(self._names), self._end - self._first))
        for row, (name, embedding) in zip(self._enrolled, settings.enrolled.items(), strict=True):
            if not name or len(embedding) != len(row) or not 0.0 < math.hypot(*embedding) < math.inf:
                wanted = f"named embeddings of {len(row)} finite values, not all 0"
                raise OptionError(f"decoder: expected enrolled of {wanted}, got {name!r}", field="enrolled")
            row[:] = embedding
            row /= math.hypot(*embedding)
        self.reset()

    def feed(self, seq: int, xs: Floats, ys: Floats) -> list[Event]:
        """Take frames and their outputs, as `Decoder.feed`."""
        events: list[Event] = []
        for at, y in enumerate(ys[:, self._first : self._end].astype(np.float64), seq):
            length = math.sqrt(float((y * y).sum()))
            if 0.0 < length < math.inf and self._names:
                cosines = (self._enrolled * y).sum(axis=1) / length
                best = int(cosines.argmax())
                self._hear(at, best, float(cosines[best]), events)
        return events

    def finish(self, seq: int) -> list[Event]:
        """Nothing is ever open; what comes is heard anew."""
        self.reset()
        return []

    def reset(self) -> None:
        """Be as one that has seen nothing."""
        self._now = _State()

    def state(self) -> bytes:
        """Everything that `feed` changes."""
        return write_record(self._now)

    def restore(self, state: bytes) -> None:
        """Go on from a state; on an error nothing has changed.

        Raises:
            SnapshotError: it is none of a decoder with these settings.
        """
        now, n = read_record(state, _State), len(self._names)
        check_state(-1 <= now.told < n and -1 <= now.nearest < n, "a speaker")
        check_state(now.begun is None or 0 <= now.begun <= MAX_SEQ, "a seq")
        check_state(0 <= now.since <= MAX_SEQ, "a seq")
        self._now = now

    def _hear(self, at: int, best: int, cosine: float, events: list[Event]) -> None:
        now = self._now
        nearest = best if cosine >= self._threshold else _NOBODY
        if now.begun is None:
            now.begun, now.nearest, now.since = at, nearest, at
        if nearest != now.nearest:
            now.nearest, now.since = nearest, at
        has_held = at - now.since + 1 >= self._hold and at - now.begun + 1 >= self._min
        if nearest != now.told and has_held:
            now.told = nearest
            name = self._names[nearest] if nearest >= 0 else ""
            events.append(Event("speaker", at, name, max(0.0, min(cosine, 1.0)), nearest))
