"""Prove that a traced model computes what its original computes, and write it down as the parity certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.card import Card, Plain2
from streamrnn.model.importers.tracing.graph import Traced
from streamrnn.model.model import Model
from streamrnn.model.narrowing import with_narrowing
from streamrnn.model.trial import draw_frames, play

TOLERANCE = 1e-4
"""Largest error accepted, relative to the largest output where that is above 1."""
N_FRAMES = 256
CHUNKINGS = (N_FRAMES, 7, 1)
POOLED_LENGTHS = (1, 2, 3, 5, 8, 13, 34, 89, N_FRAMES)
"""Lengths, in frames, of the sequences that an original which answers once is tried on."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Original:
    """A model in the framework it came from.

    Attributes:
        framework: with its version.
        answer: begins anew and takes the inputs of one or more calls, its states handed on from call to call; gives
            the outputs of each call, in the order of `Traced.outputs`.
<<<<<<< HEAD
        call: how it is called, for people.
        n_steps: of the input in each call, where it takes no other number; else 0.
=======
        call: how it is called, for people. Where its answer is not finite nothing is compared: a sequence may be too
            short for it.
>>>>>>> torchi
    """

    framework: str
    answer: Callable[[Sequence[Array]], Sequence[Sequence[Array]]]
    call: str = ""
    n_steps: int = 0


def prove(
    traced: Traced,
    original: Original | None,
    *,
    card: Card | None = None,
    like: FloatArray | None = None,
    n_tokens: int = 0,
    is_forced: bool = False,
) -> Model:
    """The model of a trace, with the certificate in its card.

    Args:
        traced: from an importer.
        original: None where the framework is not installed: the certificate then says that nothing was compared.
        card: description; its certificate is replaced.
        like: frames (n, input_size) whose mean and deviation the frames tried have.
        n_tokens: where the input holds tokens, how many to try; all by default.
        is_forced: keep a model that differs, its certificate saying so.

    Raises:
        UnsupportedError: the model differs from the original by more than `TOLERANCE`.
    """
    model = Model(traced.draft.spec, traced.draft.tensors)
    certificate: dict[str, Plain2] = {"reading": traced.draft.reading, "passed": None}
    if original is not None:
        certificate |= _compared(model, traced, original, like)
        if not certificate["passed"] and not is_forced:
            raise UnsupportedError(
                f"the model read as {traced.draft.reading or 'traced'} differs from {original.framework} by "
                f"{certificate['max_abs_error']:.2g} (largest output {certificate['max_abs_output']:.2g}), "
                f"more than {TOLERANCE} allows"
            )
    frames = draw_frames(model, N_FRAMES, 3, like)
    return with_narrowing(model.with_card(msgspec.structs.replace(card or Card(), certificate=certificate)), frames)


def _compared(model: Model, traced: Traced, original: Original, like: FloatArray | None) -> dict[str, Plain2]:
    n_frames = max(N_FRAMES, -(-original.n_steps // traced.frame_steps))
    frames = draw_frames(model, n_frames, 2, like)
    plays = [play(model, frames, chunk) for chunk in CHUNKINGS]
    assert all(np.array_equal(plays[0].view(np.uint32), ys.view(np.uint32)) for ys in plays)
    ours, theirs = _matched(traced, original, frames, plays[0])
    answered = np.isfinite(theirs).all(1)
    ours, theirs = ours[answered], theirs[answered]
    difference = float(np.abs(ours - theirs).max()) if ours.size else 0.0
    error = difference if np.isfinite(difference) else float("inf")
    largest = float(np.abs(theirs).max()) if ours.size else 0.0
    return {
        "framework": original.framework,
        "call": original.call,
        "passed": bool(error <= TOLERANCE * max(1.0, largest)) and ours.size > 0,
        "max_abs_error": error,
        "max_rel_error": error / largest if largest else error,
        "max_abs_output": largest,
        "tolerance": TOLERANCE,
        "n_frames": n_frames,
        "n_compared": len(ours),
        "chunkings": list(CHUNKINGS),
    }


def _matched(
    traced: Traced, original: Original, frames: FloatArray, ys: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Outputs of both, step by step of the output, in one order: two arrays (n, output values of a step)."""
    n_in = frames.shape[1] // traced.frame_steps

    def as_input(part: FloatArray) -> Array:
        rows = part.reshape(-1, n_in)
        return traced.input.array(rows[: original.n_steps] if original.n_steps else rows)

    if traced.input.stream is None:
        answers = original.answer([as_input(frame) for frame in frames])
        theirs = np.array([_joined(traced, outputs)[0] for outputs in answers])
        return ys.astype(np.float64), theirs
    if traced.is_pooled:
        lengths = [n for n in POOLED_LENGTHS if n <= len(frames)]
        if original.n_steps:
            if original.n_steps % traced.frame_steps:
                raise UnsupportedError(
                    f"it answers once, after {original.n_steps} steps, which frames of {traced.frame_steps} do not make"
                )
            lengths = [original.n_steps // traced.frame_steps]
        found = [_joined(traced, original.answer([as_input(frames[:n])])[0])[0] for n in lengths]
        return ys[[n - 1 for n in lengths]].astype(np.float64), np.array(found)
    theirs = _joined(traced, original.answer([as_input(frames)])[0])
    ours = _steps_of(traced, ys)
    if original.n_steps:
        ours = ours[: int(original.n_steps * traced.outputs[0].rate)]
    ours = ours[traced.output_delay :]
    n = min(len(ours), len(theirs))
    return ours[:n], theirs[:n]


def _joined(traced: Traced, outputs: Sequence[Array]) -> NDArray[np.float64]:
    return np.concatenate([head.rows(output) for head, output in zip(traced.outputs, outputs, strict=True)], axis=1)


def _steps_of(traced: Traced, ys: FloatArray) -> NDArray[np.float64]:
    """Outputs (n_frames, output_size), each head's steps in a row, as steps (n, values of all heads)."""
    n = int(traced.outputs[0].rate * traced.frame_steps)
    parts, start = [], 0
    for head in traced.outputs:
        size = n * head.step_size
        parts.append(ys[:, start : start + size].reshape(-1, head.step_size))
        start += size
    return np.concatenate(parts, axis=1).astype(np.float64)
