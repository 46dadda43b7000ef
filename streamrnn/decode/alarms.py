"""Anomaly decoder: alarms that begin and end, from a predictor of the next value."""

from __future__ import annotations

import math

import numpy as np

from streamrnn.decode.anomaly import FORECAST, STATE_SIZE, AnomalyScore
from streamrnn.decode.decoder import Facts, Floats
from streamrnn.decode.event import Event
from streamrnn.decode.quantile import Quantile
from streamrnn.decode.ranges import check_range
from streamrnn.decode.record import MAX_SEQ, Record, check_state, read_record, write_record
from streamrnn.decode.settings import AnomalyDecoding
from streamrnn.errors import OptionError, SnapshotError

_LARGEST = 1e14
"""What is in a score's state, the forecast apart, is below: residuals count as at most 1e6, and are squared."""


class _State(Record, tag="anomaly1"):
    """What a frame changes.

    Attributes:
        score: the state of the `AnomalyScore`, (10,) little-endian float32.
        quantile: of the scores so far.
        heard: seq of the last frame that was not passed over, None: none was.
        is_open: whether an anomaly was told whose end was not.
    """

    score: bytes
    quantile: Quantile
    heard: int | None = None
    is_open: bool = False


class AnomalyDecoder:
    """Events `anomaly` where one begins and `clear` where the score has fallen below `release`.

    A frame whose value or forecast is NaN or infinite is passed over, as a missing one: the frame after it is not
    scored, since what was predicted was not for it. With `level_quantile` only scores after the warm-up count.
    """

    effort = 0

    def __init__(self, settings: AnomalyDecoding, facts: Facts) -> None:
        """Start afresh.

        Raises:
            OptionError: a setting is out of range, or does not fit the model.
        """
        check_range("input_column", settings.input_column, 0, facts.input_size - 1)
        check_range("output_column", settings.output_column, 0, facts.output_size - 1)
        if not 0.0 <= settings.level_quantile < 1.0:
            got = f"got {settings.level_quantile}"
            raise OptionError(f"decoder: expected level_quantile of 0 to below 1, {got}", field="level_quantile")
        self._settings = settings
        self.reset()

    def feed(self, seq: int, xs: Floats, ys: Floats) -> list[Event]:
        """Take frames and their outputs, as `Decoder.feed`."""
        events: list[Event] = []
        observed = xs[:, self._settings.input_column].tolist()
        forecasts = ys[:, self._settings.output_column].tolist()
        for at, (value, forecast) in enumerate(zip(observed, forecasts, strict=True), seq):
            if math.isfinite(value) and math.isfinite(forecast):
                self._hear(at, value, forecast, events)
        return events

    def finish(self, seq: int) -> list[Event]:
        """An anomaly that is open ends with the recording; what comes is heard anew."""
        events = [Event("clear", max(0, seq - 1), cause="finish")] if self._is_open else []
        self.reset()
        return events

    def reset(self) -> None:
        """Be as one that has seen nothing."""
        self._score = AnomalyScore(self._settings.score)
        self._quantile = Quantile(self._settings.level_quantile)
        self._heard: int | None = None
        self._is_open = False

    def state(self) -> bytes:
        """Everything that `feed` changes."""
        score = self._score.state.astype("<f4").tobytes()
        return write_record(_State(score, self._quantile, self._heard, self._is_open))

    def restore(self, state: bytes) -> None:
        """Go on from a state; on an error nothing has changed.

        Raises:
            SnapshotError: it is none of a decoder with these settings.
        """
        now = read_record(state, _State)
        now.quantile.check(self._settings.level_quantile)
        check_state(now.heard is None or 0 <= now.heard <= MAX_SEQ, "a seq")
        if len(now.score) != 4 * STATE_SIZE:
            raise SnapshotError(f"the decoder's state: {len(now.score)} bytes are no anomaly score")
        score = np.frombuffer(now.score, "<f4").astype(np.float32)
        check_state(bool((np.abs(score[:FORECAST]) < _LARGEST).all()), "an anomaly score")
        check_state(0.0 <= float(score[0]) <= self._settings.score.long_frames, "an anomaly score")
        self._score = AnomalyScore(self._settings.score, score)
        self._quantile, self._heard, self._is_open = now.quantile, now.heard, now.is_open

    def _hear(self, at: int, value: float, forecast: float, events: list[Event]) -> None:
        if self._heard is not None and at != self._heard + 1:
            self._score.skip()
        self._heard = at
        has_score = self._score.is_warm and not self._score.is_blind
        threshold = max(self._settings.score.threshold, self._quantile.value)
        verdict = self._score.frame(value, forecast, threshold)
        if has_score and self._settings.level_quantile:
            self._quantile.add(verdict.score)
        if verdict.onset and not self._is_open:
            self._is_open = True
            events.append(Event("anomaly", at, score=verdict.score))
        elif self._is_open and not verdict.flag:
            self._is_open = False
            events.append(Event("clear", at, score=verdict.score))
