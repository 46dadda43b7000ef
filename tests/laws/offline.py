"""What a session with gaps and warm resets must do, put together by hand from plain sessions stepped one by one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

import streamrnn


class Offline:
    """The naive twin of a session: made-up frames are put in, and a state that warms up is a session of its own."""

    def __init__(self, model, gaps=None, max_fill_frames=1024):
        self.engine = streamrnn.Engine(streamrnn.Limits(max_sessions=4))
        self.engine.add_model("m", model)
        self.gaps, self.max_fill_frames = gaps, max_fill_frames
        self.now, self.warm, self.n_warm, self.seen = self.engine.open("m"), None, 0, False
        self.before, self.is_new = None, False

    def reset(self, warm_frames=0):
        """As `Session.reset`."""
        if self.warm is not None:
            self.warm.close()
            self.warm = None
        if warm_frames:
            self.warm, self.n_warm, self.seen = self.engine.open("m"), warm_frames, False
        else:
            self.now.reset()
            self.before, self.is_new = None, False

    def frame(self, x, time_us=None):
        """The output of a frame, how many were made up before it, and whether the state was reset."""
        filled = self._gap(x, time_us)
        was_reset, self.is_new = self.is_new, False
        y = self.now.step(x)
        self.before = (x, time_us)
        if self.warm is not None:
            self.warm.step(x)
            self.seen = True
            self.n_warm -= 1
            if not self.n_warm:
                self.now.close()
                self.now, self.warm, self.is_new = self.warm, None, True
        return y, filled, was_reset

    def skip(self, x, time_us=None):
        """As a frame whose output nobody wants."""
        was_reset = self.frame(x, time_us)[2]
        self.is_new |= was_reset

    def drop(self, x, time_us=None):
        """As a frame that is not stepped."""
        if self.before is not None and self._missing(time_us)[1]:
            self._start_anew()
        self.before = (x, time_us)

    def _missing(self, time_us):
        if self.gaps is None:
            return 0, False
        dt_us = time_us - self.before[1]
        n = int(Fraction(dt_us, self.gaps.period_us) + Fraction(1, 2)) - 1
        too_long = 0 < self.gaps.reset_after_us < dt_us
        if self.gaps.policy != "reset_after":
            too_long |= n > self.max_fill_frames
        return n, n > 0 and too_long

    def _start_anew(self):
        self.now.reset()
        if self.warm is not None:
            self.warm.close()
            self.warm = None
        self.is_new = True

    def _gap(self, x, time_us):
        if self.gaps is None or self.before is None:
            return 0
        n, too_long = self._missing(time_us)
        if too_long:
            self._start_anew()
            return 0
        if self.gaps.policy == "reset_after":
            return 0
        last = self.before[0]
        for j in range(1, n + 1):
            if self.gaps.policy == "hold":
                made_up = last
            elif self.gaps.policy == "zero":
                made_up = np.zeros_like(last)
            else:
                start, end = last.astype(np.float64), x.astype(np.float64)
                made_up = (start + (end - start) * (j / (n + 1))).astype(np.float32)
            self.now.step(made_up)
            if self.warm is not None and self.seen:
                self.warm.step(made_up)
        return max(n, 0)
