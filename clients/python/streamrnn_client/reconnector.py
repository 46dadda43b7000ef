"""When to dial, and whom: jittered exponential back-off over one or several servers. Clock and chance are passed in."""

from __future__ import annotations

import math
from random import Random

from streamrnn_client.options import Options


class Backoff:
    """Waits that double from `first_s` to `max_s`; of each, a random part of up to one half is left out."""

    def __init__(self, first_s: float, max_s: float, random: Random) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._random = random
        self._n = 0

    def next_s(self) -> float:
        """How long to wait now."""
        whole_s = min(self._first_s * 2.0 ** min(self._n, 60), self._max_s)
        self._n += 1
        return self._random.uniform(whole_s / 2, whole_s)

    def reset(self) -> None:
        """Begin with the shortest again."""
        self._n = 0


class Reconnector:
    """An outage lasts from the first loss until a connection was of use: one that breaks before that ends nothing.

    `due_s` is when to dial the server number `index`, None while there is no need to. Seconds are those of any
    monotonic clock. The first attempt of an outage is at once, and at the server behind the one that was lost. One that
    said how long to leave it alone is not dialled before; its turn passes to another where that is due sooner.
    """

    def __init__(self, options: Options, n_servers: int, random: Random) -> None:
        self.index = 0
        self.n_attempts = 0
        self.due_s: float | None = None
        self.since_s: float | None = None
        self._not_before_s = [-math.inf] * n_servers
        self._timeout_s = options.reconnect_timeout_s
        self._backoff = Backoff(options.reconnect_first_s, options.reconnect_max_s, random)

    def lost(self, now_s: float, retry_after_s: float | None = None) -> None:
        """A connection is gone, or an attempt to make one failed; that server may have said to wait."""
        if retry_after_s is not None:
            self._not_before_s[self.index] = now_s + retry_after_s
        wait_s = 0.0
        if self.since_s is None:
            self.since_s = now_s
            self.n_attempts = 0
            self._backoff.reset()
        else:
            wait_s = self._backoff.next_s()
        self._take_turn(now_s + wait_s)

    def _take_turn(self, due_s: float) -> None:
        """Choose the server that may be dialled first, at `due_s` at the soonest; of several, the next in the round."""
        n = len(self._not_before_s)
        turns = [(self.index + i) % n for i in range(1, n + 1)]
        self.index = min(turns, key=lambda index: max(due_s, self._not_before_s[index]))
        self.due_s = max(due_s, self._not_before_s[self.index])

    def dialled(self) -> None:
        """An attempt has begun; it ends with `lost`, or the connection stands."""
        self.due_s = None
        self.n_attempts += 1

    def of_use(self) -> None:
        """The connection has brought something: the outage is over."""
        self.since_s = self.due_s = None

    @property
    def give_up_s(self) -> float | None:
        """When an outage has lasted too long."""
        return None if self.since_s is None else self.since_s + self._timeout_s
