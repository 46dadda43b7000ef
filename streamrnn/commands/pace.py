"""When each frame of a recording is due: at once, at a fixed rate, or as it was recorded."""

from __future__ import annotations

from dataclasses import dataclass

from streamrnn.errors import OptionError


@dataclass(frozen=True)
class Pace:
    """A rule for the due time of a frame, in seconds after the first.

    `hz` frames a second; 0: as recorded, `speed` times faster; infinite: as fast as the server answers.
    """

    hz: float
    speed: float = 1.0

    @classmethod
    def parse(cls, rate: str, speed: float = 1.0) -> Pace:
        """Read `max`, `realtime` or a number of Hz.

        Raises:
            OptionError: the text is none of these, or a number is not above 0.
        """
        if not speed > 0:
            raise OptionError(f"expected a --speed above 0, got {speed:g}")
        if rate == "max":
            return cls(float("inf"), speed)
        if rate == "realtime":
            return cls(0.0, speed)
        try:
            hz = float(rate)
        except ValueError:
            hz = -1.0
        if not 0 < hz < float("inf"):
            raise OptionError(f"expected --rate max, realtime or frames per second above 0, got {rate!r}")
        return cls(hz, speed)

    @property
    def is_max(self) -> bool:
        """Whether a frame is due as soon as it is there."""
        return self.hz == float("inf")

    @property
    def is_realtime(self) -> bool:
        """Whether the recording's own times say when a frame is due."""
        return self.hz == 0.0

    def due_s(self, n: int, since_first_s: float) -> float:
        """Return the due time of frame `n` (from 0), recorded `since_first_s` seconds after the first."""
        if self.is_max:
            return 0.0
        return since_first_s / self.speed if self.is_realtime else n / self.hz

    def describe(self) -> str:
        """Say it in words for the summary."""
        if self.is_max:
            return "as fast as answered"
        return f"as recorded, {self.speed:g} times as fast" if self.is_realtime else f"{self.hz:g} frames/s"
