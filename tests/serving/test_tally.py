"""Histograms count each value in the first bucket that holds it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamrnn.serving.tally import Histogram, Tally


def test_a_tick_is_counted_everywhere():
    tally = Tally()
    tally.count_tick(3, 15_000)
    tally.count_tick(1, 5_000)
    assert (tally.n_ticks, tally.batch.total, tally.step_ns.total) == (2, 4, 20_000)
    assert tally.batch.counts[:3] == [1, 0, 1] and tally.step_ns.counts[:2] == [1, 1]


@given(st.lists(st.integers(0, 50)))
def test_a_histogram_counts_every_value_once(values):
    histogram = Histogram((1, 10, 20))
    for value in values:
        histogram.add(value)
    assert histogram.total == sum(values)
    assert histogram.counts == [
        sum(value <= 1 for value in values),
        sum(1 < value <= 10 for value in values),
        sum(10 < value <= 20 for value in values),
        sum(value > 20 for value in values),
    ]
