"""The server: what stands in its keys, what is refused in them and in a URL, and that no message holds a password."""

from __future__ import annotations

import traceback

import pytest

from streamrnn.engine.snapshot import MAX_COUNT
from streamrnn.errors import OptionError, StoreError, StoreFileError
from streamrnn.stores import Stored
from streamrnn.stores.valkey import ValkeyStore
from tests.stores.conftest import TIMEOUT_S
from tests.stores.servers import Server

A = Stored("a", 0, 10, b"state of a")
B = Stored("b", 3, 7, b"state of b")
SECRET = "pass word/%@:"
QUOTED = "pass%20word%2F%25%40%3A"

CALLS = {
    "save": lambda store: store.save([B, A], 2.0),
    "load": lambda store: store.load("a"),
    "claim": lambda store: store.claim("a", 2.0),
    "delete": lambda store: store.delete([("b", 3), ("a", 3)]),
    "expire": lambda store: store.expire(2.0),
    "session_ids": lambda store: store.session_ids(),
}


@pytest.fixture
def store(server):
    """An empty store."""
    with ValkeyStore(server.url, timeout_s=TIMEOUT_S) as made:
        yield made


def dump(server):
    """Everything on a server."""
    return {key: server.ask("DUMP", key) for key in server.ask("KEYS", "*")}


class TestKeys:
    def test_a_session_is_one_hash_and_one_member(self, server, store):
        store.save([B], 1.5)
        assert set(server.ask("KEYS", "*")) == {b"streamrnn:session:b", b"streamrnn:saved"}
        fields = (b"epoch", b"3", b"next_seq", b"7", b"floor_seq", b"7", b"snapshot", B.snapshot)
        row = server.ask("HGETALL", "streamrnn:session:b")
        assert row == dict(zip(fields[::2], fields[1::2], strict=True))
        assert server.ask("ZSCORE", "streamrnn:saved", "b") == 1.5

    def test_what_is_forgotten_leaves_nothing(self, server, store):
        store.save([A, B], 1.0)
        store.delete([("a", 0)])
        assert set(server.ask("KEYS", "*")) == {b"streamrnn:session:b", b"streamrnn:saved"}
        store.expire(2.0)
        assert server.ask("KEYS", "*") == []

    def test_stores_of_other_prefixes_or_databases_do_not_meet(self, server, store):
        store.save([A], 1.0)
        for url, prefix in ((server.url, "other:"), (server.url + "?db=1", "streamrnn:")):
            with ValkeyStore(url, prefix, TIMEOUT_S) as other:
                other.save([B], 1.0)
                assert other.session_ids() == ["b"]
                assert other.expire(9.0) == 1
        assert store.session_ids() == ["a"]

    @pytest.mark.parametrize("now_s", [1e-300, 1764000000.123456789, 2.0**60, 5])
    def test_a_time_is_kept_to_the_bit(self, store, now_s):
        store.save([A], now_s)
        assert store.expire(now_s) == 0
        assert store.expire(now_s * (1 + 2**-52)) == 1

    def test_a_time_that_is_no_number_changes_nothing(self, server, store):
        store.save([A], 1.0)
        before = dump(server)
        for call in (lambda: store.save([A, B], float("nan")), lambda: store.claim("a", float("nan"))):
            with pytest.raises(StoreError):
                call()
        assert dump(server) == before


class TestBadRows:
    @pytest.mark.parametrize(
        "field",
        [
            *(("epoch", bad) for bad in ("", "x", "1.0", "-1", "01", "1e3", " 1", str(MAX_COUNT + 1), "9" * 30)),
            ("next_seq", "x"),
        ],
    )
    @pytest.mark.parametrize("operation", ["save", "claim", "delete"])
    def test_a_count_that_is_none_refuses_the_whole_change(self, server, store, operation, field):
        store.save([A, B], 1.0)
        server.ask("HSET", "streamrnn:session:a", *field)
        self.refused(server, store, operation)

    @pytest.mark.parametrize("field", [("epoch", "x"), ("epoch", str(MAX_COUNT + 1)), ("next_seq", "-1")])
    def test_it_is_not_loaded(self, server, store, field):
        store.save([A, B], 1.0)
        server.ask("HSET", "streamrnn:session:a", *field)
        self.refused(server, store, "load")

    @pytest.mark.parametrize(
        ("operation", "field"),
        [("load", "snapshot"), ("claim", "snapshot"), ("load", "epoch"), ("save", "floor_seq"), ("claim", "next_seq")],
    )
    def test_a_field_that_is_missing_is_a_bad_row(self, server, store, operation, field):
        store.save([A, B], 1.0)
        server.ask("HDEL", "streamrnn:session:a", field)
        self.refused(server, store, operation)

    @pytest.mark.parametrize("operation", ["save", "load", "claim", "delete"])
    def test_a_key_of_another_type_is_a_bad_row(self, server, store, operation):
        store.save([B], 1.0)
        server.ask("SET", "streamrnn:session:a", "text")
        self.refused(server, store, operation)

    @pytest.mark.parametrize("operation", CALLS)
    def test_a_sorted_set_that_is_none_refuses_the_whole_change(self, server, store, operation):
        store.save([A, B], 1.0)
        server.ask("SET", "streamrnn:saved", "text")
        if operation == "load":
            assert store.load("a") == A
        else:
            self.refused(server, store, operation)

    def test_an_id_that_is_no_text_is_a_bad_row(self, server, store):
        server.ask("ZADD", "streamrnn:saved", 1, b"\xff")
        self.refused(server, store, "session_ids")
        assert store.expire(2.0) == 1

    def test_a_session_that_somebody_has_deleted_by_hand_is_not_there(self, server, store):
        store.save([A, B], 1.0)
        server.ask("DEL", "streamrnn:session:a")
        assert (store.load("a"), store.claim("a", 2.0), store.load("b")) == (None, None, B)
        store.delete([("a", 0)])
        assert store.expire(2.0) == 2

    @pytest.mark.parametrize("operation", ["save", "claim", "delete"])
    def test_the_refusal_names_the_key(self, server, store, operation):
        store.save([A, B], 1.0)
        server.ask("HSET", "streamrnn:session:a", "epoch", "x")
        with pytest.raises(StoreFileError, match="b'streamrnn:session:a' is no record"):
            CALLS[operation](store)

    def refused(self, server, store, operation):
        """The call is refused for good, and changes nothing."""
        before = dump(server)
        with pytest.raises(StoreFileError) as refused:
            CALLS[operation](store)
        assert (refused.value.fields, refused.value.retryable) == ({"operation": operation, "cause": "row"}, False)
        assert dump(server) == before


class TestUrl:
    @pytest.mark.parametrize(
        "url",
        [
            *(
                "",
                "redis:h",
                "http://h",
                "unix://",
                "redis://h:x",
                "redis://h:99999",
                "redis://h/zero",
                "redis://h?db=x",
            ),
            *("redis://h?decode_responses=yes", "redis://h?socket_timeout=9", "rediss://h?ssl_nothing=1"),
            *(None, b"redis://h"),
        ],
    )
    def test_a_url_that_is_none_is_refused(self, url):
        with pytest.raises(OptionError):
            ValkeyStore(url)

    @pytest.mark.parametrize("timeout_s", [0, -1.0, float("nan"), float("inf")])
    def test_a_timeout_is_finite(self, timeout_s):
        with pytest.raises(OptionError):
            ValkeyStore("redis://h", timeout_s=timeout_s)

    def test_a_prefix_is_text(self):
        with pytest.raises(OptionError):
            ValkeyStore("redis://h", prefix="\ud800")


@pytest.fixture(scope="module")
def locked_server():
    """A server that asks for the password."""
    with Server("--requirepass", SECRET) as server:
        yield server


def everything_said(error):
    """An error as it stands in a log, with all that it came from."""
    return repr(error) + repr(error.fields) + "".join(traceback.format_exception(error))


class TestPassword:
    def test_it_opens(self, locked_server):
        with ValkeyStore(f"unix://:{QUOTED}@{locked_server.place}") as store:
            store.save([A], 1.0)
            assert store.load("a") == A
        with ValkeyStore(f"{locked_server.url}?password={QUOTED}") as store:
            assert store.load("a") == A

    def test_none_is_refused_by_the_server(self, locked_server):
        with ValkeyStore(locked_server.url) as store, pytest.raises(StoreError) as refused:
            store.load("a")
        assert refused.value.fields == {"operation": "load", "cause": "AuthenticationError"}

    @pytest.mark.parametrize("settings", [(), ("--rename-command", "AUTH", ""), ("--requirepass", "another")])
    def test_it_is_in_no_message_of_a_refusal(self, settings):
        with Server(*settings) as server, ValkeyStore(f"{server.url}?password={QUOTED}", timeout_s=TIMEOUT_S) as store:
            with pytest.raises(StoreError) as refused:
                store.save([A], 1.0)
            assert SECRET not in everything_said(refused.value)
            assert server.place in str(refused.value)

    def test_no_beginning_of_it_is_in_a_message(self):
        with Server("--rename-command", "AUTH", "") as server:
            url = f"{server.url}?password={'secret' * 50}"
            with ValkeyStore(url, timeout_s=TIMEOUT_S) as store, pytest.raises(StoreError, match="unknown") as refused:
                store.save([A], 1.0)
        assert "secret" not in everything_said(refused.value)

    def test_it_is_in_no_message_of_a_server_that_is_not_there(self, tmp_path):
        with ValkeyStore(f"unix://:{QUOTED}@{tmp_path}/none") as store, pytest.raises(StoreError) as refused:
            store.load("a")
        assert SECRET not in everything_said(refused.value)
        assert QUOTED not in everything_said(refused.value)

    @pytest.mark.parametrize(
        "url", ["redis://:se/cret@h:1", "redis://:x@h:cret", "http://:cret@h", "redis://h?db=cret"]
    )
    def test_it_is_in_no_message_of_a_bad_url(self, url):
        with pytest.raises(OptionError) as refused:
            ValkeyStore(url)
        assert "cret" not in everything_said(refused.value).replace('ValkeyStore("', "")
