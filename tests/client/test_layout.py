"""The bytes of a group's messages are those of the codec, at every width of a seq, with numpy and without."""

from __future__ import annotations

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamrnn_client import layout
from streamrnn_client import messages as m
from streamrnn_client.codec import codec_of
from streamrnn_client.layout import Layout, Seqs, key_of

EDGES = (0, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x10000, 2**32 - 1, 2**32, 2**53 - 64)
SEQ = st.one_of([st.integers(max(0, edge - 9), edge + 9) for edge in EDGES])
CODEC = codec_of("msgpack")


@given(st.one_of(st.lists(SEQ, min_size=1, max_size=20), SEQ.map(lambda seq: [seq] * 18)), st.booleans())
def test_seqs_stand_in_their_shortest_form(base: list[int], has_numpy: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if not has_numpy:
            patch.setattr(layout, "np", None)
        seqs = Seqs(base)
        for k in range(24):
            assert seqs.at(k) == msgpack.packb([seq + k for seq in base])


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 300])
@pytest.mark.parametrize("first", [*EDGES])
@pytest.mark.parametrize("size", [1, 40, 300])
def test_messages_are_the_codec_s(n: int, first: int, size: int) -> None:
    handles, base = list(range(120, 120 + n)), [first + i % 3 for i in range(n)]
    made = Layout(handles, base, 4 * n * size, 8 * n)
    for k in (0, 1, 2, 5):
        seqs = tuple(seq + k for seq in base)
        payload, outputs = bytes(4 * n * size), bytes(range(8)) * n
        middle = made.middle(k)
        assert made.frames(middle, payload) == CODEC.encode(m.Frames(tuple(handles), seqs, payload))
        answer = CODEC.encode(m.Outputs(tuple(handles), seqs, outputs))
        assert key_of(answer) == made.key
        assert answer[made.outputs_at(middle, answer) :] == outputs
        for other in (answer + b"x", answer[:-1], b"\x84" + answer, made.frames(middle, payload), b""):
            assert made.outputs_at(middle, other) == 0
        assert made.outputs_at(made.middle(k + 1), answer) == 0


def test_groups_of_different_first_handles_have_different_keys() -> None:
    keys = {Layout([handle, 5], [0, 0], 8, 8).key for handle in (0, 1, 127, 128, 300, 70000, 2**31 - 1)}
    assert len(keys) == 7
