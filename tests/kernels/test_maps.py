"""The maps over dense grids: errors as the docstrings state them, and special values."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numba import njit

from streamrnn.kernels.floatmode import flush_denormals, restore_mode
from streamrnn.kernels.jit import OPTIONS
from streamrnn.kernels.maps import apply_map
from streamrnn.kernels.memory import address_of
from streamrnn.kernels.opcodes import Op
from streamrnn.model.checks import MAPS
from tests.kernels.test_activations import LARGEST, SMALLEST_NORMAL, every
from tests.laws.nets import same_bits
from tests.reference.maps import MAPS as EXACT

INF = np.inf
GATES = {"tanh", "sigmoid", "relu"}
"""Maps with an op of their own, see `test_activations`."""
PARAMETERS: dict[str, list[tuple[float, float]]] = {
    "leaky_relu": [(0.01, 0), (-0.5, 0), (1.5, 0)],
    "thresholded_relu": [(1, 0), (0, 0), (-0.7, 0)],
    "elu": [(1, 0), (0.3, 0), (-1, 0), (1.6732632, 0)],
    "hard_sigmoid": [(0.2, 0.5), (1 / 6, 0.5)],
    "clamp": [(-1, 1), (0, 6), (-2.5, -0.5), (-3e38, 3e38)],
    "softplus": [(1, 0), (2, 0), (0.01, 0), (50, 0)],
    "log": [(0, 0), (1e-6, 0), (1, 0)],
    "scaled_tanh": [(1.7159, 0.6667), (-2, 1)],
    "linear_map": [(2, -0.5), (0, 1)],
}
RELATIVE = {"exp": 3e-7, "reciprocal": 1.2e-7, "sqrt": 6e-8}
"""Bounds of the relative error; of the others, in units of the largest of 1 and the exact value:"""
BOUNDS = {
    "softplus": 4e-7, "mish": 3e-7, "gelu": 3e-7, "gelu_tanh": 3e-7, "silu": 3e-7, "elu": 3e-7, "hard_swish": 2e-7,
    "erf": 1.5e-7, "scaled_tanh": 4e-7,
}  # fmt: skip
CASES = [(name, a, b) for name in sorted(MAPS - GATES) for a, b in PARAMETERS.get(name, [(0, 0)])]


@cache
def runner():
    """`apply_map` in a kernel's mode."""

    @njit(**OPTIONS)
    def run(opcode, x, y, parameters):
        mode = flush_denormals()
        apply_map(opcode, address_of(x), address_of(y), x.size, address_of(parameters))
        restore_mode(mode)

    return run


def applied(name, x, alpha=0.0, beta=0.0):
    """A map of a float32 array."""
    padded = np.zeros(-(-x.size // 16) * 16, np.float32)
    padded[: x.size] = x
    y = np.empty_like(padded)
    runner()(int(Op[name.upper()]), padded, y, np.array([alpha, beta], np.float32))
    return y[: x.size]


def grid(name):
    """Floats of every size, many of them where maps bend."""
    wide = every(50_021, SMALLEST_NORMAL, INF)
    near = np.linspace(-12, 12, 400_001, dtype=np.float32)
    far = np.linspace(-104, 104, 200_001, dtype=np.float32)
    x = np.concatenate([wide, -wide, near, far])
    return x[x >= 0] if name == "sqrt" else x


@pytest.mark.parametrize(("name", "alpha", "beta"), CASES)
def test_its_errors(record_property, name, alpha, beta):
    x, rounded = grid(name), [float(np.float32(value)) for value in (alpha, beta)]
    y = applied(name, x, alpha, beta).astype(np.float64)
    with np.errstate(all="ignore"):
        exact = EXACT[name](x.astype(np.float64), *rounded)
    # What float32 holds: beyond its largest number Inf, below its smallest normal one nothing.
    exact = np.where(np.abs(exact) > LARGEST, np.copysign(INF, exact), exact)
    near_largest = np.isfinite(exact) & (np.abs(exact) > 3.4e38)
    assert np.array_equal(y[np.isinf(exact)], exact[np.isinf(exact)])
    y, exact = y[np.isfinite(exact) & ~near_largest], exact[np.isfinite(exact) & ~near_largest]
    assert np.isfinite(y).all()
    error, scale = np.abs(y - exact), np.maximum(np.abs(exact), 1)
    if name in RELATIVE:
        error = np.maximum(error - 2 * SMALLEST_NORMAL, 0)
        scale = np.abs(exact) + SMALLEST_NORMAL
    worst = (error / scale).max()
    record_property("figure", f"{name}({alpha}, {beta}): within {worst:.2g} over {x.size:,} floats")
    assert worst < RELATIVE.get(name, BOUNDS.get(name, 1.2e-7))


@pytest.mark.parametrize(("name", "alpha", "beta"), CASES)
def test_nan_stays_nan(name, alpha, beta):
    lanes = np.full(16, np.nan, np.float32)
    assert np.isnan(applied(name, lanes, alpha, beta)).all()


@pytest.mark.parametrize(("name", "alpha", "beta"), CASES)
def test_every_lane_gives_the_same_bits(name, alpha, beta):
    x = np.float32([3.3, 0.1, 1e-20, 12.0, 0.0])
    whole = applied(name, x, alpha, beta)
    for place in range(16):
        for i in range(x.size):
            lanes = np.full(16, np.nan, np.float32)
            lanes[place] = x[i]
            assert same_bits(applied(name, lanes, alpha, beta)[place : place + 1], whole[i : i + 1])


LIMITS = {
    "leaky_relu": (0.5, 0, -INF, INF), "thresholded_relu": (1, 0, 0, INF), "elu": (1, 0, -1, INF),
    "gelu": (0, 0, 0, INF), "gelu_tanh": (0, 0, 0, INF), "silu": (0, 0, 0, INF), "mish": (0, 0, 0, INF),
    "hard_sigmoid": (0.2, 0.5, 0, 1), "hard_swish": (0, 0, 0, INF), "clamp": (-2, 3, -2, 3),
    "softplus": (1, 0, 0, INF), "softsign": (0, 0, -1, 1), "exp": (0, 0, 0, INF), "log": (1, 0, 0, INF),
    "sqrt": (0, 0, np.nan, INF), "square": (0, 0, INF, INF), "abs": (0, 0, INF, INF), "reciprocal": (0, 0, 0, 0),
    "erf": (0, 0, -1, 1), "scaled_tanh": (2, 1, -2, 2), "linear_map": (2, 1, -INF, INF),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MAPS - GATES))
def test_infinite_values_give_the_limits(name):
    alpha, beta, low, high = LIMITS[name]
    y = applied(name, np.float32([-INF, INF]), alpha, beta)
    np.testing.assert_allclose(y, np.float32([low, high]), atol=1e-30)


def test_elu_and_softplus_keep_small_values():
    x = np.float32([-1e-3, -1e-5, -1e-10, -1e-20])
    np.testing.assert_allclose(applied("elu", x, 1), np.expm1(x.astype(np.float64)), rtol=2e-7)
    np.testing.assert_allclose(applied("softplus", np.float32([-40]), 1), np.exp(-40.0), rtol=4e-7)


def test_erf_is_odd_and_bounded():
    x = every(10_007, SMALLEST_NORMAL, INF)
    y = applied("erf", x)
    assert same_bits(applied("erf", -x), -y)
    assert y.max() == 1
    np.testing.assert_allclose(applied("erf", np.float32([1e-10])), 2e-10 / np.sqrt(np.pi), rtol=2e-7)
