"""How a session that the server has opened again is brought up to date, from whatever state it came back with."""

from __future__ import annotations

from collections import deque

from streamrnn_client.ledger import Ledger
from streamrnn_client.messages import Opened, Rollback
from streamrnn_client.pending import Pending, PendingAsk

MAX_CHUNK_FRAMES = 4096
"""Frames in one message, where the server does not say how many may be unanswered."""


def bring_back(ledger: Ledger, opened: Opened, settled: list[Pending]) -> int:
    """Note that the server has it open again; returns how many frames are sent again.

    Raises:
        SessionLostError: what would bring the server's state up to date is not kept.
    """
    log = ledger.log
    rollback = _pivot(ledger, opened)
    if rollback is not None:
        log.drop_before(rollback)  # all before it was answered, or it would not have been sent
    for ask in log.undone():
        if log.base is None and rollback is None and ask.of == "reset" and ask.position < opened.next_seq:
            ask.settle(ask.position - 1)  # the server has stepped a frame behind it, so it was applied
            settled.append(ask)
    ledger.opened = opened
    ledger.last_attempt = ledger.n_attempts
    if opened.resume_token:
        others = [token for token in ledger.tokens if token != opened.resume_token]
        ledger.tokens = [opened.resume_token, *others[:1]]
    if log.base is None and not log.is_torn:
        ledger.durable_seq = opened.durable_seq
    base = log.base or rollback
    limit = opened.max_queue_frames or MAX_CHUNK_FRAMES
    due = log.behind(opened.next_seq if base is None else base.position, limit)
    ledger.owed.asks = deque(entry for entry in due if isinstance(entry, PendingAsk) and entry.of != "fork")
    return ledger.course.resume(due, opened.next_seq, ledger.answered_seq, base)


def was_closed(ledger: Ledger, opened: Opened) -> bool:
    """The session that the server does not know any more was closed, as it was told to; its answer was lost."""
    undone = ledger.log.undone()
    is_last = len(undone) == 1 and not ledger.owed.frames
    return not opened.resumed and is_last and undone[0].of == "close" and undone[0].n_sent > 0


def _pivot(ledger: Ledger, opened: Opened) -> PendingAsk | None:
    """The unanswered rollback with which all must begin, where the state says that it was applied."""
    log, next_seq, ever_seq = ledger.log, opened.next_seq, ledger.course.ever_seq
    if opened.digest != ledger.opened.digest:
        raise ledger.lost("the server has another model of that name", 0, ledger.next_seq)
    if log.base is not None:
        return None
    if log.is_torn and (opened.durable or not opened.resumed):
        raise ledger.lost("a rollback that is not kept any more may have been undone", next_seq, log.first_seq)
    if log.first_seq <= next_seq <= ever_seq:
        return None  # also behind a rollback that was applied: what is repeated before it is answered, and then left
    for ask in log.undone():
        if isinstance(ask.message, Rollback) and ask.n_sent:
            return ask
    if next_seq > ever_seq:
        raise ledger.lost("the server has frames that were not sent from here", ever_seq, next_seq)
    raise ledger.lost("the server has an earlier state, and its frames are not kept any more", next_seq, log.first_seq)
