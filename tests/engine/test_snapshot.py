"""A snapshot is restored whole or refused: cut short anywhere, with any bit flipped, of another model, or crafted."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from streamrnn import Engine, Limits
from streamrnn.engine import snapshot
from streamrnn.engine.snapshot import SnapshotRecord, decode, encode
from streamrnn.errors import (
    CapacityError,
    OptionError,
    SessionClosedError,
    SessionExistsError,
    SnapshotError,
    UsageError,
)
from tests.laws.nets import random_frames, random_model, same_bits
from tests.laws.test_laws import engine_of

HEADER_BYTES = snapshot._HEADER.size
KEY = b"sixteen bytes, or more"


@pytest.fixture
def model():
    return random_model("lstm", 3, 5)


@pytest.fixture
def engine(model):
    return engine_of(model)


@pytest.fixture
def session(engine, model):
    session = engine.open("m", "weather/7 °C")
    session.run(random_frames(model, 9))
    return session


def refused(engine, blob):
    n_before = engine.n_sessions
    with pytest.raises(SnapshotError) as refusal:
        engine.restore(blob)
    assert refusal.value.code == "bad_snapshot"
    assert engine.n_sessions == n_before
    return refusal.value.message


def test_it_holds_the_session(session, model):
    record = decode(session.snapshot())
    assert (record.session_id, record.next_seq, record.epoch) == ("weather/7 °C", 9, 0)
    assert record.model_digest == model.digest
    assert same_bits(record.state, session.state())
    assert record.decoder == b""


def test_a_record_is_read_as_it_was_written():
    state = np.array([np.nan, np.inf, -0.0, 1e-45], np.float32)
    record = SnapshotRecord("ab" * 32, "ü", 3, 2**40, state, b"decoder")
    again = decode(encode(record))
    assert same_bits(again.state, state)
    assert (again.model_digest, again.session_id, again.epoch, again.next_seq, again.decoder) == (
        "ab" * 32, "ü", 3, 2**40, b"decoder",
    )  # fmt: skip


def test_the_same_session_gives_the_same_bytes(session):
    assert session.snapshot() == session.snapshot()
    assert session.fork().snapshot() != session.snapshot()  # another id


@pytest.fixture(params=[None, KEY], ids=["plain", "signed"])
def sealing(request, model):
    """An engine that signs its snapshots, or not, and a session in it."""
    engine = Engine(Limits(max_sessions=4), snapshot_key=request.param)
    engine.add_model("m", model)
    session = engine.open("m", "weather/7 °C")
    session.run(random_frames(model, 9))
    return engine, session


def test_cut_short_at_every_byte(sealing):
    engine, session = sealing
    blob = session.snapshot()
    for n in range(len(blob)):
        refused(engine, blob[:n])
    refused(engine, blob + b"\0")
    assert same_bits(engine.restore(blob, "whole").state(), session.state())


def test_every_single_flipped_bit(sealing):
    engine, session = sealing
    blob = session.snapshot()
    for place in range(len(blob)):
        for bit in range(8):
            damaged = bytearray(blob)
            damaged[place] ^= 1 << bit
            refused(engine, bytes(damaged))
            with pytest.raises(SnapshotError):
                session.rollback(bytes(damaged))
    assert session.snapshot() == blob


class TestSigned:
    def engine(self, model, key):
        engine = Engine(Limits(max_sessions=4), snapshot_key=key)
        engine.add_model("m", model)
        return engine

    def test_another_key_or_none_is_refused(self, model, session):
        signing = self.engine(model, KEY)
        blob = signing.open("m").snapshot()
        assert "signed with another key" in refused(self.engine(model, KEY[::-1]), blob)
        assert "is signed, and there is no key here" in refused(self.engine(model, None), blob)
        assert "only signed ones are taken here" in refused(signing, session.snapshot())
        assert self.engine(model, KEY).restore(blob).next_seq == 0

    def test_a_checksum_does_not_pass_for_a_signature(self, model):
        signing = self.engine(model, KEY)
        body = bytearray(signing.open("m").snapshot()[:-32])
        forged = [sealed(bytes(body)), bytes(body) + hashlib.sha256(body).digest()]
        struct.pack_into("<H", body, 8, snapshot.PLAIN)
        for blob in (*forged, sealed(bytes(body))):
            refused(signing, blob)

    @pytest.mark.parametrize("key", [b"", bytes(15)])
    def test_a_short_key_is_refused(self, key):
        with pytest.raises(OptionError, match=f"at least 16 bytes, got {len(key)}"):
            Engine(snapshot_key=key)


class TestRollback:
    def test_state_and_numbering_go_back(self, session, model):
        blob, xs = session.snapshot(), random_frames(model, 6, seed=3)
        first = session.run(xs)
        session.rollback(blob)
        assert (session.next_seq, session.applied_seq) == (9, 8)
        assert same_bits(session.run(xs), first)
        assert session.next_seq == 15

    def test_only_to_a_snapshot_of_its_own(self, engine, session):
        twin = session.fork("twin")
        before = twin.snapshot()
        with pytest.raises(SnapshotError, match="expected a snapshot of session 'twin', got one of session 'weather"):
            twin.rollback(session.snapshot())
        other = engine_of(random_model("lstm", 3, 5, seed=1)).open("m", "twin")
        with pytest.raises(SnapshotError, match="of session 'twin' of model"):
            twin.rollback(other.snapshot())
        assert twin.snapshot() == before

    def test_not_while_frames_wait_or_once_closed(self, engine, session, model):
        blob = session.snapshot()
        engine.push(session, 9, random_frames(model, 2))
        with pytest.raises(UsageError, match="2 frames waiting"):
            session.rollback(blob)
        engine.finish(session)
        session.close()
        with pytest.raises(SessionClosedError):
            session.rollback(blob)


def test_a_newer_version_says_so(engine, session):
    blob = bytearray(session.snapshot())
    struct.pack_into("<H", blob, 8, 3)
    assert "version 3, this release reads up to 2" in refused(engine, bytes(blob))


def sealed(body):
    """A body with the checksum that fits it, as anyone can make."""
    return body + hashlib.blake2b(body, digest_size=16).digest()


def crafted(session, **changes):
    """A snapshot whose header says something else, with a checksum that fits."""
    names = ("magic", "version", "layout", "digest", "epoch", "next_seq", "n_id", "n_decoder", "n_payload")
    body = session.snapshot()[:-16]
    header = dict(zip(names, snapshot._HEADER.unpack_from(body), strict=True)) | changes
    return sealed(snapshot._HEADER.pack(*header.values()) + body[HEADER_BYTES:])


def test_another_model(session):
    other = engine_of(random_model("lstm", 3, 5, seed=1))
    assert session.model.digest[:12] in refused(other, session.snapshot())


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"layout": 0},
        {"layout": 2},
        {"digest": bytes(32)},
        {"epoch": 2**64 - 1},
        {"next_seq": 2**63},
        {"next_seq": 2**62 + 1},
        {"n_id": 0xFFFF},
        {"n_decoder": 0xFFFFFFFF},
        {"n_payload": 0},
        {"n_payload": 0xFFFFFFFC},
        {"n_id": 0, "n_decoder": 13},
        {"n_decoder": 64, "n_payload": 64},
        {"n_decoder": 1, "n_payload": 127},
    ],
    ids=str,
)
def test_a_crafted_header(engine, session, changes):
    refused(engine, crafted(session, **changes))


def test_a_nameless_session_is_refused_by_its_name(engine, session):
    n_id = len(session.id.encode())
    body = session.snapshot()[:-16]
    nameless = body[:HEADER_BYTES] + body[HEADER_BYTES + n_id :]
    names = list(snapshot._HEADER.unpack_from(nameless))
    names[6] = 0
    blob = sealed(snapshot._HEADER.pack(*names) + nameless[HEADER_BYTES:])
    assert engine.restore(blob, "named").id == "named"
    with pytest.raises(OptionError):
        engine.restore(blob)


def test_the_highest_count_goes_on(session, model):
    """The kernel counts in int64: it must not wrap, and the session must stay one that can be snapshotted."""
    engine = engine_of(model)
    restored = engine.restore(crafted(session, next_seq=2**62))
    restored.run(random_frames(model, 3))
    assert (restored.next_seq, decode(session.snapshot()).next_seq) == (2**62 + 3, 9)
    assert len(restored.snapshot()) == len(session.snapshot())


def test_a_crafted_name(engine, session):
    body = bytearray(session.snapshot()[:-16])
    body[HEADER_BYTES] = 0xFF
    assert "UTF-8" in refused(engine, sealed(bytes(body)))


class TestRestore:
    def test_its_own_name_where_that_is_free(self, session):
        blob, engine = session.snapshot(), engine_of(session.model)
        restored = engine.restore(blob)
        assert (restored.id, restored.next_seq, restored.applied_seq) == ("weather/7 °C", 9, 8)
        assert engine.session("weather/7 °C") is restored

    def test_another_name_where_it_is_taken(self, engine, session):
        restored = engine.restore(session.snapshot())
        assert restored.id != session.id

    def test_a_chosen_name(self, engine, session):
        assert engine.restore(session.snapshot(), "mine").id == "mine"
        with pytest.raises(SessionExistsError):
            engine.restore(session.snapshot(), "mine")

    def test_the_epoch_rises_so_that_an_old_owner_is_known(self, session):
        blob = session.snapshot()
        for epoch in (1, 2, 3):
            restored = engine_of(session.model).restore(blob)
            assert restored.epoch == epoch
            blob = restored.snapshot()

    def test_any_bytes_like(self, engine, session):
        for kind in (bytes, bytearray, memoryview):
            assert same_bits(engine.restore(kind(session.snapshot())).state(), session.state())

    def test_a_full_engine_is_a_limit(self, session):
        engine = Engine(Limits(max_sessions=1))
        engine.add_model("m", session.model)
        engine.restore(session.snapshot())
        with pytest.raises(CapacityError):
            engine.restore(session.snapshot())
        assert engine.n_sessions == 1

    def test_the_model_is_found_by_its_digest(self, session):
        engine = Engine(Limits(max_sessions=2))
        engine.add_model("other", random_model("lstm", 3, 5, seed=1))
        engine.add_model("same, renamed", session.model)
        assert engine.restore(session.snapshot()).model_name == "same, renamed"


def test_frames_that_wait_are_in_no_snapshot(engine, session, model):
    engine.push(session, 9, random_frames(model, 2))
    for operation in (session.snapshot, session.fork, session.reset, session.state):
        with pytest.raises(UsageError, match="2 frames waiting"):
            operation()
    engine.finish(session)
    assert decode(session.snapshot()).next_seq == 11


def test_a_model_without_state():
    session = engine_of(random_model("linear", 3, 5)).open("m")
    blob = session.snapshot()
    assert decode(blob).state.size == 0
    assert engine_of(session.model).restore(blob).next_seq == 0


def test_an_outline_tells_what_is_in_it(engine, session, model):
    found = engine.outline(session.snapshot())
    assert found.model_digest == model.digest
    assert found.session_id.decode() == session.id
    assert (found.n_decoder, found.n_payload) == (0, 4 * model.program.state_size)


def test_an_outline_is_refused_without_a_look_at_the_seal(engine, session, model):
    whole = session.snapshot()
    assert engine.outline(whole[:-1] + bytes([whole[-1] ^ 1])) == engine.outline(whole), "the seal is for `restore`"
    other = whole[:12] + bytes(32) + whole[44:]
    for blob, reason in [(b"", "none or cut"), (whole[:-1], "has"), (whole + b"x", "has"), (other, "does not have")]:
        with pytest.raises(SnapshotError, match=reason):
            engine.outline(blob)
    with pytest.raises(SnapshotError, match=f"state of {4 * model.program.state_size} bytes"):
        engine.outline(crafted(session, n_decoder=4, n_payload=4 * model.program.state_size - 4))
