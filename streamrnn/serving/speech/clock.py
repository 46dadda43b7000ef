"""From the numbers of frames and outputs to seconds of the sound that a client sent."""

from __future__ import annotations

from typing import NamedTuple


class Clock(NamedTuple):
    """Times of one recording.

    Attributes:
        frames_hz: frames a second of the model.
        delay: frames by which its outputs come late.
        delay_s: seconds by which sound leaves the resampler late.
        begun_s: when the recording began, in seconds of what the client has sent.
    """

    frames_hz: float
    delay: int = 0
    delay_s: float = 0.0
    begun_s: float = 0.0

    def of_frame(self, seq: int) -> float:
        """When the sound of frame `seq` begins, seconds; a decoder's words carry such frames."""
        return self.begun_s + max(0.0, seq / self.frames_hz - self.delay_s)

    def of_output(self, seq: int) -> float:
        """When the sound begins that output `seq` belongs to, seconds; a decoder's events carry such numbers."""
        return self.of_frame(seq - self.delay)
