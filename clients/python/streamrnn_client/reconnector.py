"""When to dial, and whom: jittered exponential back-off over one or several servers. Clock and chance are passed in."""

from __future__ import annotations

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
    monotonic clock. The first attempt of an outage is at once, and at the server behind the one that was lost.
    """

    def __init__(self, options: Options, n_servers: int, random: Random) -> None:
        self.index = 0
        self.n_attempts = 0
        self.due_s: float | None = None
        self.since_s: float | None = None
        self._n_servers = n_servers
        self._timeout_s = options.reconnect_timeout_s
        self._backoff = Backoff(options.reconnect_first_s, options.reconnect_max_s, random)

    def lost(self, now_s: float) -> None:
        """A connection is gone, or an attempt to make one failed."""
        if self.since_s is None:
            self.since_s = self.due_s = now_s
            self.n_attempts = 0
            self._backoff.reset()
        else:
            self.due_s = now_s + self._backoff.next_s()
        self.index = (self.index + 1) % self._n_servers

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
