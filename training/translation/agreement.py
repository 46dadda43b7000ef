"""How far two interpreters agree: the engine's and PyTorch's, of one net."""

from collections.abc import Iterable, Sequence

import numpy as np

from training.translation.interpreter import Interpreter
from training.translation.offline_interpreter import OfflineInterpreter


def largest_difference(ours: Interpreter, theirs: OfflineInterpreter, pairs: Iterable[tuple[str, str]]) -> float:
    """The largest difference of any output while each target of pairs (source, target) is said, whatever is likely."""
    return max(float(np.abs(ours.outputs(*pair) - theirs.outputs(*pair).numpy()).max()) for pair in pairs)


def agreement(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """How many translations are the same, as `n of all`."""
    return f"{sum(a == b for a, b in zip(ours, theirs, strict=True))} of {len(ours)}"
