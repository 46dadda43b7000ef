"""Comparisons on symbols, and choices by them: 1 where something is so, else 0."""

from __future__ import annotations

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.tracing.maths import Maths
from streamrnn.model.importers.tracing.symbol import Constant, Symbol

STEEP = 1e30
"""What a difference is multiplied with to be past 1 wherever it is not 0, but for differences below 1e-30."""


class Choosing(Maths):
    """What depends on which of two values is larger; the values are numbers all the same, and no branch is taken."""

    def greater(self, a: Symbol | Constant, b: Symbol | Constant, is_strict: bool = True, name: str = "") -> Symbol:
        """1 where `a > b` (or, not strictly, `a >= b`), else 0; at least one is a symbol."""
        if not is_strict:
            return self.negated(self.greater(b, a), name)
        return self.map("clamp", self._steep(self.binary("sub", a, b)), 0.0, 1.0, name)

    def sign(self, x: Symbol, name: str = "") -> Symbol:
        """-1, 0 or 1."""
        return self.map("clamp", self._steep(x), -1.0, 1.0, name)

    def negated(self, condition: Symbol, name: str = "") -> Symbol:
        """1 where `condition` is 0, and 0 where it is 1."""
        return self.map("linear_map", condition, -1.0, 1.0, name)

    def _steep(self, x: Symbol) -> Symbol:
        return self.map("linear_map", x, STEEP)

    def choose(
        self, condition: Symbol | Constant, yes: Symbol | Constant, no: Symbol | Constant, name: str = ""
    ) -> Symbol:
        """`yes` where `condition` is 1, `no` where it is 0; at least one of the three is a symbol.

        By a condition that is computed, as `no + condition * (yes - no)`: rounded once more.
        """
        if isinstance(condition, Symbol):
            change: Symbol | Constant
            if isinstance(yes, Symbol) or isinstance(no, Symbol):
                change = self.binary("sub", yes, no)
            else:
                change = np.subtract(yes, no)
            return self.binary("add", self.binary("mul", condition, change), no, name)
        mask = np.asarray(condition).astype(bool)
        for side, chosen in ((True, yes), (False, no)):
            if np.all(mask == side):
                if isinstance(chosen, Symbol) and np.broadcast_shapes(chosen.shape, mask.shape) == chosen.shape:
                    return chosen
                raise UnsupportedError("it repeats a value over the shape of its condition")
        parts = [
            self.binary("mul", value, where.astype(np.float32))
            if isinstance(value, Symbol)
            else np.where(where, value, 0.0).astype(np.float32)
            for value, where in ((yes, mask), (no, ~mask))
        ]
        return self.binary("add", parts[0], parts[1], name)
