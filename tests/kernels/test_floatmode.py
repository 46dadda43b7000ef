"""Denormals are flushed inside a kernel and live on outside it, also after a frame was refused."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from streamrnn.errors import FrameError
from streamrnn.kernels.floatmode import ARM64, X86
from tests.laws.nets import random_model
from tests.laws.test_laws import engine_of

pytestmark = pytest.mark.skipif(not (X86 or ARM64), reason="this host's float mode is left alone")

DENORMAL = np.float32(1e-40)


def denormals_live():
    """Whether this thread computes with denormals: as a scalar, in vectors and as an input."""
    tiny = np.full(64, np.finfo(np.float32).tiny)
    halves = tiny * np.float32(0.5)
    return bool(halves.all() and (halves * np.float32(2) == tiny).all() and DENORMAL + DENORMAL > DENORMAL)


def scaled(factor):
    """A session that multiplies by `factor`."""
    model = random_model("linear", 1, 1)
    tensors = {"cell.weight": np.float32([[factor]]), "cell.bias": np.float32([0])}
    return engine_of(type(model)(model.spec, tensors)).open("m")


def test_a_denormal_result_is_zero():
    session = scaled(1e-20)
    assert session.step(np.float32([1e-15]))[0] == np.float32(1e-20) * np.float32(1e-15) > 0
    assert session.step(np.float32([1e-19]))[0] == 0


def test_a_denormal_input_is_zero():
    assert scaled(1e30).step(np.float32([DENORMAL]))[0] == 0


def test_the_callers_mode_comes_back():
    assert denormals_live()
    session = scaled(1.0)
    session.step(np.float32([1]))
    assert denormals_live()
    with pytest.raises(FrameError):
        session.step(np.float32([np.nan]))
    assert denormals_live()
    session.run(np.float32([[1], [2]]))
    assert denormals_live()


def test_other_threads_keep_theirs():
    found = []
    session = scaled(1.0)

    def other():
        session.step(np.float32([1]))
        found.append(denormals_live())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == [True]
    assert denormals_live()


def test_a_decaying_state_reaches_zero():
    """An impulse into a leaky cell: 1e-38 and below is where a step would slow down a hundredfold."""
    model = random_model("rnn relu", 1, 1)
    one, leak, none = np.float32([[1]]), np.float32([[0.5]]), np.float32([0])
    tensors = {"cell.weight_ih": one, "cell.weight_hh": leak, "cell.bias_ih": none, "cell.bias_hh": none}
    session = engine_of(type(model)(model.spec, tensors)).open("m")
    ys = session.run(np.float32([[1]] + [[0]] * 200))[:, 0]
    assert ys[126] == np.float32(2.0**-126)
    assert not ys[127:].any()
