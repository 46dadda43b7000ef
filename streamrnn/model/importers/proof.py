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
from streamrnn.model.card import Card
from streamrnn.model.certificate import TOLERANCE, Certificate
from streamrnn.model.importers.comparison import N_FRAMES, Rows, Trial, certify, signed
from streamrnn.model.importers.tracing.graph import Traced
from streamrnn.model.model import Model
from streamrnn.model.narrowing import with_narrowing
from streamrnn.model.trial import draw_frames

__all__ = ["N_FRAMES", "TOLERANCE", "Original", "prove"]

POOLED_LENGTHS = (1, 2, 3, 5, 8, 13, 34, 89, N_FRAMES)
"""Lengths, in frames, of the sequences that an original which answers once is tried on."""

MOST_STEPS = 2000
"""Most steps of real input that say how random frames are drawn."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Original:
    """A model in the framework it came from.

    Attributes:
        framework: with its version, as `torch 2.13.0`.
        answer: begins anew and takes the inputs of one or more calls, its states handed on from call to call; gives
            the outputs of each call, in the order of `Traced.outputs`.
        call: how it is called, for people.
        n_steps: of the input in each call, where it takes no other number; else 0.
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
    is_forced: bool = False,
) -> Model:
    """The model of a trace, with the certificate in its card.

    Args:
        traced: from an importer.
        original: None where the framework is not installed: the certificate then says that nothing was compared.
        card: description; its certificate is replaced.
        like: real frames (n, input_size), or steps (n, values of one), which are cut into frames: tried as they are,
            beside random ones of their mean and deviation, each step of a frame alike.
        is_forced: keep a model that differs, its certificate saying so.

    Raises:
        UnsupportedError: the model differs from the original by more than `TOLERANCE`, or the original answers NaN or
            infinity, or nothing at all.
    """
    model = Model(traced.draft.spec, traced.draft.tensors)
    example, like = _as_frames(like, model), _as_steps(like, model)
    blank = signed(_blank(traced, original), model)
    if original is not None:
        heads = [(head.name, symbol.step_size) for head, symbol in zip(model.spec.heads, traced.outputs, strict=False)]
        pairing = _Pairing(traced, original)
        trial = Trial(model, pairing, heads, like, example, pairing.n_frames)
        blank = msgspec.structs.replace(certify(trial, blank), lengths=pairing.lengths)
        if not blank.passed and not is_forced:
            raise UnsupportedError(_refusal(blank))
    frames = draw_frames(model, N_FRAMES, 3, like)
    return with_narrowing(model.with_card(msgspec.structs.replace(card or Card(), certificate=blank.plain())), frames)


def _blank(traced: Traced, original: Original | None) -> Certificate:
    return Certificate(
        framework=original.framework if original is not None else "",
        call=original.call if original is not None else "",
        reading=traced.draft.reading,
        delay_steps=traced.output_delay,
        is_pooled=traced.is_pooled,
    )


def _refusal(certificate: Certificate) -> str:
    reading = f"the model read as {certificate.reading or 'traced'} cannot be proved: "
    if not certificate.n_compared and not certificate.n_not_finite:
        return f"{reading}{certificate.framework} answers nothing to {certificate.n_frames} frames"
    hint = ""
    if certificate.n_not_finite and certificate.example is None:
        hint = "; with an example of real input, this would be judged by the answers to that"
    return f"{reading}{certificate.fault}{hint}"


def _as_frames(like: FloatArray | None, model: Model) -> FloatArray | None:
    """Rows as frames (n, input_size), what does not fill one left out."""
    if like is None or not np.size(like):
        return None
    values = np.asarray(like, np.float32).ravel()
    n = values.size // model.input_size
    return values[: n * model.input_size].reshape(n, model.input_size) if n else None


def _as_steps(like: FloatArray | None, model: Model) -> FloatArray | None:
    """The first steps, each as often as a frame has steps: of frames drawn like these, all steps are alike."""
    if like is None or not np.size(like) or model.n_tokens:
        return None
    steps = np.asarray(like, np.float32).reshape(-1, model.input_channels)[:MOST_STEPS]
    return np.tile(steps, (1, model.input_steps))


class _Pairing:
    """Runs the original on frames, and brings its outputs and the model's into one order (a `Pair`)."""

    def __init__(self, traced: Traced, original: Original) -> None:
        self._traced = traced
        self._original = original
        self._n_steps = original.n_steps
        self.lengths: tuple[int, ...] = ()

    @property
    def n_frames(self) -> int:
        """Random frames to be tried: enough for the one length that the original takes."""
        return max(N_FRAMES, -(-self._n_steps // self._traced.frame_steps))

    def __call__(self, frames: FloatArray, ys: FloatArray) -> tuple[Rows, Rows]:
        """Outputs of both, step by step of the output: two arrays (n, values of a step)."""
        traced = self._traced
        if traced.input.stream is None:
            answers = self._original.answer([self._as_input(frame) for frame in frames])
            return ys.astype(np.float64), np.concatenate([self._joined(outputs) for outputs in answers])
        if len(frames) * traced.frame_steps < self._n_steps:
            return np.empty((0, 1)), np.empty((0, 1))  # the user's example is too short for it
        if traced.is_pooled:
            return self._pooled(frames, ys)
        theirs = self._answer(frames)
        ours = self._steps_of(ys)
        if self._n_steps:
            ours = ours[: int(self._n_steps * traced.outputs[0].rate)]
        ours = ours[traced.output_delay :]
        n = min(len(ours), len(theirs))
        return ours[:n], theirs[:n]

    def _pooled(self, frames: FloatArray, ys: FloatArray) -> tuple[Rows, Rows]:
        """Sequences of several lengths; those that are too short for the original, by its own word, are left out."""
        longest = len(frames)
        if self._n_steps:
            longest, rest = divmod(self._n_steps, self._traced.frame_steps)
            if rest:
                raise UnsupportedError(
                    f"it answers once, after {self._n_steps} steps, which frames of {self._traced.frame_steps} do not "
                    "make"
                )
        found = {longest: self._answer(frames[:longest])[0]}
        for n in [n for n in POOLED_LENGTHS if n < longest and not self._n_steps]:
            try:
                found[n] = self._answer(frames[:n])[0]
            except UnsupportedError:
                raise
            except Exception:  # whatever the framework says of a sequence that is too short
                continue
        lengths = sorted(found)
        while len(lengths) > 1 and not np.isfinite(found[lengths[0]]).all():  # a mean of nothing, say
            del lengths[0]
        self.lengths = self.lengths or tuple(lengths)
        return ys[[n - 1 for n in lengths]].astype(np.float64), np.array([found[n] for n in lengths])

    def _answer(self, frames: FloatArray) -> Rows:
        return self._joined(self._original.answer([self._as_input(frames)])[0])

    def _as_input(self, part: FloatArray) -> Array:
        rows = part.reshape(-1, part.shape[-1] // self._traced.frame_steps)
        return self._traced.input.array(rows[: self._n_steps] if self._n_steps else rows)

    def _joined(self, outputs: Sequence[Array]) -> Rows:
        heads = zip(self._traced.outputs, outputs, strict=True)
        return np.concatenate([head.rows(output) for head, output in heads], axis=1)

    def _steps_of(self, ys: FloatArray) -> Rows:
        """Outputs (n_frames, output_size), each head's steps in a row, as steps (n, values of all heads)."""
        n = int(self._traced.outputs[0].rate * self._traced.frame_steps)
        parts, start = [], 0
        for head in self._traced.outputs:
            size = n * head.step_size
            parts.append(ys[:, start : start + size].reshape(-1, head.step_size))
            start += size
        return np.concatenate(parts, axis=1).astype(np.float64)
