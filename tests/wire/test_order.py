"""The tables hold an answer for every state and event, and it is the one in the protocol text."""

from __future__ import annotations

from typing import get_args

import pytest

from streamrnn.errors import DrainingError, OrderError, SessionExistsError, UnknownSessionError
from streamrnn.wire import order
from streamrnn.wire.messages import ClientMessage

TAGS = {kind.__struct_config__.tag for kind in ClientMessage.__args__}
OPENING = {"open", "restore", "fork_into"}
USING = {"frame", "frames", "reset", "flush", "snapshot", "rollback", "fork", "generate", "close"}


def test_every_message_of_a_client_is_an_event():
    assert set(get_args(order.Event)) >= TAGS
    assert (OPENING | USING) - {"fork_into"} == TAGS


@pytest.mark.parametrize("event", sorted(OPENING))
def test_a_free_handle_can_be_opened_only(event):
    assert order.handle_after(order.FREE, event, 7) == order.LIVE
    with pytest.raises(SessionExistsError, match="7"):
        order.handle_after(order.LIVE, event, 7)


@pytest.mark.parametrize("event", sorted(USING))
def test_a_live_handle_can_be_used(event):
    assert order.handle_after(order.LIVE, event, 7) == (order.FREE if event == "close" else order.LIVE)
    with pytest.raises(UnknownSessionError, match="7"):
        order.handle_after(order.FREE, event, 7)


@pytest.mark.parametrize("event", sorted(TAGS))
def test_an_open_connection_takes_every_message_and_a_closed_one_none(event):
    assert order.connection_after(order.OPEN, event) == order.OPEN
    with pytest.raises(OrderError):
        order.connection_after(order.CLOSED, event)


@pytest.mark.parametrize("event", sorted(TAGS))
def test_a_draining_connection_takes_no_new_session(event):
    if event in ("open", "restore", "fork"):
        with pytest.raises(DrainingError):
            order.connection_after(order.DRAINING, event)
    else:
        assert order.connection_after(order.DRAINING, event) == order.DRAINING


def test_a_connection_ends_once():
    assert order.connection_after(order.OPEN, "go_away") == order.DRAINING
    assert order.connection_after(order.OPEN, "end") == order.CLOSED
    assert order.connection_after(order.DRAINING, "end") == order.CLOSED
    with pytest.raises(OrderError):
        order.connection_after(order.CLOSED, "end")
    with pytest.raises(OrderError):
        order.connection_after(order.DRAINING, "go_away")
    with pytest.raises(OrderError):
        order.connection_after(order.OPEN, "fork_into")
