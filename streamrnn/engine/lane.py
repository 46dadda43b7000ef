"""A lane: one model's arena, its scheduler, and the staging arrays that its kernel calls use."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.engine.arena import Arena
from streamrnn.engine.headless import Headless
from streamrnn.engine.helpers import Helpers
from streamrnn.errors import FrameError, InternalError
from streamrnn.kernels.jit import direct, function_address
from streamrnn.kernels.packing import FloatArray, aligned_zeros
from streamrnn.kernels.plan import Call, Plan
from streamrnn.kernels.runner import (
    ALL_STEPPED,
    find_refused,
    find_refused_at,
    invoke_holding,
    invoke_releasing,
    run_program,
)
from streamrnn.limits import Limits
from streamrnn.model.model import Model
from streamrnn.model.windows import LOWEST

MIN_PART_MACS = 12_000_000
"""Least multiply-adds of a part of a batch: 80 to 250 us, so that a hand-over to another thread (50 us) pays."""

HELD_MACS = 2_000_000
"""Multiply-adds up to which a kernel call holds the GIL: at most some 60 us, a hundredth of a thread's turn."""

Invoke = Callable[[int, int], int]


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
        n_parked: sessions of it that are parked: they hold no slot, and will want one here.
        max_batch: most sessions in one kernel call.
        max_fill_frames: most frames made up for one gap.
        n_state_values: values of a state, without the padding of its row.
        has_lowest: whether some of them begin as the smallest float32, which stands for nothing yet.
        staging: `staging(n)` gives the arrays of a batch of n; all views of the same memory.
        frame_bytes: of one frame.
        n_macs: multiply-adds of a step.
        find_refused_at: as the kernel of that name.
        kernel, invoke: `invoke(kernel, call.address)` steps one session by a call of this lane; nothing else may be
            passed. It returns -1, or the frame refused.
        x, y: of `staging(1)`; `frame` (input_size,) and `output` (output_size,) are the same memory.
    """

    def __init__(self, name: str, model: Model, limits: Limits, helpers: Helpers | None = None) -> None:
        self.name = name
        self.n_parked = 0
        self.model = model
        self.max_batch = min(limits.max_batch, limits.max_sessions)
        self.max_fill_frames = limits.max_fill_frames
        # Kept here because every frame asks for them; the model computes them anew each time.
        self.input_size = model.input_size
        self.output_size = model.output_size
        self.frame_bytes = 4 * model.input_size
        self.n_tokens = model.n_tokens
        program = model.program
        self.n_state_values = sum(region.size for region in program.regions)
        self.has_lowest = bool((program.initial_state == LOWEST).any())
        self.arena = Arena(limits.max_sessions, program.initial_state)
        self._helpers = helpers
        self.n_macs = program.n_macs
        self._plans = [
            Plan(
                program.table,
                program.weights,
                self.arena.rows,
                self.arena.n_applied,
                program.work_size,
                self.max_batch,
            )
            for _ in range(limits.max_threads if helpers else 1)
        ]
        self._calls = [Call(plan) for plan in self._plans]
        self.kernel = function_address(run_program)
        self._holding, self._releasing = direct(invoke_holding), direct(invoke_releasing)
        self.find_refused_at: Callable[[int, int, int, int], int] = direct(find_refused_at)
        self.invoke = self.invoker(1)
        self._slots = np.zeros(self.max_batch, np.int64)
        self._spare = np.array([self.arena.n_slots], np.int64)
        self._x = aligned_zeros(1, self.max_batch, model.input_size)
        self._y = aligned_zeros(1, self.max_batch, model.output_size)
        self.staging = cache(self._make_staging)
        _, self.x, self.y = self.staging(1)
        self.frame: FloatArray = self.x[0, 0]
        self.output: FloatArray = self.y[0, 0]

    def _make_staging(self, n: int) -> Staging:
        return Staging(self._slots[:n], self._x[:, :n], self._y[:, :n])

    def run(self, slots: NDArray[np.int64], x: FloatArray, y: FloatArray) -> int:
        """Step `slots` (n,) by x (n_frames, n, input_size); y (n_frames, n, output_size) is written.

        A batch of one frame each that is big enough is split over threads; the bits are the same.

        Returns:
            -1, or `frame * n + session` of the first frame refused, and then nothing has changed.
        """
        n_parts = self._n_parts(len(slots)) if len(x) == 1 else 1
        if n_parts > 1:
            return self._run_parts(n_parts, slots, x, y)
        call = self._calls[0]
        refused: int = self.invoker(len(x) * len(slots))(self.kernel, call.aim(slots, x, y))
        call.let_go()  # a long run's frames may be large
        return refused

    @cached_property
    def _headless(self) -> Headless:
        return Headless(self.model.program, self.arena)  # its memory is for those that need it

    def advance(self, slots: NDArray[np.int64], frames: FloatArray) -> None:
        """Step one slot (1,) by checked frames (n, input_size), C-contiguous: no outputs, and not counted."""
        headless = self._headless
        refused = self.invoker(len(frames))(self.kernel, headless.aim(slots, frames))
        headless.let_go()
        if refused >= 0:
            raise InternalError("a checked frame was refused by the kernel")

    def advance_row(self, row: FloatArray | None, frames: FloatArray) -> FloatArray:
        """Step a row (state_size,) that is in no slot, as `advance`; None: the initial one. The row behind it."""
        arena, spare = self.arena, self._spare
        arena.rows[spare[0]] = arena.initial_state if row is None else row
        self.advance(spare, frames)
        stepped: FloatArray = arena.rows[spare[0]].copy()
        return stepped

    def invoker(self, n_frames: int) -> Invoke:
        """What steps by a call of `n_frames` in all: it lets other threads run where that takes long."""
        return self._holding if n_frames * self.n_macs < HELD_MACS else self._releasing

    def steps_at_once(self, n: int) -> bool:
        """Whether a batch of n is one kernel call: small enough for one, and not worth more than one thread."""
        return n <= self.max_batch and self._n_parts(n) < 2

    def _n_parts(self, n: int) -> int:
        return min(len(self._plans), n * self.n_macs // MIN_PART_MACS)

    def call_of(self, slots: NDArray[np.int64]) -> Call:
        """A call that steps `slots` (n,) by one frame each, with the x and y of `staging(n)`."""
        _, x, y = self.staging(len(slots))
        call = Call(self._plans[0])
        call.aim(slots, x, y)
        return call

    def stepper(self, slots: NDArray[np.int64], x: FloatArray, y: FloatArray) -> Callable[[], int]:
        """What does `run` with the same arrays, again and again."""
        n = len(slots)
        if not self.steps_at_once(n):
            return lambda: self.run(slots, x, y)
        call = Call(self._plans[0])
        call.aim(slots, x, y)
        invoke, kernel, address = self.invoker(len(x) * n), self.kernel, call.address

        def step(call: Call = call) -> int:  # the call keeps the arrays
            return invoke(kernel, address)

        return step

    def _run_parts(self, n_parts: int, slots: NDArray[np.int64], x: FloatArray, y: FloatArray) -> int:
        assert self._helpers is not None
        refused: int = find_refused(x[0], self.n_tokens)  # by all parts together: none may step if one would refuse
        if refused >= 0:
            return refused
        n = len(slots)
        cuts = [i * n // n_parts for i in range(n_parts + 1)]
        parts = [
            call.aim(slots[a:b], x[:, a:b], y[:, a:b]) for call, a, b in zip(self._calls, cuts, cuts[1:], strict=False)
        ]
        mine, others = parts[:1], []
        for call in parts[1:]:
            try:
                others.append(self._helpers.submit(self._releasing, self.kernel, call))
            except RuntimeError:  # shut down: some parts may be under way, so the rest is stepped all the same
                mine.append(call)
        for call in mine:
            self._releasing(self.kernel, call)
        for other in others:
            other.result()
        return ALL_STEPPED

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

    @staticmethod
    def check_out(out: FloatArray, shape: tuple[int, ...]) -> None:
        """Check an array that a caller wants outputs written to.

        Raises:
            FrameError: it is no writeable float32 array of that shape.
        """
        if not isinstance(out, np.ndarray) or out.dtype != np.float32 or out.shape != shape or not out.flags.writeable:
            got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
            raise FrameError(f"out: expected a writeable float32 array of shape {shape}, got {got}")

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
