"""Find the reading of a module's layers that computes what the module does, and write the parity certificate of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.certificate import TOLERANCE, Certificate, Compared
from streamrnn.model.importers import comparison
from streamrnn.model.importers.comparison import N_FRAMES, Rows
from streamrnn.model.importers.layers import Draft
from streamrnn.model.importers.torch_calls import Answers, Call
from streamrnn.model.model import Model
from streamrnn.model.trial import draw_frames, play

__all__ = ["N_FRAMES", "TOLERANCE", "Match", "certify", "find_match"]

GOOD_ENOUGH = 2e-6
"""An error so small that no other reading is tried."""
N_TRIAL_FRAMES = 17


@dataclass(frozen=True)
class Match:
    """A draft and a call; the error between them is relative to the largest answer where that is above 1."""

    draft: Draft
    call: Call
    error: float


def paired(ys: FloatArray, answers: Answers) -> tuple[Rows, Rows]:
    """Outputs and answers of the steps that were answered, in order."""
    steps = sorted(answers)
    return ys[steps].astype(np.float64), np.stack([answers[step] for step in steps])


def error_of(found: Compared) -> float:
    """The largest absolute error; what is not finite counts as infinite."""
    return np.inf if found.max_abs_error is None or found.n_not_finite else found.max_abs_error


class Trial:
    """The calls of one module, each run once on the same frames, and how far the readings were from its answers."""

    def __init__(self, calls: Sequence[Call], like: FloatArray | None = None) -> None:
        self._calls = calls
        self._like = like
        self._answers: dict[tuple[str, int], Answers | str] = {}
        self._faults: dict[str, tuple[float, str]] = {}
        self._n_drafts = 0
        self.closest: Match | None = None

    def match(self, draft: Draft) -> Match | None:
        """The first call whose answers `draft` gives, or None."""
        self._n_drafts += 1
        model = Model(draft.spec, draft.tensors)
        frames = draw_frames(model, N_TRIAL_FRAMES, 1, self._like)
        ys = play(model, frames, N_TRIAL_FRAMES)
        for call in self._calls:
            key = (call.name, model.output_size)
            if key not in self._answers:
                self._answers[key] = _try(call, frames, model.output_size)
            answers = self._answers[key]
            if isinstance(answers, str):
                self._faults.setdefault(call.name, (np.inf, answers))
                continue
            found = comparison.compare(*paired(ys, answers))
            error = error_of(found)
            match = Match(draft, call, error / max(1.0, found.max_abs_output or 0.0))
            if found.passed:
                return match
            if self.closest is None or match.error < self.closest.error:
                self.closest = match
            fault = f"differs by {error:.2g} from {draft.reading}"
            if found.n_not_finite:
                fault = f"answers NaN or infinity to {found.n_not_finite} of {N_TRIAL_FRAMES} frames"
            known = self._faults.get(call.name)
            self._faults[call.name] = (error, fault) if known is None or error < known[0] else known
        return None

    def refusal(self) -> UnsupportedError:
        """The error that says what was tried."""
        return _no_match(self._n_drafts, {name: fault for name, (_, fault) in self._faults.items()})


def find_match(
    drafts: Iterable[Draft], calls: Sequence[Call], like: FloatArray | None = None, is_forced: bool = False
) -> Match:
    """The first reading that is good enough, else the best of those that agree; forced, the closest of all.

    Raises:
        UnsupportedError: none agrees; says what was tried.
    """
    trial = Trial(calls, like)
    best: Match | None = None
    for draft in drafts:
        match = trial.match(draft)
        if match is not None and (best is None or match.error < best.error):
            best = match
            if match.error <= GOOD_ENOUGH:
                break
    if best is None and is_forced:
        best = trial.closest
    if best is None:
        raise trial.refusal()
    return best


def _try(call: Call, frames: FloatArray, output_size: int) -> Answers | str:
    try:
        return call.run(frames, output_size)
    except UnsupportedError:
        raise
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160]


def _no_match(n_drafts: int, report: dict[str, str]) -> UnsupportedError:
    lines = "".join(f"\n  {name}: {fault}" for name, fault in report.items())
    return UnsupportedError(
        f"the module's own forward agrees with none of {n_drafts} readings of its layers within {TOLERANCE}. "
        f"Calls tried:{lines}\nIf its forward joins the layers in another way, write the graph as a spec and "
        "give it to streamrnn.from_state_dict(module.state_dict(), spec)"
    )


def certify(
    model: Model, match: Match, framework: str, like: FloatArray | None = None, is_forced: bool = False
) -> dict[str, Any]:
    """The parity certificate, as plain values: the match tried again on more frames, in several chunkings.

    Args:
        model: of the draft that matched.
        match: found by `find_match`.
        framework: with its version.
        like: frames (n, input_size) of the user.
        is_forced: give the certificate of one that does not hold, too; it says so.

    Raises:
        UnsupportedError: the match does not hold on them.
    """

    def pair(frames: FloatArray, ys: FloatArray) -> tuple[Rows, Rows]:
        answers = _try(match.call, frames, model.output_size)
        if isinstance(answers, str):
            raise _no_match(1, {match.call.name: answers})
        return paired(ys, answers)

    blank = comparison.signed(
        Certificate(framework=framework, call=match.call.name, reading=match.draft.reading), model
    )
    found = comparison.certify(comparison.Trial(model, pair, like=like, example=like), blank)
    if not found.passed and not is_forced:
        raise _no_match(1, {match.call.name: f"{found.fault}, over {N_FRAMES} frames"})
    if found.n_compared + found.n_not_finite < found.n_frames:
        found = msgspec.structs.replace(found, is_pooled=True)
    return found.plain()
