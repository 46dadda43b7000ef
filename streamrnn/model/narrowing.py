"""What narrow weights cost in accuracy: measured when a model is converted, and kept in its certificate."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np

from streamrnn.kernels.packing import FloatArray
from streamrnn.model.certificate import Loss, finite
from streamrnn.model.model import Model
from streamrnn.model.trial import draw_frames, play

NARROW: tuple[Literal["bfloat16", "int8"], ...] = ("bfloat16", "int8")
N_FRAMES = 256
CHUNK_FRAMES = 64


def narrowing_loss(model: Model, precision: Literal["bfloat16", "int8"], frames: FloatArray) -> Loss:
    """How far the outputs move when the weights are narrow.

    Args:
        model: of any precision; compared with its float32 form.
        precision: to be judged.
        frames: (n, input_size) float32 that the model takes, stepped as one sequence.

    Returns:
        The largest error, and root mean squares of errors and of the float32 outputs, over all n outputs; the first
        ones, which belong to no frame where outputs come late, do not count.
    """
    late = min(model.spec.delay, len(frames) - 1)
    exact = play(model.with_precision("float32"), frames, CHUNK_FRAMES)[late:].astype(np.float64)
    error = play(model.with_precision(precision), frames, CHUNK_FRAMES)[late:] - exact
    return Loss(
        max_abs_error=finite(np.abs(error).max()),
        rms_error=finite(np.sqrt(np.mean(error**2))),
        rms_output=finite(np.sqrt(np.mean(exact**2))),
        n_frames=len(error),
    )


def with_narrowing(model: Model, frames: FloatArray | None = None) -> Model:
    """The same model, the loss of each narrow precision in its certificate; by default over 256 random frames."""
    if frames is None:
        frames = draw_frames(model, N_FRAMES, 3)
    certificate: dict[str, Any] = dict(model.card.certificate)
    for precision in NARROW:
        certificate[precision] = msgspec.to_builtins(narrowing_loss(model, precision, frames))
    return model.with_card(msgspec.structs.replace(model.card, certificate=certificate))
