"""Two ways to show a scene: drawn live in a terminal, or as plain lines in a log."""

from __future__ import annotations

import time
from typing import Protocol

from rich.console import Console
from rich.live import Live

from streamrnn.commands.demonstration.picture import draw
from streamrnn.commands.demonstration.scene import Scene

DRAW_EVERY_S = 0.125
LINE_EVERY_S = 1.0


class View(Protocol):
    """Told now and then that the scene has changed; decides itself whether to show it."""

    def start(self) -> None:
        """Begin to show."""

    def update(self) -> None:
        """Show the scene, if it is time to."""

    def stop(self) -> None:
        """Show the last of it and leave it there."""


def view_of(scene: Scene, console: Console) -> View:
    """Choose by whether the output is a terminal."""
    return LiveView(scene, console) if console.is_terminal else LineView(scene, console)


class LineView:
    """A line a second, and one for each alarm; the text at the end."""

    def __init__(self, scene: Scene, console: Console) -> None:
        self._scene = scene
        self._console = console
        self._shown_s = 0.0
        self._n_alarms = self._n_finals = 0

    def start(self) -> None:
        """Nothing to set up."""

    def update(self) -> None:
        """Print what is new."""
        scene = self._scene
        for seq in scene.alarms[self._n_alarms :]:
            self._print(f"  ALARM {scene.describe_alarm(seq)}")
        self._n_alarms = len(scene.alarms)
        if scene.spoken is not None:
            for at_s, text in scene.spoken.finals[self._n_finals :]:
                self._print(f"  HEARD {at_s:5.2f} s  {text}")
            self._n_finals = len(scene.spoken.finals)
        now, now_s = scene.now, time.monotonic()
        if now is not None and now_s - self._shown_s >= LINE_EVERY_S:
            self._shown_s = now_s
            self._print(
                f"        {scene.times[now.seq]}  frame {now.seq:4d}  value {now.value:7.2f}  "
                f"forecast {now.forecast:7.2f}  score {now.score:.2f}"
            )

    def stop(self) -> None:
        """Print what is left, and the text."""
        self.update()
        for line in self._scene.text.splitlines():
            self._print(f"   text {line}")

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)
        self._console.file.flush()


class LiveView:
    """Redrawn in place a few times a second, on our own clock, so that no thread draws while frames are timed."""

    def __init__(self, scene: Scene, console: Console) -> None:
        self._scene = scene
        self._live = Live(console=console, auto_refresh=False)
        self._drawn_s = 0.0

    def start(self) -> None:
        """Take the terminal."""
        self._live.start()

    def update(self) -> None:
        """Draw, unless that was just done."""
        if time.monotonic() - self._drawn_s >= DRAW_EVERY_S:
            self._draw()
            self._drawn_s = time.monotonic()

    def stop(self) -> None:
        """Draw once more and give the terminal back."""
        self._draw()
        self._live.stop()

    def _draw(self) -> None:
        self._live.update(draw(self._scene, self._live.console.width), refresh=True)
