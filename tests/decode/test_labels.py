"""The label decoder, by hand: thresholds, hysteresis, refractory time and smoothing."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.decode.decoder import Facts
from streamrnn.decode.event import Event
from streamrnn.decode.labels import LabelDecoder
from streamrnn.decode.settings import LabelSettings
from streamrnn.errors import OptionError

FACTS = Facts(1, 3, ("silence", "yes", "no"), rate_hz=10.0)


def hear(settings: LabelSettings, *rows: tuple[float, float]) -> list[tuple[int, str, float]]:
    """(seq, text, score) of the events for rows of posteriors of `yes` and `no`, exact in binary."""
    ys = np.array([(1.0 - yes - no, yes, no) for yes, no in rows], dtype=np.float32)
    events = LabelDecoder(settings, FACTS).feed(0, np.zeros((len(ys), 1), np.float32), ys)
    return [(event.seq, event.text, event.score) for event in events]


def keywords(**changes) -> LabelSettings:
    return LabelSettings(input="probability", ignored=("silence",), **changes)


def test_a_keyword_fires_once_until_it_is_released():
    rows = [(0.25, 0), (0.5, 0), (0.75, 0), (0.375, 0), (0.75, 0), (0.25, 0), (0.5, 0)]
    assert hear(keywords(threshold=0.5, release=0.3), *rows) == [(1, "yes", 0.5), (6, "yes", 0.5)]


def test_an_event_tells_the_label_and_its_place():
    ys = np.array([[0.0, 0.0, 0.75]], dtype=np.float32)
    assert LabelDecoder(keywords(), FACTS).feed(7, ys[:, :1], ys) == [Event("keyword", 7, "no", 0.75, token=2)]


def test_an_ignored_label_never_fires():
    assert hear(keywords(), (0.0, 0.0), (0.0, 0.0)) == []


def test_no_label_fires_within_the_refractory_time():
    rows = [(0.75, 0), (0, 0.75), (0, 0.75), (0, 0.75)]
    assert hear(keywords(refractory_s=0.3), *rows) == [(0, "yes", 0.75), (3, "no", 0.75)]
    assert hear(keywords(refractory_s=0.3), *rows[:3], (0, 0)) == [(0, "yes", 0.75)]


def test_of_two_keywords_in_one_frame_the_likelier_fires_first():
    both = (0.25, 0.5)
    assert hear(keywords(threshold=0.25, release=0.1), both) == [(0, "no", 0.5), (0, "yes", 0.25)]
    assert hear(keywords(threshold=0.25, release=0.1, refractory_s=1), both) == [(0, "no", 0.5)]


def test_a_label_can_have_its_own_threshold_and_its_release_is_not_above_it():
    settings = keywords(threshold=0.5, release=0.5, thresholds={"no": 0.125})
    assert hear(settings, (0, 0.125), (0, 0.25), (0, 0.0625), (0, 0.25)) == [(0, "no", 0.125), (3, "no", 0.25)]


def test_a_score_is_the_mean_of_the_last_frames():
    rows = [(0.5, 0), (0.5, 0), (0.25, 0), (1, 0), (1, 0)]
    assert hear(keywords(threshold=0.75, smooth_s=0.3), *rows) == [(4, "yes", 0.75)]
    assert hear(keywords(threshold=0.5, release=0.0, smooth_s=0.3), *rows) == [(0, "yes", 0.5)]


def test_a_label_holds_until_another_one_reaches_its_threshold():
    settings = keywords(mode="label", threshold=0.5)
    rows = [(0.25, 0.25), (0.5, 0), (0.25, 0.25), (0, 0), (0.75, 0), (0.25, 0.5), (0, 0.75)]
    assert hear(settings, *rows) == [(1, "yes", 0.5), (5, "no", 0.5)]
    ys = np.array([[0, 0.5, 0]], dtype=np.float32)
    assert LabelDecoder(settings, FACTS).feed(0, ys[:, :1], ys)[0].kind == "label"


def test_of_two_labels_above_the_threshold_the_likelier_holds():
    settings = keywords(mode="label", threshold=0.25)
    assert hear(settings, (0.5, 0.25), (0.25, 0.5), (0.25, 0.5)) == [(0, "yes", 0.5), (1, "no", 0.5)]


def test_a_label_does_not_change_within_the_refractory_time():
    settings = keywords(mode="label", refractory_s=0.2)
    assert hear(settings, (1, 0), (0, 1), (0, 1), (1, 0)) == [(0, "yes", 1.0), (2, "no", 1.0)]


def test_missing_frames_count_as_time():
    decoder = LabelDecoder(keywords(refractory_s=0.3), FACTS)
    ys = np.array([[0, 1, 0], [0, 0, 1]], dtype=np.float32)
    xs = ys[:, :1]
    assert len(decoder.feed(0, xs[:1], ys[:1])) == 1
    assert decoder.feed(2, xs[1:], ys[1:]) == []
    assert len(decoder.feed(3, xs[1:], ys[1:])) == 1


def test_a_model_without_labels_has_numbers_for_names():
    decoder = LabelDecoder(LabelSettings(input="probability", ignored=("0",)), Facts(1, 2))
    ys = np.array([[1, 0], [0, 1]], dtype=np.float32)
    assert decoder.feed(0, ys[:, :1], ys) == [Event("keyword", 1, "1", 1.0, token=1)]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (LabelSettings("word"), "mode"),
        (LabelSettings(input="odds"), "input"),
        (LabelSettings(threshold=1.5), "threshold"),
        (LabelSettings(threshold=float("nan")), "threshold"),
        (LabelSettings(threshold=0.2, release=0.3), "release"),
        (LabelSettings(thresholds={"maybe": 0.5}), "thresholds"),
        (LabelSettings(thresholds={"yes": -0.5}), "threshold"),
        (LabelSettings(smooth_s=-1.0), "smooth_s"),
        (LabelSettings(smooth_s=5000.0), "smooth_s"),
        (LabelSettings(refractory_s=float("inf")), "refractory_s"),
        (LabelSettings(ignored=("maybe",)), "ignored"),
        (LabelSettings(head="class"), "head"),
    ],
)
def test_a_setting_that_is_wrong_is_named(settings, field):
    with pytest.raises(OptionError, match=field):
        LabelDecoder(settings, FACTS)


def test_seconds_need_a_rate():
    with pytest.raises(OptionError, match="rate_hz"):
        LabelDecoder(LabelSettings(smooth_s=0.1), Facts(1, 3))
    LabelDecoder(LabelSettings(), Facts(1, 3))
