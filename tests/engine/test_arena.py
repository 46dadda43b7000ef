"""Slots: fixed in number, reused, and fresh whenever they are taken."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn.engine.arena import Arena
from streamrnn.errors import CapacityError

INITIAL = np.array([1, -2, 3.5, 0], np.float32)


def test_every_slot_is_given_once():
    arena = Arena(5, INITIAL)
    assert sorted(arena.take() for _ in range(5)) == [0, 1, 2, 3, 4]
    assert (arena.n_slots, arena.n_free) == (5, 0)
    with pytest.raises(CapacityError) as refusal:
        arena.take()
    assert refusal.value.retryable
    assert refusal.value.fields == {"max_sessions": 5}


def test_a_slot_given_back_is_taken_again_and_fresh():
    arena = Arena(2, INITIAL)
    first, second = arena.take(), arena.take()
    arena.rows[first] = np.nan
    arena.rows[second] = 7
    arena.release(first)
    assert arena.n_free == 1
    assert arena.take() == first
    np.testing.assert_array_equal(arena.rows[first], INITIAL)
    assert (arena.rows[second] == 7).all()


def test_reset_touches_one_row():
    arena = Arena(3, INITIAL)
    arena.rows[:] = 5
    arena.reset(1)
    np.testing.assert_array_equal(arena.rows[:3], [[5] * 4, INITIAL, [5] * 4])


def test_a_row_may_be_empty():
    arena = Arena(2, np.empty(0, np.float32))
    assert arena.rows.shape == (3, 0)
    assert arena.take() != arena.take()
