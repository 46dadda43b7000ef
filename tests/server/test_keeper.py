"""A server over a store: nothing that was answered is lost, and no frame waits for the disk."""

from __future__ import annotations

import asyncio
import signal
import time

import numpy as np
import pytest

from streamrnn.stores import MemoryStore, SqliteStore, Stored
from streamrnn.wire import messages as m
from streamrnn.wire.codec import JSON, MSGPACK
from tests.server.clients import PATIENCE_S, Client, client_of
from tests.server.stores import FullStore, HangingStore, kill, mortal, seqs_in, server_over
from tests.server.test_app import pump, start_process
from tests.server.test_connection import settled
from tests.serving.house import frame, offline, random_frames, values

XS = random_frames(400)
YS = offline("lstm", XS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions.db"


async def feed(client: Client, first: int, n: int) -> list[m.Output]:
    """Send frames one by one, and return their outputs."""
    for seq in range(first, first + n):
        await client.say(frame(1, seq, XS[seq : seq + 1]))
    outputs: list[m.Output] = []
    while sum(reply.n for reply in outputs) < n:
        reply = await client.hear()
        outputs += [reply] if isinstance(reply, m.Output) else []
    return outputs


async def durable(client: Client, seq: int) -> None:
    """Hear until frame `seq` is in the store."""
    while True:
        reply = await client.hear()
        if isinstance(reply, m.Ack) and reply.durable_seq >= seq:
            return


async def resume(client: Client, token: str, answered_seq: int = -1) -> m.Opened:
    await client.say(m.Open(1, "lstm", "s", token, answered_seq))
    reply = await client.hear()
    assert isinstance(reply, m.Opened), reply
    return reply


@pytest.mark.parametrize("protocol", [MSGPACK, JSON])
async def test_a_server_that_is_killed_in_mid_stream_has_lost_nothing_that_was_durable(path, protocol):
    async with mortal(path) as first, client_of(first.port, protocol) as client:
        opened = await client.open(1, session_id="s")
        assert opened.durable
        heard = await feed(client, 0, 40)
        await durable(client, 39)
        heard += await feed(client, 40, 25)
        kill(first)
    async with server_over(SqliteStore(path)) as second, client_of(second.port, protocol) as client:
        again = await resume(client, opened.resume_token, 64)
        assert again.resumed and 40 <= again.next_seq <= 65 and again.durable_seq == again.next_seq - 1
        more = await feed(client, again.next_seq, 50)
    np.testing.assert_array_equal(values(heard, 1, 2), YS[:65])
    np.testing.assert_array_equal(values(more, 1, 2, again.next_seq), YS[again.next_seq : again.next_seq + 50])


async def test_the_outputs_of_a_checkpoint_that_the_client_missed_come_from_the_next_server(path):
    async with mortal(path) as first, client_of(first.port) as client:
        opened = await client.open(1, session_id="s")
        await feed(client, 0, 40)
        await durable(client, 39)
    async with server_over(SqliteStore(path)) as second, client_of(second.port) as client:
        again = await resume(client, opened.resume_token, 9)
        missed = [await client.hear()]
        while sum(reply.n for reply in missed) < again.next_seq - 10:
            missed.append(await client.hear())
    np.testing.assert_array_equal(values(missed, 1, 2, 10), YS[10 : again.next_seq])


async def test_a_connection_that_breaks_is_saved_at_once(path):
    async with server_over(SqliteStore(path), checkpoint_ms=60_000) as server:
        async with client_of(server.port) as client:
            await client.open(1, session_id="s")
            await feed(client, 0, 7)
            client.ws.transport.abort()
        await settled(lambda: server.hub.roster.n_parked == 1 and server.hub.checkpoints.is_idle)
        assert seqs_in(path) == {"s": 7}


async def test_a_client_that_is_done_is_forgotten_in_the_store(path):
    async with server_over(SqliteStore(path)) as server:
        async with client_of(server.port) as client:
            await client.open(1, session_id="s")
            await feed(client, 0, 7)
            await durable(client, 6)
        await settled(lambda: not seqs_in(path))


async def test_a_stop_saves_what_no_connection_holds(path):
    async with server_over(SqliteStore(path), checkpoint_ms=60_000) as server, client_of(server.port) as client:
        opened = await client.open(1, session_id="s")
        await feed(client, 0, 7)
        client.ws.transport.abort()
    assert seqs_in(path) == {"s": 7}
    async with server_over(SqliteStore(path)) as server, client_of(server.port) as client:
        assert (await resume(client, opened.resume_token, 6)).next_seq == 7


async def test_a_stop_saves_what_the_clients_still_send(path):
    async with server_over(SqliteStore(path), drain_ms=2000) as server, client_of(server.port) as client:
        opened = await client.open(1, session_id="s")
        stopping = asyncio.create_task(server.stop())
        await client.hear_until(m.GoAway)

        async def go_on() -> None:
            for seq in range(100_000):
                await client.say(frame(1, seq, XS[seq % 400 : seq % 400 + 1]))
                await asyncio.sleep(0.001)

        sending = asyncio.create_task(go_on())
        closed = (await client.hear_until(m.Closed))[-1]
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert (closed.reason, await client.close_code()) == ("draining", 1012)
        await stopping
    assert seqs_in(path) == {"s": closed.n_frames} and closed.n_frames > 0
    async with server_over(SqliteStore(path)) as server, client_of(server.port) as client:
        assert (await resume(client, opened.resume_token, closed.n_frames - 1)).next_seq == closed.n_frames


async def test_a_client_that_is_done_during_a_stop_is_forgotten(path):
    async with server_over(SqliteStore(path), drain_ms=60_000) as server:
        async with client_of(server.port) as client:
            await client.open(1, session_id="s")
            await feed(client, 0, 7)
            await durable(client, 6)
            stopping = asyncio.create_task(server.stop())
            await client.hear_until(m.GoAway)
        await stopping
    assert seqs_in(path) == {}


STORED = """
import logging, sys
from streamrnn.limits import Limits
from streamrnn.server.app import Server
from streamrnn.server.running import run
from streamrnn.stores import SqliteStore
from tests.serving.house import MODELS
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
sys.exit(run(Server(MODELS, port=0, limits=Limits(drain_ms=int(sys.argv[1])), store=SqliteStore(sys.argv[2]))))
"""


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_sigterm_under_load_saves_everything(path):
    process, port = await start_process(1200, STORED, str(path))
    pumps = [asyncio.create_task(pump(port, seed)) for seed in range(4)]
    await asyncio.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    n_outputs = await asyncio.wait_for(asyncio.gather(*pumps), 20)
    await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    assert sorted(seqs_in(path).values()) == sorted(n_outputs) and min(n_outputs) > 0


# ---- a store that fails


async def test_a_store_that_hangs_keeps_no_frame_from_being_answered_and_no_stop_from_ending():
    store = HangingStore()
    try:
        async with server_over(store, drain_ms=800) as server, client_of(server.port) as client:
            await client.open(1)
            heard = await feed(client, 0, 20)
            await settled(store.is_asked.is_set)
            for first in range(20, 200, 20):
                begin = time.monotonic()
                heard += await feed(client, first, 20)
                assert time.monotonic() - begin < PATIENCE_S / 2
            np.testing.assert_array_equal(values(heard, 1, 2), YS[:200])
            begin = time.monotonic()
            stopping = asyncio.create_task(server.stop())
            closed = (await client.hear_until(m.Closed))[-1]
            assert (closed, await client.close_code()) == (m.Closed(1, "draining", 200), 1012)
            await stopping
            assert time.monotonic() - begin < 0.8 + PATIENCE_S / 2
            assert not any(isinstance(reply, m.Ack) for reply in client.log)
    finally:
        store.go_on.set()


async def test_an_open_waits_for_a_store_that_hangs_and_others_do_not():
    store = HangingStore()
    try:
        async with server_over(store) as server, client_of(server.port) as client:
            await client.open(1)
            await feed(client, 0, 1)
            await settled(store.is_asked.is_set)
            await client.say(m.Open(2, "lstm", "named"), frame(2, 0, XS[:3]))
            await feed(client, 1, 20)
            store.go_on.set()
            opened = (await client.hear_until(m.Opened))[-1]
            assert opened.session_id == "named"
            output = (await client.hear_until(m.Output))[-1]
            assert (output.handle, output.seq) == (2, 0)
    finally:
        store.go_on.set()


async def test_a_disk_that_is_full_is_told_to_nobody_but_the_operator(caplog):
    store = FullStore()
    async with server_over(store) as server, client_of(server.port) as client:
        await client.open(1)
        heard = await feed(client, 0, 50)
        await settled(lambda: server.hub.tally.n_store_failures >= 2)
        heard += await feed(client, 50, 50)
        np.testing.assert_array_equal(values(heard, 1, 2), YS[:100])
        assert not any(isinstance(reply, m.Ack) for reply in client.log)
        assert "stepping goes on" in caplog.text
        store.is_full = False
        await durable(client, 99)


async def test_a_bug_of_a_store_ends_nothing(caplog):
    class Broken(MemoryStore):
        def expire(self, older_than_s: float) -> int:
            raise ZeroDivisionError

        def load(self, session_id: str) -> Stored | None:
            raise ZeroDivisionError

    async with server_over(Broken()) as server, client_of(server.port) as client:
        await client.open(1)
        await feed(client, 0, 10)
        await durable(client, 9)
        await client.say(m.Open(2, "lstm", "s", "x" * 43))
        refused = (await client.hear_until(m.Error))[-1]
        assert (refused.code, refused.scope, refused.handle) == ("internal", "session", 2)
        await feed(client, 10, 10)
        await durable(client, 19)
    assert caplog.text.count("ZeroDivisionError") >= 2


async def test_a_file_that_cannot_grow_keeps_what_it_has(path):
    store = SqliteStore(path)
    async with server_over(store) as server, client_of(server.port) as client:
        opened = await client.open(1, session_id="s")
        await feed(client, 0, 20)
        await durable(client, 19)
        n_pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {n_pages}")
        for handle in range(2, 60):
            await client.say(m.Open(handle, "lstm"), frame(handle, 0, XS[:60]))
        await settled(lambda: server.hub.tally.n_store_failures >= 1)
        store._db.execute("PRAGMA max_page_count = 100000")
        await settled(lambda: len(seqs_in(path)) == 59)
        client.ws.transport.abort()
    async with server_over(SqliteStore(path)) as server, client_of(server.port) as client:
        assert (await resume(client, opened.resume_token, 19)).next_seq == 20


async def test_a_stop_with_a_full_disk_still_says_goodbye():
    async with server_over(FullStore()) as server, client_of(server.port) as client:
        await client.open(1)
        await feed(client, 0, 5)
        stopping = asyncio.create_task(server.stop())
        closed = (await client.hear_until(m.Closed))[-1]
        assert (closed, await client.close_code()) == (m.Closed(1, "draining", 5), 1012)
        await asyncio.wait_for(stopping, PATIENCE_S)


# ---- two servers


async def test_two_servers_over_one_file_and_the_one_before_is_fenced(path):
    async with (
        server_over(SqliteStore(path)) as here,
        server_over(SqliteStore(path)) as there,
        client_of(here.port) as first,
        client_of(there.port) as second,
    ):
        opened = await first.open(1, session_id="s")
        await feed(first, 0, 20)
        await durable(first, 19)
        again = await resume(second, opened.resume_token, 19)
        assert again.next_seq == 20
        await first.say(frame(1, 20, XS[20:22]))
        closed = (await first.hear_until(m.Closed))[-1]
        assert (closed.reason, await first.close_code()) == ("taken_over", 4001)
        more = await feed(second, 20, 50)
        np.testing.assert_array_equal(values(more, 1, 2, 20), YS[20:70])
        await durable(second, 69)
        assert here.hub.tally.n_fenced == 1 and there.hub.tally.n_fenced == 0
        assert seqs_in(path) == {"s": 70}


async def test_two_who_resume_on_two_servers_at_once_and_one_holds_it(path):
    async with mortal(path) as first, client_of(first.port) as client:
        token = (await client.open(1, session_id="s")).resume_token
        await feed(client, 0, 20)
        await durable(client, 19)
    async with (
        server_over(SqliteStore(path)) as here,
        server_over(SqliteStore(path)) as there,
        client_of(here.port) as a,
        client_of(there.port) as b,
    ):
        await asyncio.gather(resume(a, token, 19), resume(b, token, 19))
        for client in (a, b):
            await client.say(frame(1, 20, XS[20:21]))
        await settled(lambda: here.hub.n_sessions + there.hub.n_sessions == 1)
        loser, holder = (a, b) if there.hub.n_sessions else (b, a)
        assert (await loser.hear_until(m.Closed))[-1].reason == "taken_over"
        await holder.say(m.Flush(1))
        while not isinstance(reply := await holder.hear(), m.Ack) or reply.of != "flush":
            pass
        assert reply.applied_seq == 20
