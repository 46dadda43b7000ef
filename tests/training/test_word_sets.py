"""Sets of words and voices: parts do not meet, sizes are those of the data set, what is missing is said."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.training.conftest import folder_or_skip
from training.data import DataMissing
from training.sets import an4, speech_commands, wakeword
from training.sets.an4 import Utterance, by_speaker

PARTS = ("train", "validation", "test")


def test_a_speaker_of_commands_is_in_one_part():
    folder = folder_or_skip(speech_commands.SPEECH_COMMANDS)
    clips = {part: speech_commands.command_clips(folder, part) for part in PARTS}
    speakers = [{clip.speaker for clip in own if clip.speaker} for own in clips.values()]
    assert not speakers[0] & speakers[1] and not speakers[0] & speakers[2] and not speakers[1] & speakers[2]
    counts = sum((Counter(clip.label for clip in own) for own in clips.values()), Counter())
    assert counts == {"yes": 419, "no": 405, "stop": 411, "_unknown_": 408, "_silence_": 120}
    assert [sum(clip.label == "_silence_" for clip in clips[part]) for part in PARTS] == [96, 12, 12]
    assert all(clip.word not in ("yes", "no", "stop") for clip in clips["test"] if clip.label == "_unknown_")


def test_the_part_of_a_speaker_is_its_last_digit():
    assert [speech_commands.part_of(one) for one in ("0000000a", "0000000b", "0000000c")] == [
        "test",
        "validation",
        "train",
    ]


def test_wake_words_are_parted_by_number():
    folder = folder_or_skip(wakeword.WAKEWORD)
    counts = [Counter(clip.word for clip in wakeword.wake_clips(folder, part)) for part in PARTS]
    assert [one["alexa"] for one in counts] == [220, 46, 49]
    assert all([one[word] for one in counts] == [14, 3, 3] for word in wakeword.OTHERS)


def test_the_speakers_of_an4_are_those_of_the_official_parts():
    folder = folder_or_skip(an4.AN4)
    known, unseen = an4.an4_utterances(folder, "train"), an4.an4_utterances(folder, "test")
    assert len({one.speaker for one in known}) == 74 and len({one.speaker for one in unseen}) == 10
    assert not {one.speaker for one in known} & {one.speaker for one in unseen}
    assert known[0].features.shape[1] == an4.N_CEPSTRA
    assert {part: len(own) for part, own in by_speaker(known).items()} == {"train": 726, "validation": 74, "test": 148}


def test_the_last_utterances_of_a_speaker_are_the_test():
    utterances = [Utterance(f"an{i}-{who}-b", who, None) for i in range(5) for who in ("x", "y")]
    parts = by_speaker(utterances)
    assert [one.name for one in parts["test"]] == ["an3-x-b", "an4-x-b", "an3-y-b", "an4-y-b"]
    assert [one.name for one in parts["validation"]] == ["an2-x-b", "an2-y-b"] and len(parts["train"]) == 4


@pytest.mark.parametrize(
    ("load", "what"),
    [
        (lambda folder: speech_commands.command_clips(folder, "test"), "_silence_"),
        (lambda folder: wakeword.wake_clips(folder, "test"), "alexa"),
        (lambda folder: an4.an4_utterances(folder, "test"), "an4_mfcc_test.npz"),
    ],
)
def test_what_is_missing_is_said(load, what, tmp_path):
    with pytest.raises(DataMissing, match=what):
        load(tmp_path)
