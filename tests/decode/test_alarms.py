"""The anomaly decoder: the events of its score, and what it does with values that are none."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.decode.alarms import AnomalyDecoder
from streamrnn.decode.anomaly import STATE_SIZE, AnomalyScore, AnomalySettings
from streamrnn.decode.decoder import Facts
from streamrnn.decode.event import Event
from streamrnn.decode.settings import AnomalyDecoding
from streamrnn.errors import OptionError, SnapshotError

SCORE = AnomalySettings(long_frames=200, warmup_frames=40, refractory_frames=5)
SETTINGS = AnomalyDecoding(SCORE, input_column=1, output_column=2)
FACTS = Facts(2, 3)


def series(n: int = 300, fault: slice = slice(200, 210)) -> tuple[np.ndarray, np.ndarray]:
    """Noise that is predicted as 0, with a jump; what is in other columns is no number."""
    xs, ys = np.full((n, 2), np.nan, dtype=np.float32), np.full((n, 3), np.nan, dtype=np.float32)
    xs[:, 1] = np.random.default_rng(3).standard_normal(n)
    xs[fault, 1] += 20.0
    ys[:, 2] = 0.0
    return xs, ys


def test_an_anomaly_begins_and_is_over_where_the_score_says_so():
    xs, ys = series()
    score, expected, is_up = AnomalyScore(SCORE), [], False
    for at, value in enumerate(xs[:, 1].tolist()):
        verdict = score.frame(value, 0.0)
        if verdict.onset:
            expected.append(Event("anomaly", at, score=verdict.score))
        elif is_up and not verdict.flag:
            expected.append(Event("clear", at, score=verdict.score))
        is_up = verdict.flag
    assert [event.kind for event in expected] == ["anomaly", "clear"] and 200 <= expected[0].seq < 203
    assert AnomalyDecoder(SETTINGS, FACTS).feed(0, xs, ys) == expected


def test_what_is_open_at_the_end_is_cleared():
    xs, ys = series(205)
    decoder = AnomalyDecoder(SETTINGS, FACTS)
    assert [event.kind for event in decoder.feed(0, xs, ys)] == ["anomaly"]
    assert decoder.finish(205) == [Event("clear", 204, cause="finish")]
    assert decoder.finish(206) == []


def test_a_forecast_is_not_held_against_a_later_frame():
    """A series that alternates, as it is forecast to: only where a frame is missing is the forecast for another one."""
    n = 120
    xs, ys = series(n, slice(0, 0))
    swing = np.where(np.arange(n) % 2, 50.0, -50.0)
    xs[:, 1] += swing
    ys[:, 2] = -swing
    decoder, deaf = AnomalyDecoder(SETTINGS, FACTS), AnomalyDecoder(SETTINGS, FACTS)
    for each in (decoder, deaf):
        assert each.feed(0, xs, ys) == []
    assert decoder.feed(n + 1, xs[1:3], ys[1:3]) == []
    assert [event.kind for event in deaf.feed(n, xs[1:3], ys[1:3])] == ["anomaly"]


def test_a_quantile_of_the_scores_raises_the_threshold():
    """Faults that come all the time are no news any more where the threshold is a quantile of the scores."""
    n = 1000
    xs, ys = series(n, slice(0, 0))
    xs[50::25, 1] += np.linspace(8.0, 12.0, len(xs[50::25]))[::-1]
    fine = AnomalySettings(200, 6, 24, 40, full_digits=300.0, threshold=0.01, release=0.005, refractory_frames=5)
    n_alarms = []
    for share in (0.0, 0.98):
        settings = AnomalyDecoding(fine, 1, 2, level_quantile=share)
        n_alarms.append(sum(event.kind == "anomaly" for event in AnomalyDecoder(settings, FACTS).feed(0, xs, ys)))
    assert n_alarms[0] > n_alarms[1] > 0


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (AnomalyDecoding(input_column=2), "input_column"),
        (AnomalyDecoding(output_column=-1), "output_column"),
        (AnomalyDecoding(level_quantile=1.0), "level_quantile"),
        (AnomalyDecoding(level_quantile=float("nan")), "level_quantile"),
    ],
)
def test_a_setting_that_is_wrong_is_named(settings, field):
    with pytest.raises(OptionError, match=field):
        AnomalyDecoder(settings, FACTS)


@pytest.mark.parametrize("place", range(STATE_SIZE - 3))
def test_a_state_that_no_series_leaves_is_refused(place):
    decoder = AnomalyDecoder(SETTINGS, FACTS)
    state = decoder.state()
    row = AnomalyScore(SCORE).state
    wrong = row.copy()
    wrong[place] = -1e30
    assert row.tobytes() in state
    with pytest.raises(SnapshotError):
        decoder.restore(state.replace(row.tobytes(), wrong.tobytes()))
    assert decoder.state() == state
