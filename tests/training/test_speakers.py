"""Speaker nets: a session answers for all so far what PyTorch answers of the beginning, and errors by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import streamrnn
from training.speech.average_voice import AverageVoice
from training.speech.soundtrack import Mix, Word
from training.speech.speaker_net import IGNORED, Listener, SpeakerNet, loss
from training.speech.speaker_pieces import UNJUDGED_FRAMES, CutPieces, said
from training.speech.verification import against, equal_error_rate, pairs
from training.streamed import outputs_of


def net():
    torch.manual_seed(0)
    return SpeakerNet(
        [1.0, 2.0, 3.0], [2.0, 1.0, 0.5], n_speakers=4, hidden_size=6, embedding_size=5, dropout=0.3
    ).eval()


def test_after_each_frame_a_session_answers_for_the_recording_so_far():
    speaker_net = net()
    x = torch.randn(1, 40, 3, generator=torch.Generator().manual_seed(1))
    model = streamrnn.from_torch(Listener(speaker_net), example=x)
    assert [(head.name, head.size) for head in model.spec.heads] == [("embedding", 5), ("speaker", 4)]
    outputs = outputs_of(model, x[0].numpy())
    with torch.no_grad():
        running, _ = speaker_net(x)
        for n in (1, 7, 40):
            heads = Listener(speaker_net)(x[:, :n])
            whole = torch.cat([heads["embedding"], heads["speaker"]], -1)[0].numpy()
            np.testing.assert_allclose(outputs[n - 1], whole, atol=1e-4)
            np.testing.assert_allclose(running[0, n - 1].numpy(), whole[5:], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(outputs[:, :5], axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.exp(outputs[:, 5:]).sum(axis=1), 1.0, atol=1e-5)


def test_the_loss_leaves_out_the_beginning():
    output = torch.log(torch.tensor([[[0.5, 0.5], [0.25, 0.75]]]))
    torch.testing.assert_close(loss(output, torch.tensor([[IGNORED, 1]])), -torch.tensor(0.75).log())


def test_pieces_are_of_one_speaker_and_of_the_length_asked_for():
    own = {who: [np.full((n, 2), value, np.float32) for n in (5, 90)] for who, value in (("a", 1.0), ("b", -1.0))}
    x, target = CutPieces(own, 0, n_lanes=3, n_pieces=2, piece_frames=20)(0)
    assert x.shape == (3, 40, 2) and target.shape == (3, 40)
    pieces, targets = x.reshape(6, 20, 2), target.reshape(6, 20)
    assert (targets[:, :UNJUDGED_FRAMES] == IGNORED).all()
    for piece, who in zip(pieces, targets[:, -1], strict=True):
        assert torch.equal(piece.mean().sign(), torch.tensor([1.0, -1.0])[who])


def test_speech_is_joined_without_the_quiet_around():
    word = Word("a", np.concatenate([np.zeros(50), np.full(100, 0.5), np.zeros(50)]).astype(np.float32), 50, 150)
    samples = said([word], 300, Mix(gap_s=(0.0, 0.0)), np.random.default_rng(0))
    assert samples.shape == (300,) and (np.abs(samples) > 0.2).mean() > 0.5


def test_the_equal_error_rate_by_hand():
    assert equal_error_rate(np.array([0.8, 0.9]), np.array([0.1, 0.2]))[0] == 0.0
    rate, threshold = equal_error_rate(np.array([0.3, 0.6, 0.8, 0.9]), np.array([0.1, 0.2, 0.4, 0.7]))
    assert rate == pytest.approx(0.25) and 0.4 < threshold <= 0.7
    assert equal_error_rate(np.array([0.1, 0.2]), np.array([0.8, 0.9]))[0] == 1.0


def test_pairs_and_enrolment_are_cosines():
    embeddings = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 3.0]])
    same, different = pairs(embeddings, ["a", "a", "b"])
    np.testing.assert_allclose(same, [np.sqrt(0.5)])
    np.testing.assert_allclose(np.sort(different), [0.0, np.sqrt(0.5)], atol=1e-12)
    np.testing.assert_allclose(against(np.array([0.0, 5.0]), embeddings), [0.0, np.sqrt(0.5), 1.0], atol=1e-12)


def test_the_average_voice_finds_the_nearest():
    rng = np.random.default_rng(0)
    recordings = {
        who: [rng.normal(mean, 1.0, (50, 3)).astype(np.float32) for _ in range(4)]
        for who, mean in (("a", 0.0), ("b", 4.0))
    }
    voice = AverageVoice(recordings)
    assert voice.nearest(rng.normal(0.2, 1.0, (50, 3)).astype(np.float32)) == "a"
    assert voice.nearest(rng.normal(3.5, 1.0, (50, 3)).astype(np.float32)) == "b"
    assert voice.embedding(recordings["a"][0]).shape == (6,)
