"""How long to wait before a worker that died is started again, and when to give up: a rule without a clock."""

from __future__ import annotations

from dataclasses import dataclass

SETTLED_S = 10.0
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
MAX_FAILED_STARTS = 5


@dataclass
class Patience:
    """That with one worker.

    Attributes:
        n_deaths: in a row, none of them after `SETTLED_S` of service.
        n_failed_starts: those of them before it was ready.
    """

    n_deaths: int = 0
    n_failed_starts: int = 0

    def delay_s(self, served_s: float | None, was_ever_served: bool) -> float | None:
        """How long to wait before it is started again, after a death; None: no start will help.

        One that served for a while, or dies for the first time, is started at once. One that dies soon after it was
        ready again and again is started for ever, later and later: the others serve. One that dies again and again
        before that ends in giving up, and at the first time where this server has never served: what is wrong with a
        file or an option stays wrong.

        Args:
            served_s: from when it was ready until it died; None: it never was.
            was_ever_served: some worker of this server was ready once.
        """
        if served_s is not None:
            self.n_failed_starts = 0
            if served_s >= SETTLED_S:
                self.n_deaths = 0
                return 0.0
        else:
            self.n_failed_starts += 1
            if self.n_failed_starts >= (MAX_FAILED_STARTS if was_ever_served else 1):
                return None
        self.n_deaths += 1
        if served_s is not None and self.n_deaths == 1:
            return 0.0
        return min(FIRST_DELAY_S * 2.0 ** min(self.n_deaths - 1, 16), LONGEST_DELAY_S)
