"""The benchmark of the kernels: its contenders compute the same, and its tables hold what was measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import contenders, kernel_tables, kernels
from benchmarks.nets import Net, make_model

TORCH = {name: contenders.PEERS[name] for name in ("torch cell", "torch module")}
"""Peers that the tests install; the others come with `make bench`."""


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize(("n_sessions", "n_frames"), [(1, 1), (3, 1), (1, 5), (3, 5)])
def test_peers_compute_the_same(kind, n_layers, n_sessions, n_frames):
    net = Net(kind, 7, 20, n_layers)
    model = make_model(net)
    made = {name: make(net, model, n_frames, n_sessions) for name, make in TORCH.items()}
    peers = {name: peer for name, peer in made.items() if peer is not None}
    assert ("torch cell" in peers) == (n_frames == n_layers == 1)
    rng = np.random.default_rng(0)
    xs = [rng.standard_normal((n_frames, n_sessions, 7)).astype(np.float32) for _ in range(6)]
    assert kernels.check(net, contenders.ours(model, n_frames, n_sessions), peers, xs) < kernels.TOLERANCE


def test_a_peer_that_differs_stops_the_benchmark():
    net = Net("gru", 7, 20)
    model = make_model(net)
    wrong = replace(contenders.ours(model, 1, 1), step=lambda x: np.zeros((1, 20), np.float32))
    with pytest.raises(SystemExit, match="GRU 7/20: wrong differs from streamrnn by"):
        kernels.check(net, contenders.ours(model, 1, 1), {"wrong": wrong}, [np.ones((1, 1, 7), np.float32)])


def test_what_is_measured_stands_in_the_tables(monkeypatch):
    monkeypatch.setattr(contenders, "PEERS", TORCH)
    net = Net("lstm", 16, 32)
    model = make_model(net)
    steps = [kernels.measure(net, model, n, t, budget_ms=1.0) for n in (1, 32) for t in (1, 50)]
    for step in steps:
        assert step["limit_us"] > 0 and 0 < step["us"]["kernel"]["q1"] <= step["us"]["kernel"]["median"]
    level = {"name": "L1", "bytes": 32768, "slowest_gb_s": 1.0, "fastest_gb_s": 2.0}
    loss = {"model": "m", "precision": "int8", "max_abs_error": 0.1, "rms_error": 0.01, "rms_output": 1.0}
    figures = {
        "levels": [level],
        "steps": steps,
        "threads": {"net": "x", "n_sessions": 2, "us": {"1": {"median": 2.0}, "2": {"median": 1.0}}},
        "losses": [{**loss, "other_argmax": None, "n_frames": 3}],
    }
    tables = kernel_tables.tables_of(figures)
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
    held = {row[0]: row for row in tables[-1].rows}
    assert held["LSTM 16/32 in the kernel: the C++ reference, scaled"][3] in ("met", "MISSED")
    assert "LSTM 16/32: engine.step_many of 32 over the kernel" in held
