"""The window of a stream, without sockets: bounded, whole chunks, and silent once a frame has been refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import FrameError, OptionError, SequenceError, StreamrnnClientError
from streamrnn_client.ledger import Ledger
from streamrnn_client.options import Options
from streamrnn_client.window import Window

from tests.client.fake_server import MODEL, FakeServer


class Rig:
    """A live session of the running sum, and messages moved by hand."""

    def __init__(self, max_queue_frames: int = 100) -> None:
        self.dialogue = Dialogue(Options(check=False))
        self.server = FakeServer(self.dialogue.codec, max_queue_frames)
        opening = self.dialogue.open(MODEL)
        self.up()
        self.down()
        self.ledger: Ledger = opening.result()

    def up(self, n: int = 1000) -> None:
        self.server.inbox.extend(self.dialogue.outbox)
        self.dialogue.outbox.clear()
        for _ in range(min(n, len(self.server.inbox))):
            self.server.take_one()

    def down(self, n: int = 1000) -> None:
        for _ in range(min(n, len(self.server.outbox))):
            self.dialogue.receive(self.server.outbox.popleft())


def test_it_is_full_at_its_size_and_has_room_when_outputs_are_collected() -> None:
    rig = Rig()
    window = Window(rig.dialogue, rig.ledger, 5, 2)
    for _ in range(5):
        assert not window.full
        window.offer([1.0])
    assert window.full
    rig.up()
    rig.server.tick(0, 1)
    rig.down()
    assert (list(window.collect()), window.full) == ([], True), "half a chunk is not collected"
    rig.server.tick(0, 1)
    rig.down()
    assert [(output.seq, float(output.y[0])) for output in window.collect()] == [(0, 1.0), (1, 2.0)]
    assert not window.full


def test_messages_are_whole_chunks_and_the_last_what_is_left() -> None:
    rig = Rig()
    window = Window(rig.dialogue, rig.ledger, 8, 3)
    for _ in range(8):
        window.offer([1.0])
    window.finish()
    assert [pending.n for pending in rig.ledger.owed.frames] == [3, 3, 2]


@pytest.mark.parametrize(("size", "chunk"), [(0, 1), (101, 1), (3, 4), (5, 0)])
def test_a_window_or_chunk_out_of_range(size: int, chunk: int) -> None:
    with pytest.raises(OptionError):
        Window(Rig().dialogue, Rig().ledger, size, chunk)


def test_the_default_fits_the_queue() -> None:
    assert Window(Rig(4).dialogue, Rig(4).ledger, None, 1).size == 4
    assert Window(Rig(1000).dialogue, Rig(1000).ledger, None, 1).size == 64
    assert Window(Rig(1000).dialogue, Rig(1000).ledger, None, 100).size == 200


FRAMES = st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, float("nan")]), max_size=30)


@settings(max_examples=200, deadline=None)
@given(FRAMES, st.integers(1, 9), st.integers(1, 4), st.lists(st.sampled_from("utdc"), max_size=60))
def test_a_stream_is_answered_up_to_the_first_refused_message_and_no_further(
    frames: list[float], size: int, chunk: int, moves: list[str]
) -> None:
    """Whenever the refusal becomes known: what the server accepted is exactly what came before it."""
    rig = Rig()
    window = Window(rig.dialogue, rig.ledger, max(size, chunk), chunk)
    source, schedule = iter(frames), iter(moves)
    got: list[float] = []
    error: StreamrnnClientError | None = None
    while not window.over and error is None:
        while not (window.full or window.finished):
            x = next(source, None)
            if x is None:
                window.finish()
            else:
                window.offer([x])
            if next(schedule, "c") != "c":
                break
        move = next(schedule, None)
        if move in ("u", None):
            rig.up(1 if move else 1000)
        if move in ("t", None):
            rig.server.tick(0, 1 if move else 1000)
        if move in ("d", None):
            rig.down(1 if move else 1000)
        try:
            for output in window.collect():
                got.append(float(output.y[0]))
        except (FrameError, SequenceError) as refused:
            error = refused
    rig.up()
    first_bad = next((i for i, x in enumerate(frames) if x != x), None)
    n_good = len(frames) if first_bad is None else first_bad // chunk * chunk
    assert list(rig.server.sessions[0].accepted.values()) == frames[:n_good]
    assert got == [sum(frames[: i + 1]) for i in range(n_good)]
    assert (error is None) is (first_bad is None)
    if error is not None:
        assert isinstance(error, FrameError)
        assert error.seq == n_good


def test_a_stream_behind_a_refused_step_ends_as_well() -> None:
    rig = Rig()
    step = rig.dialogue.frames(rig.ledger, [struct.pack("<f", float("nan"))])
    window = Window(rig.dialogue, rig.ledger, 9, 1)
    window.offer([1.0])
    rig.up()
    rig.down(1)
    assert isinstance(step.error, FrameError)
    window.offer([2.0])
    assert window.finished
    rig.up()
    rig.down()
    with pytest.raises(SequenceError):
        list(window.collect())
    assert rig.server.sessions[0].accepted == {}
