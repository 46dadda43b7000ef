"""Latencies are counted from when a frame was due, frame by frame, in constant memory."""

import math

import pytest

from streamrnn.commands.latency import Latency

MS = 1_000_000


def test_oldest_frames_are_answered_first():
    latency = Latency(started_ns=0)
    for due_ms in (1, 1, 3):
        latency.send(due_ms * MS)
    latency.answer(2 * MS)
    latency.answer(4 * MS)
    assert latency.n_in_flight == 1
    assert latency.n_frames == 2
    assert latency.percentile_ms(100) == pytest.approx(3.0, rel=0.005)
    assert latency.percentile_ms(50) == pytest.approx(1.0, rel=0.005)
    assert latency.frames_per_s == pytest.approx(500)


def test_percentiles_are_exact_to_half_a_percent():
    latency = Latency(started_ns=0)
    for late_us in range(1, 10_001):
        latency.send(0)
        latency.answer(late_us * 1000)
    for percent in (1, 50, 99, 99.9):
        assert latency.percentile_ms(percent) == pytest.approx(percent / 10, rel=0.005)
    assert latency.percentile_ms(100) == 10.0
    assert len(latency._buckets) < 2000


def test_sessions_are_merged():
    one, other = Latency(started_ns=0), Latency(started_ns=5 * MS)
    for latency, late_ms in ((one, 1), (other, 9)):
        latency.send(0)
        latency.send(0)
        latency.answer(late_ms * MS)
    one.merge(other)
    assert (one.n_frames, one.n_in_flight, one.worst_ns, one.ended_ns) == (2, 2, 9 * MS, 9 * MS)


def test_nothing_answered_is_no_number():
    latency = Latency()
    assert math.isnan(latency.percentile_ms(50))
    assert latency.summary().startswith("0 frames")
