"""Samples of any type in chunks of any size come out as whole hops, none lost, none twice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn import Reframer
from streamrnn.errors import FrameError, OptionError, SnapshotError

INTEGERS = np.random.default_rng(1).integers(-32768, 32768, 500).astype(np.int16)
FLOATS = INTEGERS.astype(np.float32) / 32768
FORMS = {"int16": INTEGERS, "float32": FLOATS}


@given(
    hop=st.integers(1, 90),
    cuts=st.lists(st.integers(0, 500), max_size=20),
    form=st.sampled_from(sorted(FORMS)),
)
def test_any_chunking_of_arrays(hop, cuts, form):
    reframer = Reframer(hop)
    found = np.concatenate([reframer.push(chunk) for chunk in np.split(FORMS[form], sorted(cuts))])
    n = 500 // hop
    assert found.dtype == np.float32
    assert np.array_equal(found, FLOATS[: n * hop].reshape(n, hop))
    assert reframer.n_kept == 500 - n * hop


@given(
    hop=st.integers(1, 90),
    cuts=st.lists(st.integers(0, 2000), max_size=20),
    form=st.sampled_from(sorted(FORMS)),
    kind=st.sampled_from([bytes, bytearray, memoryview]),
)
def test_bytes_may_be_cut_amid_a_sample(hop, cuts, form, kind):
    reframer, blob = Reframer(hop, form), FORMS[form].tobytes()
    ends = [0, *sorted(min(cut, len(blob)) for cut in cuts), len(blob)]
    found = [reframer.push(kind(blob[a:b])) for a, b in pairwise(ends)]
    n = 500 // hop
    assert np.array_equal(np.concatenate(found), FLOATS[: n * hop].reshape(n, hop))


@given(hop=st.integers(1, 90), cut=st.integers(0, 1000))
def test_a_state_goes_on_elsewhere(hop, cut):
    blob = INTEGERS.tobytes()
    first, second = Reframer(hop), Reframer(hop)
    head = first.push(blob[:cut])
    second.restore(first.state())
    assert second.state() == first.state()
    found = np.concatenate([head, second.push(blob[cut:])])
    assert np.array_equal(found, FLOATS[: len(found) * hop].reshape(-1, hop))


def test_what_came_out_is_not_touched_again():
    reframer = Reframer(3)
    x = np.ones(3, np.float32)
    out = reframer.push(x)
    x[:] = 2
    reframer.push(x)
    assert out.tolist() == [[1, 1, 1]]


def test_flush_fills_up_the_last_hop():
    reframer = Reframer(4)
    assert reframer.flush().shape == (0, 4)
    reframer.push(np.ones(6, np.float32))
    assert reframer.flush(-1.0).tolist() == [[1, 1, -1, -1]]
    assert reframer.n_kept == 0
    reframer.push(b"\x01")
    reframer.flush()
    assert reframer.push(np.ones(4, np.float32)).shape == (1, 4)


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (np.zeros(3), "float64"),
        (np.zeros((3, 1), np.float32), r"\(3, 1\)"),
        ([0.0, 1.0], "list"),
        (np.zeros(3, ">i2"), ">i2"),
        (np.array([0, np.nan], np.float32), "finite, got nan at 1"),
    ],
)
def test_other_samples_are_refused_and_nothing_is_taken(samples, text):
    reframer = Reframer(2)
    reframer.push(np.ones(1, np.float32))
    with pytest.raises(FrameError, match=text):
        reframer.push(samples)
    assert reframer.n_kept == 1


def test_an_array_amid_a_cut_sample_is_refused():
    reframer = Reframer(2)
    reframer.push(b"\x01")
    with pytest.raises(FrameError, match="after 1 bytes"):
        reframer.push(np.ones(1, np.float32))


def test_options_that_cannot_be_are_refused():
    with pytest.raises(OptionError, match="hop"):
        Reframer(0)
    with pytest.raises(OptionError, match="int16, float32"):
        Reframer(2, "mulaw")


def test_damaged_states_are_refused():
    reframer = Reframer(4)
    reframer.push(np.ones(3, np.float32))
    blob = reframer.state()
    for bad in (b"", blob[:-1], blob[:5] + b"\xff" + blob[6:], Reframer(5).state()):
        with pytest.raises(SnapshotError):
            reframer.restore(bad)
    assert reframer.n_kept == 3
