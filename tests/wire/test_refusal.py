"""An exception becomes the `error` and the close code of the protocol text, and shows nothing else."""

from __future__ import annotations

import pytest

from streamrnn import errors
from streamrnn.wire.codec import WrongKindError
from streamrnn.wire.messages import Error
from streamrnn.wire.refusal import close_code_of, error_of
from tests.wire.make_vectors import FOLDER


def test_a_wrong_seq_names_the_expected_one():
    fault = errors.SequenceError("expected seq 3, got 7", expected=3)
    assert error_of(fault, "frame", 1, 7) == Error("bad_seq", "frame", False, "expected seq 3, got 7", "frame", 1, 7, 3)


def test_other_fields_stay_inside():
    shown = error_of(errors.FrameError("expected 4 bytes", expected=4, got=5), "frame", 1, 7)
    assert shown.expected_seq is None


def test_a_refused_open_leaves_a_draining_connection():
    assert error_of(errors.DrainingError("stopping")).scope == "session"
    assert error_of(errors.DrainingError("stopping")).retryable


def test_a_scope_can_be_narrowed():
    assert error_of(errors.InternalError("x")).scope == "connection"
    assert error_of(errors.InternalError("x"), scope="session").scope == "session"


def test_a_message_is_cut():
    assert len(error_of(errors.OptionError("x" * 10_000)).message) == 500


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (WrongKindError("x"), 1003),
        (errors.MalformedError("x"), 1007),
        (errors.OversizedError("x"), 1009),
        (errors.InternalError("x"), 1011),
        (errors.OrderError("x"), 1008),
    ],
)
def test_close_codes(fault, code):
    assert close_code_of(fault) == code


def subclasses(kind: type[errors.StreamrnnError]) -> set[type[errors.StreamrnnError]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


@pytest.mark.parametrize(
    "kind",
    sorted(
        subclasses(errors.UsageError) | subclasses(errors.LimitError) | subclasses(errors.PeerError),
        key=repr,
    ),
    ids=str,
)
def test_every_code_that_can_reach_a_client_is_written_down(kind: type[errors.StreamrnnError]):
    text = (FOLDER.parent / "PROTOCOL.md").read_text(encoding="utf-8")
    if kind.__subclasses__() and kind is not errors.MalformedError:
        return  # a family, never raised itself
    shown = error_of(kind("x"))
    row = next((line for line in text.splitlines() if line.startswith(f"| `{kind.code}` |")), None)
    assert row is not None, f"PROTOCOL.md has no row for {kind.code}"
    assert f"| {'yes' if shown.retryable else 'no'} |" in row
    if kind is not errors.OrderError:
        assert f"| {shown.scope}" in row
