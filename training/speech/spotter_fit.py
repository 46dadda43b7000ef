"""Fitting a spotter: from words and noise to a checkpoint, and back to a net with its front end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from torch import nn

import streamrnn
from streamrnn import Frontend
from training.checkpoint import Checkpoint
from training.curves import plot_history
from training.fit import FitSettings, fit
from training.options import Options
from training.speech.spotter import FRONTEND, OfflineSpotter, Spotter, model_of, negative_log_likelihood
from training.speech.spotting import Lanes, Material, normalised
from training.tbptt import run

SIZES = {"n_channels": 64, "hidden_size": 96, "dropout": 0.15}
QUICK_SIZES = {"n_channels": 8, "hidden_size": 8, "dropout": 0.0}
LANE_S, N_LANES = 30.0, 32


@dataclass(frozen=True, eq=False)
class FittedSpotter:
    """A trained spotter with what it came from."""

    net: Spotter
    frontend: Frontend
    checkpoint: Checkpoint

    @classmethod
    def load(cls, options: Options) -> FittedSpotter:
        """Read what `fit_spotter` left.

        Raises:
            CheckpointMissing: it left nothing.
        """
        checkpoint = Checkpoint.load(options.checkpoint, options.recipe)
        arguments = dict(checkpoint.arguments)
        mean, std = tuple(arguments.pop("mean")), tuple(arguments.pop("std"))
        net = Spotter(**arguments)
        net.load_state_dict(checkpoint.weights)
        return cls(net.eval(), replace(FRONTEND, normalisation="fixed", mean=mean, std=std), checkpoint)

    @property
    def offline(self) -> OfflineSpotter:
        """The net in PyTorch over whole recordings."""
        return OfflineSpotter(self.net, self.frontend)

    def model(self, card: streamrnn.Card) -> streamrnn.Model:
        """The net as it is served."""
        return model_of(self.net, self.frontend, card)


def fit_spotter(material: Material, validation: Material, options: Options, max_epochs: int) -> Checkpoint:
    """Train, and leave checkpoint and learning curve in the output folder.

    Args:
        material: to train on.
        validation: words of other speakers; the epoch that does best on them is kept.
        options: for the seed and the places.
        max_epochs: each of 32 lanes of 30 s.
    """
    began_s = time.perf_counter()
    n_lanes, lane_s = (4, 4.0) if options.quick else (N_LANES, LANE_S)
    frontend = normalised(material, options.seed, n_lanes, lane_s)
    sizes = QUICK_SIZES if options.quick else SIZES
    arguments: dict[str, Any] = {"n_features": frontend.size, "n_labels": len(material.labels), **sizes}
    net = Spotter(**arguments)
    settings = FitSettings(
        max_epochs=2 if options.quick else max_epochs,
        patience_epochs=max_epochs,
        window_frames=100,
        learning_rate=4e-3,
        warmup_windows=0 if options.quick else 100,
        weight_decay=0.05,
        average_decay=0.5 if options.quick else 0.99,
    )
    x, target = Lanes(validation, frontend, options.seed + 1, n_lanes, lane_s, is_disturbed=False)(0)

    def validate(candidate: nn.Module) -> float:
        return float(negative_log_likelihood(run(candidate, x), target))

    lanes = Lanes(material, frontend, options.seed, n_lanes, lane_s)
    history = fit(net, lanes, negative_log_likelihood, validate, settings)
    figures = {"validation_nats_per_frame": history.validation_loss[history.best_epoch]}
    arguments |= {"mean": list(frontend.mean), "std": list(frontend.std)}
    taken_s = time.perf_counter() - began_s
    checkpoint = Checkpoint(
        net.state_dict(), arguments, options.seed, options.command, history, figures, train_s=taken_s
    )
    checkpoint.save(options.checkpoint)
    plot_history(history, options.curve, options.recipe, "nats a frame (training: disturbed, with dropout)")
    loss = figures["validation_nats_per_frame"]
    print(f"kept epoch {history.best_epoch}: validation {loss:.4f} nats a frame; {taken_s:.0f} s")
    return checkpoint
