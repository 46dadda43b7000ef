"""Percentiles come from an HDR histogram within its three digits, and runs can be added."""

from __future__ import annotations

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from benchmarks.load.figures import histogram, latency_us, merged


def test_percentiles_are_within_three_digits():
    latencies_ns = np.random.default_rng(0).lognormal(12, 2, 50_000).astype(np.int64)
    found = latency_us(latencies_ns)
    ascending_us = np.sort(latencies_ns) / 1e3
    for p in (50, 90, 99, 99.9):
        rank = round(p / 100 * len(ascending_us))  # what is a percentile differs by one sample between definitions
        assert ascending_us[rank - 2] * 0.999 <= found[f"p{p}"] <= ascending_us[rank + 1] * 1.001
    assert found["max"] == latencies_ns.max() / 1e3
    assert latency_us(latencies_ns[:0]) is None


def test_a_histogram_survives_its_encoding_and_addition():
    parts = [np.array([1000, 2000, 3000]), np.array([10**6] * 7)]
    figures = [
        {
            "duration_s": 2.0,
            "frames": {"answered": len(part), "unanswered": 0},
            "n_deadline_misses": 1,
            "histogram": histogram(part).encode().decode(),
        }
        for part in parts
    ]
    both = merged(figures)
    assert both["frames"]["answered"] == 10 and both["achieved_frames_s"] == 2.5 and both["n_deadline_misses"] == 2
    assert HdrHistogram.decode(both["histogram"]).get_total_count() == 10
    assert both["latency_us"]["p90"] == pytest.approx(1000, rel=1e-3)
