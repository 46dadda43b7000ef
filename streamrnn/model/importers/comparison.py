"""A model beside its original: the figures of one sequence of frames, and the certificate of all that is tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.kernels.simd import WIDTH
from streamrnn.model.certificate import TOLERANCE, Certificate, Compared, Figures, finite
from streamrnn.model.model import Model
from streamrnn.model.trial import draw_frames, play

N_FRAMES = 256
CHUNKINGS = (N_FRAMES, 7, 1)
MAX_EXAMPLE_FRAMES = 4096
"""Frames of the user's example that are tried: the first ones."""
PACKAGES = ("streamrnn", "numpy", "numba", "llvmlite")
"""That decide how the model is computed."""

Rows = NDArray[np.float64]
HeadSizes = Sequence[tuple[str, int]]
"""Name of each head, and how many of an output's values it has, in order."""

Pair = Callable[[FloatArray, FloatArray], tuple[Rows, Rows]]
"""Takes frames (n, input_size) and the model's outputs to them, runs the original, and gives the outputs of both that
belong to one another, the model's first: two arrays (n_compared, values).
"""


@dataclass(frozen=True)
class Trial:
    """How a model is tried.

    Attributes:
        model: to be proved.
        pair: runs the original.
        heads: as `HeadSizes`; empty where there is one.
        like: frames (n, input_size) whose mean and deviation the random ones have.
        example: frames (n, input_size) of the user, tried as they are.
        n_frames: random frames.
    """

    model: Model
    pair: Pair
    heads: HeadSizes = ()
    like: FloatArray | None = None
    example: FloatArray | None = None
    n_frames: int = N_FRAMES


def compare(ours: Rows, theirs: Rows, heads: HeadSizes = (), n_frames: int = 0) -> Compared:
    """The figures of outputs (n, values) beside the original's; it passes where each head is within the tolerance.

    Outputs of the original that are not finite are counted and compared with nothing; with any of them it does not
    pass. One of ours that is not finite where the original's is counts as an infinite error.

    Raises:
        UnsupportedError: the two do not have as many values.
    """
    if ours.shape[1:] != theirs.shape[1:]:
        raise UnsupportedError(f"the original answers {theirs.shape[1:]} values, the model {ours.shape[1:]}")
    is_finite = np.isfinite(theirs).all(axis=1)
    n_not_finite = int(len(theirs) - is_finite.sum())
    ours, theirs = ours[is_finite], theirs[is_finite]
    if not len(theirs):
        return Compared(passed=False, n_frames=n_frames, n_not_finite=n_not_finite)
    parts: dict[str, Figures] = {}
    start = 0
    for name, size in heads or [("", theirs.shape[1])]:
        parts[name] = _figures(ours[:, start : start + size], theirs[:, start : start + size])
        start += size
    is_within = all(part.is_within(TOLERANCE) for part in parts.values())
    return Compared(
        passed=is_within and not n_not_finite,
        n_frames=n_frames,
        n_compared=len(theirs),
        n_not_finite=n_not_finite,
        max_abs_error=_worst([part.max_abs_error for part in parts.values()]),
        max_rel_error=_worst([part.max_rel_error for part in parts.values()]),
        max_abs_output=max(part.max_abs_output or 0.0 for part in parts.values()),
        heads=parts if len(parts) > 1 else {},
    )


def _figures(ours: Rows, theirs: Rows) -> Figures:
    error = float(np.abs(ours - theirs).max(initial=0.0))
    largest = float(np.abs(theirs).max(initial=0.0))
    relative = error / largest if largest else 0.0 if error == 0 else np.inf
    return Figures(max_abs_error=finite(error), max_rel_error=finite(relative), max_abs_output=finite(largest))


def _worst(figures: Sequence[float | None]) -> float | None:
    found = [figure for figure in figures if figure is not None]
    return max(found) if len(found) == len(figures) else None


def certify(trial: Trial, blank: Certificate) -> Certificate:
    """The certificate: `blank`, which says what the original is, with what came of trying it.

    Random frames on which the original is not finite are forgiven where it is on the user's own, and all finite
    outputs are within the tolerance.
    """
    model = trial.model
    frames = draw_frames(model, trial.n_frames, 2, trial.like)
    found = _tried(trial, frames)
    example = _tried_example(trial)
    passed = bool(found.passed) and (example is None or example.passed is not False)
    if found.n_not_finite and found.n_compared and example is not None and example.passed:
        passed = all(part.is_within(TOLERANCE) for part in (found, *found.heads.values()))
    fields = {name: getattr(found, name) for name in Compared.__struct_fields__ if name != "passed"}
    return msgspec.structs.replace(
        blank,
        **fields,
        passed=passed,
        frames=_frames_text(model, trial.like),
        chunkings=tuple(min(chunk, len(frames)) for chunk in CHUNKINGS),
        example=example,
    )


def signed(blank: Certificate, model: Model) -> Certificate:
    """With the versions and the machine that it holds for, and the delay that the spec says."""
    versions = {name: _version_of(name) for name in PACKAGES}
    framework, _, its_version = blank.framework.partition(" ")
    return msgspec.structs.replace(
        blank,
        versions=versions | ({framework: its_version} if its_version else {}),
        vector_width=WIDTH,
        delay=model.spec.delay,
        frame_steps=model.input_steps,
    )


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _tried(trial: Trial, frames: FloatArray) -> Compared:
    """Both on the same frames; the model in every chunking."""
    plays = [play(trial.model, frames, chunk) for chunk in CHUNKINGS]
    assert all(np.array_equal(plays[0].view(np.uint32), ys.view(np.uint32)) for ys in plays)
    ours, theirs = trial.pair(frames, plays[0])
    return compare(ours, theirs, trial.heads, len(frames))


def _tried_example(trial: Trial) -> Compared | None:
    if trial.example is None or not len(trial.example):
        return None
    frames = np.ascontiguousarray(trial.example[:MAX_EXAMPLE_FRAMES], np.float32)
    found = _tried(trial, frames)
    if not found.n_compared:  # too short for one output, which some originals say by NaN
        return msgspec.structs.replace(found, passed=None)
    return found


def _frames_text(model: Model, like: FloatArray | None) -> str:
    if model.n_tokens:
        return "random token ids"
    if like is not None and len(like) > 1:
        return "random normal, of the example's mean and 1 and 3 times its deviation"
    return "random normal, of deviation 1 and 3 behind the normaliser, if any"
