"""Anomaly score: how unlikely the last residuals of a next-value predictor are, as a number from 0 to 1.

The residual is what was observed less what was predicted. Two statistics of a short window are held against the long
run: the level (mean of the residuals: a drop, a drift the predictor does not follow) and the spread (mean square of
their differences: a stuck sensor is too quiet, a failing one too noisy). The score is the smaller of the two tail
probabilities on a logarithmic scale, as in the anomaly likelihood of Lavin and Ahmad.

Windows are exponential, so the state is ten floats of one session, whatever the windows' lengths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import FrameError, OptionError, SnapshotError

STATE_SIZE = 10
"""Floats in a session's state; the names of the places follow."""

_COUNT, _MEAN, _VARIANCE, _LEVEL, _PREVIOUS, _SPREAD, _LONG_SPREAD, _FORECAST, _FLAG, _SINCE_ONSET = range(STATE_SIZE)

FORECAST = _FORECAST
"""Place of the forecast; what comes before it are statistics of residuals."""

_FLOAT32_MAX = float(np.finfo(np.float32).max)

_LARGEST = 1e6
"""A residual counts as at most this, so that no place of the state overflows."""

_TINY = 1e-12
"""Least variance, so that a series without any noise divides by something."""

_SPREAD_FREEDOM = 2.0 / 3.0
"""Degrees of freedom a frame adds to the spread: differences of neighbours are correlated by -1/2."""


@dataclass(frozen=True)
class AnomalySettings:
    """What the score remembers and when it flags.

    Attributes:
        long_frames: memory of the long run, in frames.
        level_frames: window of the level, in frames.
        spread_frames: window of the spread, in frames.
        warmup_frames: frames before the first score; until then the score is 0 and nothing is flagged.
        clip_deviations: a residual changes the long run by at most this many standard deviations (> 0), so that an
            anomaly does not soon look normal.
        full_digits: the tail probability 10 ** -full_digits and all below it score 1 (0 < full_digits <= 300).
        threshold: the flag goes up at this score, 0 < threshold <= 1.
        release: the flag goes down below this score, 0 <= release <= threshold.
        refractory_frames: after an onset, frames before the next one (>= 0); the flag follows the score all the same.
        scale, shift: what is observed counts as observed * scale + shift; for a model that normalises its raw input
            itself, its normaliser's numbers, so that frame and forecast are in the same units.

    Raises:
        OptionError: a value is out of range; it names the field.
    """

    long_frames: int = 1152
    level_frames: int = 6
    spread_frames: int = 24
    warmup_frames: int = 144
    clip_deviations: float = 4.0
    full_digits: float = 20.0
    threshold: float = 0.5
    release: float = 0.2
    refractory_frames: int = 72
    scale: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        whole, most = 2**24, math.inf
        for name, low, high in (
            ("long_frames", 1, whole),
            ("level_frames", 1, whole),
            ("spread_frames", 1, whole),
            ("warmup_frames", 1, self.long_frames),
            ("clip_deviations", _TINY, most),
            ("full_digits", _TINY, 300.0),
            ("threshold", _TINY, 1.0),
            ("release", 0.0, self.threshold),
            ("refractory_frames", 0, whole - 1),
            ("scale", -most, most),
            ("shift", -most, most),
        ):
            value = getattr(self, name)
            if not (low <= value <= high and math.isfinite(value)):
                raise OptionError(f"{name} must be {low:g} .. {high:g}, not {value}", field=name)


class Verdict(NamedTuple):
    """The answer to one frame: the score (0 .. 1), whether the flag is up, and whether an anomaly begins here."""

    score: float
    flag: bool
    onset: bool


class AnomalyScore:
    """One session's score; everything a frame changes is in `state`.

    Attributes:
        settings: see `AnomalySettings`.
        state: (10,) float32, updated in place; a copy of it, put into another AnomalyScore of the same settings,
            gives the same verdicts bit for bit.

    Source: Lavin and Ahmad, "Evaluating real-time anomaly detection algorithms: the Numenta Anomaly Benchmark", 2015,
    section II (short mean against the long run's normal distribution). We differ: exponential windows, both tails, the
    spread beside the level, and no update of the long run by more than a few deviations.
    """

    def __init__(self, settings: AnomalySettings | None = None, state: NDArray[np.float32] | None = None) -> None:
        """Start afresh, or go on from a copy of `state`.

        Raises:
            SnapshotError: `state` is not (10,) float32 or holds a value that is not finite.
        """
        self.settings = settings if settings is not None else AnomalySettings()
        self.state = np.zeros(STATE_SIZE, dtype=np.float32)
        self.reset()
        if state is not None:
            self.restore(state)

    def reset(self) -> None:
        """Forget everything."""
        self.state[:] = 0.0
        self.state[_FORECAST] = np.nan
        self.state[_SINCE_ONSET] = self.settings.refractory_frames

    def snapshot(self) -> NDArray[np.float32]:
        """Give a copy of the state, (10,) float32."""
        return self.state.copy()

    def restore(self, state: NDArray[np.float32]) -> None:
        """Go on from a snapshot; on an error nothing has changed.

        Raises:
            SnapshotError: as in `__init__`.
        """
        if state.shape != (STATE_SIZE,) or state.dtype != np.float32:
            raise SnapshotError(f"the anomaly state is ({STATE_SIZE},) float32, not {state.shape} {state.dtype}")
        usable = np.isfinite(state)
        usable[_FORECAST] |= bool(np.isnan(state[_FORECAST]))
        if not usable.all():
            raise SnapshotError("the anomaly state holds a value that is not finite")
        self.state[:] = state

    @property
    def is_warm(self) -> bool:
        """Whether the warm-up is over, so that the next frame gets a score."""
        return bool(self.state[_COUNT] >= self.settings.warmup_frames)

    @property
    def is_blind(self) -> bool:
        """Whether there is no forecast for the next frame, so that it gets no score."""
        return bool(np.isnan(self.state[_FORECAST]))

    def skip(self) -> None:
        """A frame is missing: the forecast that is kept was not for the frame that comes next."""
        self.state[_FORECAST] = np.nan

    def frame(self, observed: float, forecast: float, threshold: float | None = None) -> Verdict:
        """Score a frame against the forecast given with the frame before, and keep this frame's forecast.

        Args:
            observed: the frame's value, before `scale` and `shift`.
            forecast: the model's output for this frame, that is its prediction of the next value.
            threshold: as in `step`.

        Raises:
            FrameError: one of them is not a finite float32; the state is unchanged.
        """
        _check_finite("forecast", forecast)
        predicted = float(self.state[_FORECAST])
        verdict = self.step(observed, None if predicted != predicted else predicted, threshold)
        self.state[_FORECAST] = forecast
        return verdict

    def step(self, observed: float, predicted: float | None, threshold: float | None = None) -> Verdict:
        """Score an observed value against its prediction.

        Args:
            observed: the value, before `scale` and `shift`.
            predicted: what was predicted for this value one frame ago, in the units of the scaled value; None where
                nothing was (the first frame).
            threshold: at which the flag goes up, in place of the settings'.

        Raises:
            FrameError: one of them is not a finite float32; the state is unchanged.
        """
        _check_finite("observed value", observed)
        if predicted is None:
            return Verdict(0.0, bool(self.state[_FLAG]), False)
        _check_finite("prediction", predicted)
        residual = observed * self.settings.scale + self.settings.shift - predicted
        places: list[float] = self.state.tolist()
        score = _score(places, max(-_LARGEST, min(_LARGEST, residual)), self.settings)
        verdict = _decide(places, score, self.settings, self.settings.threshold if threshold is None else threshold)
        self.state[:] = places
        return verdict


def _score(places: list[float], residual: float, settings: AnomalySettings) -> float:
    """Take one residual into the state's places (in place) and give the score of the windows that end with it."""
    count, mean, variance, long_spread = places[_COUNT], places[_MEAN], places[_VARIANCE], places[_LONG_SPREAD]
    variance, long_spread = max(variance, _TINY), max(long_spread, _TINY)
    is_warm = count >= settings.warmup_frames
    distance = residual - mean
    change = (residual - places[_PREVIOUS]) ** 2 / 2.0 if count else 0.0
    level = _towards(places[_LEVEL], distance, 2.0 / (settings.level_frames + 1))
    if is_warm:  # the level has seen the whole distance; the long run and the spread see it clipped
        bound = settings.clip_deviations * math.sqrt(variance)
        distance = max(-bound, min(bound, distance))
        change = min(change, settings.clip_deviations**2 * long_spread)
    spread = _towards(places[_SPREAD], change, 2.0 / (settings.spread_frames + 1))

    count = min(count + 1.0, settings.long_frames)
    pace = 1.0 / count
    places[_COUNT] = count
    places[_MEAN] = mean + pace * distance
    places[_VARIANCE] = (1.0 - pace) * (variance + pace * distance * distance)
    places[_LEVEL] = level
    places[_PREVIOUS] = residual
    places[_SPREAD] = spread
    places[_LONG_SPREAD] = _towards(long_spread, change, pace)
    if not is_warm:
        return 0.0
    by_level = _tail_digits(level * math.sqrt(settings.level_frames / variance))
    by_spread = _tail_digits(_spread_deviations(spread / long_spread, settings.spread_frames))
    return min(1.0, max(by_level, by_spread) / settings.full_digits)


def _decide(places: list[float], score: float, settings: AnomalySettings, threshold: float) -> Verdict:
    """Turn a score into a flag with hysteresis, and its rise into an onset unless one was just before."""
    was_up = bool(places[_FLAG])
    is_up = score >= (settings.release if was_up else threshold)
    since = min(places[_SINCE_ONSET] + 1.0, settings.refractory_frames + 1.0)
    is_onset = is_up and not was_up and since > settings.refractory_frames
    places[_FLAG] = float(is_up)
    places[_SINCE_ONSET] = 0.0 if is_onset else since
    return Verdict(score, is_up, is_onset)


def _check_finite(what: str, value: float) -> None:
    if not abs(value) <= _FLOAT32_MAX:
        raise FrameError(f"the {what} must be a finite float32, not {value}")


def _towards(value: float, target: float, share: float) -> float:
    return value + share * (target - value)


def _tail_digits(deviations: float) -> float:
    """Give -log10 of the two-sided tail probability of a standard normal beyond `deviations`."""
    tail = math.erfc(abs(deviations) / math.sqrt(2.0))
    return -math.log10(tail) if tail > 0.0 else math.inf


def _spread_deviations(ratio: float, n_frames: int) -> float:
    """Give how many standard deviations the short spread lies from the long one, from their ratio.

    Source: Wilson and Hilferty, "The distribution of chi-square", PNAS 17, 1931: the cube root of chi-square / freedom
    is nearly normal.
    """
    shrink = 2.0 / (9.0 * max(1.0, n_frames * _SPREAD_FREEDOM))
    return (math.cbrt(ratio) - (1.0 - shrink)) / math.sqrt(shrink)
