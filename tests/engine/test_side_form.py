"""A side as bytes: read as it was written, or refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from streamrnn import Gaps
from streamrnn.engine import side_form
from streamrnn.engine.gaps import MAX_TIME_US, POLICIES
from streamrnn.engine.snapshot import decode, encode
from streamrnn.errors import SnapshotError
from tests.laws.nets import random_frames, random_model, same_bits
from tests.laws.test_laws import engine_of

HEAD = side_form._HEAD
NAMES = ("version", "policy", "flags", "n_warm", "period_us", "reset_after_us", "time_us")
PERIOD = 10


@pytest.fixture
def engine():
    return engine_of(random_model("lstm", 3, 5))


def sided(engine, gaps=None, n_warm=5, n=3):
    """A session in the middle of a warm reset."""
    session = engine.open("m", gaps=gaps)
    session.reset(warm_frames=n_warm)
    session.run(random_frames(session.model, n), time_us=7 if gaps else None)
    return session


def form_of(session):
    """The side's bytes."""
    return decode(session.snapshot()).decoder


def refused(engine, session, form):
    """A snapshot with another side, whose seal is right, is refused by restore and rollback."""
    blob = encode(decode(session.snapshot())._replace(decoder=form))
    n, before = engine.n_sessions, session.snapshot()
    with pytest.raises(SnapshotError, match="side"):
        engine.restore(blob)
    with pytest.raises(SnapshotError, match="side"):
        session.rollback(blob)
    assert engine.n_sessions == n
    assert session.snapshot() == before


@pytest.mark.parametrize("n", [0, 1, 3, 5, 6])
@pytest.mark.parametrize("policy", [None, *POLICIES])
def test_read_as_it_was_written(engine, policy, n):
    gaps = policy and Gaps(policy, PERIOD, 50)
    session = sided(engine, gaps, n=n)
    record = decode(session.snapshot())
    twin = engine.restore(session.snapshot())
    assert form_of(twin) == record.decoder == form_of(session.fork())
    assert twin.gaps == gaps and twin.last_time_us == session.last_time_us
    size = HEAD.size + 4 * 3 * (policy in ("hold", "linear") and n > 0) + 4 * record.state.size * (0 < n < 5)
    assert len(record.decoder) == (0 if policy is None and n == 6 else size)


def test_a_session_without_a_side_has_no_bytes(engine):
    session = sided(engine, n=5)
    assert form_of(session)
    session.step(random_frames(session.model))
    assert form_of(session) == form_of(engine.open("m")) == b""


@pytest.mark.parametrize("gaps", [None, Gaps("hold", PERIOD)])
def test_every_other_length(engine, gaps):
    session = sided(engine, gaps)
    form = form_of(session)
    for n in range(1, len(form)):
        refused(engine, session, form[:n])
    refused(engine, session, form + b"\0")
    refused(engine, session, form + bytes(4))


CHANGES = [
    {"version": 0},
    {"version": 2},
    {"policy": 5},
    {"policy": 255},
    {"policy": 0},
    {"policy": 3},
    {"policy": 4},
    {"flags": 0},
    {"flags": 1},
    {"flags": 6},
    {"flags": 7 + 16},
    {"flags": 0xFFFF},
    {"n_warm": 0},
    {"period_us": 0},
    {"period_us": MAX_TIME_US + 1},
    {"period_us": 2**64 - 1},
    {"reset_after_us": 2**64 - 1},
    {"time_us": MAX_TIME_US + 1},
    {"time_us": 2**64 - 1},
]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_a_crafted_head(engine, changes):
    session = sided(engine, Gaps("hold", PERIOD))
    form = form_of(session)
    head = dict(zip(NAMES, HEAD.unpack_from(form), strict=True)) | changes
    refused(engine, session, HEAD.pack(*head.values()) + form[HEAD.size :])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_last_frame_that_no_session_took(engine, value):
    session = sided(engine, Gaps("linear", PERIOD))
    form = bytearray(form_of(session))
    struct.pack_into("<f", form, HEAD.size + 4, value)
    refused(engine, session, bytes(form))


def test_a_policy_that_the_model_cannot_have():
    engine = engine_of(random_model("embedding", 4, 5))
    session = engine.open("m", gaps=Gaps("reset_after", PERIOD, 50))
    form = form_of(session)
    for policy in (1, 2, 3):
        refused(engine, session, form[:1] + bytes([policy]) + form[2:])


def test_a_time_that_a_policy_does_not_need_is_nought(engine):
    session = engine.open("m", gaps=Gaps("zero", PERIOD))
    form = form_of(session)
    refused(engine, session, form[:24] + struct.pack("<Q", 5))
    twin = engine.restore(session.snapshot())
    assert same_bits(twin.state(), session.state())
