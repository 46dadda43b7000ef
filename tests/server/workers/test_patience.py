"""When a worker that died is started again, and when no start will help."""

from __future__ import annotations

from streamrnn.server.workers.patience import LONGEST_DELAY_S, MAX_FAILED_STARTS, SETTLED_S, Patience


def test_the_first_start_of_all_is_tried_once() -> None:
    assert Patience().delay_s(None, was_ever_served=False) is None


def test_one_that_served_for_long_is_started_at_once_for_ever() -> None:
    patience = Patience()
    assert {patience.delay_s(SETTLED_S, True) for _ in range(100)} == {0.0}


def test_one_that_dies_soon_is_started_later_and_later_but_for_ever() -> None:
    patience = Patience()
    delays = [patience.delay_s(1.0, True) for _ in range(100)]
    assert delays[:4] == [0.0, 1.0, 2.0, 4.0]
    assert delays[-1] == LONGEST_DELAY_S


def test_one_that_is_never_ready_again_is_given_up() -> None:
    patience = Patience()
    assert patience.delay_s(SETTLED_S, True) == 0.0
    delays = [patience.delay_s(None, True) for _ in range(MAX_FAILED_STARTS)]
    assert delays == [0.5, 1.0, 2.0, 4.0, None]


def test_a_start_that_succeeds_makes_up_for_those_that_failed() -> None:
    patience = Patience()
    for _ in range(10):
        assert patience.delay_s(None, True) is not None
        assert patience.delay_s(1.0, True) is not None
