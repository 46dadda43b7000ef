"""Deadlines come in order, once each, and setting them over and over costs no memory."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from streamrnn.serving.timers import MIN_STALE, Timers

moves = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 7), st.integers(0, 50)),
        st.tuples(st.just("drop"), st.integers(0, 7), st.just(0)),
        st.tuples(st.just("advance"), st.just(0), st.integers(0, 20)),
    ),
    max_size=200,
)


@given(moves=moves)
def test_timers_are_a_sorted_list(moves):
    timers: Timers[int] = Timers()
    plain: dict[int, int] = {}
    now = 0
    for move, item, n in moves:
        if move == "put":
            timers.put(item, now + n - 5)
            plain[item] = now + n - 5
        elif move == "drop":
            timers.drop(item)
            plain.pop(item, None)
        else:
            now += n
            due = timers.advance(now)
            assert sorted(due) == sorted(item for item, at in plain.items() if at <= now)
            assert [plain[item] for item in due] == sorted(plain[item] for item in due)
            for item in due:
                del plain[item]
        assert len(timers) == len(plain)
        assert timers.next_ns == min(plain.values(), default=None)


def test_what_is_set_at_the_same_time_comes_in_the_order_of_setting():
    timers: Timers[object] = Timers()
    items = [object() for _ in range(20)]  # which cannot be compared
    for item in items:
        timers.put(item, 5)
    assert timers.advance(4) == []
    assert timers.advance(5) == items
    assert timers.advance(5) == []


def test_a_later_deadline_replaces_an_earlier_one_and_the_reverse():
    timers: Timers[str] = Timers()
    timers.put("a", 1)
    timers.put("a", 9)
    timers.put("b", 9)
    timers.put("b", 1)
    assert timers.next_ns == 1
    assert timers.advance(8) == ["b"]
    assert timers.advance(9) == ["a"]
    assert timers.next_ns is None


def test_a_million_changes_keep_the_heap_small():
    rng = random.Random(7)
    timers: Timers[int] = Timers()
    n_items, most = 100, 0
    for i in range(1_000_000):
        item = rng.randrange(n_items)
        if i % 3:
            timers.put(item, i + rng.randrange(10_000))
        else:
            timers.drop(item)
        most = max(most, len(timers._heap))
    assert most <= 2 * n_items + MIN_STALE + 1
    assert len(timers.advance(2_000_000)) <= n_items
    assert not timers._heap and not len(timers)


def test_dropping_everything_lets_go_of_it():
    timers: Timers[int] = Timers()
    for item in range(10_000):
        timers.put(item, item)
    for item in range(10_000):
        timers.drop(item)
    assert len(timers._heap) <= MIN_STALE
