"""Fitting speaker nets: one net for one set of speakers, from pieces of their speech."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from streamrnn import Frontend
from training.fit import EpochSource, FitSettings, History, fit
from training.options import Options
from training.sets.fsdd import Part, fsdd_clips
from training.speech.soundtrack import Word
from training.speech.speaker_net import SpeakerNet, loss
from training.speech.speaker_pieces import RATE_HZ
from training.tbptt import run

FRONTEND = Frontend(
    sample_rate_hz=RATE_HZ, frame_length_ms=25.0, window="hann_periodic", align="causal", remove_dc=False,
    preemphasis=0.0, n_mels=40, low_hz=60.0, mel_scale="slaney", log_floor=1e-6, input_scale=1.0,
)  # fmt: skip
"""Log mel energies of 8 kHz; the net normalises them itself."""
PIECE_FRAMES = 150
"""Training pieces are of 1.5 s."""
SIZES = {"hidden_size": 96, "embedding_size": 48, "dropout": 0.2}
QUICK_SIZES = {"hidden_size": 8, "embedding_size": 4, "dropout": 0.0}


def digits_by_speaker(folder: Path, part: Part) -> dict[str, list[Word]]:
    """The digits of one part by speaker."""
    words: dict[str, list[Word]] = {}
    for clip in fsdd_clips(folder, part):
        words.setdefault(clip.speaker, []).append(Word.of(clip.speaker, clip.samples, RATE_HZ))
    return words


def moments(x: Tensor) -> dict[str, list[float]]:
    """Mean and deviation of each feature of (n_lanes, n_frames, n_features)."""
    flat = x.flatten(0, 1).double()
    return {"mean": flat.mean(0).tolist(), "std": flat.std(0).tolist()}


def fit_speakers(
    pieces: EpochSource, validation: EpochSource, n_speakers: int, options: Options, max_epochs: int
) -> tuple[SpeakerNet, dict[str, Any], History]:
    """Train a net; give it with what its class is built with.

    Args:
        pieces: of `PIECE_FRAMES` frames each, to train on.
        validation: others of the same speakers.
        n_speakers: of both.
        options: for --quick.
        max_epochs: upper bound.
    """
    x, target = validation(0)
    sizes = QUICK_SIZES if options.quick else SIZES
    arguments: dict[str, Any] = {**moments(pieces(0)[0]), "n_speakers": n_speakers, **sizes}
    net = SpeakerNet(**arguments)
    settings = FitSettings(
        max_epochs=2 if options.quick else max_epochs,
        patience_epochs=max_epochs,
        window_frames=PIECE_FRAMES,
        learning_rate=4e-3,
        warmup_windows=0 if options.quick else 50,
        weight_decay=0.05,
        average_decay=0.5 if options.quick else 0.98,
    )

    def validate(candidate: nn.Module) -> float:
        return float(loss(run(candidate, x, PIECE_FRAMES), target))

    return net, arguments, fit(net, pieces, loss, validate, settings)
