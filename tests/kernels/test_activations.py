"""The approximations over dense grids: errors as the docstrings state them, special values, symmetry."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numba import njit

from streamrnn.kernels import activations
from streamrnn.kernels.floatmode import flush_denormals, restore_mode
from streamrnn.kernels.jit import OPTIONS
from streamrnn.kernels.memory import address_of, load, store
from streamrnn.kernels.simd import WIDTH
from tests.laws.nets import same_bits

LARGEST = np.finfo(np.float32).max
SMALLEST_NORMAL = np.finfo(np.float32).tiny
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, LARGEST, -LARGEST, 1e-45, -1e-45, 1.0, -1.0], np.float32)


@cache
def compiled(name):
    """An activation as a function of a float32 array, run as the kernels run it."""
    activation = getattr(activations, name)

    @njit(**OPTIONS)
    def loop(x, y):
        mode = flush_denormals()
        for j in range(0, 4 * x.size, 4 * WIDTH):
            store(address_of(y) + j, activation(load(address_of(x) + j)))
        restore_mode(mode)

    def apply(x):
        padded = np.zeros(-(-x.size // 16) * 16, np.float32)
        padded[: x.size] = x
        y = np.empty_like(padded)
        loop(padded, y)
        return y[: x.size]

    return apply


def every(step, low, high):
    """Every `step`-th float in [low, high), both positive."""
    bits = np.arange(np.float32(low).view(np.uint32), np.float32(high).view(np.uint32), step, dtype=np.uint32)
    return bits.view(np.float32)


def errors(y, exact):
    """Largest error in ulp of the exact value, and absolute."""
    error = np.abs(y.astype(np.float64) - exact)
    ulp = np.spacing(np.maximum(np.abs(exact), SMALLEST_NORMAL).astype(np.float32)).astype(np.float64)
    return (error / ulp).max(), error.max()


def report(record_property, name, ulp, absolute, x):
    record_property("figure", f"{name}: within {ulp:.2f} ulp and {absolute:.2g} over {x.size:,} floats")


class TestTanh:
    def test_its_errors(self, record_property):
        x = np.concatenate([every(1009, SMALLEST_NORMAL, 0.01), every(61, 0.01, 8.1), every(1009, 8.1, np.inf)])
        ulp, absolute = errors(compiled("tanh")(x), np.tanh(x.astype(np.float64)))
        report(record_property, "tanh", ulp, absolute, x)
        assert ulp < 6
        assert absolute < 3.1e-7

    def test_it_is_odd_and_bounded(self):
        x = every(1009, SMALLEST_NORMAL, np.inf)
        y = compiled("tanh")(x)
        assert same_bits(compiled("tanh")(-x), -y)
        assert y.max() == 1.0

    def test_every_float_near_its_clamp_is_bounded(self):
        x = every(1, 7.9, 8.2)
        y = compiled("tanh")(x)
        assert (y <= 1.0).all()
        assert (y[x >= np.float32(8.053593635559082)] == 1.0).all()

    def test_it_hardly_falls(self):
        y = compiled("tanh")(every(101, 1e-6, 9)).astype(np.float64)
        falls = np.diff(y) / np.spacing(y[:-1].astype(np.float32))
        assert falls.min() >= -7

    def test_special_values(self):
        y = compiled("tanh")(SPECIAL)
        assert np.isnan(y[0])
        assert same_bits(y[1:9], np.array([1, -1, 0, -0.0, 1, -1, 0, -0.0], np.float32))


class TestSigmoid:
    def test_its_errors(self, record_property):
        x = np.linspace(-50, 50, 2_000_001).astype(np.float32)
        y = compiled("sigmoid")(x)
        _, absolute = errors(y, 1 / (1 + np.exp(-x.astype(np.float64))))
        record_property("figure", f"sigmoid: within {absolute:.2g} over {x.size:,} floats")
        assert absolute < 1.8e-7
        assert (y.min(), y.max()) == (0.0, 1.0)

    def test_a_saturated_gate_is_exactly_open_or_shut(self):
        """A forget gate at 0.9999998 loses a tenth of the cell state in half a million steps."""
        x = np.array([17, 30, 1e9], np.float32)
        assert (compiled("sigmoid")(x) == 1).all()
        assert (compiled("sigmoid")(-x) == 0).all()

    def test_special_values(self):
        y = compiled("sigmoid")(SPECIAL)
        assert np.isnan(y[0])
        np.testing.assert_array_equal(y[1:9], np.array([1, 0, 0.5, 0.5, 1, 0, 0.5, 0.5], np.float32))


class TestExp:
    def test_its_errors(self, record_property):
        x = np.linspace(-87.33, 88.37, 2_000_001).astype(np.float32)
        ulp, _ = errors(y := compiled("exp")(x), np.exp(x.astype(np.float64)))
        record_property("figure", f"exp: within {ulp:.2f} ulp over {x.size:,} floats")
        assert ulp < 2
        assert (np.diff(y) >= 0).all()

    def test_special_values(self):
        y = compiled("exp")(SPECIAL)
        assert np.isnan(y[0])
        assert np.isfinite(y[1:]).all()
        assert y[1] == y[5] > 2e38
        np.testing.assert_array_equal(y[[2, 3, 4, 6, 7, 8]], np.array([0, 1, 1, 0, 1, 1], np.float32))
        assert compiled("exp")(np.float32([-87.34]))[0] == 0


class TestLog:
    def test_its_errors(self, record_property):
        x = every(509, SMALLEST_NORMAL, 2.0**127)
        ulp, absolute = errors(compiled("log")(x), np.log(x.astype(np.float64)))
        report(record_property, "log", ulp, absolute, x)
        assert ulp < 1

    def test_near_one(self):
        x = every(1, 0.999, 1.001)
        ulp, _ = errors(compiled("log")(x), np.log(x.astype(np.float64)))
        assert ulp < 1
        assert compiled("log")(np.float32([1]))[0] == 0


def test_relu():
    y = compiled("relu")(SPECIAL)
    assert np.isnan(y[0])
    np.testing.assert_array_equal(y[1:7], np.array([np.inf, 0, 0, 0, LARGEST, 0], np.float32))
    assert y[9:].tolist() == [1, 0]


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "exp"])
def test_every_lane_gives_the_same_bits(name):
    """Each value alone in each lane, beside NaN."""
    x = np.float32([-3.3, 0.1, 1e-20, 12.0])
    whole = compiled(name)(x)
    for place in range(16):
        for value, expected in zip(x, whole, strict=True):
            lanes = np.full(16, np.nan, np.float32)
            lanes[place] = value
            y = compiled(name)(lanes)
            assert y[place] == expected
            assert np.isnan(np.delete(y, place)).all()
