"""The translator: a token at a time it says what it says of whole sentences, and a session is whole at any frame."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import streamrnn
from training.sets.tatoeba import Sentence
from training.translation.interpreter import Interpreter, frames_of
from training.translation.offline_interpreter import OfflineInterpreter, until_end
from training.translation.sentence_pairs import SentencePairs
from training.translation.translator import END, GO, IGNORED, Sizes, Translator, TranslatorStep, smoothed_loss
from training.translation.vocabulary import Vocabulary

ENGLISH = ["she sells", "sea shells", "he sells shells", "see the sea shore"]
FRENCH = ["elle vend", "des coquillages", "il vend des coquillages", "vois le rivage"]
N_SLOTS, MAX_TOKENS = 6, 9


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.learn(ENGLISH, FRENCH, n_merges=20)


@pytest.fixture(scope="module")
def net(vocabulary) -> Translator:
    torch.manual_seed(1)
    net = Translator(Sizes(vocabulary.n_targets, vocabulary.n_tokens, N_SLOTS, 10, 12)).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2.0)  # so that what is attended to matters
    return net


@pytest.fixture(scope="module")
def model(net) -> streamrnn.Model:
    return streamrnn.from_torch(TranslatorStep(net).eval())


def engine_of(model: streamrnn.Model) -> streamrnn.Engine:
    engine = streamrnn.Engine()
    engine.add_model("m", model)
    return engine


def test_the_step_is_imported_and_proved(model, vocabulary):
    assert model.certificate.passed and model.certificate.call.endswith("stepwise")
    assert (model.n_tokens, model.output_size) == (vocabulary.n_tokens, vocabulary.n_targets)
    assert sum(region.size for region in model.program.regions) >= N_SLOTS * 12 + N_SLOTS + 2 * 12


def test_streamed_and_offline_say_the_same_in_one_session(model, net, vocabulary):
    ours, theirs = Interpreter(model, vocabulary, MAX_TOKENS), OfflineInterpreter(net, vocabulary, MAX_TOKENS)
    for english, french in zip(ENGLISH, FRENCH[::-1], strict=True):
        assert np.abs(ours.outputs(english, french) - theirs.outputs(english, french).numpy()).max() < 1e-5
    beamed, greedily = ours.translations(ENGLISH, 3, 0.5)
    assert greedily == theirs.greedy(ENGLISH)
    assert beamed == [theirs.beam(text, 3, 0.5) for text in ENGLISH]
    assert len(set(greedily)) > 1


def test_what_does_not_fit_into_the_slots_is_read_but_not_looked_at(model, net, vocabulary):
    long = " ".join(ENGLISH)
    assert len(vocabulary.source_tokens(long)) > N_SLOTS + 4
    ours, theirs = Interpreter(model, vocabulary, MAX_TOKENS), OfflineInterpreter(net, vocabulary, MAX_TOKENS)
    assert np.abs(ours.outputs(long, FRENCH[0]) - theirs.outputs(long, FRENCH[0]).numpy()).max() < 1e-5


def test_the_first_token_of_a_sentence_forgets_the_last_one(model, vocabulary):
    used, fresh = (engine_of(model).open("m") for _ in range(2))
    used.run(frames_of([*vocabulary.source_tokens(ENGLISH[3]), GO, *vocabulary.target_tokens(FRENCH[3])]))
    tokens = [*vocabulary.source_tokens(ENGLISH[0]), GO, *vocabulary.target_tokens(FRENCH[0])]
    assert np.array_equal(used.run(frames_of(tokens)), fresh.run(frames_of(tokens)))


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_a_snapshot_within_a_sentence_goes_on_in_another_engine(model, vocabulary, cut):
    frames = frames_of([*vocabulary.source_tokens(ENGLISH[2]), GO, *vocabulary.target_tokens(FRENCH[2])])
    assert len(frames) > 7
    whole = engine_of(model).open("m").run(frames)
    session = engine_of(model).open("m")
    session.run(frames[:cut])
    assert np.array_equal(engine_of(model).restore(session.snapshot()).run(frames[cut:]), whole[cut:])


def test_each_half_holds_still_while_the_other_steps(net):
    step, sizes = TranslatorStep(net).eval(), net.sizes
    with torch.no_grad():
        states = step.initial_state()
        for token in (sizes.start, sizes.start + 2, sizes.start + 3):
            _, *states = step(torch.tensor([token]), *states)
        filled, memory, read, said = states
        assert filled.tolist() == [[1, 1, 1, 0, 0, 0]]
        assert torch.equal(said, torch.tanh(net.bridge(read))) and not memory[:, 3:].any() and memory[:, :3].all()
        _, *after = step(torch.tensor([GO]), *states)
    assert all(torch.equal(a, b) for a, b in zip(after[:3], states[:3], strict=True))
    assert not torch.equal(after[3], said)


def test_padding_changes_no_output(net, vocabulary):
    alone = OfflineInterpreter(net, vocabulary, MAX_TOKENS)
    pairs = SentencePairs([Sentence(ENGLISH[0], (FRENCH[0],)), Sentence("sea", ("vend",))], vocabulary, N_SLOTS, 12)
    with torch.no_grad():
        outputs, _ = net(pairs.x)
    for row, (english, french) in enumerate([(ENGLISH[0], FRENCH[0]), ("sea", "vend")]):
        expected = alone.outputs(english, french)
        assert torch.allclose(outputs[row, : len(expected)], expected, atol=1e-5)


class TestSentencePairs:
    """Rows of tokens, and epochs of them."""

    def test_a_row_is_source_then_target_and_counts_what_is_said_next(self, vocabulary):
        pairs = SentencePairs([Sentence("sea", ("vend", "il"))], vocabulary, 5, 4)
        source, vend, il = (
            vocabulary.source_tokens("sea"),
            vocabulary.target_tokens("vend"),
            vocabulary.target_tokens("il"),
        )
        assert (len(source), len(vend)) == (2, 1) and len(il) <= 3
        assert pairs.n_frames == 9 and pairs.x.shape == pairs.target.shape == (2, 9)
        assert pairs.x[0].tolist() == [*source, END, END, END, GO, *vend, END, END]
        assert pairs.target[0].tolist() == [IGNORED] * 5 + [*vend, END, IGNORED, IGNORED]
        assert pairs.x[1, 5 : 6 + len(il)].tolist() == [GO, *il]

    def test_an_epoch_holds_whole_rows_each_once(self, vocabulary):
        sentences = [Sentence(one, (other,)) for one in ENGLISH for other in FRENCH]
        pairs = SentencePairs(sentences, vocabulary, N_SLOTS, MAX_TOKENS)
        x, target = pairs.epoch(5, torch.Generator().manual_seed(0))
        assert x.shape == target.shape == (5, 3 * pairs.n_frames)
        rows = [tuple(row.tolist()) for row in torch.cat(x.split(pairs.n_frames, dim=1))]
        known = [tuple(row.tolist()) for row in pairs.x]
        assert len(rows) == 15 and all(rows.count(row) <= known.count(row) for row in rows)
        other, _ = pairs.epoch(5, torch.Generator().manual_seed(1))
        assert not torch.equal(x, other)


def test_the_loss_is_the_mean_over_what_counts():
    p = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]]).log()
    target = torch.tensor([[IGNORED, IGNORED, 0, 1, IGNORED]])
    assert float(smoothed_loss(p, target, 0.0)) == pytest.approx(-(math.log(0.5) + math.log(0.8)) / 2)
    even = -(math.log(0.5) + 2 * math.log(0.25)) / 3, -(2 * math.log(0.1) + math.log(0.8)) / 3
    expected = -0.9 * (math.log(0.5) + math.log(0.8)) / 2 + 0.1 * sum(even) / 2
    assert float(smoothed_loss(p, target, 0.1)) == pytest.approx(expected)


def test_tokens_end_before_the_end():
    assert until_end([5, 4, END, 3, END]) == [5, 4]
    assert until_end([5, 4]) == [5, 4]
