"""Faults of a server, made for real: killed, hung, full, without its scripts. Each is a StoreError; then it goes on."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from streamrnn.commands.demonstration.server import free_port
from streamrnn.errors import StoreError, UsageError
from streamrnn.stores import Stored
from streamrnn.stores.scripts import SAVE
from streamrnn.stores.valkey import ValkeyStore
from tests.stores.conftest import TIMEOUT_S
from tests.stores.servers import Server

OLD = [Stored(f"s{n}", 0, 1, b"old") for n in range(4)]
NEW = [Stored(f"s{n}", 0, 2, bytes([n]) * 200_000) for n in range(4)]
SHORT_S = 0.5
GENEROUS_S = 20
"""Far above what a call may take; without a timeout it would be forever."""


@pytest.fixture
def own_server():
    """A server for one test, which may do anything to it."""
    with Server() as server:
        yield server


def n_connections(server):
    """How many it has, but for the one that asks."""
    return server.ask("INFO", "clients")["connected_clients"] - 1


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_a_server_to_start_a_test_is_skipped_but_fails_in_ci(monkeypatch, ci, outcome):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="redis-server"):
        Server()


@pytest.mark.parametrize("is_tcp", [False, True])
def test_a_server_that_was_killed_and_started_again_is_found_again(is_tcp):
    with Server(port=free_port() if is_tcp else 0) as server, ValkeyStore(server.url, timeout_s=TIMEOUT_S) as store:
        store.save(OLD, 1.0)
        server.kill()
        for call in (lambda: store.save(NEW, 2.0), lambda: store.load("s0"), lambda: store.claim("s0", 2.0)):
            with pytest.raises(StoreError) as refused:
                call()
            assert (refused.value.fields["cause"], refused.value.retryable) == ("ConnectionError", True)
        server.start()
        assert store.load("s0") is None, "it kept nothing, and knows no script"
        assert store.save(NEW, 3.0) == []
        assert store.load("s3") == NEW[3]


def test_a_server_that_is_back_before_the_next_call_costs_one_error_at_most(own_server):
    with ValkeyStore(own_server.url, timeout_s=TIMEOUT_S) as store:
        store.save(OLD, 1.0)
        own_server.kill()
        own_server.start()
        try:
            store.save(NEW, 2.0)
        except StoreError:
            store.save(NEW, 2.0)
        assert store.load("s3") == NEW[3]


def test_a_store_may_be_made_before_its_server(own_server):
    own_server.kill()
    with ValkeyStore(own_server.url, timeout_s=TIMEOUT_S) as store:
        with pytest.raises(StoreError):
            store.save(OLD, 1.0)
        own_server.start()
        assert store.save(OLD, 1.0) == []


def test_scripts_are_loaded_once_and_again_where_the_server_has_forgotten_them(server):
    with ValkeyStore(server.url, timeout_s=TIMEOUT_S) as store:
        store.save(OLD, 1.0)
        server.ask("CONFIG", "RESETSTAT")
        for n in range(3):
            store.save(OLD, float(n))
        assert "cmdstat_script|load" not in server.ask("INFO", "commandstats")
        server.ask("SCRIPT", "FLUSH")
        assert server.ask("SCRIPT EXISTS", SAVE.sha) == [False]
        assert store.save(NEW, 2.0) == []
        assert store.load("s3") == NEW[3]
        assert server.ask("SCRIPT EXISTS", SAVE.sha) == [True]


class TestHung:
    @pytest.mark.parametrize("is_connected", [True, False])
    def test_a_call_ends_in_time_and_the_next_goes_on(self, own_server, is_connected):
        with ValkeyStore(own_server.url, timeout_s=SHORT_S) as store:
            if is_connected:
                patiently(lambda: store.save(OLD, 1.0))
            own_server.stop()
            try:
                start_s = time.monotonic()
                with pytest.raises(StoreError) as refused:
                    store.save(NEW, 2.0)
                assert time.monotonic() - start_s < GENEROUS_S
                assert refused.value.fields == {"operation": "save", "cause": "TimeoutError"}
                with pytest.raises(StoreError):
                    store.load("s0")
            finally:
                own_server.go_on()
            assert own_server.ask("PING") is True
        with ValkeyStore(own_server.url, timeout_s=TIMEOUT_S) as store:
            assert store.save(NEW, 3.0) == []
            assert store.load("s3") == NEW[3]

    def test_what_had_no_answer_is_not_done_after_the_next_call(self, own_server):
        with ValkeyStore(own_server.url, timeout_s=SHORT_S) as store:
            patiently(lambda: store.save([OLD[0]], 1.0))
            own_server.stop()
            for _ in range(2):
                with pytest.raises(StoreError):
                    store.claim("s0", 2.0)
            own_server.go_on()
            claimed = patiently(lambda: store.claim("s0", 3.0))
            assert n_connections(own_server) == 1
            assert patiently(lambda: store.save([Stored("s0", claimed.epoch, 5, b"owner")], 4.0)) == []

    def test_the_next_connection_ends_the_one_before(self, own_server):
        with ValkeyStore(own_server.url, timeout_s=TIMEOUT_S) as store:
            store.save(OLD, 1.0)
            astray = store._link._server.connection_pool._available_connections.pop()
            assert store.load("s0") == OLD[0]
            assert n_connections(own_server) == 1
            astray.disconnect()

    def test_threads_do_not_queue_up_behind_it(self, own_server):
        with ValkeyStore(own_server.url, timeout_s=SHORT_S) as store, ThreadPoolExecutor(8) as threads:
            own_server.stop()
            start_s = time.monotonic()
            faults = list(threads.map(lambda n: fault_of(store), range(8)))
            assert time.monotonic() - start_s < GENEROUS_S
            own_server.go_on()
        assert set(faults) <= {"TimeoutError", "busy"}

    def test_a_store_closes_beside_it(self, own_server):
        store = ValkeyStore(own_server.url, timeout_s=SHORT_S)
        patiently(lambda: store.save(OLD, 1.0))
        own_server.stop()
        store.close()
        own_server.go_on()
        with pytest.raises(UsageError):
            store.load("s0")


def patiently(call):
    """What a call returns, made again while a busy machine makes it late."""
    for _ in range(30):
        with contextlib.suppress(StoreError):
            return call()
    return call()


def fault_of(store):
    """The cause of a call that fails."""
    with pytest.raises(StoreError) as refused:
        store.load("s0")
    return refused.value.fields["cause"]


class TestFull:
    @pytest.fixture
    def full(self):
        """A store on a server that has no room but for the sessions it has."""
        with (
            Server("--maxmemory-policy", "noeviction") as server,
            ValkeyStore(server.url, timeout_s=TIMEOUT_S) as store,
        ):
            store.save(OLD, 1.0)
            server.ask("CONFIG", "SET", "maxmemory", "1")
            yield server, store

    @pytest.mark.parametrize("operation", ["save", "claim"])
    def test_a_change_is_refused_whole_and_may_be_repeated(self, full, operation):
        server, store = full
        call = {"save": lambda: store.save(NEW, 2.0), "claim": lambda: store.claim("s0", 2.0)}[operation]
        with pytest.raises(StoreError) as refused:
            call()
        assert (refused.value.fields["operation"], refused.value.retryable) == (operation, True)
        assert refused.value.fields["cause"] == "OutOfMemoryError"
        assert [store.load(old.session_id) for old in OLD] == OLD
        assert store.expire(1.0) == 0
        server.ask("CONFIG", "SET", "maxmemory", "0")
        assert call() in ([], Stored("s0", 1, 1, b"old"))

    def test_forgetting_goes_on(self, full):
        _, store = full
        store.delete([("s0", 0)])
        assert store.expire(2.0) == 3
        assert store.session_ids() == []

    def test_saves_fill_two_megabytes_whole_by_whole(self):
        settings = ("--maxmemory", "2mb", "--maxmemory-policy", "noeviction")
        with Server(*settings) as server, ValkeyStore(server.url, timeout_s=TIMEOUT_S) as store:
            n_saved = 0
            with pytest.raises(StoreError):
                for n in range(1, 1000):
                    store.save([Stored(f"s{i}", 0, n, bytes(1000 * n)) for i in range(4)], float(n))
                    n_saved = n
            assert {store.load(f"s{i}").next_seq for i in range(4)} == {n_saved}


def test_a_replica_that_is_read_only_refuses(own_server):
    with ValkeyStore(own_server.url, timeout_s=TIMEOUT_S) as store:
        store.save(OLD, 1.0)
        own_server.ask("REPLICAOF", "127.0.0.1", 1)
        with pytest.raises(StoreError) as refused:
            store.save(NEW, 2.0)
        assert refused.value.fields["cause"] == "ReadOnlyError"
        own_server.ask("REPLICAOF", "NO", "ONE")
        assert [store.load(old.session_id) for old in OLD] == OLD


def test_a_user_who_may_not_is_refused(own_server):
    own_server.ask("ACL", "SETUSER", "reader", "on", ">word", "~*", "+@read")
    with ValkeyStore(f"unix://reader:word@{own_server.place}", timeout_s=TIMEOUT_S) as store:
        assert store.load("s0") is None, "nor may it ask for its own connection"
        with pytest.raises(StoreError) as refused:
            store.save(NEW, 2.0)
        assert refused.value.fields["cause"] == "NoPermissionError"


def test_a_checkpoint_of_64_megabytes_is_one_save(own_server):
    records = [Stored(f"s{n}", 0, n, bytes([n]) * 2**20) for n in range(64)]
    with ValkeyStore(own_server.url, timeout_s=TIMEOUT_S) as store:
        assert store.save(records, 1.0) == []
        assert [store.load(record.session_id) for record in records] == records
