"""The front end for training gives what a session gives of the same samples, `delay` frames later."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from msgspec.structs import replace

import streamrnn
from streamrnn import Frontend
from streamrnn.model.frontend.attach import frontend_model
from streamrnn.model.frontend.frontend import parse_frontend
from tests.model.recordings import made_sound
from training.frontend import FrontendModule

SOUND = made_sound(4321)
MFCC = parse_frontend("mfcc13@8000")
FBANK = parse_frontend("fbank23@8000")
CHOICES = {
    "fbank": FBANK,
    "fbank causal": replace(FBANK, align="causal"),
    "fbank with energy": replace(FBANK, use_energy=True),
    "magnitudes in log10": replace(FBANK, use_power=False, log="log10"),
    "window below the hop": replace(FBANK, frame_length_ms=7.0),
    "window below the hop, causal": replace(FBANK, frame_length_ms=7.0, align="causal"),
    "mfcc with energy": replace(MFCC, use_energy=True),
    "energy alone": replace(MFCC, use_energy=True, n_ceps=1),
    "mfcc with differences": replace(MFCC, delta_order=2),
    "running": replace(MFCC, delta_order=1, normalisation="running"),
    "fixed": replace(FBANK, normalisation="fixed", mean=tuple(np.arange(23.0)), std=tuple(np.arange(1.0, 24.0))),
    "logmel": parse_frontend("logmel40@8000"),
    "spectrum": Frontend(sample_rate_hz=8000.0, n_mels=0, window="hamming", log_floor=1e3),
}


def streamed(frontend: Frontend, x: np.ndarray) -> np.ndarray:
    """The outputs of a session, those of the delay left out."""
    engine = streamrnn.Engine()
    engine.add_model("m", frontend_model(frontend))
    session = engine.open("m")
    ys = session.run(streamrnn.Reframer(frontend.hop).push(x))
    return ys[session.model.spec.delay :]


@pytest.mark.parametrize("name", CHOICES)
def test_it_gives_what_a_session_gives(name):
    module = FrontendModule(CHOICES[name])
    assert module.delay == CHOICES[name].delay
    batch = np.stack([SOUND, SOUND[::-1]])
    got = module(torch.from_numpy(batch)).numpy()
    assert got.shape == (2, module.n_frames(SOUND.size), CHOICES[name].size)
    for y, x in zip(got, batch, strict=True):
        np.testing.assert_allclose(y, streamed(CHOICES[name], x), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("n_samples", [0, 79, 80, 199, 200, 239, 240, 400, 700])
@pytest.mark.parametrize("name", ["fbank", "fbank causal", "mfcc with differences", "running"])
def test_short_recordings_give_as_many_frames_as_a_session(n_samples, name):
    got = FrontendModule(CHOICES[name])(torch.from_numpy(SOUND[None, :n_samples]))
    assert tuple(got.shape[1:]) == streamed(CHOICES[name], SOUND[:n_samples]).shape


@pytest.mark.parametrize("name", ["mfcc with differences", "magnitudes in log10", "running"])
def test_gradients_reach_the_samples(name):
    x = torch.from_numpy(SOUND[None]).requires_grad_()
    FrontendModule(CHOICES[name])(x).square().sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all() and x.grad.abs().max() > 0


def test_silence_has_finite_gradients():
    x = torch.zeros(1, 2000, requires_grad=True)
    FrontendModule(replace(FBANK, use_power=False))(x).sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


def test_it_has_nothing_to_train_and_nothing_to_save():
    module = FrontendModule("mfcc13")
    assert not list(module.parameters()) and not module.state_dict()
