"""When to dial: at once, then ever later and by chance, round the servers, and not for ever. A clock of our own."""

from __future__ import annotations

import math
from random import Random

import pytest
from streamrnn_client.errors import HandshakeError
from streamrnn_client.line import Line
from streamrnn_client.link import addresses_of
from streamrnn_client.losses import ConnectError, ConnectionLostError
from streamrnn_client.options import Options
from streamrnn_client.reconnector import Backoff, Reconnector

SEED = 11


def test_waits_double_up_to_the_most_and_are_random_by_a_half() -> None:
    print("seed", SEED)
    backoff = Backoff(0.1, 5.0, Random(SEED))
    waits = [backoff.next_s() for _ in range(100)]
    for n, wait_s in enumerate(waits):
        whole_s = min(0.1 * 2**n, 5.0)
        assert whole_s / 2 <= wait_s <= whole_s
    assert len(set(waits)) == 100
    backoff.reset()
    assert backoff.next_s() <= 0.1


def test_the_first_attempt_is_at_once_and_at_the_next_server() -> None:
    reconnector = Reconnector(Options(), 3, Random(SEED))
    assert (reconnector.index, reconnector.due_s, reconnector.give_up_s) == (0, None, None)
    reconnector.lost(100.0)
    assert (reconnector.index, reconnector.due_s, reconnector.give_up_s) == (1, 100.0, 160.0)
    reconnector.dialled()
    assert reconnector.due_s is None
    reconnector.lost(103.0)
    assert reconnector.index == 2
    assert 103.05 <= (reconnector.due_s or 0) <= 103.1
    reconnector.dialled()
    reconnector.lost(104.0)
    assert reconnector.index == 0
    assert 104.1 <= (reconnector.due_s or 0) <= 104.2
    assert (reconnector.n_attempts, reconnector.give_up_s) == (2, 160.0)


def test_a_connection_that_was_of_use_ends_the_outage_and_one_that_broke_does_not() -> None:
    reconnector = Reconnector(Options(), 1, Random(SEED))
    reconnector.lost(0.0)
    reconnector.dialled()
    reconnector.lost(5.0)  # it stood, and brought nothing
    assert (reconnector.due_s or 0) > 5.0
    reconnector.dialled()
    reconnector.of_use()
    reconnector.lost(7.0)
    assert (reconnector.due_s, reconnector.give_up_s, reconnector.n_attempts) == (7.0, 67.0, 0)


def test_a_server_that_said_to_wait_is_left_alone_and_others_are_not() -> None:
    reconnector = Reconnector(Options(), 2, Random(SEED))
    reconnector.lost(0.0)
    reconnector.lost(0.0, 8.0)  # server 1
    assert (reconnector.index, (reconnector.due_s or 0) <= 0.1) == (0, True)
    reconnector.lost(1.0)
    assert (reconnector.index, (reconnector.due_s or 0) < 2.0) == (0, True), "the turn of server 1 passes"
    reconnector.lost(2.0, 20.0)
    assert (reconnector.index, reconnector.due_s) == (1, 8.0)
    reconnector.lost(9.0)
    assert (reconnector.index, (reconnector.due_s or 0) < 11.0) == (1, True), "its wait is over"


def test_a_wait_that_was_said_is_the_least_not_the_most() -> None:
    reconnector = Reconnector(Options(reconnect_first_s=4.0), 1, Random(SEED))
    reconnector.lost(0.0)
    reconnector.lost(0.0, 1.0)
    assert (reconnector.due_s or 0) >= 2.0


def line_of(*urls: str, **options: float) -> Line:
    return Line(addresses_of(list(urls)), Options(**options), Random(SEED))  # type: ignore[arg-type]


def connected(line: Line, now_s: float = 0.0) -> None:
    """As if the handshake were made."""
    link = line.dial(now_s)
    link.handshake_done = True
    line.dialogue.attach()


def test_a_line_dials_in_turn_until_it_gives_up() -> None:
    line = line_of("ws://a:1", "ws://b:2", reconnect_timeout_s=10.0)
    connected(line)
    pending = line.dialogue.open("sum")
    line.receive_eof("cut", 50.0)
    assert not line.connected
    hosts, now_s = [], 50.0
    while line.over is None:
        now_s = max(now_s, line.deadline_s)
        line.tend(now_s)
        if line.wants_dial(now_s):
            hosts.append(line.address.host)
            line.dial(now_s)
            line.failed(ConnectError("nobody there"), now_s)
    assert now_s == 60.0
    assert hosts[:4] == ["b", "a", "b", "a"]
    assert 7 <= len(hosts) <= 13
    assert isinstance(pending.error, ConnectionLostError)
    assert "nobody there" in str(line.over)
    assert line.deadline_s == math.inf


def test_a_refused_handshake_is_one_more_failed_attempt() -> None:
    line = line_of("ws://a:1")
    connected(line)
    line.dialogue.open("sum")
    line.receive_eof("cut", 0.0)
    link = line.dial(0.0)
    line.data_to_send()
    line.receive_data(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", 1.0)
    line.receive_eof("cut", 1.0)
    assert isinstance(link.error, HandshakeError)
    assert (line.over, line.reconnector.n_attempts) == (None, 1)
    assert line.deadline_s == 2.0, "counted once, and not before the server said"


def test_a_line_with_nothing_left_rests_until_there_is_something_to_ask() -> None:
    line = line_of("ws://a:1")
    connected(line)
    line.receive_eof("cut", 5.0)
    assert (line.over, line.deadline_s, line.wants_dial(6.0)) == (None, math.inf, False)
    line.dialogue.open("sum")
    assert line.deadline_s < 100.0
    line.tend(100.0)
    assert line.wants_dial(100.0)


@pytest.mark.parametrize("urls", [[], ["ws://a:1", "nonsense"]])
def test_addresses_are_checked_all(urls: list[str]) -> None:
    from streamrnn_client.errors import OptionError

    with pytest.raises(OptionError):
        addresses_of(urls)
