"""A pace says when a frame is due."""

import pytest

from streamrnn.commands.pace import Pace
from streamrnn.errors import OptionError


def test_max_is_due_at_once():
    assert Pace.parse("max").due_s(1000, 3600.0) == 0.0


def test_a_rate_spreads_frames_evenly():
    assert Pace.parse("50").due_s(25, 0.0) == 0.5


def test_realtime_follows_the_recording_at_its_speed():
    assert Pace.parse("realtime", speed=60).due_s(1, 300.0) == 5.0


@pytest.mark.parametrize("rate", ["fast", "0", "-3", "nan", "inf", ""])
def test_any_other_rate_is_told_what_was_expected(rate):
    with pytest.raises(OptionError, match="expected --rate max, realtime or frames per second"):
        Pace.parse(rate)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_is_above_zero(speed):
    with pytest.raises(OptionError, match="--speed"):
        Pace.parse("realtime", speed)
