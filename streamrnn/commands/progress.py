"""How far a stream has come, on stderr: one line rewritten in place in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from typing import TextIO

TERMINAL_S = 0.1
LOG_S = 5.0


class Progress:
    """Prints at most every 0.1 s in a terminal and every 5 s in a log."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._in_place = out.isatty()
        self._every_s = TERMINAL_S if self._in_place else LOG_S
        self._last_s = time.monotonic()
        self._has_shown = False

    def show(self, n_frames: int, frames_per_s: float) -> None:
        """Print, unless that was just done."""
        now_s = time.monotonic()
        if now_s - self._last_s < self._every_s:
            return
        self._last_s = now_s
        self._has_shown = True
        text = f"{n_frames:,} frames, {frames_per_s:,.0f} frames/s"
        self._out.write(f"\r{text}\033[K" if self._in_place else f"{text}\n")
        self._out.flush()

    def end(self) -> None:
        """Clear the line that was rewritten."""
        if self._in_place and self._has_shown:
            self._out.write("\r\033[K")
            self._out.flush()
