"""A lane: one model's arena, its scheduler, and the staging arrays that its kernel calls use."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.engine.arena import Arena
from streamrnn.errors import FrameError
from streamrnn.kernels.packing import FloatArray, aligned_zeros
from streamrnn.kernels.runner import find_refused, run_program
from streamrnn.limits import Limits
from streamrnn.model.model import Model


class Staging(NamedTuple):
    """Writeable, contiguous arrays for a batch of n sessions: what the kernel takes without copies or conversions."""

    slots: NDArray[np.int64]
    """(n,)"""
    x: FloatArray
    """(1, n, input_size)"""
    y: FloatArray
    """(1, n, output_size)"""


class Lane:
    """One model, its sessions' rows and the scratch memory to step them. Not thread-safe.

    Attributes:
        max_batch: most sessions in one kernel call.
        staging: `staging(n)` gives the arrays of a batch of n; all views of the same memory.
        one: `staging(1)`, and `frame`, `output` its x (input_size,) and y (output_size,).
    """

    def __init__(self, name: str, model: Model, limits: Limits) -> None:
        self.name = name
        self.model = model
        self.max_batch = min(limits.max_batch, limits.max_sessions)
        # Kept here because every frame asks for them; the model computes them anew each time.
        self.input_size = model.input_size
        self.output_size = model.output_size
        self.n_tokens = model.n_tokens
        program = model.program
        self.arena = Arena(limits.max_sessions, program.initial_state)
        self._table, self._weights = program.table, program.weights
        self._work = aligned_zeros(self.max_batch, program.work_size)
        self._rows = np.zeros((2, self.max_batch), np.int64)
        self._slots = np.zeros(self.max_batch, np.int64)
        self._x = aligned_zeros(1, self.max_batch, model.input_size)
        self._y = aligned_zeros(1, self.max_batch, model.output_size)
        self.staging = cache(self._make_staging)
        self.one = self.staging(1)
        self.frame: FloatArray = self.one.x[0, 0]
        self.output: FloatArray = self.one.y[0, 0]

    def _make_staging(self, n: int) -> Staging:
        return Staging(self._slots[:n], self._x[:, :n], self._y[:, :n])

    def step(self, staging: Staging) -> int:
        """Step the sessions in `staging.slots` by the frames in `staging.x`; outputs in `staging.y`.

        Returns:
            -1, or the index of the first frame refused, and then nothing has changed.
        """
        return self.run(staging.slots, staging.x, staging.y)

    def run(self, slots: NDArray[np.int64], x: FloatArray, y: FloatArray) -> int:
        """Step `slots` (n,) by x (n_frames, n, input_size); y (n_frames, n, output_size) is written.

        Returns:
            -1, or `frame * n + session` of the first frame refused, and then nothing has changed.
        """
        refused: int = run_program(self._table, self._weights, self.arena.rows, slots, x, y, self._work, self._rows)
        return refused

    def check(self, frames: FloatArray) -> None:
        """Check the values of frames (n, input_size), float32, contiguous.

        Raises:
            FrameError: names the first frame that is not finite, or not a token id.
        """
        refused = find_refused(frames, self.n_tokens)
        if refused >= 0:
            raise self.refusal(frames[refused], refused)

    def refusal(self, frame: FloatArray, index: int) -> FrameError:
        """The error for a frame (input_size,) whose values were refused; `index` counts within its message or call."""
        if self.model.n_tokens:
            expected = f"a token id, an integer in [0, {self.model.n_tokens})"
            return FrameError(f"frame {index}: expected {expected}, got {frame[0]}", index=index)
        place = int(np.flatnonzero(~np.isfinite(frame))[0])
        return FrameError(f"frame {index}: value {place} is {frame[place]}; expected finite values", index=index)

    def as_frames(self, frames: bytes | bytearray | memoryview | FloatArray) -> FloatArray:
        """Checked frames in memory of our own.

        Args:
            frames: little-endian float32 bytes of whole frames, or float32 (n_frames, input_size) or (input_size,).

        Returns:
            (n_frames, input_size) float32, C-contiguous; never shared with the caller.

        Raises:
            FrameError: wrong size, dtype, no frame at all, or values that are refused.
        """
        size = self.input_size
        if isinstance(frames, np.ndarray):
            if frames.dtype != np.float32 or frames.ndim > 2 or frames.shape[-1:] != (size,):
                raise FrameError(
                    f"expected float32 frames of {size} values, got {frames.dtype} {frames.shape}", input_size=size
                )
            owned = np.array(frames, np.float32, order="C").reshape(-1, size)
        else:
            if len(frames) % (4 * size):
                expected = f"whole frames of {size} float32 values ({4 * size} bytes each)"
                raise FrameError(f"expected {expected}, got {len(frames)} bytes", input_size=size)
            # A copy as bytearray is writeable and costs a third of frombuffer + astype + reshape.
            owned = np.ndarray((len(frames) // (4 * size), size), "<f4", bytearray(frames))
        if not len(owned):
            raise FrameError(f"expected at least one frame of {size} float32 values, got none", input_size=size)
        self.check(owned)
        return owned
