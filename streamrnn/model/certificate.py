"""The parity certificate: what was compared with the framework that a model came from, and how far they were apart."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, Self

import msgspec

from streamrnn.errors import ModelFileError

TOLERANCE = 1e-4
"""Largest error accepted, relative to the largest output where that is above 1."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How far outputs are from the original's; None stands for a figure that is not finite, or was not taken.

    Attributes:
        max_abs_error: largest difference of a value.
        max_rel_error: that, relative to the largest output of the head that it is in.
        max_abs_output: largest value that the original answered.
    """

    max_abs_error: float | None = None
    max_rel_error: float | None = None
    max_abs_output: float | None = None

    def is_within(self, tolerance: float) -> bool:
        """Whether the error is at most `tolerance`, relative to the largest output where that is above 1."""
        return self.max_abs_error is not None and self.max_abs_error <= tolerance * max(1.0, self.max_abs_output or 0.0)


class Compared(Figures, frozen=True, kw_only=True):
    """One sequence of frames, given to both.

    Attributes:
        passed: every output was within the tolerance; None where nothing was compared.
        n_frames: how many frames.
        n_compared: how many outputs (steps of the output) were compared: fewer than frames where the original answers
            the whole sequence once, or comes short at its end for what it looks ahead.
        n_not_finite: outputs of the original that hold NaN or infinity; these are in no figure.
        heads: figures of each head by name, where there are several.
    """

    passed: bool | None = None
    n_frames: int = 0
    n_compared: int = 0
    n_not_finite: int = 0
    heads: dict[str, Figures] = {}


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What a narrow precision of the weights changes, beside float32 ones."""

    max_abs_error: float | None = None
    rms_error: float | None = None
    rms_output: float | None = None
    n_frames: int = 0


class Certificate(Compared, frozen=True, kw_only=True):
    """A model beside its original on random frames, and on the user's own; holds no date, so it is the same each time.

    Attributes:
        passed: the verdict over all that was tried. None: there was nothing to compare with.
        framework: that computed the original, with its version.
        call, reading: how the original was called, and how the model was read off it.
        frames: how the random frames were drawn.
        tolerance: largest error accepted, relative to the largest output where that is above 1.
        chunkings: frames a call in which the model was tried; all gave the same bits.
        lengths: lengths, in frames, of the sequences tried where the original answers each once; else none.
        delay: frames by which outputs come behind the frames that they belong to.
        delay_steps: the same in steps of the output, of which a frame may have several.
        frame_steps: steps of the input in a frame.
        is_pooled: the original answers once for a whole sequence; the model answers each frame as if it ended there.
        versions: of streamrnn and of what compiled its kernels.
        vector_width: lanes of the vectors of the machine on which this was tried.
        example: the same figures on frames that the user gave.
        bfloat16, int8: what narrow weights would change.
    """

    framework: str = ""
    call: str = ""
    reading: str = ""
    frames: str = ""
    tolerance: float = TOLERANCE
    chunkings: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()
    delay: int = 0
    delay_steps: int = 0
    frame_steps: int = 1
    is_pooled: bool = False
    versions: dict[str, str] = {}
    vector_width: int = 0
    example: Compared | None = None
    bfloat16: Loss | None = None
    int8: Loss | None = None

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Read the certificate of a card; one without `passed` (of an older file) passed where its error is small.

        Raises:
            ModelFileError: a field has a value of another type.
        """
        try:
            found = msgspec.convert(dict(plain), cls)
        except msgspec.ValidationError as error:
            raise ModelFileError(f"the certificate cannot be read: {error}") from error
        if "passed" in plain or "max_abs_error" not in plain:
            return found
        return msgspec.structs.replace(found, passed=found.is_within(found.tolerance))

    def plain(self) -> dict[str, Any]:
        """For a card: plain values, without what is empty."""
        filled: dict[str, Any] = _filled(msgspec.to_builtins(self))
        return {"passed": self.passed, **filled}

    @property
    def fault(self) -> str:
        """Why the model is not what it came from, as the end of a sentence; empty where nothing says so."""
        if self.passed is None:
            return ""
        origin = self.framework or "its original"
        for what, found in (("random frames", self), ("the example's frames", self.example)):
            if found is None or found.passed is None:
                continue
            worst = [found, *found.heads.values()]
            if not all(figures.is_within(self.tolerance) for figures in worst):
                return f"it differs from {origin} by {_said(found)} on {what}, more than {self.tolerance:g} allows"
        if self.passed:
            return ""
        if self.n_not_finite:
            return f"{origin} answers NaN or infinity to {self.n_not_finite} of {self.n_frames} random frames"
        return f"its comparison with {origin} has failed"


def _filled(plain: dict[str, Any]) -> dict[str, Any]:
    """Without empty fields, in parts too; figures that are not finite stay where anything was compared."""
    found = {key: _filled(value) if isinstance(value, dict) else value for key, value in plain.items()}
    found = {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}
    is_compared = found.get("passed") is not None
    return {
        key: value
        for key, value in found.items()
        if value not in ("", [], {}) and (value is not None or (is_compared and key.startswith("max_")))
    }


def _said(figures: Figures) -> str:
    if figures.max_abs_error is None:
        return "more than any number"
    error = f"{figures.max_abs_error:.3g}"
    return error if figures.max_abs_output is None else f"{error} (largest output {figures.max_abs_output:.3g})"


def finite(value: float) -> float | None:
    """The value as a figure."""
    return float(value) if isfinite(value) else None
