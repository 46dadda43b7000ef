"""A client of one session, and what it needs to lose its connection or its server and come back."""

from __future__ import annotations

from streamrnn.errors import StoreError
from streamrnn.limits import Limits
from streamrnn.wire import messages as m
from tests.serving.house import House, frame, offline, random_frames

LIMITS = Limits(max_sessions=8, max_queue_frames=32, max_chunk_frames=64, max_run_frames=8, max_batch=4)
DOWN = StoreError("the store is locked", operation="claim", cause="SQLITE_BUSY")
XS = random_frames(40)
YS = offline("lstm", XS)


def resume(caller, token, answered_seq=-1, handle=1, session_id="s", model="lstm", **options):
    return caller.say(m.Open(handle, model, session_id, token, answered_seq, **options))


def opened_in(replies):
    (found,) = (reply for reply in replies if isinstance(reply, m.Opened))
    return found


class Desk:
    """A house with one client of one session, which sends its frames one after the other."""

    def __init__(self, store=None, limits=LIMITS):
        self.house = House(store, limits)
        self.store = store
        self.caller = self.house.caller()
        replies = self.caller.say(m.Open(1, "lstm", "s"))
        self.house.keep()
        self.token = opened_in(replies + self.caller.heard()).resume_token
        self.n_sent = 0

    def feed(self, n):
        heard = self.caller.say(frame(1, self.n_sent, XS[self.n_sent : self.n_sent + n])) + self.caller.ticked()
        self.n_sent += n
        return heard

    def come_back(self, token=None, answered_seq=-1, **options):
        """Lose the connection, and resume on another."""
        self.caller.vanish()
        self.caller = self.house.caller()
        replies = resume(self.caller, token or self.token, answered_seq, **options)
        self.house.keep()
        return replies + self.caller.heard()


def crash_and_start(desk):
    """The hub is gone with all that it knew; another has its store."""
    desk.house = House(desk.store, LIMITS)
    desk.caller = desk.house.caller()
