"""The live view of one session: what it hears as a sparkline, what it says as text, and how late that comes."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from streamrnn.commands.latency import Latency
from streamrnn.commands.sparkline import bar_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from streamrnn_client import Output, OutputEvent, Session

DRAW_EVERY_S = 0.1
N_COLUMNS = 200
COLUMN_S = 0.05
QUIET_DB = -60.0
"""Loudness, against full scale, that is drawn as nothing."""


class Listening:
    """Shows a session while it runs: finished events scroll, the present one stands below with the sound.

    Args:
        out: a terminal, or a log: there finished events are lines, and nothing is redrawn.
    """

    def __init__(self, out: TextIO) -> None:
        self._console = Console(file=out, highlight=False, markup=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._levels: deque[float] = deque(maxlen=N_COLUMNS)
        self._open_column: list[float] = []
        self._partial = ""
        self._latency = Latency()
        self._session: Session | None = None
        self._drawn_s = 0.0

    def begin(self, session: Session, latency: Latency) -> None:
        """Take the terminal."""
        self._session, self._latency = session, latency
        self._live.start()

    def hear(self, samples: NDArray[np.float32]) -> None:
        """Take the sound of one frame, (n,) float32; a frame of one value is shown as it is."""
        self._open_column.append(loudness_of(samples))
        rate_hz = self._session.rate_hz if self._session is not None else 0.0
        if len(self._open_column) >= max(1.0, rate_hz * COLUMN_S):
            self._levels.append(max(self._open_column))
            self._open_column.clear()

    def take(self, output: Output) -> None:
        """Take an output; of a session without a decoder the most likely label is the present one."""
        assert self._session is not None
        for event in output.events:
            self._tell_event(event)
        if not self._session.decoder:
            self._partial = most_likely(output.y.tolist(), self._session.labels)
        if time.monotonic() - self._drawn_s >= DRAW_EVERY_S:
            self._draw()

    def tell(self) -> None:
        """Nothing waits: all is shown at its own pace."""

    def end(self) -> None:
        """Give the terminal back, with the last of it left there."""
        if self._partial:
            self._console.print(f"  ... {self._partial}")
        self._live.stop()

    def _tell_event(self, event: OutputEvent) -> None:
        self._partial = event.text if event.kind in ("partial", "label", "speaker") else ""
        if event.kind != "partial":
            self._console.print(line_of(event, self._session.rate_hz if self._session else 0.0))

    def _draw(self) -> None:
        self._drawn_s = time.monotonic()
        width = max(10, self._console.width - 2)
        bars = "".join(bar_of(level) for level in list(self._levels)[-width:])
        latency = self._latency
        status = (
            f" {latency.n_frames:,} frames, latency p50 {latency.percentile_ms(50):.2f} ms, "
            f"p99 {latency.percentile_ms(99):.2f} ms"
        )
        partial = Text(f" {self._partial}"[: width + 1] or " ", style="bold", no_wrap=True)
        self._live.update(
            Group(Text(f" {bars}", style="cyan", no_wrap=True), partial, Text(status, "dim")), refresh=True
        )


def loudness_of(samples: NDArray[np.float32]) -> float:
    """Loudness of samples (n,), 0 .. 1 from `QUIET_DB` to full scale."""
    square = float((samples * samples).mean())
    level_db = 10.0 * math.log10(max(square, 1e-12))
    return min(1.0, max(0.0, 1.0 - level_db / QUIET_DB))


def most_likely(values: list[float], labels: tuple[str, ...]) -> str:
    """The label of the largest value, or nothing where values are not labelled one by one."""
    if len(labels) != len(values) or not values:
        return ""
    return labels[max(range(len(values)), key=values.__getitem__)]


def line_of(event: OutputEvent, rate_hz: float) -> str:
    """An event as a line: when, what, and how sure."""
    when = f"{event.seq / rate_hz:7.2f} s" if rate_hz else f"frame {event.seq:6d}"
    score = f"  ({event.score:.2f})" if event.score else ""
    cause = f"  [{event.cause}]" if event.cause else ""
    return f"{when}  {event.kind:8s}{event.text}{score}{cause}"
