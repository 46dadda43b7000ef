"""Gaps: what becomes of samples that are missing by their times."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np

from streamrnn.errors import OptionError
from streamrnn.kernels.packing import FloatArray

GapPolicy = Literal["hold", "linear", "zero", "reset_after"]
POLICIES: tuple[GapPolicy, ...] = get_args(GapPolicy)

MAX_TIME_US = 2**62
"""Largest time, and span of time, that is taken: sums of two stay within the int64 of a snapshot."""


@dataclass(frozen=True)
class Gaps:
    """How a session takes samples that are missing: between two frames `round(dt / period_us) - 1` are, halves up.

    `hold`, `linear` and `zero` step the state by as many made-up frames before the frame that came: the last frame
    again, on the line from the last to the next, or zeros. They have no seq and no output.

    Raises:
        OptionError: no such policy, or a time out of range.
    """

    policy: GapPolicy
    """What fills a gap; `reset_after`: nothing."""
    period_us: int
    """Time from one frame to the next, 1 .. 2^62."""
    reset_after_us: int = 0
    """A gap that is longer resets the state instead of being filled, up to 2^62; 0: never, but `reset_after` needs it.

    The length of a gap is the time from the frame before it to the frame after it."""

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise OptionError(f"gaps: expected a policy of {', '.join(POLICIES)}, got {self.policy!r}")
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            least = 1 if field.name == "period_us" or self.policy == "reset_after" else 0
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_TIME_US:
                raise OptionError(f"gaps: expected {field.name} of {least} to 2^62 for {self.policy}, got {value!r}")

    @property
    def needs_frame(self) -> bool:
        """Whether filling takes the frame before the gap."""
        return self.policy in ("hold", "linear")

    def judge(self, dt_us: int, max_fill_frames: int) -> tuple[int, bool]:
        """Before a frame that came `dt_us` after the last one: how many samples to fill, and whether to reset."""
        n_missing = (2 * dt_us + self.period_us) // (2 * self.period_us) - 1
        if n_missing <= 0:
            return 0, False
        if 0 < self.reset_after_us < dt_us:
            return 0, True
        if self.policy == "reset_after":
            return 0, False
        return (0, True) if n_missing > max_fill_frames else (n_missing, False)

    def fill(self, before: FloatArray | None, after: FloatArray, n: int) -> FloatArray:
        """The `n` made-up frames of a gap.

        Args:
            before: (input_size,) float32, the frame before the gap; None where it is not needed.
            after: (input_size,) float32, the frame that came.
            n: at least 1.

        Returns:
            (n, input_size) float32, finite where both frames are.
        """
        made_up = np.zeros((n, after.size), np.float32)
        if before is not None and self.policy == "hold":
            made_up[:] = before
        elif before is not None:
            # In float64: the distance of two float32 values may be no float32 value.
            start = before.astype(np.float64)
            part = np.arange(1, n + 1, dtype=np.float64)[:, None] / (n + 1)
            made_up[:] = start + (after - start) * part
        return made_up
