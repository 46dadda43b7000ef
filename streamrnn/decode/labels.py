"""Label decoder: which class holds, or which keyword was said.

Smoothing is a running sum over a ring of fixed-point numbers: a sum of integers is exact, so it neither drifts over an
endless recording nor depends on where it was taken up again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import field

from streamrnn.decode.decoder import Facts, Floats
from streamrnn.decode.event import Event
from streamrnn.decode.posteriors import Posteriors, Row
from streamrnn.decode.ranges import check_choice, check_range
from streamrnn.decode.record import MAX_SEQ, Record, check_state, read_record, write_record
from streamrnn.decode.settings import LabelSettings
from streamrnn.errors import OptionError

_ONE = 2**30
"""A probability of 1 as fixed-point number."""

_MAX_WINDOW = 10_000
"""Most frames of the mean."""


class _State(Record, tag="labels1"):
    """What a frame changes.

    Attributes:
        ring: fixed-point probabilities of the last frames, the oldest first; empty without smoothing.
        armed: by place among the watched labels, whether a keyword may fire.
        holding: place of the label that holds, -1: none.
        fired: seq of the last event, None: there was none.
    """

    ring: list[list[int]] = field(default_factory=list)
    armed: list[bool] = field(default_factory=list)
    holding: int = -1
    fired: int | None = None


class LabelDecoder:
    """Events `keyword` or `label` from one posterior a label, see `LabelSettings`.

    A score is the mean over the last frames, at the beginning over as many as there were. In mode `keyword` a label
    whose score reaches its threshold too soon after another event is not lost: it fires when the refractory time is
    over, if it still reaches it. In mode `label` the highest of the scores that reach their threshold holds; `release`
    counts for nothing. An unknown row is passed over.

    Source: Chen, Parada and Heigold, "Small-footprint keyword spotting using deep neural networks", 2014, section 2.3
    (smoothing). We differ: each label has a threshold of its own, there are no sequences of labels.
    """

    effort = 0

    def __init__(self, settings: LabelSettings, facts: Facts) -> None:
        """Start afresh.

        Raises:
            OptionError: a setting is out of range, or names a label that the model does not have.
        """
        check_choice("mode", settings.mode, ("keyword", "label"))
        self._posteriors = Posteriors(settings.head, settings.input, facts)
        self._names = facts.names(settings.head)
        _check_names("thresholds", settings.thresholds, self._names)
        _check_names("ignored", settings.ignored, self._names)
        self._watched = [i for i, name in enumerate(self._names) if name not in settings.ignored]
        self._thresholds = [settings.thresholds.get(self._names[i], settings.threshold) for i in self._watched]
        for threshold in (settings.threshold, *self._thresholds):
            check_range("threshold", threshold, 0.0, 1.0)
        check_range("release", settings.release, 0.0, settings.threshold if settings.mode == "keyword" else 1.0)
        self._releases = [min(settings.release, threshold) for threshold in self._thresholds]
        self._window = facts.frames("smooth_s", settings.smooth_s)
        check_range("frames of smooth_s", self._window, 0, _MAX_WINDOW)
        self._refractory = facts.frames("refractory_s", settings.refractory_s)
        self._is_keyword = settings.mode == "keyword"
        self.reset()

    def feed(self, seq: int, xs: Floats, ys: Floats) -> list[Event]:
        """Take frames and their outputs, as `Decoder.feed`."""
        events: list[Event] = []
        hear = self._hear_keywords if self._is_keyword else self._hear_labels
        for at, row in enumerate(self._posteriors.probabilities(ys), seq):
            if row is not None:
                scores = [row[i] for i in self._watched]
                hear(at, self._smoothed(scores) if self._window > 1 else scores, events)
        return events

    def finish(self, seq: int) -> list[Event]:
        """Nothing is ever open; what comes is heard anew."""
        self.reset()
        return []

    def reset(self) -> None:
        """Be as one that has seen nothing."""
        self._now = _State(armed=[True] * len(self._watched))
        self._sums = [0] * len(self._watched)

    def state(self) -> bytes:
        """Everything that `feed` changes."""
        return write_record(self._now)

    def restore(self, state: bytes) -> None:
        """Go on from a state; on an error nothing has changed.

        Raises:
            SnapshotError: it is none of a decoder with these settings.
        """
        now, n = read_record(state, _State), len(self._watched)
        check_state(len(now.ring) <= (self._window if self._window > 1 else 0), "a ring")
        check_state(all(len(row) == n and all(0 <= p <= _ONE for p in row) for row in now.ring), "a ring")
        check_state(len(now.armed) == n and -1 <= now.holding < n, "labels")
        check_state(now.fired is None or 0 <= now.fired <= MAX_SEQ, "a seq")
        self._now = now
        self._sums = [sum(column) for column in zip(*now.ring, strict=True)] if now.ring else [0] * n

    def _smoothed(self, scores: Row) -> Row:
        ring, new = self._now.ring, [int(score * _ONE + 0.5) for score in scores]
        old = ring.pop(0) if len(ring) == self._window else [0] * len(new)
        ring.append(new)
        self._sums = [total + a - b for total, a, b in zip(self._sums, new, old, strict=True)]
        scale = 1.0 / (_ONE * len(ring))
        return [min(total * scale, 1.0) for total in self._sums]

    def _hear_keywords(self, at: int, scores: Row, events: list[Event]) -> None:
        now, reached = self._now, []
        for place, score in enumerate(scores):
            if now.armed[place]:
                if score >= self._thresholds[place]:
                    reached.append(place)
            elif score < self._releases[place]:
                now.armed[place] = True
        if len(reached) > 1:
            reached.sort(key=scores.__getitem__, reverse=True)
        for place in reached:
            if not self._is_too_soon(at):
                now.armed[place] = False
                self._fire("keyword", at, place, scores, events)

    def _hear_labels(self, at: int, scores: Row, events: list[Event]) -> None:
        best = -1
        for place, score in enumerate(scores):
            if score >= self._thresholds[place] and (best < 0 or score > scores[best]):
                best = place
        if best >= 0 and best != self._now.holding and not self._is_too_soon(at):
            self._now.holding = best
            self._fire("label", at, best, scores, events)

    def _is_too_soon(self, at: int) -> bool:
        fired = self._now.fired
        return fired is not None and at - fired < self._refractory

    def _fire(self, kind: Literal["keyword", "label"], at: int, place: int, scores: Row, events: list[Event]) -> None:
        token = self._watched[place]
        self._now.fired = at
        events.append(Event(kind, at, self._names[token], scores[place], token))


def _check_names(setting: str, names: Iterable[str], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise OptionError(f"decoder: expected {setting} of labels of the model, got {name!r}", field=setting)
