"""Latencies are counted from when a frame was due, frame by frame."""

import math

from streamrnn.commands.latency import Latency


def test_oldest_frames_are_answered_first():
    latency = Latency(started_ns=0)
    latency.send(2, 1_000_000)
    latency.send(1, 3_000_000)
    latency.answered_ns = [2_000_000, 4_000_000]
    assert latency.latencies_ms().tolist() == [1.0, 3.0]
    assert latency.n_in_flight == 1
    assert latency.percentile_ms(100) == 3.0


def test_nothing_answered_is_no_number():
    latency = Latency()
    assert math.isnan(latency.percentile_ms(50))
    assert latency.summary().startswith("0 frames")
