"""What becomes of a session when its connection is lost, one case each: the core, and messages by hand."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest
from streamrnn_client import messages as m
from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import (
    MalformedError,
    OptionError,
    SessionExistsError,
    SessionExpiredError,
    SkippedError,
    StoreError,
    TakenOverError,
    TokenError,
    UnknownModelError,
)
from streamrnn_client.ledger import Ledger
from streamrnn_client.losses import ConnectionLostError, SessionLostError
from streamrnn_client.news import SessionEvent
from streamrnn_client.options import Options
from streamrnn_client.session_options import SessionOptions

PORT = m.Port(1)
OPENED = m.Opened(0, "s", "sum", "00", 0, False, PORT, PORT, (), 4, "one")


def frame(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


class Rig:
    """A dialogue with one session, and the messages of a server."""

    def __init__(self, opened: m.Opened = OPENED, asked: m.Open | None = None, **options: Any) -> None:
        self.dialogue = Dialogue(Options(**options))
        self.codec = self.dialogue.codec
        opening = self.dialogue.open("sum", None, asked)
        self.said()
        self.tell(opened)
        self.ledger: Ledger = opening.result()

    def tell(self, message: m.Message) -> list[Any]:
        return [*self.dialogue.receive(self.codec.encode(message))]

    def said(self) -> list[m.Message]:
        return [self.codec.decode(payload) for payload in self.dialogue.take_outbox()]

    def cut(self) -> list[m.Message]:
        """Lose the connection and make a new one."""
        self.dialogue.lose(ConnectionLostError("cut"))
        assert self.said() == []
        self.dialogue.attach()
        return self.said()

    def frames(self, *values: float) -> Any:
        return self.dialogue.frames(self.ledger, [frame(value) for value in values])


def resumed(next_seq: int, token: str = "two", **fields: Any) -> m.Opened:
    return replace(OPENED, next_seq=next_seq, resumed=True, resume_token=token, **fields)


def test_a_session_is_resumed_with_its_options_and_what_is_lacking_is_sent_again() -> None:
    asked = SessionOptions(window=4, overload="skip_output", park_s=1.5, expire_s=60).message("sum")
    rig = Rig(asked=asked)
    done, lost = rig.frames(1.0), rig.frames(2.0, 3.0)
    rig.tell(m.Output(0, 0, frame(10.0)))
    rig.said()
    (again,) = rig.cut()
    assert again == replace(asked, session_id="s", resume_token="one", answered_seq=0, attempt=1)
    assert (again.park_ms, again.expire_ms) == (1500, 60_000)
    later = rig.frames(4.0)
    assert rig.said() == [], "it waits until the server has told where it is"
    rig.tell(resumed(1))
    assert rig.said() == [m.Frame(0, 1, frame(2.0, 3.0), 2), m.Frame(0, 3, frame(4.0))]
    rig.tell(m.Output(0, 1, frame(20.0, 30.0, 40.0), 3))
    assert (done.value, lost.value, later.value) == ([frame(10.0)], [frame(20.0), frame(30.0)], [frame(40.0)])
    assert rig.dialogue.table.n_replayed == 2


def test_an_earlier_state_gets_its_frames_and_resets_again_and_their_outputs_are_passed_over() -> None:
    rig = Rig()
    rig.frames(1.0, 2.0)
    rig.dialogue.reset(rig.ledger)
    rig.frames(3.0)
    rig.tell(m.Output(0, 0, frame(1.0, 2.0), 2))
    rig.tell(m.Ack(0, "reset", 1))
    rig.tell(m.Output(0, 2, frame(3.0)))
    rig.said()
    rig.cut()
    rig.tell(resumed(1))
    assert rig.said() == [m.Frame(0, 1, frame(2.0)), m.Reset(0), m.Frame(0, 2, frame(3.0))]
    rig.tell(m.Output(0, 1, frame(2.0)))
    assert rig.tell(m.Ack(0, "reset", 1)) == []
    assert rig.tell(m.Output(0, 2, frame(3.0))) == []
    assert (rig.dialogue.table.n_repeated, rig.ledger.next_seq) == (2, 3)


def test_what_is_sent_again_is_paced() -> None:
    rig = Rig()
    for value in range(8):
        rig.frames(float(value))
        rig.tell(m.Output(0, value, frame(float(value))))
    rig.said()
    rig.cut()
    rig.tell(replace(OPENED, resume_token="two"))  # begun anew, and all is still here
    assert [message.seq for message in rig.said()] == [0, 1, 2, 3]  # type: ignore[attr-defined]
    rig.tell(m.Output(0, 0, frame(0.0, 1.0), 2))
    assert [message.seq for message in rig.said()] == [4, 5]  # type: ignore[attr-defined]
    rig.tell(m.Output(0, 2, frame(*range(2, 6)), 4))
    assert [message.seq for message in rig.said()] == [6, 7]  # type: ignore[attr-defined]


def test_what_is_durable_is_not_kept() -> None:
    rig = Rig(replace(OPENED, durable=True))
    for value in range(4):
        rig.frames(float(value))
        rig.tell(m.Output(0, value, frame(float(value))))
    rig.tell(m.Ack(0, "checkpoint", 3, 2))
    assert rig.ledger.durable_seq == 2
    assert [entry.seq for entry in rig.ledger.log.entries] == [3]  # type: ignore[union-attr]
    rig.cut()
    rig.tell(replace(OPENED, resume_token="two"))
    assert isinstance(rig.ledger.ended, SessionLostError)
    assert (rig.ledger.ended.from_seq, rig.ledger.ended.to_seq) == (0, 3)
    assert rig.said()[-1] == m.Close(0), "it is of no use to us, and the server need not keep it"
    other = rig.dialogue.open("sum")
    rig.tell(m.Output(0, 5, frame(1.0)))
    rig.tell(m.Closed(0, "closed", 0))
    rig.tell(replace(OPENED, handle=1))
    assert other.error is None


def test_beyond_the_bound_the_oldest_are_forgotten() -> None:
    rig = Rig(max_replay_bytes=1000)
    for value in range(100):
        rig.frames(float(value))
        rig.tell(m.Output(0, value, frame(float(value))))
    assert rig.ledger.log.n_forgotten == 100 - len(rig.ledger.log.entries)
    assert 1 <= len(rig.ledger.log.entries) < 6
    rig.cut()
    rig.tell(resumed(100))
    assert rig.ledger.ended is None
    rig.cut()
    rig.tell(resumed(101, "three"))
    assert isinstance(rig.ledger.ended, SessionLostError), "the server is ahead of what was ever sent"


@pytest.mark.parametrize(("reason", "kind"), [("taken_over", TakenOverError), ("expired", SessionExpiredError)])
def test_a_session_that_is_another_s_or_forgotten_is_not_resumed(reason: Any, kind: type[Exception]) -> None:
    rig = Rig()
    pending = rig.frames(1.0)
    rig.tell(m.Closed(0, reason, 0))
    assert type(rig.ledger.ended) is kind
    assert type(pending.error) is kind
    rig.said()
    assert rig.cut() == []


def test_draining_parts_a_session_until_the_next_connection() -> None:
    rig = Rig()
    pending = rig.frames(1.0)
    rig.said()
    rig.tell(m.Closed(0, "draining", 1))
    assert rig.ledger.ended is None
    (again,) = rig.cut()
    assert isinstance(again, m.Open)
    rig.tell(resumed(1))
    rig.tell(m.Skipped(0, 0, 1, True))
    with pytest.raises(SkippedError) as skipped:
        pending.only_output()
    assert skipped.value.is_stepped


def test_the_token_before_is_tried_as_well() -> None:
    rig = Rig()
    rig.cut()
    rig.tell(resumed(0, "two"))
    (again,) = rig.cut()
    assert isinstance(again, m.Open)
    assert again.resume_token == "two"
    rig.tell(m.Error("bad_token", "session", False, "no", "open", 0))
    (other,) = rig.said()
    assert other == replace(again, resume_token="one", attempt=3)
    rig.tell(resumed(0, "three"))
    assert rig.ledger.tokens == ["three", "one"]
    rig.cut()
    for _ in range(2):
        rig.tell(m.Error("bad_token", "session", False, "no", "open", 0))
    assert isinstance(rig.ledger.ended, TokenError)


def test_a_store_that_fails_is_asked_again() -> None:
    rig = Rig()
    rig.cut()
    rig.tell(m.Error("store_failed", "session", True, "later", "open", 0))
    assert (rig.dialogue.n_refused, rig.dialogue.is_resumed, rig.ledger.ended) == (1, False, None)
    rig.dialogue.resume_refused()
    assert len(rig.said()) == 1
    rig.tell(m.Error("store_failed", "session", True, "later", "open", 0))
    rig.dialogue.end_refused()
    assert isinstance(rig.ledger.ended, StoreError)


def test_an_attempt_that_came_too_late_finds_the_session_another_s() -> None:
    rig = Rig()
    rig.cut()
    rig.tell(m.Error("superseded", "session", False, "late", "open", 0))
    assert isinstance(rig.ledger.ended, TakenOverError)


def test_any_other_refusal_ends_the_session() -> None:
    rig = Rig()
    rig.cut()
    rig.tell(m.Error("unknown_model", "session", False, "no", "open", 0))
    assert isinstance(rig.ledger.ended, UnknownModelError)


def test_without_a_token_or_without_reconnect_a_loss_is_the_end() -> None:
    rig = Rig(replace(OPENED, resume_token=""))
    rig.dialogue.lose(ConnectionLostError("cut"))
    assert isinstance(rig.ledger.ended, ConnectionLostError)
    assert rig.dialogue.table.over is None
    rig = Rig(reconnect=False)
    rig.dialogue.lose(ConnectionLostError("cut"))
    assert isinstance(rig.dialogue.table.over, ConnectionLostError)


@pytest.mark.parametrize("options", [{"reconnect": False}, {"opened": replace(OPENED, resume_token="")}])
def test_nothing_is_kept_of_a_session_that_is_not_to_be_resumed(options: dict[str, Any]) -> None:
    rig = Rig(**options)
    for value in range(9):
        rig.frames(float(value))
        rig.tell(m.Output(0, value, frame(float(value))))
    rig.dialogue.reset(rig.ledger)
    rig.tell(m.Ack(0, "reset", 8))
    rig.dialogue.rollback(rig.ledger, b"then")
    rig.tell(m.Ack(0, "rollback", 1))
    assert (len(rig.ledger.log.entries), rig.ledger.log.n_forgotten, rig.ledger.next_seq) == (0, 0, 2)


def test_a_rollback_to_a_later_state_may_have_been_applied_when_its_answer_was_lost() -> None:
    rig = Rig()
    rig.dialogue.rollback(rig.ledger, b"a snapshot before frame 3, of a line that was left")
    (rollback,) = rig.said()
    rig.cut()
    rig.tell(resumed(3))
    assert rig.said() == [rollback]
    rig.tell(m.Ack(0, "rollback", 2))
    assert (rig.ledger.ended, rig.ledger.next_seq) == (None, 3)


def test_an_open_that_was_never_answered_is_asked_again_and_its_id_may_be_taken_by_itself() -> None:
    rig = Rig()
    opening = rig.dialogue.open("sum", "mine")
    rig.said()
    assert rig.cut()[1:] == [m.Open(1, "sum", "mine")]
    rig.tell(m.Error("session_exists", "session", False, "taken", "open", 1))
    assert isinstance(opening.error, SessionExistsError)
    assert opening.error.retryable
    assert "may be ours" in str(opening.error)


def test_frames_that_are_refused_after_a_loss_doom_those_behind() -> None:
    rig = Rig(check=False)
    first, bad, behind = rig.frames(1.0), rig.frames(float("nan")), rig.frames(2.0)
    rig.said()
    rig.tell(m.Error("bad_frame", "frame", False, "no", "frame", 0, 1))
    rig.cut()
    assert (first.done, bad.error.code, behind.error.code, rig.ledger.next_seq) == (False, "bad_frame", "bad_seq", 1)
    again = rig.frames(3.0)
    rig.tell(resumed(0))
    assert rig.said() == [m.Frame(0, 0, frame(1.0)), m.Frame(0, 1, frame(3.0))]
    rig.tell(m.Output(0, 0, frame(1.0, 4.0), 2))
    assert again.value == [frame(4.0)]


def test_events_and_marks_are_told() -> None:
    rig = Rig()
    assert rig.tell(m.Event(0, "parked", 0)) == [SessionEvent("s", "parked", 0)]
    assert rig.ledger.is_parked
    rig.tell(m.Event(0, "live", 0))
    assert not rig.ledger.is_parked
    pending = rig.frames(1.0, 2.0, 3.0)
    told = rig.tell(m.Skipped(0, 0, 2, False))
    assert told == [SessionEvent("s", "skipped", 0, 2, False)]
    rig.tell(m.Output(0, 2, frame(3.0), filled=4, was_reset=True))
    assert [pending.skip_of(i) is None for i in range(3)] == [False, False, True]
    assert (pending.marks[2].filled, pending.marks[2].was_reset, rig.ledger.n_skipped) == (4, True, 2)


def test_a_skipped_of_any_length_costs_no_memory() -> None:
    rig = Rig()
    rig.frames(1.0)
    with pytest.raises(MalformedError, match="which were not sent"):
        rig.tell(m.Skipped(0, 0, 2**53 - 1, True))
    rig.tell(m.Output(0, 0, frame(1.0)))
    rig.ledger.next_seq = 2**52  # as if it had lived that long
    rig.ledger.answered_seq = 2**52 - 1
    assert rig.tell(m.Skipped(0, 0, 2**52, True)) == []


def test_times_go_with_the_frames_also_when_they_are_sent_again() -> None:
    rig = Rig(asked=SessionOptions(gap="hold", period_s=0.01).message("sum"))
    rig.dialogue.frames(rig.ledger, [frame(1.0), frame(2.0)], 5_000)
    with pytest.raises(OptionError):
        rig.frames(3.0)
    assert rig.said() == [m.Frame(0, 0, frame(1.0, 2.0), 2, 5_000)]
    rig.cut()
    rig.tell(resumed(1))
    assert rig.said() == [m.Frame(0, 1, frame(2.0), 1, 15_000)]
    with pytest.raises(OptionError):
        Rig().dialogue.frames(rig.ledger, [frame(1.0)], -1)
    plain = Rig()
    with pytest.raises(OptionError):
        plain.dialogue.frames(plain.ledger, [frame(1.0)], 5)


@pytest.mark.parametrize(
    "options",
    [
        {"window": 0},
        {"overload": "ignore"},
        {"gap": "guess"},
        {"gap": "hold"},
        {"gap": "reset_after", "period_s": 0.1},
        {"park_s": -1},
        {"expire_s": float("nan")},
    ],
)
def test_options_of_a_session_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        SessionOptions(**options)
