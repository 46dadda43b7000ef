"""Outputs leave joined where they belong together, split where they are too large, and never out of order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.limits import Limits
from streamrnn.serving import outbox as module
from streamrnn.serving.outbox import MAX_PAYLOAD_BYTES, Outbox, in_columns
from streamrnn.serving.piece import Piece
from streamrnn.wire import messages as m
from streamrnn.wire.codec import MSGPACK, Codec

CODEC = Codec(MSGPACK, Limits())


def rows(n, size=2, start=0.0):
    return (np.arange(n * size, dtype=np.float32) + np.float32(start)).reshape(n, size)


def piece(seq, ys, **flags):
    return Piece(seq, len(ys), ys.tobytes(), **flags)


def taken(box):
    return [CODEC.decode_server(payload, False) for payload in box.take()]


def test_it_forgets_what_it_gave():
    box = Outbox(CODEC.encode)
    box.put(m.GoAway(1))
    assert len(box) == 1
    assert taken(box) == [m.GoAway(1)]
    assert taken(box) == [] and len(box) == 0


def test_outputs_that_continue_each_other_are_joined():
    box = Outbox(CODEC.encode)
    ys = rows(6)
    box.put_piece(1, piece(10, ys[:2]))
    box.put_piece(1, piece(12, ys[2:3]))
    box.put_piece(1, piece(13, ys[3:]))
    assert taken(box) == [m.Output(1, 10, ys.tobytes(), 6)]


def test_nothing_is_joined_across_another_message_or_session():
    box = Outbox(CODEC.encode)
    box.put_piece(1, piece(0, rows(1)))
    box.put_piece(2, piece(0, rows(1)))
    box.put_piece(1, piece(1, rows(1)))
    box.put(m.Ack(1, "flush", 1))
    box.put_piece(1, piece(2, rows(1)))
    assert [type(message) for message in taken(box)] == [m.Output, m.Output, m.Output, m.Ack, m.Output]


def test_what_has_no_output_stands_in_its_place():
    box = Outbox(CODEC.encode)
    box.put_piece(1, piece(0, rows(2)))
    box.put_piece(1, Piece(2, 3, b"", is_stepped=False))
    box.put_piece(1, Piece(5, 1, b""))
    box.put_piece(1, piece(6, rows(1)))
    got = taken(box)
    assert got[1:3] == [m.Skipped(1, 2, 3, False), m.Skipped(1, 5, 1, True)]
    assert [(reply.seq, reply.n) for reply in (got[0], got[3])] == [(0, 2), (6, 1)]


def test_flags_are_of_the_first_frame_of_a_message():
    box = Outbox(CODEC.encode)
    box.put_piece(1, piece(0, rows(1), filled=4))
    box.put_piece(1, piece(1, rows(2)))
    box.put_piece(1, piece(3, rows(1), was_reset=True))
    box.put_piece(1, piece(4, rows(1)))
    assert [(reply.seq, reply.n, reply.filled, reply.was_reset) for reply in taken(box)] == [
        (0, 3, 4, False),
        (3, 2, 0, True),
    ]


def test_flags_of_a_run_that_is_split_stay_with_its_first_frame():
    box = Outbox(CODEC.encode)
    box.put_piece(1, piece(0, rows(3, MAX_PAYLOAD_BYTES // 8), filled=2, was_reset=True))
    assert [(reply.seq, reply.n, reply.filled, reply.was_reset) for reply in taken(box)] == [
        (0, 2, 2, True),
        (2, 1, 0, False),
    ]


def test_columns_carry_no_flags():
    box = Outbox(CODEC.encode)
    box.is_columnar = True
    for handle in range(3):
        box.put_piece(handle, piece(0, rows(1), filled=int(handle == 1)))
    assert [type(message) for message in taken(box)] == [m.Output] * 3


def test_a_large_run_is_split():
    box = Outbox(CODEC.encode)
    size = MAX_PAYLOAD_BYTES // 16  # four outputs fill a message
    ys = rows(10, size)
    box.put_piece(3, piece(5, ys))
    got = taken(box)
    assert [(reply.seq, reply.n) for reply in got] == [(5, 4), (9, 4), (13, 2)]
    assert b"".join(reply.payload for reply in got) == ys.tobytes()


def test_a_single_output_larger_than_a_message_leaves_whole():
    box = Outbox(CODEC.encode)
    ys = rows(2, MAX_PAYLOAD_BYTES // 4 + 1)
    box.put_piece(1, piece(0, ys))
    assert [(reply.seq, reply.n, len(reply.payload)) for reply in taken(box)] == [
        (0, 1, MAX_PAYLOAD_BYTES + 4),
        (1, 1, MAX_PAYLOAD_BYTES + 4),
    ]


def test_joining_stops_at_the_largest_payload():
    box = Outbox(CODEC.encode)
    half = rows(1, MAX_PAYLOAD_BYTES // 8)
    for seq in range(3):
        box.put_piece(1, piece(seq, half))
    assert [(reply.seq, reply.n) for reply in taken(box)] == [(0, 2), (2, 1)]


outputs = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3), st.sampled_from([4, 8]), st.integers(1, 2)),
        st.none(),
    ),
    max_size=20,
)


@given(script=outputs)
def test_columns_keep_the_order_of_every_session(script):
    counts: dict[int, int] = {}
    messages: list[m.Message] = []
    for entry in script:
        if entry is None:
            messages.append(m.Ack(0, "flush", counts.get(0, 0) - 1))
            continue
        handle, size, n = entry
        seq = counts.get(handle, 0)
        counts[handle] = seq + n
        messages.append(m.Output(handle, seq, bytes([handle]) * size * n, n))
    flat: list[tuple[object, ...]] = []
    for message in in_columns(messages):
        if isinstance(message, m.Outputs):
            size = len(message.payload) // len(message.handles)
            assert len(set(message.handles)) == len(message.handles) > 1
            for i, handle in enumerate(message.handles):
                flat.append((handle, message.seqs[i], 1, message.payload[i * size : (i + 1) * size]))
        elif isinstance(message, m.Output):
            flat.append((message.handle, message.seq, message.n, message.payload))
        else:
            flat.append(("ack",))
    assert flat == [(x.handle, x.seq, x.n, x.payload) if isinstance(x, m.Output) else ("ack",) for x in messages]


def test_columns_stop_at_the_largest_payload(monkeypatch):
    monkeypatch.setattr(module, "MAX_PAYLOAD_BYTES", 8)
    messages: list[m.Message] = [m.Output(handle, 0, b"1234") for handle in range(5)]
    assert [len(x.handles) if isinstance(x, m.Outputs) else 1 for x in in_columns(messages)] == [2, 2, 1]


@pytest.mark.parametrize("is_columnar", [False, True])
def test_columns_are_for_those_who_asked(is_columnar):
    box = Outbox(CODEC.encode)
    box.is_columnar = is_columnar
    box.put_piece(1, piece(0, rows(1)))
    box.put_piece(2, piece(0, rows(1)))
    assert len(taken(box)) == (1 if is_columnar else 2)
