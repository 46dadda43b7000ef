"""The streaming engine as a recipe sees it: one session, frames in, outputs out."""

import numpy as np
from numpy.typing import NDArray

import streamrnn


def outputs_of(model: streamrnn.Model, xs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a sequence through a fresh session.

    Args:
        model: imported or loaded.
        xs: (n_frames, input_size) float32; token ids as floats.

    Returns:
        (n_frames, output_size) float32.
    """
    engine = streamrnn.Engine(limits=streamrnn.Limits(max_sessions=1))
    engine.add_model("model", model)
    session = engine.open("model")
    return np.asarray(session.run(xs), dtype=np.float32)
