"""Every item falls due once, never early, and at most one tick late."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamrnn.server.wheel import Wheel

TICK = 10


@given(
    deadlines=st.lists(st.integers(0, 500), max_size=20),
    steps=st.lists(st.integers(1, 120), min_size=1, max_size=60),
    n_buckets=st.integers(2, 12),
)
def test_items_fall_due_in_time(deadlines, steps, n_buckets):
    wheel: Wheel[int] = Wheel(TICK, n_buckets, 0)
    for item, due_ns in enumerate(deadlines):
        wheel.put(item, due_ns)
    now_ns, fired = 0, {}
    for step in steps:
        now_ns += step
        for item in wheel.advance(now_ns):
            assert item not in fired
            fired[item] = now_ns
            assert deadlines[item] <= now_ns
        overdue = [item for item, due_ns in enumerate(deadlines) if due_ns + 2 * TICK <= now_ns]
        assert set(overdue) <= set(fired)
    assert len(wheel) == len(deadlines) - len(fired)


def test_a_new_deadline_replaces_the_old():
    wheel: Wheel[str] = Wheel(TICK, 8, 0)
    wheel.put("a", 20)
    wheel.put("a", 60)
    assert wheel.advance(45) == []
    assert wheel.advance(80) == ["a"]
    assert len(wheel) == 0


def test_a_dropped_item_never_falls_due():
    wheel: Wheel[str] = Wheel(TICK, 8, 0)
    wheel.put("a", 20)
    wheel.drop("a")
    wheel.drop("never there")
    assert wheel.advance(1000) == []


def test_time_that_stands_still():
    wheel: Wheel[str] = Wheel(TICK, 8, 1000)
    wheel.put("a", 1000)
    assert wheel.advance(1000) == []
    assert wheel.advance(1020) == ["a"]
