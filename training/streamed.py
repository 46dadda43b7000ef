"""The streaming engine as a recipe sees it: one session, frames in, outputs out."""

import time
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import streamrnn
from streamrnn.decode import Settings

N_TIMED = 2000
N_ROUNDS = 5


def session_of(model: streamrnn.Model, decoder: Settings | Literal["model"] | None = None) -> streamrnn.Session:
    """A fresh session of a model, in an engine of its own, with the decoder of the model's card, another or none."""
    engine = streamrnn.Engine(limits=streamrnn.Limits(max_sessions=1))
    engine.add_model("model", model)
    return engine.open("model", decoder=decoder)


def outputs_of(model: streamrnn.Model, xs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a sequence through a fresh session.

    Args:
        model: imported or loaded.
        xs: (n_frames, input_size) float32; token ids as floats.

    Returns:
        (n_frames, output_size) float32.
    """
    return np.asarray(session_of(model).run(xs), dtype=np.float32)


def frame_us(model: streamrnn.Model, xs: NDArray[np.float32]) -> float:
    """Microseconds that one frame takes in a lone session, stepped one by one: the best of five rounds' medians.

    Args:
        model: imported or loaded.
        xs: (n_frames, input_size) float32, at least one; repeated as needed.
    """
    session = session_of(model)
    frames = [np.ascontiguousarray(xs[i % len(xs)]) for i in range(N_TIMED // N_ROUNDS)]
    medians = []
    for _ in range(N_ROUNDS):
        taken_ns = []
        for frame in frames:
            began_ns = time.perf_counter_ns()
            session.step(frame)
            taken_ns.append(time.perf_counter_ns() - began_ns)
        medians.append(float(np.median(taken_ns)) / 1e3)
    return min(medians)
