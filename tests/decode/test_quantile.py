"""The running quantile against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.decode.quantile import Quantile
from streamrnn.errors import SnapshotError


def running(values, share: float) -> Quantile:
    quantile = Quantile(share)
    for value in values:
        quantile.add(float(value))
    return quantile


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["uniform", "normal", "exponential"])
def test_it_comes_near_the_quantile_of_a_long_series(kind, share):
    values = getattr(np.random.default_rng(7), kind)(size=50_000)
    estimate = running(values, share).value
    assert abs((values < estimate).mean() - share) < 0.005


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.floats(0.01, 0.99))
def test_of_up_to_five_values_it_is_exact(values, share):
    assert running(values, share).value == pytest.approx(np.quantile(values, share), abs=1e-12)


def test_the_example_of_the_paper():
    """Jain and Chlamtac 1985, table I: the median of 20 values."""
    values = [0.02, 0.15, 0.74, 3.39, 0.83, 22.37, 10.15, 15.43, 38.62, 15.92]
    values += [34.60, 10.28, 1.47, 0.40, 0.05, 11.39, 0.27, 0.42, 0.09, 11.37]
    quantile = running(values, 0.5)
    assert quantile.value == pytest.approx(4.44, abs=0.005)
    assert [round(height, 2) for height in quantile.heights] == [0.02, 0.49, 4.44, 17.20, 38.62]


@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=200), st.floats(0.01, 0.99))
def test_it_stays_between_the_least_and_the_largest_and_its_state_is_whole(values, share):
    quantile = running(values, share)
    assert min(values) <= quantile.value <= max(values)
    quantile.check(share)
    with pytest.raises(SnapshotError):
        quantile.check(share / 2)


def test_without_a_value_it_is_zero():
    assert Quantile(0.5).value == 0.0
    assert running([3.0] * 100, 0.9).value == 3.0
