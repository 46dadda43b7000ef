"""Prove that a draft computes what the original computes, and write it down as the parity certificate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.card import Plain2
from streamrnn.model.importers.layers import Draft
from streamrnn.model.importers.torch_calls import Answers, Call
from streamrnn.model.model import Model
from streamrnn.model.trial import draw_frames, play

TOLERANCE = 1e-4
"""Largest error accepted, relative to the largest output where that is above 1."""
GOOD_ENOUGH = 2e-6
"""An error so small that no other reading is tried."""
N_TRIAL_FRAMES = 17
N_FRAMES = 256
CHUNKINGS = (N_FRAMES, 7, 1)


@dataclass(frozen=True)
class Match:
    """A draft and a call that agree; the error is relative to the largest answer where that is above 1."""

    draft: Draft
    call: Call
    error: float


def error_of(ys: FloatArray, answers: Answers) -> tuple[float, float]:
    """Largest absolute error over the steps answered, and the largest absolute answer; NaN counts as infinite."""
    worst = max(float(np.abs(ys[t].astype(np.float64) - answer).max()) for t, answer in answers.items())
    largest = max(float(np.abs(answer).max()) for answer in answers.values())
    return (worst, largest) if np.isfinite(worst) else (np.inf, largest)


class Trial:
    """The calls of one module, each run once on the same frames, and how far the readings were from its answers."""

    def __init__(self, calls: Sequence[Call], like: FloatArray | None = None) -> None:
        self._calls = calls
        self._like = like
        self._answers: dict[tuple[str, int], Answers | str] = {}
        self._faults: dict[str, tuple[float, str]] = {}
        self._n_drafts = 0

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
            error, largest = error_of(ys, answers)
            if error <= TOLERANCE * max(1.0, largest):
                return Match(draft, call, error / max(1.0, largest))
            fault = f"differs by {error:.2g} from {draft.reading}"
            self._faults[call.name] = min(self._faults.get(call.name, (np.inf, "")), (error, fault))
        return None

    def refusal(self) -> UnsupportedError:
        """The error that says what was tried."""
        return _no_match(self._n_drafts, {name: fault for name, (_, fault) in self._faults.items()})


def find_match(drafts: Iterable[Draft], calls: Sequence[Call], like: FloatArray | None = None) -> Match:
    """The first reading that is good enough, else the best of those that agree.

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


def certify(model: Model, match: Match, framework: str, like: FloatArray | None = None) -> dict[str, Plain2]:
    """The parity certificate: the match tried again on more frames, in several chunkings.

    Raises:
        UnsupportedError: the match does not hold on them.
    """
    frames = draw_frames(model, N_FRAMES, 2, like)
    plays = [play(model, frames, chunk) for chunk in CHUNKINGS]
    assert all(np.array_equal(plays[0].view(np.uint32), ys.view(np.uint32)) for ys in plays)
    answers = _try(match.call, frames, model.output_size)
    if isinstance(answers, str):
        raise _no_match(1, {match.call.name: answers})
    error, largest = error_of(plays[0], answers)
    if error > TOLERANCE * max(1.0, largest):
        raise _no_match(1, {match.call.name: f"differs by {error:.2g} over {N_FRAMES} frames"})
    return {
        "framework": framework,
        "passed": True,
        "max_abs_error": error,
        "max_rel_error": error / largest if largest else error,
        "max_abs_output": largest,
        "tolerance": TOLERANCE,
        "n_frames": N_FRAMES,
        "n_compared": len(answers),
        "call": match.call.name,
        "reading": match.draft.reading,
        "frames": _frames_text(model, like),
        "chunkings": list(CHUNKINGS),
    }


def _frames_text(model: Model, like: FloatArray | None) -> str:
    if model.n_tokens:
        return "random token ids"
    if like is not None and len(like) > 1:
        return "random normal, of the example's mean and 1 and 3 times its deviation"
    return "random normal, of deviation 1 and 3 behind the normaliser, if any"
