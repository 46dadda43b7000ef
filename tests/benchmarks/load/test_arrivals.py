"""Schedules are seeded, ascending in each line, and have the rates that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.load.arrivals import Phase, room, schedule


@pytest.mark.parametrize("kind", ["constant", "poisson"])
def test_the_same_seed_gives_the_same_times(kind):
    phases = [Phase(50.0, 2.0), Phase(10.0, 3.0)]
    a, b, other = (schedule(5, kind, phases, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.due_ns, b.due_ns)
    np.testing.assert_array_equal(a.order, b.order)
    assert not np.array_equal(a.due_ns[: len(other.due_ns)], other.due_ns[: len(a.due_ns)])


@pytest.mark.parametrize("kind", ["constant", "poisson"])
def test_order_is_that_of_the_times(kind):
    plan = schedule(7, kind, [Phase(40.0, 3.0)], 3)
    taken = plan.first[:-1].copy()
    last_ns = -1
    for line in plan.order:
        due_ns = plan.due_ns[taken[line]]
        assert due_ns >= last_ns
        last_ns = due_ns
        taken[line] += 1
    np.testing.assert_array_equal(taken, plan.first[1:])


def test_constant_arrivals_are_evenly_spaced_from_different_phases():
    plan = schedule(4, "constant", [Phase(100.0, 2.0)], 0)
    lines = [plan.due_ns[a:b] for a, b in zip(plan.first[:-1], plan.first[1:], strict=True)]
    for line in lines:
        assert len(line) == 200
        np.testing.assert_allclose(np.diff(line), 10_000_000, atol=1)
    assert len({int(line[0]) for line in lines}) == 4
    assert all(0 <= line[0] < 10_000_000 for line in lines)


def test_poisson_arrivals_have_the_mean_and_the_spread_of_their_gaps():
    """For exponential gaps both are 1 / rate; the bounds are more than five standard errors wide."""
    plan = schedule(1, "poisson", [Phase(1000.0, 100.0)], 4)
    gaps_s = np.diff(plan.due_ns) / 1e9
    assert abs(len(plan.due_ns) - 100_000) < 5 * 100_000**0.5
    assert abs(gaps_s.mean() * 1000 - 1) < 0.02
    assert abs(gaps_s.std() * 1000 - 1) < 0.03


@pytest.mark.parametrize("kind", ["constant", "poisson"])
def test_phases_follow_one_another(kind):
    plan = schedule(20, kind, [Phase(100.0, 1.0), Phase(300.0, 2.0), Phase(50.0, 4.0)], 5)
    counts, _ = np.histogram(plan.due_ns / 1e9, bins=[0, 1, 3, 7])
    for count, expected in zip(counts, (2000, 12_000, 4000), strict=True):
        assert abs(count - expected) < 5 * expected**0.5


def test_a_closed_loop_has_room_and_no_times():
    plan = room(3, 10)
    np.testing.assert_array_equal(plan.first, [0, 10, 20, 30])
    assert len(plan.order) == 0 and len(plan.due_ns) == 30
