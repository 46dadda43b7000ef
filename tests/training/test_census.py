"""The recogniser of AN4: padding changes no loss, sessions read what PyTorch reads, and mistakes counted by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

import streamrnn
from streamrnn.decode import CtcSettings
from training.sets.an4_text import Said
from training.speech.census_drill import Drill, Examination, Vocabulary, batch_of, moments
from training.speech.census_net import CensusNet
from training.speech.census_trial import (
    Mistakes,
    Read,
    by_speaker_unbroken,
    error_percent,
    frames_of,
    kind_of,
    most_frequent,
    percent_by_speaker,
    read_offline,
    read_streamed,
    right_percent,
)
from training.speech.ctc import ctc_loss

VOCABULARY = Vocabulary.of({"GO": ("G", "OW"), "A": ("EY",), "OH": ("OW",)})


def said(words: str, n_frames: int = 31, speaker: str = "x", seed: int = 0) -> Said:
    features = np.random.default_rng(seed).standard_normal((n_frames, 13)).astype(np.float32)
    return Said(speaker, features, tuple(words.split()))


def net() -> CensusNet:
    torch.manual_seed(0)
    one = CensusNet([0.5] * 13, [2.0] * 13, 3, 3, (6, 7), (8, 9), dropout=0.3).eval()
    with torch.no_grad():
        one.words.weight.mul_(20.0)  # so that it is sure of something, and says words
    return one


def test_words_and_phones_have_their_places():
    assert VOCABULARY.words == ("A", "GO", "OH") and VOCABULARY.phones == ("EY", "G", "OW")
    assert VOCABULARY.labels(("GO", "A")) == (1, 0) and VOCABULARY.phones_of((1, 0)) == [1, 2, 0]


def test_a_batch_is_padded_with_the_last_frame_to_whole_outputs():
    batch = batch_of([np.arange(26, dtype=np.float32).reshape(2, 13), np.ones((7, 13), np.float32)], [(0,), (1,)])
    assert batch.features.shape == (2, 9, 13) and batch.n_outputs == [1, 3]
    assert torch.equal(batch.features[0, 1:], batch.features[0, 1].expand(8, 13))


def test_padding_changes_no_loss():
    outputs = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    both = ctc_loss(outputs, [(0,), (1, 2)], [4, 6])
    alone = (ctc_loss(outputs[:1, :4], [(0,)]) + ctc_loss(outputs[1:], [(1, 2)])) / 2
    torch.testing.assert_close(both, alone)


def test_a_session_reads_what_pytorch_reads_and_the_card_tells_how():
    settings = CtcSettings()
    card = streamrnn.Card(labels=("<blank>", *VOCABULARY.words), rate_hz=100 / 3, decoder={"kind": "ctc"})
    model, utterance = streamrnn.from_torch(net(), card=card), said("GO", 302)
    assert (model.input_size, model.output_size, model.delay) == (39, 4, 0)
    streamed, offline = read_streamed(model, utterance), read_offline(net(), model, utterance, settings)
    assert streamed.outputs.shape == (100, 4)
    np.testing.assert_allclose(streamed.outputs, offline.outputs, atol=1e-5)
    assert streamed.words == offline.words and [one.kind for one in streamed.events]


def test_the_outputs_of_words_are_those_of_training():
    x = torch.from_numpy(said("GO").features[None, :30])
    one = net()
    words, phones = one.judged(one.sounds(one.normalise(x)))
    torch.testing.assert_close(words, one(x))
    assert phones.shape == (1, 10, 4)


def test_a_drill_teaches_and_the_examination_counts_errors_a_word():
    utterances = [said("GO A", 60, seed=1), said("OH", 45, seed=2), said("A", 50, "y", seed=3)]
    one, generator = net().train(), torch.Generator().manual_seed(0)
    drill = Drill(utterances, VOCABULARY, moments(utterances)[1], generator)
    optimiser = torch.optim.Adam(one.parameters(), lr=0.02)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        losses.append(drill(one))
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < losses[0]
    with torch.no_grad():
        one.words.weight.zero_()
        one.words.bias.copy_(torch.tensor([9.0, 0.0, 0.0, 0.0]))
    assert Examination(utterances, VOCABULARY)(one.eval()) == 1.0  # all blank: every word is missing


def test_short_utterances_of_one_speaker_are_joined():
    utterances = [said("GO", 30, "x", 1), said("A", 30, "y", 2)]
    drill = Drill(utterances, VOCABULARY, [1.0] * 13, torch.Generator().manual_seed(0))
    drawn = {drill._drawn(i)[1] for i in (0, 1) for _ in range(20)}
    assert drawn == {(1,), (1, 1), (0,), (0, 0)}


def test_frames_leave_out_a_rest_and_a_row_joins_a_speaker():
    assert frames_of(np.zeros((11, 13), np.float32)).shape == (3, 39)
    rows = by_speaker_unbroken([said("GO", 4, "y"), said("A", 3, "x"), said("OH OH", 5, "y")])
    assert [(one.speaker, len(one.features), one.words) for one in rows] == [
        ("x", 3, ("A",)),
        ("y", 9, ("GO", "OH", "OH")),
    ]


def test_mistakes_are_counted_by_kind():
    pairs = [(("GO", "B", "TWO"), ("GO", "D", "TWO")), (("FIVE", "A"), ("A", "A")), (("STOP",), ("STOP", "ONE"))]
    mistakes = Mistakes.of(pairs)
    assert mistakes.said == Counter({"letters": 2, "commands": 2, "numbers and the rest": 2})
    assert mistakes.taken_for == Counter({("B", "D"): 1, ("FIVE", "A"): 1}) and mistakes.inserted == 1
    assert mistakes.lost_percent == {"letters": 50.0, "commands": 0.0, "numbers and the rest": 50.0}
    assert [kind_of(word) for word in ("A", "RUBOUT", "JUNE")] == ["letters", "commands", "numbers and the rest"]


def test_error_rates_of_readings():
    def read(words: str, text: str, speaker: str) -> Read:
        final = streamrnn.decode.Event(
            "final", 1, text, words=tuple(streamrnn.decode.Word(word, 0, 1) for word in text.split())
        )
        return Read(tuple(words.split()), (final,), np.zeros((1, 4), np.float32), speaker)

    reads = [read("GO A", "GO A", "x"), read("OH A", "OH", "y"), read("A A A A", "A A A GO", "y")]
    assert error_percent(reads) == pytest.approx(25.0) and right_percent(reads) == pytest.approx(100 / 3)
    assert percent_by_speaker(reads) == pytest.approx({"x": 0.0, "y": 100 / 3})
    assert most_frequent([said("GO A"), said("A")]) == "A"
