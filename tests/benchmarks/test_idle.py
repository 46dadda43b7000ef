"""The benchmark of silent connections: its crowd stays connected, answers pings and opens sessions."""

from __future__ import annotations

from benchmarks import idle


def test_a_crowd_is_held():
    figures = idle.measure(n_connections=20, ping_interval_ms=200, n_intervals=3)
    assert figures["n_connections"] == 20
    assert figures["n_pings"] >= 20
    assert figures["cpu_share"] > 0
