"""Sessions that listen: short ways to what a model answers to sound."""

from __future__ import annotations

import numpy as np

import streamrnn
from streamrnn import Model


def open_session(model: Model) -> streamrnn.Session:
    """A session of that model alone."""
    engine = streamrnn.Engine()
    engine.add_model("m", model)
    return engine.open("m")


def streamed(model: Model, x: np.ndarray) -> np.ndarray:
    """The outputs of whole frames of samples, those of the delay left out."""
    n = len(x) // model.input_size
    ys = open_session(model).run(x[: n * model.input_size].reshape(n, -1))
    return ys[model.spec.delay :]
