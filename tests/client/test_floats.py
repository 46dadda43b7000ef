"""Frames to bytes and back, with numpy and without."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamrnn_client import floats
from streamrnn_client.errors import FrameError
from streamrnn_client.messages import Port

from tests.client.conftest import LocalServer

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
ANY = st.lists(st.floats(width=32), max_size=9)


@given(st.lists(FLOAT32, min_size=1, max_size=9))
def test_every_form_gives_the_same_bytes(values: list[float]) -> None:
    want = struct.pack(f"<{len(values)}f", *values)
    forms: list[Any] = [values, tuple(values), array("f", values), array("d", values), np.array(values), want]
    forms += [np.array(values, np.float32), np.array(values, ">f4"), np.array(values * 2)[: len(values)]]
    forms += [bytearray(want), memoryview(want), np.repeat(np.array(values, np.float32), 2)[::2], iter(values)]
    for form in forms:
        assert floats.pack(form, Port(len(values))) == want
    assert floats.vector(want).tolist() == [*values]


@given(ANY, st.integers(1, 9))
def test_a_frame_passes_the_check_if_and_only_if_it_is_good(values: list[float], size: int) -> None:
    good = len(values) == size and all(math.isfinite(value) for value in values)
    for form in (values, np.array(values, np.float32), struct.pack(f"<{len(values)}f", *values)):
        assert len(floats.pack(form, Port(size), check=False)) == 4 * len(values)
        if good:
            floats.pack(form, Port(size))
        else:
            with pytest.raises(FrameError):
                floats.pack(form, Port(size))


def test_the_largest_values_are_finite_and_their_sum_too() -> None:
    largest = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
    floats.pack([largest] * 1000, Port(1000))
    with pytest.raises(FrameError):
        floats.pack([*[largest] * 999, math.inf], Port(1000))
    with pytest.raises(FrameError):
        floats.pack([math.inf, -math.inf], Port(2))


@pytest.mark.parametrize(("x", "good"), [([0], True), ([6.0], True), ([7], False), ([-1], False), ([0.5], False)])
def test_tokens(x: list[float], good: bool) -> None:
    port = Port(1, "token", 7)
    if good:
        assert floats.pack(x, port) == struct.pack("<f", x[0])
    else:
        with pytest.raises(FrameError, match=r"0 \.\. 6"):
            floats.pack(x, port)


@pytest.mark.parametrize("x", [np.arange(3), np.array([True, False, True]), [1, 2, 3], np.arange(3, dtype=np.uint8)])
def test_integers_and_booleans_are_numbers(x: Any) -> None:
    assert floats.pack(x, Port(3)) == struct.pack("<3f", *x)


def test_a_refused_frame_says_what_was_expected() -> None:
    with pytest.raises(FrameError, match="a frame of 3 values, got 2"):
        floats.pack([1, 2], Port(3))
    with pytest.raises(FrameError, match=r"shape \(1, 3\)"):
        floats.pack(np.zeros((1, 3)), Port(3))


@given(st.lists(FLOAT32, min_size=2, max_size=2))
def test_without_numpy(values: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(floats, "np", None)
        payload = floats.pack(values, Port(2))
        assert payload == struct.pack("<2f", *values)
        y = floats.vector(payload)
        assert isinstance(y, array)
        assert y.tolist() == values
        assert floats.stack([y, y]) == [y, y]
        assert floats.pack_rows([values, values], Port(2)) == [payload, payload]
    assert floats.pack_rows(payload * 2, Port(2)) == [payload, payload]


def test_on_a_big_endian_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """There `array` holds the other order; with the flag turned, both ways swap and the bytes come out swapped here."""
    assert (sys.byteorder == "big") is floats.SWAP
    monkeypatch.setattr(floats, "SWAP", not floats.SWAP)
    monkeypatch.setattr(floats, "np", None)
    payload = floats.pack([1.0, 2.0], Port(2), check=False)
    assert payload == struct.pack(">2f" if sys.byteorder == "little" else "<2f", 1.0, 2.0)
    assert floats.vector(payload).tolist() == [1.0, 2.0]
    with pytest.raises(FrameError):
        floats.pack([1.0, math.nan], Port(2))


WITHOUT_NUMPY = """
import sys
from array import array
sys.modules["numpy"] = None
from streamrnn_client import sync
assert not any(name.split(".")[0] in ("streamrnn", "msgspec") for name in sys.modules)
with sync.connect(sys.argv[1]) as client:
    sessions = [client.open("vad") for _ in range(2)]
    y = sessions[0].step([1.0, 2.0, 3.0])
    ys = client.step_many(sessions[1:] * 2, [[1.0, 2.0, 3.0]] * 2)
    group = client.group(sessions)
    seen = group.step([[1.0, 2.0, 3.0]] * 2), group.step(array("f", [0.5] * 6)), group.send(bytes(24)).result()
    more = sessions[0].run([[1.0, 2.0, 3.0]] * 5, chunk=2)
    assert [len(rows) for rows in seen] == [2, 2, 2] and len(more) == 5
    assert list(seen[0][1]) != list(seen[1][1]) and sessions[0].next_seq == 9
    outputs = [output.y for output in sessions[1].stream([(0.5, 0.5, 0.5)] * 3)]
print(type(y).__name__, len(y), list(y) == list(ys[0]), len(outputs))
"""


def test_a_process_without_numpy(server: LocalServer) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_NUMPY, server.url], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.split() == ["array", "2", "True", "3"]
