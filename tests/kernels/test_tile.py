"""The register tile: every shape of tile gives the bits of a lone step, near the float64 product."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn import Engine, Limits, Model, Node, Spec
from streamrnn.kernels.packing import ALIGNMENT_BYTES, aligned_zeros, pack_panels, pad_vector, padded
from streamrnn.kernels.simd import GROUP_SIZE
from tests.laws.nets import PRECISIONS, random_frames, random_tensors, same_bits, tensors_as_stepped

MAX_BATCH = 14
"""Two sweeps of the largest tile, and two more."""


def linear_model(n_k, n_out, precision="float32"):
    spec = Spec((Node("input", "input", n_k), Node("y", "linear", n_out, ("input",))), "y")
    return Model(spec, random_tensors(spec, 0), precision=precision)


def check(n_k, n_out, batch_sizes, precision):
    model = linear_model(n_k, n_out, precision)
    engine = Engine(Limits(max_sessions=MAX_BATCH))
    engine.add_model("m", model)
    sessions = [engine.open("m") for _ in range(MAX_BATCH)]
    x = random_frames(model, MAX_BATCH, seed=n_k)
    alone = np.array([session.step(row) for session, row in zip(sessions, x, strict=True)])
    for n in batch_sizes:
        assert same_bits(engine.step_many(sessions[:n], x[:n]), alone[:n])
    assert same_bits(sessions[0].run(x), alone)
    tensors = {name: tensor.astype(np.float64) for name, tensor in tensors_as_stepped(model).items()}
    weight, bias = tensors["y.weight"], tensors["y.bias"]
    exact = x.astype(np.float64) @ weight.T + bias
    bound = (np.abs(x).astype(np.float64) @ np.abs(weight.T) + np.abs(bias)) * (n_k + 3) * 2.0**-24
    assert (np.abs(alone - exact) <= bound).all()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("n_out", [1, 16, 17, 33, 64, 65, 80, 96, 112, 128, 144, 200, 256])
@pytest.mark.parametrize("n_k", [1, 2, 3, 16, 63, 64, 65, 130])
def test_every_shape_of_tile(n_k, n_out, precision):
    """Alone: whole groups and each size of the last one; in a batch: tiles of two to six sessions; and a chunk."""
    check(n_k, n_out, range(1, MAX_BATCH + 1), precision)


@given(
    n_k=st.integers(1, 200),
    n_out=st.integers(1, 300),
    n=st.integers(1, MAX_BATCH),
    precision=st.sampled_from(PRECISIONS),
)
def test_any_shape(n_k, n_out, n, precision):
    check(n_k, n_out, [n], precision)


def test_each_output_is_one_chain_of_fused_multiply_adds_in_order():
    """Rounded once a step: what a chain of 1 + 2^-24 steps gives, and no other order or rounding does."""
    n_k = 64
    spec = Spec((Node("input", "input", n_k), Node("y", "linear", 1, ("input",))), "y")
    rng = np.random.default_rng(0)
    for _ in range(20):
        weight, x = rng.standard_normal((2, n_k)).astype(np.float32)
        bias = rng.standard_normal(1).astype(np.float32)
        engine = Engine(Limits(max_sessions=1))
        engine.add_model("m", Model(spec, {"y.weight": weight[None], "y.bias": bias}))
        y = engine.open("m").step(x)
        assert y[0] == fused_chain(bias[0], x, weight)


def fused_chain(start, x, w):
    """`start + x . w`, each product exact and each sum rounded once to float32, first to last."""
    total = Fraction(float(start))
    for a, b in zip(x, w, strict=True):
        total = Fraction(float(nearest_float32(total + Fraction(float(a)) * Fraction(float(b)))))
    return np.float32(float(total))


def nearest_float32(value):
    """An exact fraction rounded to float32 (nearest; the candidates are the neighbours of a double rounding)."""
    guess = np.float32(float(value))
    candidates = [np.nextafter(guess, np.float32(-np.inf)), guess, np.nextafter(guess, np.float32(np.inf))]
    return min(candidates, key=lambda c: (abs(Fraction(float(c)) - value), int(np.float32(c).view(np.uint32)) & 1))


class TestPacking:
    def test_padded(self):
        assert [padded(n) for n in (1, 15, 16, 17, 32)] == [16, 16, 16, 32, 32]

    @pytest.mark.parametrize(("n_out", "n_in"), [(1, 1), (16, 3), (17, 5), (40, 2), (128, 3), (300, 2)])
    @pytest.mark.parametrize("n_gates", [1, 3])
    def test_groups_of_panels(self, n_out, n_in, n_gates):
        gates = np.arange(1, n_gates * n_out * n_in + 1, dtype=np.float32).reshape(n_gates, n_out, n_in)
        whole = np.zeros((n_gates, padded(n_out), n_in), np.float32)
        whole[:, :n_out] = gates
        whole = whole.reshape(-1, 16, n_in)
        packed, at = pack_panels(list(gates)), 0
        for first in range(0, len(whole), GROUP_SIZE):
            group = whole[first : first + GROUP_SIZE]
            for k, p, o in np.ndindex(n_in, len(group), 16):
                assert packed[at] == group[p, o, k]
                at += 1
        assert at == len(packed)

    @pytest.mark.parametrize("dtype", [np.int8, np.uint16])
    def test_narrow_weights_keep_their_type(self, dtype):
        packed = pack_panels([np.ones((17, 3), dtype)])
        assert (packed.dtype, packed.size, packed.sum()) == (dtype, 2 * 16 * 3, 17 * 3)

    def test_pad_vector(self):
        assert pad_vector(np.ones(3, np.float32)).tolist() == [1] * 3 + [0] * 13

    @pytest.mark.parametrize("shape", [(1,), (3, 5), (7, 16), (4, 0)])
    def test_aligned_zeros(self, shape):
        array = aligned_zeros(*shape)
        assert array.shape == shape
        assert array.dtype == np.float32
        assert not array.any()
        assert array.flags.c_contiguous and array.flags.writeable
        assert array.size == 0 or array.ctypes.data % ALIGNMENT_BYTES == 0
