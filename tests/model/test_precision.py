"""Narrow weights: how they are rounded, that a model keeps its tensors, and that a session knows its precision."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import streamrnn
from streamrnn import Engine, Limits
from streamrnn.errors import OptionError, SnapshotError
from streamrnn.model.narrowing import with_narrowing
from streamrnn.model.precision import to_bfloat16, to_int8
from tests.laws.nets import PRECISIONS, random_frames, random_model, same_bits

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
TINY = np.finfo(np.float32).tiny


@given(arrays(np.float32, st.integers(1, 40), elements=FINITE))
def test_bfloat16_is_rounded_to_nearest_even(values):
    with np.errstate(over="ignore"):
        expected = values.astype(ml_dtypes.bfloat16)
    found = to_bfloat16(values)
    is_finite = np.isfinite(expected.astype(np.float32))
    assert (found[is_finite] == expected.view(np.uint16)[is_finite]).all()
    assert (found[~is_finite] & 0x7FFF == 0x7F7F).all()  # the largest finite one, of the same sign
    assert ((found >> 15 == 1) == np.signbit(values)).all()


@given(arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=FINITE))
def test_int8_is_within_half_a_step_of_each_output(weight):
    integers, scales = to_int8(weight)
    assert integers.dtype == np.int8 and np.abs(integers.astype(int)).max() <= 127
    assert scales.dtype == np.float32 and (scales >= TINY).all() and np.isfinite(scales).all()
    steps = scales.astype(np.float64)[:, None]
    error = np.abs(integers * steps - weight.astype(np.float64))
    largest = np.abs(weight.astype(np.float64)).max(axis=1, keepdims=True)
    is_normal = largest >= 127 * TINY
    assert (error <= np.where(is_normal, steps * 0.5001, largest)).all()
    assert (np.abs(integers).max(axis=1) == 127)[is_normal[:, 0]].all()


def test_a_row_of_zeros_stays_zero():
    integers, scales = to_int8(np.zeros((2, 3), np.float32))
    assert not integers.any() and (scales == 1).all()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_model_keeps_its_tensors_and_goes_back(precision):
    model = random_model("lstm", 5, 19)
    narrow = model.with_precision(precision)
    assert narrow.precision == precision
    assert all(same_bits(narrow.tensors[name], tensor) for name, tensor in model.tensors.items())
    assert narrow.with_card(model.card).precision == precision
    assert narrow.with_precision("float32").digest == model.digest
    assert (narrow.digest == model.digest) == (precision == "float32")


def test_narrow_weights_are_smaller():
    sizes = {name: random_model("lstm", 64, 128, precision=name).program.weights.nbytes for name in PRECISIONS}
    assert sizes["bfloat16"] < 0.52 * sizes["float32"]
    assert sizes["int8"] < 0.29 * sizes["float32"]


def test_another_precision_is_refused():
    with pytest.raises(OptionError, match="precision must be one of float32, bfloat16, int8, got 'float16'"):
        random_model("lstm", 5, 19).with_precision("float16")


def test_a_session_does_not_move_to_another_precision():
    model = random_model("gru", 5, 19)
    engines = [Engine(Limits(max_sessions=2)) for _ in range(2)]
    for engine, each in zip(engines, (model, model.with_precision("int8")), strict=True):
        engine.add_model("m", each)
    session = engines[0].open("m")
    session.run(random_frames(model, 3))
    with pytest.raises(SnapshotError, match="which this engine does not have"):
        engines[1].restore(session.snapshot())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_file_is_loaded_in_a_precision(tmp_path, precision):
    model = random_model("stacked", 5, 19)
    model.save(tmp_path / "m.safetensors")
    loaded = streamrnn.load_model(tmp_path / "m.safetensors", precision)
    assert (loaded.precision, loaded.digest) == (precision, model.with_precision(precision).digest)


def test_what_narrow_weights_cost_is_measured_at_conversion():
    model = random_model("lstm", 5, 19)
    converted = streamrnn.from_state_dict(model.tensors, model.spec, card=streamrnn.Card(name="kept"))
    assert converted.card.name == "kept"
    losses = [converted.card.certificate[name] for name in ("bfloat16", "int8")]
    for loss in losses:
        assert 0 < loss["rms_error"] < loss["max_abs_error"] < 0.1 < loss["rms_output"]
        assert loss["n_frames"] == 256
    assert losses[0]["rms_error"] < losses[1]["rms_error"]


def test_the_loss_is_that_of_the_frames_given():
    model = random_model("gru", 5, 19)
    xs = random_frames(model, 40)
    loss = with_narrowing(model, xs).card.certificate["int8"]
    engine = Engine(Limits(max_sessions=1))
    engine.add_model("exact", model)
    engine.add_model("int8", model.with_precision("int8"))
    exact, narrow = (engine.open(name).run(xs).astype(np.float64) for name in ("exact", "int8"))
    assert loss["max_abs_error"] == np.abs(narrow - exact).max()
    assert loss["rms_output"] == pytest.approx(np.sqrt(np.mean(exact**2)))
