"""What narrow weights cost the bundled models, on sequences of their own kind."""

from __future__ import annotations

import csv
from typing import Any

import msgspec
import numpy as np

import streamrnn
from benchmarks.nets import Array
from streamrnn import bundled
from streamrnn.model.narrowing import NARROW, narrowing_loss
from streamrnn.model.trial import play

N_CHARACTERS = 2000


def recording() -> Array:
    """The bundled recording (n, 1)."""
    with bundled.path("temperature_recording").open() as file:
        return np.array([[float(row["value"])] for row in csv.DictReader(file)], np.float32)


def writing(model: streamrnn.Model) -> Array:
    """Characters (n, 1) drawn from the model itself, each fed back."""
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
    engine.add_model("m", model)
    session, rng = engine.open("m"), np.random.default_rng(0)
    xs = np.zeros((N_CHARACTERS, 1), np.float32)
    for i in range(1, N_CHARACTERS):
        powers = np.exp(session.step(xs[i - 1]).astype(np.float64))
        xs[i] = rng.choice(len(powers), p=powers / powers.sum())
    return xs


def measure_losses() -> list[dict[str, Any]]:
    """For each bundled model and narrow precision: errors of the outputs, and how often the likeliest one changes."""
    found = []
    for name in ("temperature_anomaly", "char_lm"):
        model = streamrnn.load_model(bundled.path(name))
        frames = writing(model) if model.n_tokens else recording()
        exact = play(model, frames, 64)
        for precision in NARROW:
            narrow = play(model.with_precision(precision), frames, 64)
            changed = float(np.mean(narrow.argmax(1) != exact.argmax(1))) if model.output_size > 1 else None
            loss = narrowing_loss(model, precision, frames)
            found.append({"model": name, "precision": precision, "other_argmax": changed, **msgspec.to_builtins(loss)})
    return found
