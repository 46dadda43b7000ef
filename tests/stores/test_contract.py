"""What every store promises: whole records, fences, claims, expiry, and a typed end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from streamrnn.engine.snapshot import MAX_COUNT
from streamrnn.errors import OptionError, UsageError
from streamrnn.stores import Stored

A = Stored("a", 0, 10, b"state of a")
B = Stored("b", 3, 7, b"state of b")


class TestSave:
    def test_records_come_back_as_they_were_saved(self, store):
        assert store.save([A, B], 1.0) == []
        assert (store.load("a"), store.load("b"), store.load("c")) == (A, B, None)
        assert store.session_ids() == ["a", "b"]

    @pytest.mark.parametrize("session_id", ["weather/7 °C", "nul\0nul", "nul\0", "'; --", "\U0001f600" * 100, " "])
    def test_an_id_is_any_text(self, store, session_id):
        record = Stored(session_id, 1, 2, b"\0\xff")
        store.save([record, A], 0.0)
        assert store.load(session_id) == record
        assert set(store.session_ids()) == {session_id, "a"}
        store.delete([(session_id, 1)])
        assert store.session_ids() == ["a"]

    @pytest.mark.parametrize("n_bytes", [0, 1, 5_000_000])
    def test_a_snapshot_is_of_any_size(self, store, n_bytes):
        record = Stored("a", MAX_COUNT, MAX_COUNT, bytes(range(256)) * (n_bytes // 256 + 1))
        store.save([record], 0.0)
        assert store.load("a") == record

    def test_thousands_of_sessions_are_one_save(self, store):
        records = [Stored(f"s{n:04}", n, n, n.to_bytes(2, "little") * 1024) for n in range(2000)]
        assert store.save(records, 1.0) == []
        assert store.session_ids() == [record.session_id for record in records]
        assert [store.load(record.session_id) for record in records] == records
        fenced = store.save([Stored(record.session_id, 1000, 0, b"") for record in records], 2.0)
        assert fenced == [f"s{n:04}" for n in range(1000, 2000)]

    def test_nothing_to_save_is_no_fault(self, store):
        assert store.save([], 1.0) == []

    def test_a_record_that_is_none_leaves_nothing_of_its_save(self, store):
        with pytest.raises(AttributeError):
            store.save([A, None], 1.0)
        assert store.session_ids() == []
        assert store.save([A], 1.0) == []


class TestFence:
    def test_a_lower_epoch_is_fenced_and_the_others_are_written(self, store):
        store.save([B], 1.0)
        stale = Stored("b", 2, 900, b"of an owner that does not know")
        assert store.save([stale, A], 2.0) == ["b"]
        assert (store.load("a"), store.load("b")) == (A, B)

    def test_a_state_never_goes_back_under_one_epoch(self, store):
        store.save([B], 1.0)
        assert store.save([Stored("b", 3, 6, b"earlier")], 2.0) == ["b"]
        assert store.load("b") == B

    def test_the_same_seq_is_written_again_for_a_reset_changes_only_the_state(self, store):
        store.save([B], 1.0)
        reset = Stored("b", 3, 7, b"zeros")
        assert store.save([reset], 2.0) == []
        assert store.load("b") == reset

    def test_a_higher_epoch_may_go_back(self, store):
        store.save([B], 1.0)
        assert store.save([Stored("b", 4, 0, b"anew")], 2.0) == []
        assert store.load("b") == Stored("b", 4, 0, b"anew")

    @pytest.mark.parametrize("count", [9, 99, 2**31 - 1, 2**53, 2**53 + 1, MAX_COUNT - 2, MAX_COUNT - 1])
    def test_counts_that_differ_by_one_are_told_apart(self, store, count):
        seqs, epochs = Stored("a", 5, count + 1, b"seq"), Stored("b", count + 1, 5, b"epoch")
        store.save([seqs, epochs], 1.0)
        assert store.save([Stored("a", 5, count, b""), Stored("b", count, MAX_COUNT, b"")], 2.0) == ["a", "b"]
        assert (store.load("a"), store.load("b")) == (seqs, epochs)
        assert store.save([seqs, epochs], 3.0) == []
        assert store.claim("b", 4.0, held_epoch=count) is None
        store.delete([("b", count)])
        assert store.load("b") == epochs
        store.delete([("b", count + 1)])
        assert store.load("b") is None

    @pytest.mark.parametrize("epoch", [0, 9, 2**53, 2**53 + 1, MAX_COUNT - 1])
    def test_a_claim_raises_any_epoch_by_one(self, store, epoch):
        store.save([Stored("a", epoch, MAX_COUNT, b"")], 1.0)
        assert store.claim("a", 2.0, held_epoch=epoch) == Stored("a", epoch + 1, MAX_COUNT, b"") == store.load("a")

    def test_records_of_one_session_are_taken_in_order(self, store):
        later = Stored("a", 0, 11, b"later")
        assert store.save([A, later, A, B], 1.0) == ["a"]
        assert store.load("a") == later


class TestClaim:
    def test_it_raises_the_epoch_and_fences_the_owner_before(self, store):
        store.save([B], 1.0)
        claimed = store.claim("b", 2.0)
        assert claimed == Stored("b", 4, 7, B.snapshot) == store.load("b")
        assert store.save([Stored("b", 3, 8, b"old owner")], 3.0) == ["b"]
        assert store.save([Stored("b", 4, 8, b"new owner")], 3.0) == []

    def test_nothing_stored_is_nothing_to_claim(self, store):
        assert store.claim("a", 1.0) is None
        assert store.claim("a", 1.0, held_epoch=0) is None
        assert store.session_ids() == []

    def test_an_owner_that_rolls_back_goes_on_under_a_new_epoch(self, store):
        store.save([B], 1.0)
        renewed = store.claim("b", 2.0, held_epoch=3)
        back = Stored("b", renewed.epoch, 5, b"earlier")
        assert store.save([back], 3.0) == []
        assert store.load("b") == back
        assert store.save([Stored("b", renewed.epoch, 4, b"and then?")], 4.0) == ["b"]

    def test_an_owner_that_was_fenced_cannot_take_the_session_back(self, store):
        store.save([B], 1.0)
        claimed = store.claim("b", 2.0)
        assert store.claim("b", 3.0, held_epoch=3) is None
        assert store.load("b") == claimed

    def test_every_claim_gets_an_epoch_of_its_own(self, store):
        store.save([A], 1.0)
        with ThreadPoolExecutor(8) as threads:
            epochs = [claimed.epoch for claimed in threads.map(lambda n: store.claim("a", float(n)), range(200))]
        assert sorted(epochs) == list(range(1, 201))

    def test_the_last_epoch_is_the_end(self, store):
        last = Stored("a", MAX_COUNT, 0, b"")
        store.save([last], 1.0)
        with pytest.raises(OptionError):
            store.claim("a", 2.0)
        assert store.load("a") == last


class TestForget:
    def test_delete_forgets_what_it_names(self, store):
        store.save([A, B], 1.0)
        store.delete((session_id, 0) for session_id in ("a", "unknown", "a"))
        assert store.session_ids() == ["b"]
        store.delete([])
        assert store.save([Stored("a", 0, 0, b"new")], 2.0) == []

    def test_an_owner_that_was_fenced_does_not_delete_what_its_successor_holds(self, store):
        store.save([A, B], 1.0)
        claimed = store.claim("b", 2.0)
        store.delete([("a", 0), ("b", 3)])
        assert (store.load("a"), store.load("b")) == (None, claimed)
        store.delete([("b", 4)])
        assert store.session_ids() == []

    @pytest.mark.parametrize("epoch", [-1, MAX_COUNT + 1, 0.0, None, "0"])
    def test_an_epoch_that_cannot_be_kept_is_refused(self, store, epoch):
        store.save([A, B], 1.0)
        with pytest.raises(OptionError):
            store.delete([("a", 0), ("b", epoch)])
        assert store.session_ids() == ["a", "b"]

    def test_expire_forgets_what_was_saved_before(self, store):
        store.save([A, B, Stored("c", 0, 0, b"")], 10.0)
        store.save([A], 20.0)
        store.claim("c", 20.0)
        assert store.expire(10.0) == 0
        assert store.expire(20.0) == 1
        assert store.session_ids() == ["a", "c"]
        assert store.expire(21) == 2

    def test_a_fenced_save_keeps_nothing_alive(self, store):
        store.save([B], 10.0)
        store.save([Stored("b", 2, 0, b"")], 20.0)
        assert store.expire(20.0) == 1


class TestEnd:
    @pytest.mark.parametrize(
        "call",
        [
            lambda store: store.save([A], 1.0),
            lambda store: store.save([], 1.0),
            lambda store: store.load("a"),
            lambda store: store.claim("a", 1.0),
            lambda store: store.delete([("a", 0)]),
            lambda store: store.expire(1.0),
            lambda store: store.session_ids(),
        ],
    )
    def test_a_closed_store_says_so(self, store, call):
        with store as same:
            assert same is store
        store.close()
        with pytest.raises(UsageError, match="closed"):
            call(store)

    @pytest.mark.parametrize("session_id", ["", "\ud800", None, b"a"])
    def test_an_id_that_cannot_be_kept_is_refused(self, store, session_id):
        calls = (store.load, lambda bad: store.claim(bad, 1.0), lambda bad: store.delete([("a", 0), (bad, 0)]))
        for call in (*calls, lambda bad: Stored(bad, 0, 0, b"")):
            with pytest.raises(OptionError):
                call(session_id)

    @pytest.mark.parametrize(
        "fields", [(-1, 0, b""), (0, -1, b""), (MAX_COUNT + 1, 0, b""), (0, 1.5, b""), (0, 0, bytearray())]
    )
    def test_a_record_of_other_values_cannot_be_made(self, fields):
        with pytest.raises(OptionError):
            Stored("a", *fields)
