"""Connected words: clips stand where their ends say, and test utterances are those of their seed."""

from __future__ import annotations

import numpy as np
import pytest

from training.speech.connected import Plan, Utterance, join
from training.speech.ctc import Emission
from training.speech.transcription import (
    Transcript,
    delays_ms,
    error_percent,
    transcribe,
    transcribe_unbroken,
    word_error_percent,
)

SPEAKER = [[np.full(100 * (word + 1), 0.1 * (word + 1), np.float32)] for word in range(3)]


def said(*words: int, ends: tuple[int, ...] = (), n: int = 10) -> Utterance:
    return Utterance(np.zeros(n, np.float32), words, ends or tuple(range(1, len(words) + 1)))


def test_clips_are_joined_with_their_gaps():
    ones, twos = np.ones(3, np.float32), np.full(2, 2.0, np.float32)
    joined = join([ones, twos, ones], [4, 5, 6], [2, 1, -1], 2)
    assert joined.samples.tolist() == [0, 0, 1, 1, 1, 0, 2, 3, 1, 1, 0, 0]
    assert joined.words == (4, 5, 6) and joined.ends == (5, 8, 10)


def test_nothing_said_is_silence():
    assert join([], [], [], 4).samples.tolist() == [0.0] * 4


def test_utterances_keep_to_their_plan():
    plan = Plan(n_words=(2, 4), gap_s=(0.05, 0.1), around_s=(0.2, 0.3), floor=0.0)
    drawn = plan.utterances({"b": SPEAKER, "a": SPEAKER}, 40, seed=1)
    assert [one.speaker for one in drawn[:4]] == ["a", "b", "a", "b"]
    assert {len(one.words) for one in drawn} == {2, 3, 4}
    for one in drawn:
        at = 0
        for i, (word, end) in enumerate(zip(one.words, one.ends, strict=True)):
            clip = SPEAKER[word][0]
            gap = end - len(clip) - at
            assert (1600 <= gap <= 2400) if i == 0 else (400 <= gap <= 800)
            assert np.array_equal(one.samples[end - len(clip) : end], clip)
            at = end
        assert 1600 <= len(one.samples) - at <= 2400 and not one.samples[at:].any()


def test_the_seed_makes_the_utterances():
    one, again, other = (Plan().utterances({"a": SPEAKER}, 3, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(one, again, strict=True))
    assert not all(len(a.samples) == len(b.samples) for a, b in zip(one, other, strict=True))
    assert 0.5e-3 < one[0].samples[:1000].std() < 2e-3, "there is a floor of noise"


def test_word_error_rates():
    assert word_error_percent([((1, 2, 3, 4), (1, 2, 3, 4))]) == 0.0
    assert word_error_percent([((1, 2, 3, 4), (1, 3, 4))]) == pytest.approx(25.0)
    assert word_error_percent([((1, 2), (1, 2, 2)), ((3, 4), ())]) == pytest.approx(75.0)
    assert word_error_percent([((1, 2), (1, 2)), ((), (5,))]) == pytest.approx(50.0), "what nobody said counts"


def test_transcripts_and_their_delays():
    outputs = np.log(np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]], np.float32))
    right, wrong = said(0, 1, ends=(15, 45), n=40), said(1, 1, ends=(5, 45), n=40)
    transcripts = transcribe([right, wrong], lambda samples: outputs)
    assert transcripts[0].emissions == (Emission(0, 1), Emission(1, 3))
    assert [one.is_right for one in transcripts] == [True, False]
    assert error_percent(transcripts) == pytest.approx(25.0)
    assert delays_ms(transcripts, frame=10, rate_hz=1000).tolist() == [5.0, -5.0]


def test_an_unbroken_session_hears_all_in_order():
    one, two = said(0, ends=(4,), n=10), said(1, ends=(6,), n=20)
    heard: list[int] = []

    def outputs(samples):
        heard.append(len(samples))
        return np.zeros((0, 3), np.float32)

    whole = transcribe_unbroken([one, two], outputs)
    assert heard == [30] and whole.utterance.words == (0, 1) and whole.utterance.ends == (4, 16)
    assert isinstance(whole, Transcript) and whole.words == ()
